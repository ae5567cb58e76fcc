"""Latents to draw and to walk between, and how near pictures are. Torch-free."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from boxwright.errors import InputError


def draw_latents(
    count: int, latent: int, seed: int, temperature: float = 1.0
) -> Float32[np.ndarray, "count latent"]:
    """Latents from the prior.

    Args:
        count: how many.
        latent: numbers in one.
        seed: the same seed draws the same ones, and the first of more are those of fewer.
        temperature: their standard deviation; below 1 they lie nearer to what is common.

    Raises:
        InputError: a temperature that is negative or not finite.
    """
    if not 0 <= temperature < float("inf"):
        raise InputError(f"a temperature of {temperature:g}", hint="give 0 or more; 1 is the prior itself")
    drawn = np.random.default_rng(seed).standard_normal((count, latent))
    return (temperature * drawn).astype(np.float32)


def between(
    a: Float[np.ndarray, " latent"], b: Float[np.ndarray, " latent"], steps: int
) -> Float32[np.ndarray, "step latent"]:
    """The way from one latent to another along an arc: as far from the origin as its ends, step by step.

    On the straight way latents of many numbers would come nearer to the origin than any draw from the prior lies
    (White 2016, section 2). Directions are turned evenly, lengths change evenly; where the directions are the same or
    opposite, or a length is 0, the way is straight.

    Args:
        a, b: its ends, which are the first and the last step.
        steps: at least 2.

    >>> between(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3).round(3).tolist()
    [[1.0, 0.0], [0.707, 0.707], [0.0, 1.0]]
    """
    if steps < 2:
        raise InputError(f"{steps} step from one picture to another", hint="give 2 or more")
    start, end = a.astype(np.float64), b.astype(np.float64)
    part = np.linspace(0, 1, steps)[:, None]
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    straight = (1 - part) * start + part * end
    if min(lengths) == 0:
        return straight.astype(np.float32)
    one, two = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(one @ two, -1, 1))
    if np.sin(angle) < 1e-6:
        return straight.astype(np.float32)
    turned = (np.sin((1 - part) * angle) * one + np.sin(part * angle) * two) / np.sin(angle)
    way = ((1 - part) * lengths[0] + part * lengths[1]) * turned
    way[0], way[-1] = start, end
    return way.astype(np.float32)


def psnr(
    a: Float32[np.ndarray, "picture 3 height width"], b: Float32[np.ndarray, "picture 3 height width"]
) -> Float[np.ndarray, " picture"]:
    """Peak signal to noise of each pair, in decibels; white is 1.

    >>> psnr(np.zeros((1, 3, 2, 2), np.float32), np.full((1, 3, 2, 2), 0.1, np.float32)).round(4).tolist()
    [20.0]
    """
    squared = np.square(a.astype(np.float64) - b).mean((1, 2, 3))
    return -10 * np.log10(np.maximum(squared, 1e-20))
