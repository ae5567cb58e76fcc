from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.model import create
from boxwright.training.transfer import WORDS, begin, is_model_file, start_from

from .toys import toy_model


def saved(tmp_path: Path, **change: object) -> Path:
    model = toy_model(seed=1)
    model.manifest = replace(model.manifest, **change)  # type: ignore[arg-type]
    return model.save(tmp_path / "trained.safetensors")


def test_the_same_classes_start_from_every_weight(tmp_path: Path) -> None:
    model = toy_model()
    assert start_from(model, saved(tmp_path)) == f"weights from {tmp_path / 'trained.safetensors'}"
    for value, expected in zip(
        model.net.state_dict().values(), toy_model(seed=1).net.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_another_number_of_classes_starts_with_a_fresh_head(tmp_path: Path) -> None:
    model, fresh = toy_model(), toy_model()
    for part in (model, fresh):
        part.manifest = replace(part.manifest, classes=("a", "b", "c"), ids=(1, 2, 3))
        torch.manual_seed(5)
        part.net.head = nn.Conv2d(16, 8, 3, 1, 1)
    assert "2 tensors of the head start fresh" in start_from(model, saved(tmp_path))
    torch.testing.assert_close(model.net.head.weight, fresh.net.head.weight)
    torch.testing.assert_close(model.net.stem[0].weight, toy_model(seed=1).net.stem[0].weight)


def test_other_recipes_and_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a ssd300-vgg16; train with --model ssd300-vgg16"):
        start_from(toy_model(), saved(tmp_path, recipe="ssd300-vgg16"))
    with pytest.raises(InputError, match="does not fit"):
        start_from(toy_model(norm=False), saved(tmp_path))


def test_only_our_files_count_as_models(tmp_path: Path) -> None:
    assert is_model_file(saved(tmp_path))
    for content in (b"", b"\0" * 40, b"PK\3\4"):
        (tmp_path / "other").write_bytes(content)
        assert not is_model_file(tmp_path / "other")
    assert not is_model_file(tmp_path / "missing")
    assert not is_model_file(tmp_path)


def small(weights: str, *, resuming: bool = False) -> tuple[Tensor, list[str]]:
    """The first weights of a small model where it begins, and what was said."""
    said: list[str] = []
    torch.manual_seed(3)
    model = begin(
        "cifar-resnet20",
        classes=("a", "b"),
        ids=(4, 7),
        weights=weights,
        settings={"size": 16},
        resuming=resuming,
        say=said.append,
    )
    assert (model.manifest.ids, model.manifest.settings) == ((4, 7), {"size": 16})
    return next(model.net.parameters()), said


def test_where_a_training_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh, from a trained model, or with nothing looked for where a run goes on."""
    trained = create("cifar-resnet20", classes=("a", "b"), weights=None, say=str)
    file = trained.save(tmp_path / "trained.safetensors")
    fresh, said = small("none")
    assert not said
    own, said = small(str(file))
    assert torch.equal(own, next(trained.net.parameters())) and not torch.equal(own, fresh)
    assert said == [f"weights from {file}"]
    for weights in (str(file), "imagenet", str(tmp_path / "missing")):
        own, said = small(weights, resuming=True)
        assert torch.equal(own, fresh) and not said
    with pytest.raises(InputError, match="no such weights file"):
        small(str(tmp_path / "missing"))
    # A word is a word, whatever files lie about.
    monkeypatch.chdir(tmp_path)
    for word in WORDS:
        trained.save(tmp_path / word)
    own, _ = small("none")
    assert torch.equal(own, fresh)
