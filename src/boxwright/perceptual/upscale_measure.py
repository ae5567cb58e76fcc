"""How good enlarged pictures are: signal to noise, structural similarity, and distance in deep features.

Signal to noise and similarity are scikit-image's. Torch is needed for the distance alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from boxwright.perceptual.sheets import sheet
from boxwright.perceptual.upscale_data import RGB8, Large, Pairs, as_floats

if TYPE_CHECKING:
    from boxwright.weights.trunk import Trunk

Enlarge = Callable[[RGB8], Large]
Distance = Callable[[RGB8, RGB8], float]

BICUBIC = "bicubic"
"""The row that others are held against."""

_LEAST = 11
"""Pixels a side that structural similarity's window takes (Wang et al. 2004)."""


@dataclass(frozen=True)
class Scores:
    """Means over pictures.

    Attributes:
        psnr: peak signal to noise of RGB, whole pictures, in decibels.
        psnr_y: the same of luma (Y of BT.601 from 16 to 235) without a border as wide as the factor: what papers print.
        ssim: structural similarity of that luma, Gaussian windows of deviation 1.5 (Wang et al. 2004).
        distance: of deep features, or None where none were asked for.
    """

    psnr: float
    psnr_y: float
    ssim: float
    distance: float | None = None

    def to_dict(self) -> dict[str, float]:
        """By name; without the distance where there is none."""
        values = {"psnr": self.psnr, "psnr_y": self.psnr_y, "ssim": self.ssim}
        return values if self.distance is None else values | {"distance": self.distance}


def psnr(found: RGB8, truth: RGB8) -> float:
    """Peak signal to noise in decibels; infinite for equal pictures."""
    from skimage.metrics import peak_signal_noise_ratio  # an extra that only this needs

    if np.array_equal(found, truth):
        return float("inf")
    return float(peak_signal_noise_ratio(truth, found, data_range=255))


def luma(image: RGB8, border: int) -> Float[np.ndarray, "tall wide"]:
    """Y of BT.601 from 16 to 235, without a border."""
    from skimage.color import rgb2ycbcr

    y: np.ndarray = rgb2ycbcr(image)[..., 0]
    return y[border : y.shape[0] - border, border : y.shape[1] - border]


def score(found: RGB8, truth: RGB8, factor: int, distance: Distance | None = None) -> Scores:
    """One picture against what it should be.

    Args:
        found, truth: of one size; `2 * factor + 11` pixels a side or more.
        factor: width of the border that luma is measured without.
        distance: of deep features.
    """
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    ours, theirs = luma(found, factor), luma(truth, factor)
    same = np.array_equal(ours, theirs)
    similarity = structural_similarity(
        theirs, ours, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return Scores(
        psnr(found, truth),
        float("inf") if same else float(peak_signal_noise_ratio(theirs, ours, data_range=255)),
        float(similarity),
        None if distance is None else distance(found, truth),
    )


def least_side(factor: int) -> int:
    """Pixels a side that the large picture must have to be scored."""
    return 2 * factor + _LEAST


def compare(
    pairs: Iterable[tuple[RGB8, Large]],
    ways: Mapping[str, Enlarge],
    factor: int,
    distance: Distance | None = None,
) -> dict[str, Scores]:
    """Several ways to enlarge, on the same pictures.

    Args:
        pairs: small pictures and the large ones that they came from.
        ways: by name.
        factor: how many times as large.
        distance: of deep features.
    """
    found: dict[str, list[Scores]] = {name: [] for name in ways}
    for small, large in pairs:
        for name, way in ways.items():
            found[name].append(score(way(small), large, factor, distance))
    return {name: _mean(scores) for name, scores in found.items()}


def table(scores: Mapping[str, Scores]) -> str:
    """Lines of text: a row for each way, and how much better than bicubic it is."""
    first = scores[BICUBIC]
    wide = max(len(name) for name in scores)
    far = first.distance is not None
    lines = [f"{'':{wide}}  PSNR RGB   gain   PSNR Y   gain   SSIM Y{'   distance   change' if far else ''}"]
    for name, one in scores.items():
        line = (
            f"{name:{wide}}  {one.psnr:8.2f}  {one.psnr - first.psnr:+5.2f}  {one.psnr_y:7.2f}  "
            f"{one.psnr_y - first.psnr_y:+5.2f}   {one.ssim:.4f}"
        )
        if one.distance is not None and first.distance:
            line += f"   {one.distance:8.4f}  {one.distance / first.distance - 1:+7.1%}"
        lines.append(line)
    return "\n".join(lines)


def comparison(
    pairs: Pairs, ways: Mapping[str, Enlarge], count: int, side: int, scale: int = 1
) -> RGB8 | None:
    """A sheet: below each other the small picture, every way to enlarge it, and the truth; None without any.

    Args:
        pairs: of these, evenly, middles are taken; smaller pictures are passed over.
        ways: by name.
        count: of pictures.
        side: of a small one's part that is shown.
        scale: pixels of the sheet for one of a picture.
    """
    rows: dict[str, list[RGB8]] = {name: [] for name in ("small", *ways, "truth")}
    for index in dict.fromkeys(np.linspace(0, len(pairs) - 1, count).round().astype(int).tolist()):
        small, large = pairs.middle(index, side)
        if min(small.shape[:2]) < side:
            continue
        rows["small"].append(small.repeat(pairs.factor, 0).repeat(pairs.factor, 1))
        rows["truth"].append(large)
        for name, way in ways.items():
            rows[name].append(way(small))
    return sheet(list(rows.items()), scale) if rows["truth"] else None


def feature_distance(trunk: Trunk) -> Distance:
    """The distance of two pictures by a network's features (`boxwright.perceptual.FeatureDistance`)."""
    import torch

    from boxwright.perceptual.loss import FeatureDistance

    measure = FeatureDistance(trunk)

    @torch.inference_mode()
    def distance(a: RGB8, b: RGB8) -> float:
        one, two = (torch.from_numpy(as_floats(image)[None]) for image in (a, b))
        return float(measure(one, two))

    return distance


def _mean(scores: Sequence[Scores]) -> Scores:
    rows = [one.to_dict() for one in scores]
    return Scores(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})
