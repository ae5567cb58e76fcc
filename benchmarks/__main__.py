"""`python -m benchmarks [NAME ...] [--json]`: run all or the named ones and print a table."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict

import torch

from benchmarks import features, kernels, rois, segment, startup, style, svd, upscale, windows, work

ALL = {
    "startup": startup.startup,
    "nms": kernels.suppression,
    "assign": kernels.assignment,
    "loading": work.loading,
    "training": work.training,
    "predict": work.predicting,
    "memory": work.memory,
    "check": work.checking,
    "pooling": rois.pooling,
    "crops": rois.crops,
    "svd": svd.svd,
    "windows": windows.sharing,
    "features": features.speed,
    "segment": segment.segment,
    "upscale": upscale.upscale,
    "style": style.painting,
}


def main() -> int:
    names = [name for name in sys.argv[1:] if not name.startswith("--")] or list(ALL)
    if unknown := set(names) - set(ALL):
        print(f"no benchmark {sorted(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}",
        file=sys.stderr,
    )
    figures = []
    for name in names:
        for figure in ALL[name]():
            figures.append(figure)
            low, high = figure.spread
            print(
                f"{figure.name:62s} {figure.value:10.2f} {figure.unit:9s} {figure.target:14s} "
                f"[{low:.2f} .. {high:.2f}] {figure.versus}",
                file=sys.stderr,
                flush=True,
            )
    if "--json" in sys.argv:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
    return 0


sys.exit(main())
