"""A detector whole: network, objective, decoder and preprocessing, with what the model file says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from boxwright.data.records import Dataset
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.errors import InputError, near
from boxwright.foreign import reading
from boxwright.manifest import Manifest
from boxwright.modelfile import ModelFile, write_model
from boxwright.objective import Objective, TwoStageObjective
from boxwright.predict import Found, Predictor, Propose, Regions
from boxwright.preprocess import Preprocess
from boxwright.recipes import Parts, Recipe, find
from boxwright.results import Result
from boxwright.types import given
from boxwright.weights.read import check_fit, copy_fitting, copy_strictly, read_state_dict

if TYPE_CHECKING:
    from boxwright.evaluate import Report


class Model:
    """A detector with its four parts and its manifest.

    Attributes:
        net: normalised images and sizes -> `Predictions`.
        objective: predictions and targets -> `Losses`.
        decoder: predictions and sizes -> `Detections`.
        preprocess: image -> network input.
        manifest: classes, ids, thresholds, recipe: what is saved beside the weights.
    """

    def __init__(self, parts: Parts, manifest: Manifest) -> None:
        self.net: Network = parts.net
        self.objective: Objective | TwoStageObjective = parts.objective
        self.decoder: Decoder = parts.decoder
        self.preprocess: Preprocess = parts.preprocess
        self.manifest = manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the network's columns."""
        return self.manifest.classes

    def predict(self, images: Any, score: float | None = None) -> list[Result]:
        """Detect on images.

        Args:
            images: one or a list of: path, PIL image, uint8 HWC RGB array, float CHW array or tensor in [0, 1].
            score: show detections from this score on; None is the model's own threshold.

        Raises:
            InputError: an image cannot be read.
        """
        return self.predictor().predict(images, score)

    def predictor(self, propose: Propose | None = None) -> Predictor:
        """The torch-free front of this model: also streams a folder with flat memory.

        Args:
            propose: finds the regions of an image, or knows them, for a network that judges given ones.
        """
        return Predictor(TorchEngine(self.net, self.decoder), self.manifest, propose)

    def evaluate(self, dataset: Dataset, *, batch: int = 8) -> Report:
        """Measure on a data set: COCO's and VOC's numbers, per class, errors, calibration."""
        from boxwright.evaluate import evaluate_model

        return evaluate_model(self, dataset, batch=batch)

    def save(self, path: str | Path, *, half: bool = False) -> Path:
        """Write one `.safetensors` file that `boxwright.load` reads.

        Args:
            path: where; the previous file is replaced only when the new one is complete.
            half: keep weights as 16-bit floats, half the size.
        """
        tensors = {}
        for name, value in self.net.state_dict().items():
            array = value.detach().cpu().contiguous().numpy()
            # Statistics of norms can be below half precision's range and are few: they stay whole.
            narrow = half and array.dtype == np.float32 and array.ndim > 1
            tensors[name] = array.astype(np.float16) if narrow else array
        write_model(Path(path), tensors, self.manifest)
        return Path(path)


class TorchEngine:
    """Eager torch behind the interface that every engine has.

    Args:
        net: network.
        decoder: what reads its output.
    """

    def __init__(self, net: nn.Module, decoder: Decoder) -> None:
        self._net, self._decoder = net, decoder
        self._scaled = isinstance(net, Network) and net.takes_scales
        self.takes_scales = self._scaled or decoder.min_size_in == "image"

    def run(
        self,
        images: Float32[np.ndarray, "batch 3 height width"],
        sizes: Int64[np.ndarray, "batch 2"],
        regions: Regions | None = None,
        scales: Float32[np.ndarray, " batch"] | None = None,
    ) -> Found:
        """Detections of a normalised batch, in its own pixels; leaves the network's mode as it was."""
        device = next(self._net.parameters()).device
        training = self._net.training
        self._net.eval()
        try:
            with torch.inference_mode():
                pixels = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
                extent = torch.from_numpy(sizes).to(device)
                judged = () if regions is None else (given(*regions).to(device),)
                more = {} if scales is None else {"scales": torch.from_numpy(scales).to(device)}
                out = self._net(pixels, extent, *judged, **(more if self._scaled else {}))
                found = self._decoder(out, extent, **more)
                parts = (found.boxes, found.scores, found.labels, found.valid)
                boxes, scores, labels, valid = (part.cpu().numpy() for part in parts)
        finally:
            self._net.train(training)
        return boxes, scores, labels, valid


def create(
    name: str,
    *,
    classes: Sequence[str],
    weights: str | Path | None = "auto",
    settings: Mapping[str, Any] | None = None,
    ids: Sequence[int] | None = None,
    say: Any = print,
) -> Model:
    """A new detector by its recipe's name.

    Args:
        name: such as "ssd320-efficientnet-lite0".
        classes: names, in order.
        weights: where it starts: "auto" (the installed weights package, else fresh, and one line that says so),
            "imagenet" (the same, or else torchvision's file is downloaded), "coco" (torchvision's detector is
            downloaded), a file for the backbone, or None for fresh weights.
        settings: changed settings of the recipe, by field.
        ids: the data set's own class ids; 0, 1, 2, ... if not given.
        say: receives the line that tells where the weights came from, and the progress of a download.

    Raises:
        InputError: unknown name or setting, no weights where some were asked for, weights of another network, or
            a download that fails.
    """
    recipe = find(name)
    model = assemble(name, tuple(classes), changed_settings(recipe.settings, settings or {}), ids)
    if weights is None:
        return model
    if weights == "coco":
        say(_from_coco(model, recipe, say))
        return model
    file = Path(weights) if weights not in ("auto", "imagenet") else recipe.pretrained.packaged()
    if file is None and weights == "imagenet":
        file = _downloaded(recipe.pretrained.published, recipe, say)
    if file is None:
        origin = recipe.pretrained.origin
        say(f"{name} starts from fresh weights" + (f"; ImageNet's come by: {origin}" if origin else ""))
        return model
    say(recipe.pretrained.load(model.net, read_state_dict(file), file))
    return model


def _downloaded(network: str | None, recipe: Recipe, say: Any) -> Path:
    """The file that torchvision publishes of `network`, from the cache or the network."""
    from boxwright.weights import download, published

    if network is None:
        raise InputError(
            f"no such weights for {recipe.name} are published that are known here",
            hint="see boxwright models",
        )
    return download.fetch(published.find(network).url(), say=say)


def _from_coco(model: Model, recipe: Recipe, say: Any) -> str:
    """Start a detector from torchvision's, all but what belongs to other classes or other settings."""
    from boxwright.weights import from_torchvision

    file = _downloaded(recipe.coco, recipe, say)
    assert recipe.coco is not None
    original = from_torchvision(recipe.coco, read_state_dict(file))
    assert isinstance(original, Model)
    fresh = copy_fitting(model.net, original.net.state_dict())
    return f"{recipe.coco} from {file.name}; {len(fresh)} tensors start fresh: other classes or settings"


def assemble(name: str, classes: tuple[str, ...], settings: Any, ids: Sequence[int] | None = None) -> Model:
    """A recipe's parts with fresh weights and a manifest.

    Args:
        name: the recipe's.
        classes: names.
        settings: the recipe's settings record.
        ids: the data set's own class ids; 0, 1, 2, ... if not given.
    """
    parts = find(name).build(len(classes), settings)
    manifest = Manifest(
        recipe=name,
        settings=asdict(settings),
        classes=classes,
        ids=tuple(range(len(classes))) if ids is None else tuple(ids),
        preprocess=parts.preprocess,
        regions=parts.regions,
    )
    return Model(parts, manifest)


def rebuild(file: ModelFile, path: Path) -> Model:
    """The model that a file describes, with its weights, in eval mode.

    Raises:
        InputError: the weights are not those of the recipe it names.
    """
    manifest = file.manifest
    # A `last` to resume from also holds the optimiser and the like, under names that begin with "training.".
    own = {
        name: torch.from_numpy(array)
        for name, array in file.tensors.items()
        if not name.startswith("training.")
    }
    with reading(path, "model file", again="copy or download it again"):
        settings = recorded_settings(manifest)
        # First without memory: the settings of a forged file may ask for a network of any size.
        with torch.device("meta"):
            bare = assemble(manifest.recipe, manifest.classes, settings, manifest.ids)
        check_fit(bare.net, own, path)
        model = assemble(manifest.recipe, manifest.classes, settings, manifest.ids)
    copy_strictly(model.net, own, path)
    model.net.eval()
    parts = Parts(model.net, model.objective, model.decoder, manifest.preprocess)
    return Model(parts, manifest)


def with_settings(model: Model, changes: Mapping[str, Any]) -> Model:
    """The same weights under other settings of their recipe, as far as these leave every tensor its shape.

    A trained sliding-window detector can so be run fully convolutionally, or any detector with other thresholds:
    `with_settings(bw.load("best.safetensors"), {"shared": True}).save("shared.safetensors")`.

    Args:
        model: is not changed, and shares no tensor with the result.
        changes: settings of the recipe, by field.

    Returns:
        On the device and in the mode of `model`. Its classes, thresholds and notes stay; so do its preprocessing
        and its regions' source, unless these changes concern them.

    Raises:
        InputError: unknown settings, or such as need other weights.
    """
    old = model.manifest
    before = recorded_settings(old)
    settings = changed_settings(before, changes)
    with torch.device("meta"):
        bare = assemble(old.recipe, old.classes, before, old.ids).manifest
    new = assemble(old.recipe, old.classes, settings, old.ids)
    copy_strictly(new.net, model.net.state_dict(), f"{old.recipe} with {dict(changes)}")
    new.net.to(next(model.net.parameters()).device).train(model.net.training)
    manifest = replace(
        old,
        settings=asdict(settings),
        preprocess=old.preprocess if new.preprocess == bare.preprocess else new.preprocess,
        regions=old.regions if new.manifest.regions == bare.regions else new.manifest.regions,
    )
    return Model(Parts(new.net, new.objective, new.decoder, manifest.preprocess), manifest)


def recorded_settings(manifest: Manifest) -> Any:
    """The settings of a recipe that a manifest describes.

    A file says all the settings that there were when it was written; one that it lacks came later, and its default is
    how things were before. What the recipe has today need not be what the weights were trained for.
    """
    settings = find(manifest.recipe).settings
    later = {
        field.name: field.default
        for field in fields(settings)
        if manifest.settings and field.name not in manifest.settings and field.default is not MISSING
    }
    return changed_settings(replace(settings, **later), manifest.settings)


def changed_settings(settings: Any, changes: Mapping[str, Any]) -> Any:
    """A settings record with JSON values put in; an unknown key fails with its neighbours."""
    known = {field.name for field in fields(settings)}
    for key in changes:
        if key not in known:
            raise InputError(f"unknown setting model.{key}", hint=near(key, known))
    return replace(settings, **{key: _tuples(value) for key, value in changes.items()})


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples that settings hold."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
