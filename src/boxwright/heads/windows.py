"""A classifier on windows that share their work: Sermanet et al. 2014 (OverFeat, arXiv:1312.6229v4), section 3.3.

Neighbouring windows of one shape see mostly the same pixels. Convolutions do not care where an image ends, so the
trunk runs once over all that such windows cover, and each window is a part of its map; what comes behind the trunk
is then a convolution over that map (Long et al. 2015, Fully convolutional networks, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from boxwright.features import FeatureSpec
from boxwright.heads.region import CropPool, Patches, RegionHead
from boxwright.regions.pool import crop_warp
from boxwright.types import Priors

_EXACT = 1e-3
"""In cells: how far a window may lie from its cell by rounding alone; to the next window it is a cell at least."""


@dataclass(frozen=True)
class Grid:
    """Windows of one shape that lie whole cells apart.

    Attributes:
        index: of each among the regions.
        row, column: of each, in cells from the first.
        box: what they cover together, xyxy.
    """

    index: Int[Tensor, "window"]
    row: Int[Tensor, "window"]
    column: Int[Tensor, "window"]
    box: Float[Tensor, "4"]


def grids(boxes: Float[Tensor, "roi 4"], valid: Bool[Tensor, "roi"], cell: float) -> list[Grid]:
    """The grids that an image's regions lie on; what lies on none is left out.

    Args:
        boxes: xyxy, shape by shape.
        valid: which of them count.
        cell: from one cell to the next, as a part of a window's side.

    >>> two = torch.tensor([[0.0, 0, 8, 4], [2, 0, 10, 4], [3, 3, 4, 4]])
    >>> [(grid.index.tolist(), grid.column.tolist()) for grid in grids(two, torch.ones(3) > 0, 0.25)]
    [([0, 1], [0, 1]), ([2], [0])]
    """
    index = valid.nonzero()[:, 0].cpu()
    if not len(index):
        return []
    laid = boxes.cpu()[index].double()
    sides = laid[:, 2:] - laid[:, :2]
    other = ((sides[1:] - sides[:-1]).abs() > _EXACT * cell * sides[1:]).any(1)
    ends = (other.nonzero()[:, 0] + 1).tolist()
    found = []
    for own, alike in zip(index.tensor_split(ends), laid.tensor_split(ends), strict=True):
        first, last = alike.amin(0), alike.amax(0)
        at = (alike[:, :2] - first[:2]) / (cell * (alike[0, 2:] - alike[0, :2])).clamp(min=1e-9)
        if (at - at.round()).abs().max() <= _EXACT:
            column, row = at.round().long().unbind(1)
            found.append(Grid(own, row, column, torch.cat((first[:2], last[2:]))))
    return found


class WindowHead(RegionHead):
    """A `RegionHead` on crops, with the same parameters under the same names, that detects with shared work.

    Windows of one shape that lie whole cells of the trunk's map apart are scored from one pass of the trunk over
    all that they cover, wherever that is less to compute than a pass for each. Regions that lie on no such grid are
    cut out one by one. So are all where gradients are wanted: a classifier is trained on the few windows that were
    sampled, each alone, and one checkpoint serves both ways.

    Without padding in the trunk both ways give the same scores. A padded trunk shows zeros around a window that is
    seen alone, and the window's neighbourhood where it is a part of more. Cells whose receptive field ends within
    the window are the same in spite of it, and so is a window that shares with no other; the rest differs, the
    more so the smaller the window is to the receptive field. All 3 x 3 cells of 96 pixels in EfficientNet-Lite0 see
    far beyond their window: with ImageNet's weights the features of both ways have a cosine of .5 (the median on a
    photograph; .75 with windows of 192 pixels). Such scores are related, not close.

    It is made as a `RegionHead` is, of a `CropPool` and `Patches`. A grid takes the memory of the trunk's maps of
    one image in which the window is `pool.side` pixels.
    """

    pool: CropPool
    body: Patches

    @property
    def cell(self) -> float:
        """From one cell of the trunk's map to the next, as a part of a window's side."""
        return self._spec.stride / (self.pool.side - 2 * self.pool.context)

    def features(self, levels: Sequence[Tensor], regions: Priors) -> Float[Tensor, "batch roi feature"]:
        """What the two layers judge by; 0 for regions that are not valid."""
        # Without data (on "meta", where operations are counted) no region has a place: each counts as alone.
        if torch.is_grad_enabled() or levels[0].is_meta:
            return super().features(levels, regions)
        batch, count = regions.valid.shape
        features = levels[0].new_zeros(batch, count, self.scores.in_features)
        for number in range(batch):
            image, boxes = levels[0][number : number + 1], regions.boxes[number]
            alone = regions.valid[number].clone()
            for grid in grids(boxes, alone, self.cell):
                size = self._pixels(grid.row), self._pixels(grid.column)
                if size[0] * size[1] < len(grid.index) * self.pool.side**2:
                    features[number, grid.index] = self._together(image, grid, size).to(features)
                    alone[grid.index] = False
            if alone.any():
                level, valid = regions.level[number, alone], alone[alone]
                some = Priors(boxes[None, alone], level[None], valid[None])
                features[number, alone] = super().features([image], some)[0].to(features)
        return features

    def _together(
        self, image: Float[Tensor, "1 3 height width"], grid: Grid, size: tuple[int, int]
    ) -> Float[Tensor, "window feature"]:
        """Features of the windows of a grid, from one map of all that they cover, warped to `size`."""
        # A multiple of the stride more than one window has: padding that depends on the size (TensorFlow's SAME)
        # then falls before the first cell as it does in a window.
        region = torch.cat((grid.box.new_zeros(1), grid.box)).to(image.device)
        covered = crop_warp(image, region[None], size, context=self.pool.context)
        (map_,) = self.body.trunk(covered.contiguous(memory_format=torch.channels_last))
        # VGG's last pooling belongs to what comes after and is done in each window, so that windows can start at
        # every cell before it: what OverFeat has by pooling at each offset.
        cells = self._spec.cells(self.pool.side)
        parts = map_[0].unfold(1, cells, 1).unfold(2, cells, 1).permute(1, 2, 0, 3, 4)
        step = self.chunk or len(grid.index)
        some = zip(grid.row.split(step), grid.column.split(step), strict=True)
        return torch.cat([self.body.after(parts[row, column]) for row, column in some])

    def _pixels(self, cells: Int[Tensor, "window"]) -> int:
        """Pixels along an axis of what a grid covers, at the size at which the trunk sees a window."""
        return self.pool.side + self._spec.stride * int(cells.max())

    @property
    def _spec(self) -> FeatureSpec:
        spec: FeatureSpec = self.body.trunk.specs[-1]  # type: ignore[index, union-attr, assignment]
        return spec
