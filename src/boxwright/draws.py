"""Random numbers that follow from an image's key and a place, and from nothing else.

What is drawn for an image in training (which of its priors are learnt from, which features are dropped) is then the
same whichever process has the image, on whatever device, and whatever was drawn before.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

_WORD = 0xFFFFFFFF


def uniform(keys: Int[Tensor, " batch"], count: int, *, salt: int = 0) -> Float[Tensor, "batch count"]:
    """Numbers in [0, 1), `count` of each key; multiples of 2**-24, so that float32 holds them.

    Args:
        keys: of the images; equal ones have equal numbers.
        count: how many numbers each gets.
        salt: of a second row of numbers, a third, ..., that has nothing to do with the first; below 2**32.

    >>> keys = torch.tensor([7, 8, 7])
    >>> one = uniform(keys, 4)
    >>> bool((one[0] == one[2]).all()), bool((one[0] == one[1]).any()), bool((one == uniform(keys, 4, salt=1)).any())
    (True, False, False)
    """
    place = torch.arange(count, device=keys.device)
    low, high = keys & _WORD, (keys >> 32) & _WORD
    start = _mixed(_mixed(low) ^ high ^ _mixed(torch.full_like(low, salt & _WORD) + 0x9E3779B9))
    words = _mixed(_mixed(place * 0x9E3779B1 & _WORD) ^ start[:, None])
    return (words >> 8).float() * 2.0**-24


def _mixed(words: Tensor) -> Tensor:
    """Each of 32 bits depends on all: MurmurHash3's finaliser (Appleby 2011), on 32-bit words that int64 holds."""
    words = words & _WORD
    words = (words ^ (words >> 16)) * 0x85EBCA6B & _WORD
    words = (words ^ (words >> 13)) * 0xC2B2AE35 & _WORD
    return words ^ (words >> 16)
