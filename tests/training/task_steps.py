"""Ten steps of a task's training, in one process or as one of several: prints the losses as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from boxwright.perceptual.vae import VaeSettings
from boxwright.perceptual.vae_task import VaeTask
from boxwright.segment.data import open_labelled
from boxwright.segment.model import describe
from boxwright.segment.networks import begin, settled, tiling
from boxwright.segment.settings import LossSettings, NetSettings, VarySettings
from boxwright.segment.task import SegmentTask
from boxwright.training.distributed import team
from boxwright.training.settings import DescentSettings
from boxwright.training.step import take_step
from boxwright.training.stop import StopRequest
from boxwright.training.task import Task
from boxwright.training.task_loop import TaskRun

NET = NetSettings(width=4, depth=1, tile=36, norm=True)


def segmentation(data: Path) -> Task:
    labelled = open_labelled(data)
    net = begin("unet", len(labelled.classes.names), NET)
    card = describe("unet", labelled.classes, settled(net, NET), tiling(net, NET), {})
    return SegmentTask(net, card, tiling(net, NET), labelled, None, VarySettings(), LossSettings(dice=0.5))


def auto_encoder(data: Path) -> Task:
    pictures = sorted((data / "images").glob("*.png"))
    return VaeTask(VaeSettings(size=32, latent=4, width=8, free_bits=0.2), pictures, pictures[:2])


def main(kind: str, data: Path, count: int, batch: int) -> None:
    settings = DescentSettings(
        iterations=count, batch=batch, lr=0.01, warmup=0, weight_decay=0.0, amp="off", threads=1
    )
    torch.manual_seed(0)
    task = {"segment": segmentation, "vae": auto_encoder}[kind](data)
    task.net.double()
    losses = []
    with team("cpu") as here, TaskRun(task, settings, here) as run, StopRequest() as stop:
        run.frozen.train(run.moving.net)
        batches = run._batches(0, count)
        in_double = (
            ([a.astype("f8") if a.dtype == "f4" else a for a in arrays], paths, keys)
            for arrays, paths, keys in batches
        )
        for _ in range(count):
            found, _ = take_step(run.moving, settings, here, run._taught(in_double), stop)
            losses.append(found)
        if here.first:
            print(json.dumps({"losses": losses, "norms": run.norms}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[4]), int(sys.argv[5]))
