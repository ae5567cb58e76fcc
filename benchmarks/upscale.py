"""Making a picture twice as large: the exported network against eager torch, and the memory of a large picture."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Figure, milliseconds, seconds
from boxwright.card import Card
from boxwright.modelfile import write_model
from boxwright.perceptual.upscale import Upscaler, trace
from boxwright.perceptual.upscale_apply import Enlarger
from boxwright.perceptual.upscale_settings import UpscaleSettings
from boxwright.runtime.export_net import export_net

MEMORY = """
import resource, sys
import numpy as np
from boxwright.perceptual.upscale_apply import Enlarger
enlarger = Enlarger.open(sys.argv[1], threads=1)
for height, width in ((750, 1000), (1500, 2000)):
    image = np.zeros((height, width, 3), np.uint8)
    large = enlarger(image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print((peak - image.nbytes - large.nbytes) / 1e6)
    del image, large
"""
"""Prints the peak of memory without the pictures themselves, after two sizes."""


def upscale() -> list[Figure]:
    """The default network, of 8 blocks and 32 channels; what its weights are does not matter to the time."""
    settings = UpscaleSettings()
    card = Card("upscale", asdict(settings))
    torch.manual_seed(0)
    net = Upscaler(settings)
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        graph, file = Path(folder) / "x2.onnx", Path(folder) / "x2.safetensors"
        export_net(net, card, graph, trace(card.settings))
        write_model(file, {name: value.numpy() for name, value in net.state_dict().items()}, card)
        deployed, eager = (Enlarger.open(path, device="cpu") for path in (graph, file))
        ours = milliseconds("512 x 512 to 1024 x 1024, exported", lambda: deployed(picture), repeats=5)
        other, _ = seconds(lambda: eager(picture), repeats=3, warmup=1)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(graph)], capture_output=True, text=True, check=True
        )
    small, large = map(float, done.stdout.split())
    versus = f"{1e3 * other / ours.value:.2f}x the speed of eager torch"
    return [
        Figure(ours.name, ours.value, ours.unit, "", ours.spread, versus),
        Figure(
            "memory beside the pictures, 2000 x 1500 to 4000 x 3000",
            large,
            "MB",
            "flat",
            (small, large),
            f"{large / small:.2f}x that of 1000 x 750",
        ),
    ]
