"""What decoding costs is known from the header, and images that cost much are decoded one at a time."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from boxwright.errors import InputError
from boxwright.image_memory import MAX_BYTES, ProcessGate, ThreadGate, decoding_bytes
from boxwright.images import read_image

SIDE = 1800

KINDS: dict[str, tuple[str, dict]] = {
    "1.png": ("1", {}),
    "grey.png": ("L", {}),
    "grey16.png": ("I;16", {}),
    "colour.png": ("RGB", {}),
    "alpha.png": ("RGBA", {}),
    "grey-alpha.png": ("LA", {}),
    "palette.gif": ("P", {}),
    "colour.jpg": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True, "subsampling": 0}),
    "cmyk.jpg": ("CMYK", {}),
    "cmyk-progressive.jpg": ("CMYK", {"progressive": True}),
    "strip.tif": ("RGB", {"compression": "tiff_adobe_deflate", "strip_size": 1 << 30}),
    "float.tif": ("F", {"compression": "tiff_adobe_deflate"}),
    "integers.tif": ("I", {"compression": "tiff_adobe_deflate"}),
    "lab.tif": ("LAB", {"compression": "tiff_adobe_deflate"}),
    "plain.bmp": ("RGB", {}),
    "colour.webp": ("RGB", {"lossless": True, "method": 0}),
    "alpha.webp": ("RGBA", {"lossless": True, "method": 0}),
    "colour.jp2": ("RGB", {}),
    "alpha.jp2": ("RGBA", {}),
}
if features.check("avif"):
    KINDS["colour.avif"] = ("RGB", {"speed": 10})

MEASURE = """
import sys
from pathlib import Path
from boxwright.images import read_image, read_thumbnail

def kilobytes(what):
    return int(next(line for line in open("/proc/self/status") if line.startswith(what)).split()[1])

for name in sys.argv[1:]:
    for read in (read_image, lambda name: read_thumbnail(name, (32, 32))):
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
        before = kilobytes("VmRSS")
        read(name)
        print((kilobytes("VmHWM") - before) * 1024)
"""


def make(path: Path, mode: str, options: dict, side: int = SIDE) -> Path:
    Image.new(mode, (side, side)).save(path, **options)
    return path


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
def test_the_estimate_covers_the_peak(tmp_path: Path) -> None:
    paths = [make(tmp_path / name, *kind) for name, kind in KINDS.items()]
    run = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    peaks = [int(line) for line in run.stdout.split()]
    pixels, band = SIDE * SIDE, 40 << 20
    for path, whole, small in zip(paths, peaks[::2], peaks[1::2], strict=True):
        with Image.open(path) as image:
            known = decoding_bytes(image, path.stat().st_size)
        assert whole < known + band, path.name
        assert small < known + band, path.name
        assert known <= 25 * pixels, path.name
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("mode", "side", "name"), [("RGBA", 13_377, "a.png"), ("I;16", 13_377, "a.png"), ("L", 13_377, "a.gif")]
)
def test_the_largest_images_of_common_kinds_fit_the_budget(mode: str, side: int, name: str) -> None:
    """As many pixels as are read at all; by the estimate, so that nothing is decoded."""
    image = Image.new(mode, (1, 1))
    image._size = (side, side)  # type: ignore[attr-defined]
    image.format = "PNG" if name.endswith("png") else "GIF"
    assert decoding_bytes(image, 1_000_000) <= MAX_BYTES


def test_too_much_memory_is_refused_from_the_header(tmp_path: Path) -> None:
    path = make(tmp_path / "a.png", "RGBA", {}, 100)
    assert read_image(path, max_bytes=100_000).shape == (100, 100, 3)
    with pytest.raises(InputError, match=r"a\.png: too large: PNG of 100 x 100 pixels takes .* shrink it"):
        read_image(path, max_bytes=99_999)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "F", "I", "CMYK", "LAB", "1"])
def test_bands_change_no_pixel(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxwright import images

    rng = np.random.default_rng(0)
    shape = (37, 23, len(Image.new(mode, (1, 1)).getbands()))
    if mode in ("F", "I", "I;16"):
        kind = {"F": np.float32, "I": np.int32, "I;16": np.uint16}[mode]
        image = Image.fromarray(rng.integers(0, 60_000, shape[:2]).astype(kind))
    else:
        image = Image.frombytes(mode, (23, 37), rng.integers(0, 256, shape, np.uint8).tobytes())
    if mode == "P":
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
    whole = images.to_rgb(image)
    small = np.asarray(images._plain(image))
    monkeypatch.setattr(images, "_BAND", 60)
    np.testing.assert_array_equal(images.to_rgb(image), whole)
    np.testing.assert_array_equal(np.asarray(images._plain(image)), small)


def most_at_once(gates: list, size: int) -> int:
    """How many of as many threads were inside at one time."""
    inside, most, lock = 0, 0, threading.Lock()

    def enter(gate: object) -> None:
        nonlocal inside, most
        with gate.hold(size):  # type: ignore[attr-defined]
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=enter, args=(gate,)) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_large_images_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    for size, wanted in ((10, 6), (50, 2), (60, 1), (1000, 1)):
        gate = ThreadGate(100)
        assert most_at_once([gate] * 6, size) == wanted
    for size, wanted in ((10, 6), (11, 1)):
        # Each has a gate of its own on one file, as processes have.
        gates = [ProcessGate(tmp_path / "lock", 10) for _ in range(6)]
        assert most_at_once(gates, size) == wanted


def test_a_gate_opens_again_after_a_failure(tmp_path: Path) -> None:
    for gate in (ThreadGate(10), ProcessGate(tmp_path / "lock", 0)):
        with pytest.raises(ValueError, match="inside"), gate.hold(10):
            raise ValueError("inside")
        with gate.hold(10):
            pass


def test_nothing_of_pillows_is_printed(tmp_path: Path) -> None:
    """A picture of more pixels than Pillow warns of, and one with broken metadata."""
    large = tmp_path / "large.jpg"
    Image.new("L", (9500, 9500)).save(large)
    tiff = io.BytesIO()
    Image.new("L", (9500, 9500)).save(tiff, "TIFF", compression="tiff_adobe_deflate")
    (tmp_path / "large.tif").write_bytes(tiff.getvalue())
    program = (
        "import sys; from boxwright.images import read_thumbnail, read_header\n"
        "for name in sys.argv[1:]: read_header(name); read_thumbnail(name, (32, 32))"
    )
    files = [large, tmp_path / "large.tif"]
    run = subprocess.run([sys.executable, "-c", program, *files], capture_output=True, text=True, check=True)
    assert run.stderr == ""
