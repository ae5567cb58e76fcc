"""A foreign checkpoint as a file of ours: a model for a detector, plain weights for a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from boxwright.errors import InputError
from boxwright.files import write_bytes
from boxwright.foreign import reading
from boxwright.model import Model
from boxwright.regular import read_regular
from boxwright.weights import detectron2, efficientnet_lite, from_torchvision, mmdetection
from boxwright.weights.download import sha256
from boxwright.weights.foreign import current_names
from boxwright.weights.read import read_state_dict
from boxwright.weights.recognise import Layout, recognise


def import_checkpoint(
    file: Path, out: Path, *, name: str | None = None, classes: Path | None = None
) -> Layout:
    """Read `file`, check every tensor against the network it is of, and write `out`.

    Args:
        file: a .pth or .safetensors file; of mmdetection's, "caffe" in the name tells the backbone's style.
        out: a .safetensors file: a detector's is opened by `boxwright.load`, a classifier's holds the original
            names and is given to training as weights.
        name: torchvision's builder; told by the tensors if not given.
        classes: a text of the detector's class names, one a line; "class 1" and so on if not given.

    Raises:
        InputError: not such a file, no known layout, tensors that are not the network's, or another number of
            classes.
    """
    if out.suffix != ".safetensors":
        raise InputError("the file to write must end in .safetensors", path=out, hint="choose another name")
    state = read_state_dict(file)
    with reading(file, "checkpoint of a known layout", again="check where it is from"):
        try:
            state = current_names(state)
            layout = recognise(state) if name is None else Layout("torchvision", name, True)
            model = _built(layout, state, file)
        except InputError as error:
            raise InputError(error.message, path=file, hint=error.hint) from error
    source = {"file": file.name, "sha256": sha256(file)}
    if model is None:
        if classes is not None:
            raise InputError(f"is the classifier {layout.name}", path=file, hint="leave the class names out")
        metadata = {"boxwright.weights": layout.name, "source": source["file"], "sha256": source["sha256"]}
        # Copies: a checkpoint's tensors may share their storage, which a .safetensors file cannot hold.
        tensors = {key: value.detach().clone().contiguous() for key, value in state.items()}
        write_bytes(out, save(tensors, metadata))
        return layout
    if classes is not None:
        model.manifest = replace(model.manifest, classes=_names(classes, len(model.classes)))
    notes = {"weights": f"{layout.origin}'s {layout.name}", **source}
    model.manifest = replace(model.manifest, notes={**model.manifest.notes, **notes})
    model.save(out)
    return layout


def _built(layout: Layout, state: Mapping[str, Tensor], file: Path) -> Model | None:
    """The detector; None for a classifier, which is built to check its tensors alone."""
    if layout.origin == "mmdetection":
        # Its published files of this style have it in their names; no tensor shows it.
        return mmdetection.retinanet(layout.name, state, caffe="caffe" in file.stem)
    if layout.origin == "detectron2":
        return detectron2.retinanet(layout.name, state)
    if layout.origin == "efficientnet-lite":
        variant = int(layout.name.removeprefix("efficientnet-lite"))
        efficientnet_lite.classifier(state, variant, Path(layout.name))
        return None
    built = from_torchvision(layout.name, state)
    return built if isinstance(built, Model) else None


def _names(file: Path, count: int) -> tuple[str, ...]:
    with reading(file, "text of names", again="give one name a line, in UTF-8"):
        names = tuple(line.strip() for line in read_regular(file).decode().splitlines())
    if len(names) != count or not all(names):
        filled = sum(map(bool, names))
        raise InputError(
            f"names {filled} classes in {len(names)} lines, the detector has {count}",
            path=file,
            hint="give one name a line",
        )
    return names
