from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.data.augment import Augment
from boxwright.errors import InputError
from boxwright.training.settings import TrainSettings, changed, sorted_changes
from boxwright.training.setup import plan
from training.toys import toy_data, toy_model


@dataclass(frozen=True)
class Inner:
    number: int = 1


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, int] = (0.5, 1)
    nested: tuple[tuple[float, ...], ...] = ()
    maybe: tuple[float | None, ...] = ()
    flag: bool = False
    name: str = ""


def test_values_are_read_as_their_field_says() -> None:
    typed = {
        "kind": "b",
        "pair": "0.25, 3",
        "nested": "1;2,3",
        "maybe": "none,0.5",
        "flag": "yes",
        "name": "x",
    }
    assert changed(Outer(), {**typed, "inner.number": "7"}, name="s") == Outer(
        Inner(7), "b", (0.25, 3), ((1.0,), (2.0, 3.0)), (None, 0.5), True, "x"
    )


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("learning", "1", "no setting 'learning'"),
        ("kinds", "a", "did you mean kind?"),
        ("kind", "c", "known: a, b"),
        ("pair", "1", "needs 2 values"),
        ("pair", "a,b", "is a number, not 'a'"),
        ("flag", "perhaps", "yes or no"),
        ("inner", "3", "cannot be set from text"),
        ("inner.numbr", "3", "did you mean number?"),
        ("kind.x", "3", "no settings of its own"),
        ("pair", "nan,1", "finite"),
    ],
)
def test_what_cannot_be_read_is_named(key: str, text: str, words: str) -> None:
    with pytest.raises(InputError, match="s") as error:
        changed(Outer(), {key: text}, name="s")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@given(st.sampled_from([f.name for f in fields(TrainSettings)]))
def test_every_default_can_be_typed_back(name: str) -> None:
    value = getattr(TrainSettings(), name)
    text = ",".join(map(repr, value)) if isinstance(value, tuple) else str(value)
    assert changed(TrainSettings(), {name: text}, name="train") == TrainSettings()


@pytest.mark.parametrize(
    "change",
    [{"epochs": "0"}, {"lr": "0"}, {"lr": "-1"}, {"batch": "0"}, {"ema": "1.5"}, {"milestones": "0.5,1"},
     {"workers": "-2"}],
)  # fmt: skip
def test_values_out_of_range_are_refused(change: dict[str, str]) -> None:
    (key,) = change
    with pytest.raises(InputError, match=f"train.{key}"):
        changed(TrainSettings(), change, name="train")


@pytest.mark.parametrize("change", ["lr=1", "train.lr", "train.=1", "tran.lr=1", "=", ""])
def test_changes_not_of_the_form_are_refused(change: str) -> None:
    with pytest.raises(InputError, match="--set"):
        sorted_changes([change], ["train", "augment"])


def test_difficult_objects_are_learnt_where_asked(tmp_path: Path) -> None:
    """And never counted: validation leaves them out in any case."""
    data = toy_data(tmp_path, images=4)
    marked = replace(
        data, samples=tuple(replace(one, difficult=np.ones_like(one.difficult)) for one in data.samples)
    )
    for asked in (False, True):
        settings = TrainSettings(train_on_difficult=asked, batch=2)
        todo = plan(toy_model(), marked, marked, tmp_path / "out", settings, Augment())
        assert all(one.ignore.all() != asked for one in todo.train)
        assert all(one.ignore.all() for one in todo.val)
