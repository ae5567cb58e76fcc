"""Put a trained model into the package: checkpoint and graph in half precision, with where they come from.

    python scripts/package_model.py RUN/best.safetensors blood-cells --images FOLDER --note data=... --note licence=...

The graph is held against eager torch on the images before it is written. The model card beside it is written by
hand: src/boxwright/weights/packaged/NAME.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from boxwright.loading import PACKAGED, load
from boxwright.runtime.export import export_onnx

LARGEST = 12e6
"""Bytes: what a package index and a patient person put up with."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    parser.add_argument("--images", type=Path, required=True, help="a folder of pictures for the comparison")
    parser.add_argument("--note", action="append", default=[], help="KEY=VALUE for the model's description")
    given = parser.parse_args()

    model = load(given.checkpoint)
    notes = dict(model.manifest.notes) | dict(note.split("=", 1) for note in given.note)
    model.manifest = replace(model.manifest, notes=notes)
    checkpoint = model.save(PACKAGED / f"{given.name}.safetensors", half=True)
    # The graph is made of the weights that the packaged checkpoint has, not of the ones before rounding.
    rounded = load(checkpoint)
    graph = PACKAGED / f"{given.name}.onnx"
    pictures = sorted(str(path) for path in given.images.glob("*.jpg"))[:8]
    print(export_onnx(rounded, graph, images=pictures, half=True))
    for file in (checkpoint, graph):
        size = file.stat().st_size
        print(f"{file.name}: {size / 1e6:.2f} MB")
        assert size < LARGEST, f"{file} is larger than {LARGEST / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
