"""Sliding windows: a classifier looks at every place, at several sizes and shapes (Dalal and Triggs 2005, section 1).

The oldest detector of the lineage, with a convolutional network for a classifier: windows of fixed shapes at steps of a
part of their side, each cut out, warped and classified by itself, then suppression by class. Boxes are not moved: what
is found lies where a window lies. With `shared` the network is turned fully convolutional for detection (Sermanet et
al. 2014, OverFeat, section 3.3): the windows of one shape are parts of one map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from boxwright.boxes import DeltaCoder
from boxwright.data.augment import AUGMENT_LIGHT, Augment
from boxwright.decode import Decoder
from boxwright.heads.region import RegionHead
from boxwright.heads.windows import WindowHead
from boxwright.recipes import rcnn
from boxwright.recipes.rcnn import CropSettings, Trunk, crop_net
from boxwright.recipes.recipe import SMALL_ADAMW, Parts, Recipe
from boxwright.regions.source import Windows
from boxwright.training.settings import TrainSettings


@dataclass(frozen=True)
class SlidingWindow(CropSettings):
    """What can be changed about a sliding-window detector.

    Attributes:
        sides: square roots of the windows' areas, as parts of the image's longer side.
        ratios: heights by widths.
        stride: from one window to the next, as a part of its side.
        floor: lowest score of a detection.
        shared: score windows of one shape from one pass of the trunk. They then lie whole cells of its map apart, as
            near to `stride` as that allows. The weights are the same, and training is; the scores are equal but
            for padding (`boxwright.heads.windows`).
    """

    context: int = 0
    sides: tuple[float, ...] = (0.12, 0.18, 0.27, 0.4, 0.6, 0.9)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    stride: float = 1 / 3
    floor: float = 0.05
    shared: bool = False

    def source(self, cell: float = 0.0) -> Windows:
        """Every window that fits into the image; those of a shape lie whole cells apart if there are cells."""
        return Windows(self.sides, self.ratios, self.stride, cell)

    def decoder(self) -> Decoder:
        """The best 1000 windows of a class, suppressed."""
        return Decoder(
            DeltaCoder(), "softmax", self.floor, candidates=1000, iou=self.iou, detections=self.detections
        )


def sliding_window(trunk: Trunk) -> Callable[[int, SlidingWindow], Parts]:
    """A classifier at every place."""

    def build(classes: int, settings: SlidingWindow) -> Parts:
        net, preprocess = crop_net(classes, settings, trunk, background=True, moves=False)
        source, alone = settings.source(), net.regions
        if settings.shared:
            assert isinstance(alone, RegionHead)
            width = alone.scores.in_features
            head = WindowHead(alone.pool, alone.body, width, classes, moves=False, chunk=settings.chunk)
            source, net.regions = settings.source(head.cell), head
        return Parts(net, settings.objective(), settings.decoder(), preprocess, source)

    return build


_PAPER = "Dalal and Triggs, Histograms of oriented gradients, CVPR 2005; Sermanet et al., OverFeat, ICLR 2014"

SLIDING_WINDOW_VGG16 = Recipe(
    "sliding-window-vgg16",
    "VGG-16 on every window of six sizes and three shapes",
    _PAPER,
    SlidingWindow(),
    sliding_window(rcnn.vgg16),
    Augment(flip_horizontal=0.5),
    TrainSettings(batch=2, epochs=12, lr=1e-3, warmup=100),
    rcnn.FROM_VGG16,
)
SLIDING_WINDOW_EFFICIENTNET_LITE0 = replace(
    SLIDING_WINDOW_VGG16,
    name="sliding-window-efficientnet-lite0",
    summary="EfficientNet-Lite0 on every window, in crops of 96 px",
    source=f"{_PAPER}; Tan and Le, EfficientNet, ICML 2019",
    settings=SlidingWindow(size=320, longest=640, crop=96, regions_sampled=32),
    build=sliding_window(rcnn.efficientnet_lite0),
    augment=AUGMENT_LIGHT,
    train=SMALL_ADAMW,
    pretrained=rcnn.FROM_LITE0,
)
