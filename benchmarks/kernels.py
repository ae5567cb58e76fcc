"""The operators by themselves: suppression and assignment."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.timing import Figure, milliseconds, seconds
from boxwright.assign import IoUAssigner
from boxwright.nms import by_rounds, nms
from boxwright.recipes import find
from boxwright.types import Priors, Targets


def scattered(generator: torch.Generator, *shape: int) -> Tensor:
    """Boxes all over a 300 x 300 image."""
    corner = torch.rand(*shape, 2, generator=generator) * 240
    return torch.cat((corner, corner + 10 + torch.rand(*shape, 2, generator=generator) * 50), -1)


def suppression() -> list[Figure]:
    """8 images x 1000 candidates over 20 classes."""
    g = torch.Generator().manual_seed(0)
    boxes, scores = scattered(g, 8, 1000), torch.rand(8, 1000, generator=g)
    groups = torch.randint(0, 20, (8, 1000), generator=g)
    ours = milliseconds(
        "NMS, 8 images x 1000 candidates, 20 classes",
        lambda: nms(boxes, scores, groups, 0.45, 200),
        target="<= 8 ms",
    )
    vectorised, _ = seconds(lambda: by_rounds(boxes, scores, groups, 0.45, 200), 5)
    versus = f"{1e3 * vectorised / ours.value:.1f}x the speed of the vectorised torch form"
    return [Figure(ours.name, ours.value, ours.unit, ours.target, ours.spread, versus)]


def assignment() -> list[Figure]:
    """SSD300's 8732 priors against 50 objects in each of 32 images."""
    g = torch.Generator().manual_seed(0)
    recipe = find("ssd300-vgg16")
    grids = [(n, n) for n in (38, 19, 10, 5, 3, 1)]
    sizes = torch.full((32, 2), 300)
    specs = recipe.build(1, recipe.settings).net.neck.specs
    priors: Priors = recipe.settings.priors()(grids, (300, 300), sizes, specs)
    valid = torch.ones(32, 50, dtype=torch.bool)
    targets = Targets(scattered(g, 32, 50), torch.zeros(32, 50, dtype=torch.long), valid, ~valid)
    assign = IoUAssigner(force="bipartite")
    return [
        milliseconds(
            "assigning 8732 priors x 50 objects x batch 32", lambda: assign(priors, targets), repeats=5
        )
    ]
