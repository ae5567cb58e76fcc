"""What travels in the file of a network that is no detector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.card import Card
from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.preprocess import Preprocess

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.text(),
    st.dictionaries(st.text(), JSON, max_size=4),
    st.dictionaries(st.text(), st.text() | st.integers(), max_size=3),
)
def test_a_card_comes_back_as_it_was(task: str, settings: dict, notes: dict) -> None:
    card = Card(task, settings, notes)
    assert Card.found(card.to_json()) == card
    assert Card.expected(card.to_json(), task, None) == card


def test_notes_that_are_no_numbers_are_left_out() -> None:
    assert json.loads(Card("style", {}, {"a": float("nan"), "b": 1.5}).to_json())["notes"] == {"b": 1.5}


def test_tuples_are_as_they_come_back() -> None:
    assert Card("upscale", {"taps": ("conv1", "conv2")}) == Card("upscale", {"taps": ["conv1", "conv2"]})


def test_others_are_no_cards() -> None:
    manifest = Manifest("ssd300-vgg16", {}, ("cat",), (0,), Preprocess((300, 300)))
    assert Card.found(manifest.to_json()) is None
    assert Card.found("{") is None and Card.found("[]") is None
    assert Card.found('{"version":1,"task":"style","settings":{},"notes":{},"more":1}') is None
    for note in ("{}", "[1]", "null", "true", "1" + 400 * "0"):
        assert Card.found(f'{{"version":1,"task":"style","settings":{{}},"notes":{{"a":{note}}}}}') is None


def test_what_it_is_not_is_said_with_the_file() -> None:
    text = Card("style", {}).to_json()
    with pytest.raises(
        InputError, match=r"^a/b: is a network for style, not for vae; see boxwright style --help$"
    ):
        Card.expected(text, "vae", Path("a/b"))
    with pytest.raises(InputError, match="made for style by a later boxwright"):
        Card.found(text.replace('"version":1', '"version":2'))
