"""Image features: how fast they are made, and how well clusters of them agree with what pictures show.

`python -m benchmarks features` times VGG-16 in ONNX Runtime and in eager torch, in turns. As a program,
`python -m benchmarks.features DATA SIDE [VGG16_WEIGHTS]` makes the table of clusters for a folder of labelled folders:
tap by tap, against raw pixels and colours.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import Figure
from boxwright.backbones.classifiers import find_classifier
from boxwright.cluster.extractor import Extractor, build_graph
from boxwright.cluster.features import Network, Pace, extract
from boxwright.cluster.local import ClusterSettings, cluster_table
from boxwright.cluster.pictures import list_pictures
from boxwright.cluster.pooled import EagerExtractor, build_net
from boxwright.cluster.truth import agreement, folder_labels
from boxwright.images import read_image
from boxwright.preprocess import Preprocess
from boxwright.probe.representations import colour_histogram
from boxwright.weights.trunk import pretrained_trunk

THREADS, BATCH, FILES = 2, 8, 16
"""Of both engines; images that the network sees at once; pictures from file to feature."""
PIXELS = 32
"""Of the raw pixels' square."""
SEEDS = 5
BACKBONES = {
    "vgg16": ("conv1", "conv2", "conv3", "conv4", "conv5"),
    "efficientnet-lite0": ("stage3", "stage5", "stage7", "last"),
}
WAYS = {
    "as they are": ClusterSettings(normalise=False, starts=1),
    "normalised": ClusterSettings(starts=1),
    "normalised, PCA 64, whitened": ClusterSettings(pca=64, whiten=True, starts=1),
}


def speed() -> list[Figure]:
    """VGG-16 to conv5 at 224 pixels, each engine with as many threads: the network alone, then from file to feature."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        net, card, _ = build_net("vgg16", "conv5", "mean", None, "none", print)
        graph = build_graph("vgg16", "conv5", "mean", None, "none", print)
        eager, onnx = EagerExtractor(net, card), Extractor(graph, THREADS)
        batch = np.random.default_rng(0).normal(size=(BATCH, 3, 224, 224)).astype(np.float32)
        name = f"VGG-16 features, batch {BATCH}, {THREADS} threads"
        alone = _pair(name, [lambda: eager.run(batch), lambda: onnx.run(batch)], BATCH)
        with TemporaryDirectory() as folder:
            _write(Path(folder))
            works = [_whole(network, Path(folder)) for network in (eager, onnx)]
            return [*alone, *_pair("VGG-16 features, from file to table", works, FILES)]
    finally:
        torch.set_num_threads(before)


def _pair(name: str, works: list[Callable[[], object]], images: int) -> list[Figure]:
    """Eager torch and ONNX Runtime, once unmeasured, then in turns; the ratio is the median of the turns'."""
    times: list[list[float]] = []
    for repeat in range(6):
        turn = []
        for work in works:
            started = time.perf_counter()
            work()
            turn.append(time.perf_counter() - started)
        if repeat:
            times.append(turn)
    found = []
    for at, engine in enumerate(("eager torch", "ONNX Runtime")):
        rates = [images / turn[at] for turn in times]
        found.append(
            Figure(f"{name}, {engine}", statistics.median(rates), "images/s", "", (min(rates), max(rates)))
        )
    ratios = [turn[0] / turn[1] for turn in times]
    versus = f"{statistics.median(ratios):.2f}x eager torch [{min(ratios):.2f} .. {max(ratios):.2f}]"
    return [found[0], replace(found[1], target=">= 1.5x eager", versus=versus)]


def _write(folder: Path) -> None:
    """Photographs as cameras of some years ago made them: smooth, with some noise."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            (640, 480), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.float32) + rng.normal(0, 6, (480, 640, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03d}.jpg", quality=90)


def _whole(network: Network, folder: Path) -> Callable[[], object]:
    def work() -> object:
        return extract(list_pictures(folder), network, folder / "a.parquet", Pace(BATCH), overwrite=True)

    return work


def pictures(data: Path) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """All of a folder, and the folders they lie in."""
    found = list_pictures(data)
    labels = folder_labels([picture.path for picture in found.files])
    assert labels is not None, "labels are folders"
    return [read_image(found.file(picture)) for picture in found.files], labels


def baselines(images: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Raw pixels and colours."""
    small = [
        np.asarray(Image.fromarray(image).resize((PIXELS, PIXELS), Image.Resampling.BILINEAR))
        for image in images
    ]
    yield f"raw pixels, {PIXELS} x {PIXELS}", np.stack(small).reshape(len(small), -1).astype(np.float32) / 255
    yield (
        "colour histogram, 8 x 8 x 8",
        np.concatenate([colour_histogram(image[None].astype(np.float32) / 255) for image in images]),
    )


@torch.inference_mode()
def taps(
    images: Sequence[np.ndarray], backbone: str, weights: str, side: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Each tap's mean and maximum of each channel, all in one pass."""
    names, spec = BACKBONES[backbone], find_classifier(backbone)
    trunk, _ = pretrained_trunk(backbone, names, weights)
    prepare = Preprocess((side, side), filter=spec.filter, mean=spec.mean, std=spec.std)
    means: list[list[np.ndarray]] = [[] for _ in names]
    largest: list[list[np.ndarray]] = [[] for _ in names]
    for begin in range(0, len(images), 16):
        batch = torch.from_numpy(np.stack([prepare(image) for image in images[begin : begin + 16]]))
        for at, values in enumerate(trunk.backbone(batch)):
            means[at].append(values.mean((2, 3)).numpy())
            largest[at].append(values.amax((2, 3)).numpy())
    for at, name in enumerate(names):
        yield f"{backbone} {name}, mean", np.concatenate(means[at])
        yield f"{backbone} {name}, max", np.concatenate(largest[at])


@dataclass(frozen=True)
class Line:
    """A row of the table: means of the seeds, and the NMI's deviation."""

    name: str
    way: str
    nmi: float
    spread: float
    purity: float


def line(name: str, features: np.ndarray, labels: Sequence[str], way: str) -> Line:
    k = len(set(labels))
    found = [
        agreement(labels, cluster_table(features, replace(WAYS[way], k=k, seed=seed)).labels)
        for seed in range(SEEDS)
    ]
    nmis = [one.nmi for one in found]
    return Line(
        name,
        way,
        statistics.mean(nmis),
        statistics.pstdev(nmis),
        statistics.mean(one.purity for one in found),
    )


def main() -> int:
    """The table, as Markdown."""
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    images, labels = pictures(Path(sys.argv[1]))
    found = dict(baselines(images))
    for backbone in BACKBONES if len(sys.argv) == 4 else ["efficientnet-lite0"]:
        found |= taps(images, backbone, sys.argv[3] if backbone == "vgg16" else "auto", int(sys.argv[2]))
    print(f"| {len(images)} pictures, {len(set(labels))} labels | " + " | ".join(WAYS) + " |")
    print("|---|" + "---|" * len(WAYS))
    for name, features in found.items():
        cells = [line(name, features, labels, way) for way in WAYS]
        text = " | ".join(f"{cell.nmi:.3f} ± {cell.spread:.3f}, {cell.purity:.3f}" for cell in cells)
        print(f"| {name} | {text} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
