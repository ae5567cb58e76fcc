from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.preprocess import Preprocess

MANIFEST = Manifest(
    "ssd300-vgg16",
    {"size": 300},
    ("cat", "dög"),
    (7, 3),
    Preprocess((300, 300)),
    0.4,
    (0.5, 0.25),
    {"AP": 0.75},
)

scores = st.floats(0, 1)
texts = st.text(max_size=8)


# Parts, not records: beartype, which watches the constructors in tests, draws random numbers of its own.
@st.composite
def parts(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    ids = draw(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4, unique=True))
    count = len(ids)
    return {
        "recipe": draw(texts),
        "settings": draw(st.dictionaries(texts, st.integers() | texts | st.lists(st.booleans(), max_size=2))),
        "classes": tuple(draw(st.lists(texts, min_size=count, max_size=count))),
        "ids": tuple(ids),
        "score": draw(scores),
        "thresholds": tuple(draw(st.just([]) | st.lists(scores, min_size=count, max_size=count))),
        "notes": draw(st.dictionaries(texts, texts | st.floats(allow_nan=False, allow_infinity=False))),
    }, {
        "size": draw(st.tuples(st.integers(1, 2000), st.integers(1, 2000))),
        "mode": draw(st.sampled_from(["stretch", "shorter-side"])),
        "std": draw(st.tuples(*[st.floats(0.01, 255)] * 3)),
    }


@settings(max_examples=40, deadline=None)
@given(parts())
def test_json_and_back_is_the_same(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    manifest = Manifest(**drawn[0], preprocess=Preprocess(**drawn[1]))
    text = manifest.to_json()
    assert Manifest.from_json(text) == manifest
    assert Manifest.from_json(text).to_json() == text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"clases": ["a"]}, r"unknown key 'clases'.*did you mean classes\?"),
        ({"version": 99}, "later boxwright.*update"),
        ({"version": 0}, "'version'.*positive"),
        ({"version": "1"}, "'version'.*positive"),
        ({"recipe": 3}, "'recipe'.*a name"),
        ({"settings": []}, "'settings'.*an object"),
        ({"classes": "cat"}, "'classes'.*list of names"),
        ({"classes": []}, "without classes"),
        ({"classes": ["a", 1]}, "'classes'.*list of names"),
        ({"ids": [1, True]}, "'ids'.*whole numbers"),
        ({"ids": [1]}, "2 classes with ids"),
        ({"ids": [4, 4]}, "2 classes with ids"),
        ({"score": 1.5}, r"threshold 1.5.*\[0, 1\]"),
        ({"score": None}, "'score'.*a number"),
        ({"thresholds": [0.5]}, "1 thresholds for 2 classes"),
        ({"thresholds": [0.5, "x"]}, "'thresholds'.*list of numbers"),
        ({"notes": {"a": []}}, "'notes'.*texts and numbers"),
        ({"preprocess": 7}, "'preprocess'.*an object"),
        ({"preprocess": {"size": [300, 300], "meen": 0}}, r"'meen'.*did you mean mean\?"),
        ({"preprocess": {"size": [300]}}, "size.*2 numbers"),
        ({"preprocess": {"size": [0, 300]}}, "at least 1"),
        ({"preprocess": {"size": [300, 300], "mode": "strech"}}, "did you mean stretch"),
        ({"preprocess": {"size": [300, 300], "std": [0, 1, 1]}}, "positive"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, object], says: str) -> None:
    values = {**json.loads(MANIFEST.to_json()), **change}
    with pytest.raises(InputError, match=says):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize("key", ["version", "recipe", "classes", "preprocess", "notes"])
def test_a_missing_key_is_named(key: str) -> None:
    values = json.loads(MANIFEST.to_json())
    del values[key]
    with pytest.raises(InputError, match=f"no '{key}'"):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": NaN}', "[" * 100_000])
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Manifest.from_json(text)


def test_thresholds_belong_to_the_unit_interval() -> None:
    with pytest.raises(InputError, match="nan"):
        replace(MANIFEST, score=float("nan"))


def test_settings_are_kept_as_json_has_them() -> None:
    manifest = replace(MANIFEST, settings={"scales": (0.1, 0.2), "deep": {"a": ((1,),)}})
    assert manifest == Manifest.from_json(manifest.to_json())
    assert manifest.settings == {"scales": [0.1, 0.2], "deep": {"a": [[1]]}}
    with pytest.raises(TypeError, match="not JSON serializable"):
        replace(MANIFEST, settings={"a": object()})


@pytest.mark.parametrize(
    "change",
    [
        {"ids": [10**30, 1]},
        {"preprocess": {"size": [10**6, 10**6]}},
        {"preprocess": {"size": [300, 300], "pad_multiple": 10**9}},
        {"preprocess": {"size": [10**400, 1]}},
        {"preprocess": {"size": [300, 300], "mean": [10**400, 0, 0]}},
        {"score": 10**400},
        {"settings": {"size": float("nan")}},
        {"regions": {"kind": ["SelectiveSearch"]}},
        {"thresholds": [10**400, 0]},
    ],
)
def test_numbers_that_no_model_has_are_one_line(change: dict[str, Any]) -> None:
    values = {**json.loads(MANIFEST.to_json()), **change}
    with pytest.raises(InputError, match=r"a\.onnx: "):
        Manifest.from_json(json.dumps(values), path=Path("a.onnx"))
