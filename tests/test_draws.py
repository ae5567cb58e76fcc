from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from boxwright.draws import uniform

KEYS = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5)


@given(KEYS, st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_numbers_follow_from_key_and_place_alone(keys: list[int], count: int, salt: int) -> None:
    several = uniform(torch.tensor(keys), count, salt=salt)
    assert several.shape == (len(keys), count) and several.dtype == torch.float32
    assert bool(((several >= 0) & (several < 1)).all())
    for row, key in zip(several, keys, strict=True):
        longer = uniform(torch.tensor([key]), count + 7, salt=salt)
        torch.testing.assert_close(longer[0, :count], row, rtol=0, atol=0)


def test_they_are_spread_evenly_and_independently() -> None:
    """Neighbouring keys, places and salts, as there are in practice; chi-square of 64 bins, correlation of pairs."""
    keys = torch.arange(400)
    drawn = uniform(keys, 500).numpy()
    for values in (drawn.ravel(), uniform(keys + (1 << 40), 500, salt=3).numpy().ravel()):
        counts = np.histogram(values, 64, (0, 1))[0]
        expected = values.size / 64
        # 63 degrees of freedom: mean 63, deviation 11.
        assert 63 - 5 * 11.2 < ((counts - expected) ** 2 / expected).sum() < 63 + 5 * 11.2
    salted = uniform(keys, 500, salt=1).numpy()
    for one, other in (
        (drawn[:-1], drawn[1:]),
        (drawn[:, :-1], drawn[:, 1:]),
        (drawn, salted),
        (drawn[:, 0], drawn[:, 1]),
    ):
        # The deviation of a correlation of n independent pairs is n ** -0.5.
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 * one.size**-0.5


def test_a_worked_number() -> None:
    """By hand, in Python's own integers: MurmurHash3's finaliser over key, salt and place."""

    def mixed(word: int) -> int:
        word ^= word >> 16
        word = word * 0x85EBCA6B & 0xFFFFFFFF
        word ^= word >> 13
        word = word * 0xC2B2AE35 & 0xFFFFFFFF
        return word ^ word >> 16

    key, salt, place = (5 << 32) + 0xFFFFFFFE, 9, 3
    start = mixed(mixed(key & 0xFFFFFFFF) ^ key >> 32 ^ mixed(salt + 0x9E3779B9))
    right = (mixed(mixed(place * 0x9E3779B1 & 0xFFFFFFFF) ^ start) >> 8) / 2**24
    assert float(uniform(torch.tensor([key]), 4, salt=salt)[0, place]) == right
