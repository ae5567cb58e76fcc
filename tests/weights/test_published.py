from __future__ import annotations

import re
import subprocess
import sys

import pytest

from boxwright.errors import InputError
from boxwright.weights.published import BASE, PUBLISHED, find
from weights import layouts


def test_every_file_bears_its_digest_and_every_name_is_one() -> None:
    for entry in PUBLISHED:
        assert re.fullmatch(r"[\w]+-[0-9a-f]{8}\.pth", entry.file)
        # EfficientNet's files also name who trained them, detectors' the data; two bear neither.
        assert entry.file.startswith(entry.network)
        assert entry.url() == f"{BASE}/{entry.file}"
        assert find(entry.name) == find(entry.name.lower()) == entry
        assert (20 < entry.metric < 50) == (entry.task == "detect")
    assert (
        len({entry.file for entry in PUBLISHED}) == len({entry.name for entry in PUBLISHED}) == len(PUBLISHED)
    )


def test_every_classifier_and_detector_of_the_references_is_published() -> None:
    known = layouts.torchvision()
    if not known:
        pytest.skip("no references")
    assert {entry.network for entry in PUBLISHED} == set(known)


def test_the_builder_alone_means_the_first_weights() -> None:
    assert find("resnet50").weights == "IMAGENET1K_V1"
    assert find("retinanet_resnet50_fpn").weights == "COCO_V1"
    with pytest.raises(
        InputError, match=r"no published weights are called 'resnet51'; did you mean resnet50"
    ):
        find("resnet51")


def test_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXWRIGHT_WEIGHTS_URL", "http://mirror.invalid/w/")
    assert find("vgg16").url() == "http://mirror.invalid/w/vgg16-397923af.pth"
    assert find("vgg16").url("file:///w") == "file:///w/vgg16-397923af.pth"


def test_neither_finding_nor_fetching_needs_torch() -> None:
    code = "import sys; from boxwright.weights import download, published; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
