"""A classifier's convolutions with trained weights, for whatever needs features rather than boxes.

Perceptual losses, image features, U-Nets and the invariance probe all begin here. A network is never replaced by
another, and nothing is downloaded unless asked for: without weights the error says which choices there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.backbones.classifiers import find_classifier
from boxwright.backbones.vgg import Pooling
from boxwright.errors import InputError
from boxwright.features import FeatureSpec
from boxwright.preprocess import Filter
from boxwright.recipes import find
from boxwright.weights.read import read_state_dict


class Trunk(nn.Module):
    """A backbone that takes pictures as they are and normalises them itself.

    Args:
        backbone: normalised images -> one map for each tap, with `specs` and `stages()`.
        name, taps: which backbone, and which of its activations come out.
        mean, std: per channel, on the scale where white is 1.
    """

    def __init__(
        self,
        backbone: nn.Module,
        name: str,
        taps: tuple[str, ...],
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.backbone, self.name, self.taps = backbone, name, taps
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> list[Float[Tensor, "batch _ _ _"]]:
        """One map for each tap, in the order of `taps`.

        Args:
            pictures: RGB in [0, 1].
        """
        maps: list[Tensor] = self.backbone((pictures - self.mean) / self.std)
        return maps

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        """Channels and stride of each tap."""
        specs: tuple[FeatureSpec, ...] = self.backbone.specs  # type: ignore[assignment]
        return specs

    def stages(self) -> tuple[nn.Module, ...]:
        """The backbone's parts in order of depth, for freezing."""
        stages: tuple[nn.Module, ...] = self.backbone.stages()  # type: ignore[operator]
        return stages


@dataclass(frozen=True)
class Origin:
    """Where a trunk's weights came from.

    Attributes:
        said: one line for a person.
        file: of the weights; None for fresh ones.
        filter: how pictures are resized for it.
        size: side of the square input that the classifier was trained at.
    """

    said: str
    file: Path | None
    filter: Filter
    size: int


def build_trunk(name: str, taps: Sequence[str], *, pooling: Pooling = "max") -> Trunk:
    """A classifier's trunk with fresh weights.

    Args:
        name: such as "vgg16" or "efficientnet-lite0"; `boxwright models` lists them.
        taps: such as ("conv3", "conv4"); parts behind the last are not built.
        pooling: "average" halves VGG's maps by the mean instead of the maximum, as Gatys et al. 2016 do.

    Raises:
        InputError: no such backbone, no such tap, or average pooling of a network that is no VGG.
    """
    spec = find_classifier(name)
    unknown = [tap for tap in taps if tap not in (*spec.taps, *spec.more_taps)]
    if unknown or not taps:
        has = ", ".join((*spec.taps, *spec.more_taps))
        raise InputError(f"{name} has no tap {', '.join(unknown) or '(none named)'}", hint=f"it has {has}")
    if len(kinds := {tap.startswith("fc") for tap in taps}) > 1:
        raise InputError(f"{', '.join(taps)} at once", hint="take fc6 and fc7, or convolutions")
    more: dict[str, Pooling] = {}
    if pooling != "max":
        if not spec.family.startswith("VGG") or kinds == {True}:
            raise InputError(f"{pooling} pooling of {name}", hint="only VGG's convolutions can have it")
        more["pooling"] = pooling
    return Trunk(spec.trunk(tuple(taps), **more), name, tuple(taps), spec.mean, spec.std)


def pretrained_trunk(
    name: str,
    taps: Sequence[str],
    weights: str | Path = "auto",
    *,
    pooling: Pooling = "max",
    say: Callable[[str], None] = print,
) -> tuple[Trunk, Origin]:
    """A classifier's trunk with trained weights, in evaluation mode.

    Args:
        name: such as "vgg16" or "efficientnet-lite0".
        taps: which activations come out, such as ("conv3", "conv4").
        weights: "auto" (those of an installed package, or an error that says what there is), "imagenet" (the same,
            or else torchvision's file is downloaded), "none" (fresh ones), or a file in torchvision's names.
        pooling: as of `build_trunk`.
        say: receives the progress of a download.

    Raises:
        InputError: no such backbone or tap, no weights, or weights of another network.
    """
    trunk, spec = build_trunk(name, taps, pooling=pooling), find_classifier(name)
    if str(weights) == "none":
        return trunk.eval(), Origin(f"{name} with fresh weights", None, spec.filter, spec.size)
    file = _file(name, weights, say)
    # Its words are of detectors ("neck and head start fresh"); ours are the origin's.
    find(name).pretrained.load(trunk, read_state_dict(file), file)
    return trunk.eval(), Origin(f"{name} from {file.name}", file, spec.filter, spec.size)


def fingerprint(net: nn.Module) -> str:
    """A digest of all weights and buffers by name: networks of one structure and one digest give equal features."""
    sha = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        sha.update(f"{name} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _file(name: str, weights: str | Path, say: Callable[[str], None]) -> Path:
    pretrained = find(name).pretrained
    if str(weights) not in ("auto", "imagenet"):
        return Path(weights)
    packaged = pretrained.packaged()
    if packaged is not None:
        return packaged
    if str(weights) == "imagenet" and pretrained.published is not None:
        from boxwright.weights import download, published

        return download.fetch(published.find(pretrained.published).url(), say=say)
    choices = [pretrained.origin] if pretrained.origin else []
    other = find("efficientnet-lite0").pretrained
    if name != "efficientnet-lite0" and other.packaged() is not None:
        choices.append("--backbone efficientnet-lite0, whose weights are installed")
    raise InputError(
        f"no weights for {name} are installed", hint="; ".join(choices) or "choose another backbone"
    )
