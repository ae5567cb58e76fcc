"""fc6 and fc7 as products of thinner layers: truncated SVD (Girshick 2015, Fast R-CNN, arXiv:1504.08083v2, 3.1).

A layer of u outputs and v inputs costs u v products a region. The t greatest singular values and their vectors give
the closest matrix of rank t, and two layers that cost t (u + v).
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.heads.region import RegionHead, TwoLayers
from boxwright.model import Model, assemble, recorded_settings
from boxwright.recipes import find

LAYERS = ("fc6", "fc7")


def truncated(
    weight: Float[Tensor, "output input"], rank: int
) -> tuple[Float[Tensor, "rank input"], Float[Tensor, "output rank"]]:
    """The two matrices whose product is the closest of that rank: first S V^T, then U.

    Args:
        weight: the matrix.
        rank: of the product, at most the smaller side.

    >>> first, second = truncated(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2)
    >>> (second @ first).round(decimals=4).tolist()
    [[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    """
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank]


def compressed(model: Model, ranks: tuple[int, int]) -> Model:
    """A model of its own with the same weights but for fc6 and fc7, which have lower ranks.

    Args:
        model: Fast or Faster R-CNN with fc6 and fc7, whole.
        ranks: of fc6 and of fc7; the paper's, for 4096 units, are 1024 and 256. 0 leaves a layer whole.

    Raises:
        InputError: a model without the two layers or with such as are compressed already; ranks above their sides.
    """
    body = _layers(model)
    if not all(isinstance(body.get_submodule(name), nn.Linear) for name in LAYERS):
        raise InputError(
            f"is compressed already, to ranks {tuple(model.manifest.settings['svd'])}",
            hint="compress the model that was trained",
        )
    manifest = model.manifest
    before = recorded_settings(manifest)
    wanted = assemble(manifest.recipe, manifest.classes, replace(before, svd=ranks), manifest.ids)
    weights = dict(model.net.state_dict())
    for name, rank in zip(LAYERS, ranks, strict=True):
        if rank:
            first, second = truncated(weights.pop(f"regions.body.{name}.weight"), rank)
            weights[f"regions.body.{name}.0.weight"] = first
            weights[f"regions.body.{name}.1.weight"] = second
            weights[f"regions.body.{name}.1.bias"] = weights.pop(f"regions.body.{name}.bias")
    wanted.net.load_state_dict(weights)
    wanted.net.eval()
    wanted.manifest = replace(manifest, settings=asdict(replace(before, svd=ranks)))
    return wanted


def layer_parameters(model: Model) -> int:
    """How many numbers fc6 and fc7 have.

    Raises:
        InputError: a model without them.
    """
    body = _layers(model)
    return sum(parameter.numel() for name in LAYERS for parameter in body.get_submodule(name).parameters())


def _layers(model: Model) -> TwoLayers:
    head = getattr(model.net, "regions", None)
    settings = {field.name for field in fields(find(model.manifest.recipe).settings)}
    if "svd" not in settings or not isinstance(head, RegionHead) or not isinstance(head.body, TwoLayers):
        raise InputError(
            f"{model.manifest.recipe} has no fc6 and fc7 that judge regions",
            hint="fast-rcnn-vgg16, faster-rcnn-vgg16 and those on pyramids have",
        )
    return head.body
