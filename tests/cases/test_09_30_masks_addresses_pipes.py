from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.addresses import refuse_address
from boxwright.errors import InputError
from boxwright.images import read_header, read_image
from boxwright.loading import load
from boxwright.runtime.sources import Sources
from boxwright.segment.data import open_labelled


def test_masks_that_a_jpeg_has_blurred_are_refused(tmp_path: Path) -> None:
    """Of 0 and 255 the compression makes some forty values, each of which would be a class."""
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 12:40] = 255
    for folder, name in (("images", "a.png"), ("masks", "a.jpg")):
        (tmp_path / folder).mkdir()
        Image.fromarray(mask).save(tmp_path / folder / name)
    with pytest.raises(InputError, match=r"a\.jpg: is a JPEG file, whose compression blurs the values"):
        open_labelled(tmp_path)
    (tmp_path / "masks/a.jpg").unlink()
    Image.fromarray(mask).save(tmp_path / "masks/a.png")
    assert open_labelled(tmp_path).classes.values == (0, 255)


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", "s3://bucket/a.onnx", "HTTP://x/y"])
def test_addresses_are_named_as_such(address: str) -> None:
    for call in (refuse_address, load, lambda name: Sources([name]), lambda name: refuse_address(Path(name))):
        with pytest.raises(InputError, match="is an address, and nothing is fetched; download it first"):
            call(address)
    refuse_address("https.jpg")
    refuse_address("C:/a.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    for read in (read_image, read_header):
        with pytest.raises(InputError, match="is a pipe, a socket or a device"):
            read(tmp_path / "a.jpg")


def test_a_large_image_prints_no_warning_of_pillows(tmp_path: Path) -> None:
    Image.new("1", (12_000, 9_000)).save(tmp_path / "a.png")
    # In a process of its own: pytest puts its own filters of warnings in the place of ours.
    code = f"from boxwright.images import read_header; print(read_header({str(tmp_path / 'a.png')!r}).size)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("(9000, 12000)\n", "")
