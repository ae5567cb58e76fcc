"""Selective Search beside OpenCV contrib's: `python -m benchmarks.selective_search DATA --peer OTHER/bin/python`.

OpenCV lives in an environment of its own, and is left out without --peer. Each side is a process that searches a
picture when it is told to; they take turns picture by picture, so that whatever else the machine does meets both.
Seconds are given as time on the clock and as time of the processor; only the second means something on a machine
that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PUBLISHED = {"single": (0.693, 362), "fast": (0.804, 2134), "quality": (0.879, 10_097)}
"""MABO and boxes on VOC07 test, as Uijlings et al. 2013 have them."""


def ours(image: str, mode: str, threads: int) -> tuple[float, float, list[list[float]]]:
    """Seconds on the clock, seconds of the processor, boxes."""
    from boxwright.images import read_image
    from boxwright.regions.selective_search import selective_search

    pixels = read_image(image)
    clock, used = time.perf_counter(), time.process_time()
    found = selective_search(pixels, mode, threads=threads)
    return time.perf_counter() - clock, time.process_time() - used, found.boxes.tolist()


def opencv(image: str, mode: str, threads: int) -> tuple[float, float, list[list[float]]]:
    """The same of OpenCV contrib's, whose boxes are x, y, width, height."""
    import cv2

    cv2.setNumThreads(threads)
    pixels = cv2.imread(image)
    clock, used = time.perf_counter(), time.process_time()
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(pixels)
    {
        "single": search.switchToSingleStrategy,
        "fast": search.switchToSelectiveSearchFast,
        "quality": search.switchToSelectiveSearchQuality,
    }[mode]()
    found = search.process()
    clock, used = time.perf_counter() - clock, time.process_time() - used
    return clock, used, [[x, y, x + w, y + h] for x, y, w, h in found.astype(float).tolist()]


def serve(side: str, mode: str, threads: int) -> None:
    """Search the picture that each line of standard input names."""
    search = {"boxwright": ours, "opencv": opencv}[side]
    for line in sys.stdin:
        print(json.dumps(search(line.strip(), mode, threads)), flush=True)


class Side:
    """One of those that take turns, and what it has found."""

    def __init__(self, python: str, side: str, mode: str, threads: int) -> None:
        command = [python, str(Path(__file__)), "--serve", side, mode, str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.clock: list[float] = []
        self.used: list[float] = []
        self.boxes: list[list[list[float]]] = []

    def search(self, image: str, *, counts: bool) -> None:
        """One picture; the first one warms up and does not count."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{image}\n")
        self._process.stdin.flush()
        clock, used, boxes = json.loads(self._process.stdout.readline())
        if counts:
            self.clock.append(clock)
            self.used.append(used)
            self.boxes.append(boxes)

    def end(self) -> None:
        """Let it go."""
        self._process.communicate()


def compare(samples: Any, mode: str, threads: int, peer: str | None) -> list[dict[str, Any]]:
    """A row for each side: what it found and what it took."""
    import numpy as np

    from boxwright.regions.recall import best_overlaps

    sides = {"boxwright": Side(sys.executable, "boxwright", mode, threads)}
    if peer is not None:
        sides["opencv"] = Side(peer, "opencv", mode, threads)
    for turn, sample in enumerate([samples[0], *samples]):
        for side in sides.values():
            side.search(str(sample.path), counts=turn > 0)
    rows = []
    for name, side in sides.items():
        overlaps, labels = [], []
        for sample, boxes in zip(samples, side.boxes, strict=True):
            array = np.array(boxes, np.float32).reshape(-1, 4)
            overlaps.append(best_overlaps(sample.boxes[~sample.ignore], array))
            labels.append(sample.labels[~sample.ignore])
        best, label = np.concatenate(overlaps), np.concatenate(labels)
        row = {"tool": name, "mode": mode, "threads": threads, "images": len(samples), "objects": len(best)}
        row["boxes"] = statistics.mean(len(boxes) for boxes in side.boxes)
        row["recall"] = float((best >= 0.5).mean())
        row["mabo"] = float(np.mean([best[label == one].mean() for one in np.unique(label)]))
        row["cpu"], row["clock"] = statistics.mean(side.used), statistics.mean(side.clock)
        if peer is not None:
            for key in ("used", "clock"):
                pairs = zip(getattr(sides["opencv"], key), getattr(side, key), strict=True)
                row[f"{key}_ratio"] = statistics.median(theirs / own for theirs, own in pairs)
        rows.append(row)
        side.end()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", help="a data set, such as VOC07's")
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=40, help="the first so many")
    parser.add_argument("--mode", choices=PUBLISHED, action="append", help="fast unless given; repeatable")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 unless given; repeatable")
    parser.add_argument("--peer", help="python of an environment with OpenCV contrib; without it, ours alone")
    parser.add_argument("--serve", nargs=3, metavar=("SIDE", "MODE", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve[0], given.serve[1], int(given.serve[2]))
        return 0
    if given.data is None:
        parser.error("name a data set")

    from boxwright.data import open_dataset

    samples = open_dataset(given.data, given.split).samples[: given.images]
    for mode in given.mode or ["fast"]:
        for threads in given.threads or [1, 2]:
            for row in compare(samples, mode, threads, given.peer):
                print(
                    f"{row['mode']:8s} {row['tool']:10s} {row['threads']} threads  {row['boxes']:6.0f} boxes  "
                    f"recall {row['recall']:.3f}  MABO {row['mabo']:.3f}  "
                    f"CPU {row['cpu']:.3f} s  clock {row['clock']:.3f} s"
                    + (f"  {row['used_ratio']:.1f} / {row['clock_ratio']:.1f} x" if given.peer else ""),
                    flush=True,
                )
        mabo, boxes = PUBLISHED[mode]
        print(f"{mode:8s} the paper, VOC07 test: {boxes} boxes, MABO {mabo}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
