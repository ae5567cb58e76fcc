"""Classes of pixels: U-Net's expanding path beside the head on a feature pyramid, on the same backbones."""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks.timing import Figure
from boxwright.segment.networks import begin
from boxwright.segment.settings import NetSettings

SIDE, CLASSES, ROUNDS = 512, 21, 5
NAMES = ("unet-resnet18", "fpn-resnet18", "unet-efficientnet-lite0", "fpn-efficientnet-lite0")


@torch.inference_mode()
def segment() -> list[Figure]:
    """One picture of 512 x 512, eager; the networks by turns, so that whatever else runs slows all of them alike."""
    nets = {
        name: begin(name, CLASSES, NetSettings()).eval().to(memory_format=torch.channels_last)
        for name in NAMES
    }
    picture = torch.rand(1, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    for turn in range(ROUNDS + 1):
        for name, net in nets.items():
            started = time.perf_counter()
            net(picture)
            if turn:  # the first warms up
                times[name].append(1e3 * (time.perf_counter() - started))
    figures = []
    for name, taken in times.items():
        other = times[name.replace("fpn-", "unet-")]
        ratio = statistics.median(b / a for a, b in zip(taken, other, strict=True))
        versus = (
            f"{ratio:.2f}x the speed of {name.replace('fpn-', 'unet-')}" if name.startswith("fpn-") else ""
        )
        parameters = sum(p.numel() for p in nets[name].parameters()) / 1e6
        label = f"{name}, {SIDE} x {SIDE}, {parameters:.1f} M weights"
        figures.append(Figure(label, statistics.median(taken), "ms", "", (min(taken), max(taken)), versus))
    return figures
