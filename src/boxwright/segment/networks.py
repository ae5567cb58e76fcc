"""Networks for segmentation by name, with what they are fed.

`unet` is the paper's; `unet-BACKBONE` and `fpn-BACKBONE` stand on any classifier's convolutions, such as
`unet-efficientnet-lite0`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from boxwright.errors import InputError
from boxwright.segment.model import graph_tiling
from boxwright.segment.semantic import SemanticFPN, UNetOn, taps_of
from boxwright.segment.settings import NetSettings
from boxwright.segment.tiles import Tiling
from boxwright.segment.unet import UNet
from boxwright.weights.trunk import build_trunk, pretrained_trunk

if TYPE_CHECKING:
    from boxwright.runtime.export_net import Trace

DEFAULT = "unet-efficientnet-lite0"
_WIDTHS = {"unet": 64, "unet-": 16, "fpn-": 32}
_TILE, _MARGIN = 256, 64


def begin(
    name: str,
    classes: int,
    settings: NetSettings,
    weights: str | Path = "none",
    say: Callable[[str], None] = print,
) -> nn.Module:
    """A network for segmentation that has not learned yet.

    Args:
        name: "unet", "unet-BACKBONE" or "fpn-BACKBONE".
        classes: how many.
        settings: how it is built.
        weights: of the backbone: "auto", "imagenet", "none" or a file, as `pretrained_trunk` has them.
        say: receives where they come from.

    Raises:
        InputError: no such network, or no such weights.

    >>> begin("unet", 2, NetSettings(width=4, depth=2)).margin
    20
    """
    kind, backbone = _parts(name)
    width = settings.width or _WIDTHS[kind]
    if kind == "unet":
        return UNet(classes, width, settings.depth, settings.padded, settings.norm, settings.dropout)
    taps = taps_of(backbone, 1 if kind == "unet-" else 4)
    if str(weights) == "none":
        trunk = build_trunk(backbone, taps)
    else:
        trunk, origin = pretrained_trunk(backbone, taps, weights, say=say)
        say(f"backbone: {origin.said}")
    return UNetOn(trunk, classes, width) if kind == "unet-" else SemanticFPN(trunk, classes, width)


def tiling(net: nn.Module, settings: NetSettings) -> Tiling:
    """How a network is fed.

    Raises:
        InputError: a tile or a margin that it cannot have; says which are near.
    """
    multiple: int = net.multiple  # type: ignore[assignment]
    if isinstance(net, UNet) and not net.padded:
        tile = settings.tile or (388 if net.depth == 4 else net.side(256 // multiple))
        if settings.margin not in (-1, net.margin):
            raise InputError(
                f"net.margin is {settings.margin}, but the unpadded net's own is {net.margin}",
                hint="leave it, or say net.padded=yes",
            )
        cells = max(1, round((tile - 4) / multiple))
        _fits("tile", tile, net.side(cells), f"{multiple} k + 4")
        return Tiling(tile, net.margin, multiple, cropped=True, fixed=False)
    tile, margin = settings.tile or _TILE, settings.margin
    if margin < 0:
        # On a backbone the margin is less than the network sees: what is farther away hardly counts.
        margin = 6 * multiple if isinstance(net, UNet) else _MARGIN
    _fits("tile", tile, max(multiple, round(tile / multiple) * multiple), f"{multiple} k")
    _fits("margin", margin, round(margin / multiple) * multiple, f"{multiple} k")
    return Tiling(tile, margin, multiple, cropped=False, fixed=False)


def settled(net: nn.Module, settings: NetSettings) -> NetSettings:
    """The settings with what the model chose itself written out, for its file."""
    found = tiling(net, settings)
    return replace(settings, tile=found.tile, margin=found.margin)


def build(settings: Mapping[str, Any]) -> nn.Module:
    """The network that a card's settings describe, with fresh weights.

    Args:
        settings: the card's (`boxwright.segment.model.describe`).
    """
    return begin(settings["model"], len(settings["classes"]), NetSettings(**settings["net"]))


def trace(settings: Mapping[str, Any]) -> Trace:
    """How it becomes a graph: pictures in [0, 1] to logits.

    Args:
        settings: the card's.
    """
    from boxwright.runtime.export_net import Trace
    from boxwright.runtime.translate import Axis

    fed = graph_tiling(settings)
    step = fed.multiple
    sides = [(fed.side, fed.side)] if fed.fixed else [(4 * step, 6 * step), (7 * step, 3 * step)]
    random = torch.Generator().manual_seed(0)
    axes = {0: Axis("batch")}
    if not fed.fixed:
        axes |= {2: Axis("height", step, 2), 3: Axis("width", step, 2)}
    examples = [(torch.rand(2, 3, *side, generator=random),) for side in sides]
    return Trace(examples, {"pictures": axes}, ("logits",))


def _parts(name: str) -> tuple[str, str]:
    """Which of `_WIDTHS`, and the backbone."""
    if name == "unet":
        return name, ""
    for kind in ("unet-", "fpn-"):
        if name.startswith(kind):
            return kind, name.removeprefix(kind)
    raise InputError(
        f"no network {name!r} for segmentation",
        hint="use unet, unet-BACKBONE or fpn-BACKBONE, such as " + DEFAULT,
    )


def _fits(what: str, given: int, near: int, form: str) -> None:
    if given != near:
        raise InputError(
            f"net.{what} is {given}, but this network needs one of the form {form}", hint=f"such as {near}"
        )
