"""What a person waits for: loading, training, predicting, checking."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Figure, milliseconds, per_second, seconds
from boxwright.data import open_dataset
from boxwright.data.augment import AUGMENT_SSD
from boxwright.data.collate import collate
from boxwright.data.doctor import examine
from boxwright.data.prepare import Job, Preparer
from boxwright.data.scenes import write_scenes
from boxwright.model import Model, create
from boxwright.runtime.export import export_onnx
from boxwright.runtime.onnx import load as load_onnx
from boxwright.training.loader import Stream, load
from boxwright.training.workers import Pool

MODEL = "ssd320-efficientnet-lite0"
BATCH = 16


@contextmanager
def scenes(train: int, size: int = 320) -> Iterator[Path]:
    """A data set of scenes that goes away again."""
    with tempfile.TemporaryDirectory() as folder:
        yield write_scenes(Path(folder) / "scenes", train=train, val=0, test=0, size=(size, size))


def model() -> Model:
    """The demo's detector."""
    return create(MODEL, classes=[str(i) for i in range(10)], say=lambda line: None)


def loading() -> list[Figure]:
    """JPEG files to augmented batches, by workers."""
    figures = []
    with scenes(64) as folder:
        dataset = open_dataset(folder, "train")
        detector = model()
        for workers in (0, 1, 2):
            with Pool(Preparer(detector.preprocess, AUGMENT_SSD), workers) as pool:
                stream = Stream(dataset.samples, AUGMENT_SSD, seed=0, batch=BATCH)

                def epoch(pool: Pool = pool, stream: Stream = stream) -> None:
                    for _ in load(pool, stream.batches(0, 8), ahead=2, policy="error", multiple=1):
                        pass

                name = f"loading and augmenting, {workers} worker{'s' * (workers != 1)}"
                figures.append(per_second(name, epoch, 8 * BATCH))
    return figures


def training() -> list[Figure]:
    """Forward, losses, backward and optimiser on batches in memory."""
    figures = []
    with scenes(BATCH) as folder:
        dataset = open_dataset(folder, "train")
        for freeze, target in ((4, ">= 8 images/s"), (0, ">= 5 images/s")):
            detector = model()
            prepare = Preparer(detector.preprocess, AUGMENT_SSD)
            prepared = [prepare(Job(i, (sample,))) for i, sample in enumerate(dataset)]
            batch = collate(prepared)  # type: ignore[arg-type]
            net = detector.net.to(memory_format=torch.channels_last).train()
            for stage in net.stages()[:freeze]:
                stage.requires_grad_(False).eval()
            optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4)
            images = batch.images.to(memory_format=torch.channels_last)

            def step(net=net, detector=detector, batch=batch, images=images, optimiser=optimiser) -> None:
                detector.objective(net(images, batch.sizes), batch.targets).total.backward()
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)

            figures.append(
                per_second(
                    f"training step of {MODEL}, batch {BATCH}, --freeze {freeze}", step, BATCH, target=target
                )
            )
    return figures


def predicting() -> list[Figure]:
    """One JPEG file to boxes, eager and exported, and the memory of a long run."""
    with scenes(8) as folder:
        files = [sample.path for sample in open_dataset(folder, "train")]
        detector = model()
        detector.net.eval()
        eager = milliseconds(
            "predict, file to boxes, eager torch", lambda: detector.predict(files[0]), target="<= 60 ms"
        )
        graph = Path(folder) / "model.onnx"
        export_onnx(detector, graph, images=[str(f) for f in files[:3]])
        engine = load_onnx(graph)
        onnx = milliseconds("predict, file to boxes, ONNX Runtime", lambda: engine.predict(files[0]))
        ratio = f"{eager.value / onnx.value:.1f}x the speed of eager torch"
        return [eager, Figure(onnx.name, onnx.value, onnx.unit, "", onnx.spread, ratio)]


MEMORY = """
import re, sys
from itertools import cycle, islice
from pathlib import Path
from boxwright.runtime.onnx import load
model = load(Path(sys.argv[1]))
files = sorted(Path(sys.argv[2]).glob("*.jpg"))
total = int(sys.argv[3])
for number, _ in enumerate(model.predictor().stream(islice(cycle(files), total), batch=1), 1):
    if number in (total // 10, total):
        # Not getrusage: its peak is inherited from the process that started this one.
        print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def memory() -> list[Figure]:
    """Peak memory of detecting on 10,000 images against that after the first 1,000."""
    with scenes(50) as folder:
        graph = Path(folder) / "model.onnx"
        files = [str(sample.path) for sample in open_dataset(folder, "train")]
        export_onnx(model(), graph, images=files[:3])
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(graph), str(Path(folder) / "train"), "10000"],
            capture_output=True,
            text=True,
            check=True,
        )
        early, late = map(float, done.stdout.split())
        return [
            Figure(
                "memory of detect after 10,000 images",
                late,
                "MB",
                "flat",
                (early, late),
                f"{late / early:.3f}x that after 1,000",
            )
        ]


def checking() -> list[Figure]:
    """The doctor on 10,000 images (200 different ones, 50 names each would be duplicates: pixels differ)."""
    with scenes(200, size=160) as folder:
        dataset = open_dataset(folder, "train")
        rng = np.random.default_rng(0)
        many = Path(folder) / "many"
        (many / "train").mkdir(parents=True)
        (many / "annotations").mkdir()
        _multiply(dataset, many, 10_000, rng)
        took, spread = seconds(lambda: examine(many), repeats=1, warmup=0)
        return [Figure("check on 10,000 images of 160 x 160", took, "s", "", spread)]


def _multiply(dataset, many: Path, count: int, rng: np.random.Generator) -> None:
    """`count` images, each a scene with a random tint, so that no two are alike."""
    import json

    from PIL import Image

    images, annotations = [], []
    pictures = [np.asarray(Image.open(sample.path)) for sample in dataset]
    for number in range(count):
        sample = dataset[number % len(dataset)]
        noisy = np.roll(pictures[number % len(dataset)], tuple(rng.integers(1, 159, 2)), (0, 1))
        Image.fromarray(noisy).save(many / "train" / f"{number:06d}.jpg", quality=80)
        images.append({"id": number, "file_name": f"{number:06d}.jpg", "height": 160, "width": 160})
        for box, label in zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True):
            x, y, right, bottom = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [x, y, right - x, bottom - y],
                    "area": (right - x) * (bottom - y),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(dataset.classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (many / "annotations/instances_train.json").write_text(json.dumps(content))
