"""A training picture and its mask, moved together: elastic deformation, rotation, scale, flips; and its light.

Ronneberger et al. 2015, section 3.1: random displacements on a coarse 3x3 grid, drawn from a Gaussian of 10 pixels'
deviation, and between its points bicubic interpolation. All moves are one map from places in the result to places in
the picture, so that the picture is interpolated once.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from boxwright.segment.settings import VarySettings

Places = Float64[np.ndarray, "2 height width"]
"""Row and column in the picture for each pixel of the result."""


def displacements(
    height: int, width: int, rng: np.random.Generator, deviation: float, grid: int = 3
) -> Places:
    """A smooth random field.

    Args:
        height, width: of the result.
        rng: draws the vectors at the grid's points, the outermost of which lie on the result's corners.
        deviation: of each component of them, in pixels.
        grid: points along each side.

    Returns:
        rows and columns to add, in pixels.
    """
    drawn = rng.normal(0.0, deviation, (2, grid, grid))
    down, across = _cubic(height, grid), _cubic(width, grid)
    return down @ drawn @ across.T


def window_places(
    size: tuple[int, int], side: int, margin: int, settings: VarySettings, rng: np.random.Generator
) -> Places:
    """Where the pixels of one random square window come from.

    Args:
        size: (height, width) of the picture.
        side: of the window.
        margin: of it on each side: what is inside of the margin lies in the picture, where it fits.
        settings: what may happen.
        rng: decides.
    """
    # Always as many draws, so that one setting does not change what another one draws.
    top, left, angle, zoom, flip, over = rng.random(6)
    inner = side - 2 * margin
    centre = [
        # Whole pixels, so that a window that nothing moves is a part of the picture, untouched.
        int(place * (max(0, whole - inner) + 1)) + (inner - 1) / 2
        for place, whole in zip((top, left), size, strict=True)
    ]
    turn = math.radians(settings.rotate) * (2 * angle - 1)
    low, high = (math.log(factor) for factor in settings.scale)
    scale = math.exp(low + (high - low) * zoom)
    places = np.stack(np.meshgrid(*(np.arange(side) - (side - 1) / 2,) * 2, indexing="ij"))
    if settings.elastic:
        places = places + displacements(side, side, rng, settings.elastic, settings.grid)
    if settings.flip and flip < 0.5:
        places[1] *= -1
    if settings.flip_vertical and over < 0.5:
        places[0] *= -1
    rows, columns = places / scale
    cos, sin = math.cos(turn), math.sin(turn)
    return np.stack((cos * rows - sin * columns + centre[0], sin * rows + cos * columns + centre[1]))


def moved(values: Float32[np.ndarray, "*channel _ _"], places: Places) -> Float32[np.ndarray, "*channel _ _"]:
    """Values at places, interpolated linearly; the picture is mirrored beyond its borders."""
    from scipy import ndimage

    planes = values.reshape(-1, *values.shape[-2:])
    found = [ndimage.map_coordinates(plane, places, np.float32, order=1, mode="mirror") for plane in planes]
    return np.stack(found).reshape(*values.shape[:-2], *places.shape[1:])


def moved_labels(labels: UInt8[np.ndarray, "_ _"], places: Places) -> UInt8[np.ndarray, "height width"]:
    """The nearest pixels' labels: none that the mask does not have."""
    from scipy import ndimage

    found: np.ndarray = ndimage.map_coordinates(labels, places, np.uint8, order=0, mode="mirror")
    return found


def relit(
    picture: Float32[np.ndarray, "3 height width"], settings: VarySettings, rng: np.random.Generator
) -> Float32[np.ndarray, "3 height width"]:
    """The picture with other brightness and contrast, within [0, 1]."""
    factor, more = rng.uniform(-1, 1, 2)
    mean = float(picture.mean())
    lit = (picture - mean) * (1 + factor * settings.contrast) + mean + more * settings.brightness
    return np.clip(lit, 0, 1).astype(np.float32)


def _cubic(length: int, points: int) -> Float64[np.ndarray, "length point"]:
    """What each point of a line of them counts at each pixel: natural cubic splines."""
    from scipy.interpolate import CubicSpline

    basis: Float64[np.ndarray, "length point"] = CubicSpline(
        np.linspace(0, max(length - 1, 1), points), np.eye(points), bc_type="natural"
    )(np.arange(length))
    return basis
