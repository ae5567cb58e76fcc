"""A classifier as a detector of one box: the whole image is its only prior, and it never moves.

So labelled pictures train, evaluate and ship by the same commands as boxes do, and what R-CNN and sliding windows
run on regions is trained here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from boxwright.assign import IoUAssigner
from boxwright.backbones.classifiers import CLASSIFIERS, ClassifierSpec
from boxwright.boxes import DeltaCoder
from boxwright.data.augment import Augment
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.losses import SmoothL1, class_cross_entropy
from boxwright.objective import Objective
from boxwright.preprocess import Preprocess
from boxwright.recipes.recipe import NOTHING, Parts, Pretrained, Recipe, from_torchvision_classifier
from boxwright.sample import Everything
from boxwright.training.settings import TrainSettings
from boxwright.types import Predictions, Priors
from boxwright.weights import efficientnet as efficientnet_weights
from boxwright.weights import efficientnet_lite as lite_weights
from boxwright.weights import mobilenet as mobilenet_weights
from boxwright.weights import resnet as resnet_weights
from boxwright.weights import vgg as vgg_weights

GUESSES = 5
"""Labels that an image gets, best first."""


class WholeImage(Network):
    """A classifier whose logits are said of one box, the image without its padding.

    Args:
        classifier: images -> logits; has `stages()`.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], sizes: Int[Tensor, "batch 2"]
    ) -> Predictions:
        """Score the whole of each image."""
        logits = self.classifier(images)[:, None]
        far = sizes.flip(-1).to(logits.dtype)
        boxes = torch.cat((torch.zeros_like(far), far), -1)[:, None]
        level = torch.zeros_like(boxes[..., 0], dtype=torch.long)
        priors = Priors(boxes.float(), level, torch.ones_like(level, dtype=torch.bool), (1,))
        return Predictions(logits, logits.new_zeros(logits.shape[0], 1, 0, 4), priors)

    @property
    def backbone(self) -> nn.Module:
        """The classifier without its head, which is what published weights are for."""
        trunk = self.classifier.trunk
        assert isinstance(trunk, nn.Module)
        return trunk

    def stages(self) -> tuple[nn.Module, ...]:
        """The trunk's parts in order of depth, for freezing."""
        stages: tuple[nn.Module, ...] = self.classifier.stages()  # type: ignore[operator]
        return stages


def objective() -> Objective:
    """Cross entropy of the labels, mean over images."""
    return Objective(
        assign=IoUAssigner(foreground=0.0, background=0.0),  # however little of it augmentation has left
        sample=Everything(),
        coder=DeltaCoder(),
        classification=class_cross_entropy,
        localisation=SmoothL1(),
    )


def decoder() -> Decoder:
    """The likeliest labels, all of them with the image's box."""
    # Below 0, since a probability that has underflowed to 0 is a guess all the same.
    return Decoder(DeltaCoder(), "softmax-objects", floor=-1.0, candidates=1, iou=1.0, detections=GUESSES)


AUGMENT = Augment(distort=0.3, hue=18.0, scale=(0.8, 1.3), crop_scale=(0.6, 1.0), flip_horizontal=0.5)
TRAIN = TrainSettings(
    batch=32,
    epochs=30,
    optimiser="adamw",
    lr=1e-3,
    weight_decay=0.05,
    backbone_lr=0.1,
    warmup=50,
    ema=0.99,
    select="accuracy",
)
# He et al. 2016 (ResNet), section 4.2: SGD at .1 for 128 images, momentum .9, decay 1e-4, divided by ten at half and at
# three quarters of the run; pictures are shifted by some pixels and flipped.
_CIFAR_TRAIN = TrainSettings(
    batch=128,
    epochs=30,
    lr=0.1,
    weight_decay=1e-4,
    warmup=50,
    schedule="steps",
    milestones=(0.5, 0.75),
    clip=0.0,
    select="accuracy",
)
_CIFAR_AUGMENT = Augment(scale=(0.85, 1.2), flip_horizontal=0.5)
_LOADERS = {
    "ResNet": resnet_weights.load_trunk,
    "wide ResNet": resnet_weights.load_trunk,
    "ResNeXt": resnet_weights.load_trunk,
    "MobileNet": mobilenet_weights.load_trunk,
    "EfficientNet": efficientnet_weights.load_trunk,
    "VGG": vgg_weights.load_trunk,
}
"""How the files that torchvision publishes are read, by family."""


@dataclass(frozen=True)
class Classifier:
    """What can be changed about a classifier.

    Attributes:
        size: the input is stretched to size x size.
    """

    size: int


def recipes() -> dict[str, Recipe]:
    """Every classifier by its name."""
    return {name: _recipe(name, spec) for name, spec in CLASSIFIERS.items()}


def _recipe(name: str, spec: ClassifierSpec) -> Recipe:
    def build(classes: int, settings: Classifier) -> Parts:
        preprocess = Preprocess(
            (settings.size, settings.size), filter=spec.filter, mean=spec.mean, std=spec.std
        )
        return Parts(WholeImage(spec.build(classes)), objective(), decoder(), preprocess)

    small = name.startswith("cifar-")
    return Recipe(
        name,
        f"{spec.family} classifier at {spec.size} px",
        spec.family,
        Classifier(spec.size),
        build,
        _CIFAR_AUGMENT if small else AUGMENT,
        _CIFAR_TRAIN if small else TRAIN,
        _pretrained(name, spec),
        task="classify",
    )


def _pretrained(name: str, spec: ClassifierSpec) -> Pretrained:
    if spec.family == "EfficientNet-Lite":
        variant = int(name[-1])
        origin = lite_weights.ORIGIN.replace("lite0", f"lite{variant}")
        return Pretrained(lite_weights.load, partial(lite_weights.packaged, variant), origin)
    if spec.torchvision and spec.family in _LOADERS:
        return from_torchvision_classifier(spec.torchvision, _LOADERS[spec.family])
    return NOTHING
