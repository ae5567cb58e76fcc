"""fc6 and fc7 of VGG-16 on the regions of one image, whole and of the ranks of Girshick 2015, section 3.1."""

from __future__ import annotations

import torch

from benchmarks.timing import Figure, milliseconds, seconds
from boxwright.heads.region import TwoLayers

REGIONS, INPUTS, WIDTH = 300, 512 * 7 * 7, 4096
RANKS = (1024, 256)


def svd() -> list[Figure]:
    """Both on 300 regions; what the weights are does not matter to the time."""
    whole, thin = (TwoLayers(INPUTS, WIDTH, ranks=ranks).eval() for ranks in ((), RANKS))
    maps = torch.randn(REGIONS, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = milliseconds("fc6 and fc7 of ranks 1024 and 256, 300 regions", lambda: thin(maps), repeats=5)
        other, _ = seconds(lambda: whole(maps), repeats=3, warmup=1)
    versus = f"{1e3 * other / ours.value:.1f}x the speed of the whole layers"
    return [Figure(ours.name, ours.value, ours.unit, "", ours.spread, versus)]
