"""Training steps beside torchvision's, in one run: `python -m benchmarks.peer --peer OTHER/bin/python`.

torchvision lives in an environment of its own, since its wheels do not load beside every torch. Each side is a
process that does one step when it is told to; they take turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CASES = {"retinanet-resnet50-fpn": (480, 2), "ssd300-vgg16": (300, 4), "faster-rcnn-resnet50-fpn": (480, 2)}
"""Recipe -> (side of the input, images a step)."""
CLASSES, OBJECTS = 20, 4
LR = 1e-4


def objects(side: int, image: int) -> tuple[list[list[float]], list[int]]:
    """Boxes and labels of an image, alike on both sides."""
    boxes, labels = [], []
    for k in range(OBJECTS):
        x, y = (37 * (k + 1) + 11 * image) % (side // 2), (53 * (k + 1)) % (side // 2)
        boxes.append([float(x), float(y), float(x + side // 4), float(y + side // 3)])
        labels.append((3 * k + image) % CLASSES)
    return boxes, labels


def ours(name: str, amp: str) -> Callable[[], None]:
    """A step of our recipe, with what the training loop does around it."""
    import torch

    from boxwright.model import create
    from boxwright.training import optim
    from boxwright.training.memory import keep_freed_memory
    from boxwright.training.precision import Precision
    from boxwright.types import Batch, Targets

    side, batch = CASES[name]
    keep_freed_memory()
    settings = {} if name.startswith("ssd") else {"size": side, "longest": 0}
    model = create(name, classes=[str(i) for i in range(CLASSES)], weights=None, settings=settings)
    net = model.net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, fused=True)
    precision = Precision(torch.device("cpu"), amp)
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    sizes = torch.tensor([[side, side]] * batch)
    found = [objects(side, image) for image in range(batch)]
    present = torch.ones(batch, OBJECTS, dtype=torch.bool)
    targets = Targets(
        torch.tensor([boxes for boxes, _ in found]),
        torch.tensor([labels for _, labels in found]),
        present,
        ~present,
    )

    learnt = Batch(images, sizes, targets, paths=("",) * batch)

    def step() -> None:
        with precision.autocast():
            out = net.taught(learnt)
        model.objective(out, targets).total.backward()
        optim.clip_gradients(optimiser, 10.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def theirs(name: str) -> Callable[[], None]:
    """A step of torchvision's model, as its reference training does it."""
    import torch
    from torchvision.models import detection

    side, batch = CASES[name]
    background = not name.startswith("retinanet")
    build = {
        "retinanet-resnet50-fpn": detection.retinanet_resnet50_fpn,
        "ssd300-vgg16": detection.ssd300_vgg16,
        "faster-rcnn-resnet50-fpn": detection.fasterrcnn_resnet50_fpn,
    }
    sizes = {} if name.startswith("ssd") else {"min_size": side, "max_size": side}
    net = build[name](weights=None, weights_backbone=None, num_classes=CLASSES + background, **sizes).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    images = [torch.rand(3, side, side) for _ in range(batch)]
    targets = []
    for image in range(batch):
        boxes, labels = objects(side, image)
        targets.append(
            {"boxes": torch.tensor(boxes), "labels": torch.tensor([label + background for label in labels])}
        )

    def step() -> None:
        optimiser.zero_grad()
        sum(net(images, targets).values()).backward()
        optimiser.step()

    return step


def serve(step: Callable[[], None]) -> None:
    """Do a step for each line of standard input; answer with its seconds and the process's peak memory."""
    import resource
    import time

    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([time.perf_counter() - began, peak]), flush=True)


class Side:
    """One of those that take turns."""

    def __init__(self, python: str, threads: int, *arguments: str) -> None:
        command = [python, str(Path(__file__)), *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.seconds: list[float] = []
        self.peak = 0.0

    def step(self, *, counts: bool) -> None:
        """One step; the first ones warm up and do not count."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, self.peak = json.loads(self._process.stdout.readline())
        if counts:
            self.seconds.append(seconds)

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="python of an environment with torchvision; without it, ours alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--serve", nargs=2, metavar=("SIDE", "CASE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        side, name = given.serve
        serve(theirs(name) if side == "torchvision" else ours(name, side))
        return 0
    for name in given.case or CASES:
        batch = CASES[name][1]
        sides = {
            f"boxwright {amp}": Side(sys.executable, given.threads, "--serve", amp, name)
            for amp in ("off", "bf16")
        }
        if given.peer:
            sides["torchvision"] = Side(given.peer, given.threads, "--serve", "torchvision", name)
        for turn in range(given.steps + 3):
            for side in sides.values():
                side.step(counts=turn >= 3)
        for label, side in sides.items():
            rate = batch / statistics.median(side.seconds)
            ratio = ""
            if given.peer:
                pairs = zip(sides["torchvision"].seconds, side.seconds, strict=True)
                ratio = f"{statistics.median(t / o for t, o in pairs):5.2f} x torchvision"
            print(f"{name:28s} {label:16s} {rate:6.2f} images/s  {side.peak:6.0f} MB  {ratio}", flush=True)
            side.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
