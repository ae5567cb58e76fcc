from __future__ import annotations

import json
import math
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from boxwright.evaluate.plain import from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    share: float
    names: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    count: int
    pair: tuple[float, str]
    inner: Inner
    many: tuple[Inner, ...]
    table: dict[str, float]
    flag: bool


# One nan object throughout: tuples compare their parts by identity first, as records do not.
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.just(math.nan))
inner = st.builds(Inner, numbers, st.lists(st.text(), max_size=3).map(tuple))
outer = st.builds(
    Outer,
    st.integers(),
    st.tuples(numbers, st.text()),
    inner,
    st.lists(inner, max_size=3).map(tuple),
    st.dictionaries(st.text(), numbers, max_size=3),
    st.booleans(),
)


@given(outer)
def test_json_gives_the_record_back(record):
    text = json.dumps(to_plain(record), allow_nan=False)
    again = from_plain(Outer, json.loads(text))
    assert again == record
    assert type(again.many) is tuple


def test_nan_is_null():
    assert to_plain(Inner(math.nan, ("a",))) == {"share": None, "names": ["a"]}
