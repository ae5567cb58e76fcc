"""The table of what is published: true of the code as it is, complete for the recipes that it holds, and the page."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest

from boxwright.fidelity import TABLE, Row
from boxwright.fidelity.page import page
from boxwright.fidelity.row import read
from boxwright.recipes import RECIPES, find

PAGE = Path(__file__).resolve().parents[2] / "docs/fidelity.md"
# Of these recipes each setting that shapes what is learnt stands in the table.
WHOLE = ("faster-rcnn-vgg16",)
# What a schedule of its kind does not read, how the machine is used, what is of no VGG, and what no paper has.
UNREAD = {
    "settings": {
        "channels",
        "separable",
        "norm_eps",
        "stride_first",
        "body",
        "svd",
        "placement",
        "whole_anchors",
    }
    | {"padding_is_image", "depth", "anchors_sampled", "proposal_floor", "smallest_detection"},
    "train": {
        "iterations",
        "minutes",
        "backbone_lr",
        "final_lr",
        "ema_ramp",
        "freeze_norms",
        "amp",
        "eval_every",
    }
    | {"channels_last", "patience", "save_minutes", "log_every", "threads", "seed", "select", "bad_images"}
    | {"proposals", "workers", "cache"},
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.subject}-{row.key}")
def test_the_code_has_what_the_table_says(row: Row) -> None:
    assert read(row) == row.ours, f"{row.subject}: {row.setting}"


def test_each_value_stands_once_and_says_where_it_comes_from() -> None:
    assert max(Counter((row.subject, row.key) for row in TABLE).values()) == 1
    for row in TABLE:
        assert row.paper and row.released and row.setting, row
        assert (row.paper, row.released) != ("-", "-"), row


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("group", ["settings", "train"])
def test_no_setting_of_a_published_recipe_is_left_out(name: str, group: str) -> None:
    """A new setting has to be looked up, or named as one that changes nothing here."""
    known = {
        row.key.partition(".")[2] for row in TABLE if row.subject == name and row.key.startswith(f"{group}.")
    }
    all_of = {field.name for field in fields(getattr(find(name), group))}
    assert all_of - known == UNREAD[group]


@pytest.mark.parametrize(
    ("group", "change"),
    [("settings", {"background": 0.1}), ("train", {"epochs": 24}), ("augment", {"flip_horizontal": 0.0})],
)
def test_a_recipe_that_changes_alone_is_found(
    group: str, change: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    from boxwright.fidelity import row as rows

    name = "faster-rcnn-vgg16"
    recipe = find(name)
    monkeypatch.setitem(RECIPES, name, replace(recipe, **{group: replace(getattr(recipe, group), **change)}))
    rows._recipe.cache_clear()
    try:
        wrong = [row for row in TABLE if row.subject == name and read(row) != row.ours]
    finally:
        rows._recipe.cache_clear()
    assert [row.key for row in wrong if row.key.startswith(group)] == [f"{group}.{next(iter(change))}"]


def test_the_page_is_what_the_command_prints() -> None:
    assert PAGE.read_text("utf-8") == page(TABLE), "run python -m boxwright.fidelity > docs/fidelity.md"
