from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright import images
from boxwright.errors import InputError
from boxwright.images import image_size, orientation, read_image, read_thumbnail, to_rgb

RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def pixels(mode: str, *values: Any) -> Image.Image:
    """One row of pixels."""
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    return image


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    """One row that shows each colour of a palette once."""
    image = pixels("P", *range(len(colours)))
    image.putpalette([value for colour in colours for value in colour])
    return image


def flat(mode: str, colour: Any) -> Image.Image:
    """Large enough that a JPEG's blocks hold one colour exactly."""
    return Image.new(mode, (16, 16), colour)


def animation() -> bytes:
    frames = [flat("RGB", RED), flat("RGB", (0, 0, 255))]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def pages() -> bytes:
    return encoded(flat("L", 9), "TIFF", save_all=True, append_images=[flat("L", 200)])


def words(*values: int) -> Image.Image:
    return Image.fromarray(np.array([values], np.uint16))


# What a file holds, and the pixels of its first row by the rules at the head of boxwright.images.
GOLDEN: dict[str, tuple[Callable[[], bytes], list[tuple[int, int, int]], int]] = {
    "1-bit PNG": (lambda: encoded(pixels("1", 0, 255), "PNG"), [BLACK, WHITE], 0),
    "grey PNG": (lambda: encoded(pixels("L", 0, 7, 255), "PNG"), [BLACK, (7, 7, 7), WHITE], 0),
    "grey JPEG": (lambda: encoded(flat("L", 100), "JPEG"), [(100, 100, 100)] * 16, 0),
    # half of 100 and half of white: (100 * 128 + 255 * 127) / 255 = 177.2
    "grey + alpha PNG": (
        lambda: encoded(pixels("LA", (100, 255), (100, 0), (100, 128)), "PNG"),
        [(100, 100, 100), WHITE, (177, 177, 177)],
        1,
    ),
    "grey + transparent grey PNG": (
        lambda: encoded(pixels("L", 5, 6), "PNG", transparency=5),
        [WHITE, (6, 6, 6)],
        0,
    ),
    "RGB PNG": (lambda: encoded(pixels("RGB", (1, 2, 3)), "PNG"), [(1, 2, 3)], 0),
    "RGB + transparent colour PNG": (
        lambda: encoded(pixels("RGB", (1, 2, 3), (4, 5, 6)), "PNG", transparency=(1, 2, 3)),
        [WHITE, (4, 5, 6)],
        0,
    ),
    "RGBA PNG": (
        lambda: encoded(pixels("RGBA", (9, 8, 7, 255), (9, 8, 7, 0), (0, 0, 0, 51)), "PNG"),
        [(9, 8, 7), WHITE, (204, 204, 204)],  # 255 * (1 - 51 / 255)
        0,
    ),
    "palette PNG": (
        lambda: encoded(palette(RED, (10, 20, 30)), "PNG"),
        [RED, (10, 20, 30)],
        0,
    ),
    "palette + transparency PNG": (
        lambda: encoded(palette(RED, (10, 20, 30), BLACK), "PNG", transparency=bytes([255, 0, 51])),
        [RED, WHITE, (204, 204, 204)],
        0,
    ),
    # Pillow writes JPEG's CMYK inverted as Adobe does, TIFF's as it is. R = (255 - K)(1 - C / 255).
    "CMYK JPEG, Adobe-inverted": (
        lambda: encoded(flat("CMYK", (51, 0, 0, 102)), "JPEG", quality=100),
        [(122, 153, 153)] * 16,
        2,
    ),
    "CMYK TIFF": (
        lambda: encoded(pixels("CMYK", (0, 255, 255, 0), (51, 0, 0, 102)), "TIFF"),
        [RED, (122, 153, 153)],
        1,
    ),
    "LAB TIFF": (  # sRGB's red is L* 54.3, a* 80.8, b* 69.9 under D50
        lambda: encoded(pixels("LAB", (255, 128, 128), (0, 128, 128), (138, 209, 198)), "TIFF"),
        [WHITE, BLACK, RED],
        6,  # a step of 1 in a* or b* moves R, G or B by up to 5
    ),
    "YCbCr TIFF": (  # BT.601: red is Y 76.2, Cb 85.0, Cr 255.5
        lambda: encoded(pixels("YCbCr", (76, 85, 255), (128, 128, 128)), "TIFF"),
        [RED, (128, 128, 128)],
        2,
    ),
    # 65535 / 257 = 255; 25700 / 257 = 100; Pillow's convert would make all of these but 0 white
    "16-bit grey PNG": (
        lambda: encoded(words(0, 25700, 257, 65535), "PNG"),
        [BLACK, (100, 100, 100), (1, 1, 1), WHITE],
        0,
    ),
    "16-bit grey TIFF, big-endian": (
        lambda: encoded(pixels("I;16B", 0, 25700, 65535), "TIFF"),
        [BLACK, (100, 100, 100), WHITE],
        0,
    ),
    "16-bit grey TIFF, white is zero": (
        lambda: encoded(words(0, 65535 - 25700, 65535), "TIFF", tiffinfo={262: 0}),
        [WHITE, (100, 100, 100), BLACK],
        0,
    ),
    "16-bit grey PGM": (
        lambda: encoded(words(0, 25700, 65535), "PPM"),
        [BLACK, (100, 100, 100), WHITE],
        0,
    ),
    "int32 TIFF, own range": (
        lambda: encoded(Image.fromarray(np.array([[-50, 0, 205]], np.int32)), "TIFF"),
        [BLACK, (50, 50, 50), WHITE],
        0,
    ),
    "float TIFF, own range, with NaN": (
        lambda: encoded(Image.fromarray(np.array([[0, 0.4, 1, np.nan, np.inf]], np.float32)), "TIFF"),
        [BLACK, (102, 102, 102), WHITE, BLACK, WHITE],
        0,
    ),
    "constant float TIFF": (
        lambda: encoded(Image.fromarray(np.full((1, 2), 3.5, np.float32)), "TIFF"),
        [BLACK, BLACK],
        0,
    ),
    "GIF, first frame": (animation, [RED] * 16, 0),
    "TIFF, first page": (pages, [(9, 9, 9)] * 16, 0),
    "WebP, lossless": (
        lambda: encoded(pixels("RGBA", (9, 8, 7, 255), (0, 0, 0, 51)), "WEBP", lossless=True, exact=True),
        [(9, 8, 7), (204, 204, 204)],
        0,
    ),
    "BMP": (lambda: encoded(pixels("RGB", (1, 2, 3)), "BMP"), [(1, 2, 3)], 0),
    "JPEG 2000": (
        lambda: encoded(flat("RGB", (1, 2, 3)), "JPEG2000", irreversible=False),
        [(1, 2, 3)] * 16,
        1,
    ),
    "MPO, first picture": (
        lambda: encoded(flat("L", 50), "MPO", save_all=True, append_images=[flat("L", 200)]),
        [(50, 50, 50)] * 16,
        0,
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_every_kind_of_file_becomes_the_pixels_worked_out_by_hand(name: str) -> None:
    content, expected, tolerance = GOLDEN[name]
    found = read_image(content())
    assert found.dtype == np.uint8 and found.flags.c_contiguous and found.flags.writeable
    assert found.shape[1:] == (len(expected), 3)
    assert np.abs(found[0].astype(int) - np.array(expected)).max() <= tolerance, found[0].tolist()


def test_hsv_and_premultiplied_images_held_in_memory() -> None:
    # No file holds these modes, but Pillow images given to `predict` may.
    assert to_rgb(pixels("HSV", (0, 255, 255), (0, 0, 128))).tolist() == [[list(RED), [128] * 3]]
    assert to_rgb(pixels("RGBa", (51, 0, 0, 51))).tolist() == [[[255, 204, 204]]]
    assert to_rgb(pixels("I;16", 65535, 0)).tolist() == [[list(WHITE), list(BLACK)]]


def test_twelve_bit_tiff_has_its_own_white() -> None:
    # Two 12-bit samples in three bytes, 4095 and 0, in the smallest TIFF there is.
    entries = [(256, 4, 2), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1)]
    entries += [(273, 4, 8), (277, 3, 1), (278, 4, 1), (279, 4, 3)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    file = b"II*\0" + struct.pack("<I", 12) + b"\xff\xf0\x00\x00" + directory + b"\0\0\0\0"
    assert read_image(file)[0, :, 0].tolist() == [255, 0]


# [[1, 2, 3], [4, 5, 6]] stored with each orientation, as a person sees it
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", UPRIGHT)
def test_exif_orientation_is_applied(format: str, turn: int) -> None:
    stored = Image.fromarray(np.array(UPRIGHT[1], np.uint8)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True} if format == "WEBP" else {}
    file = encoded(stored, format, exif=exif, **options)
    upright = read_image(file)
    assert upright[:, :, 0].tolist() == UPRIGHT[turn]
    assert upright.flags.c_contiguous and upright.flags.writeable
    assert image_size(file) == upright.shape[:2]
    assert orientation(file) == turn


@pytest.mark.parametrize("turn", UPRIGHT)
def test_exif_orientation_of_a_jpeg_and_its_thumbnail(turn: int) -> None:
    quadrants = np.kron(np.array([[0, 80, 160], [240, 120, 40]], np.uint8), np.ones((64, 64), np.uint8))
    expected = np.array([0, 80, 160, 240, 120, 40])[np.array(UPRIGHT[turn]) - 1]
    exif = Image.Exif()
    exif[0x0112] = turn
    file = encoded(Image.fromarray(quadrants), "JPEG", quality=100, exif=exif)
    assert np.abs(read_image(file)[32::64, 32::64, 0].astype(int) - expected).max() <= 1
    assert np.abs(read_thumbnail(file, expected.shape)[:, :, 0].astype(int) - expected).max() <= 2


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_an_orientation_out_of_range_is_ignored(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    file = encoded(pixels("L", 1, 2), "PNG", exif=exif)
    assert orientation(file) == 1 and image_size(file) == (1, 2)


def test_exif_behind_the_pixels_of_a_png_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = encoded(pixels("L", 1, 2), "PNG")
    body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = plain.index(b"IEND") - 4
    file = plain[:end] + chunk + plain[end:]
    assert image_size(file) == (2, 1)
    assert read_image(file)[:, :, 0].tolist() == [[1], [2]]


def test_path_bytes_and_file_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "데이터 ü.png"
    path.write_bytes(encoded(pixels("RGB", (1, 2, 3)), "PNG"))
    with path.open("rb") as file:
        file.read()  # wherever it stands
        assert np.array_equal(read_image(file), read_image(path))
        assert not file.closed
    assert np.array_equal(read_image(path), read_image(str(path)))
    assert np.array_equal(read_image(path), read_image(path.read_bytes()))


def photograph(mode: str = "RGB", size: tuple[int, int] = (101, 67)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_fast_path_equals_pillow(
    mode: str, subsampling: int, progressive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("simplejpeg")
    exif = Image.Exif()
    exif[0x0112] = 8
    file = encoded(photograph(mode), "JPEG", subsampling=subsampling, progressive=progressive, exif=exif)
    calls = []
    decode = images.simplejpeg.decode_jpeg
    monkeypatch.setattr(images.simplejpeg, "decode_jpeg", lambda *a, **k: calls.append(1) or decode(*a, **k))
    fast = read_image(file)
    assert calls, "the fast path was not taken"
    monkeypatch.setattr(images, "simplejpeg", None)
    assert np.abs(fast.astype(int) - read_image(file)).max() <= 2


@pytest.mark.parametrize("point", range(10))
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_cut_file_is_an_error_at_every_point(
    format: str, options: dict[str, Any], point: int, tmp_path: Path
) -> None:
    whole = encoded(photograph(), format, **options)
    path = tmp_path / "cut.bin"
    path.write_bytes(whole[: len(whole) * (2 * point + 1) // 20])
    for read in (read_image, lambda file: read_thumbnail(file, (8, 8))):
        with pytest.raises(InputError, match=r"cut\.bin: (the file is truncated|cannot be|not an image)"):
            read(path)


@pytest.mark.parametrize("missing", [1, 2, 3, 20, 200])
def test_a_jpeg_without_its_end_is_an_error(missing: int) -> None:
    with pytest.raises(InputError, match="truncated"):
        read_image(encoded(photograph(), "JPEG")[:-missing])


def test_errors_name_the_file_and_the_fault(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "page.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    cases = {
        tmp_path / "none.jpg": "no such file",
        tmp_path: "is a folder",
        tmp_path / "empty.jpg": "the file is empty",
        tmp_path / "text.jpg": "not an image",
        tmp_path / "page.eps": "not an image",
    }
    for path, fault in cases.items():
        for read in (read_image, image_size, orientation):
            with pytest.raises(InputError) as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: {fault}")
            assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be opened"):
        read_image("a\0b.png")
    with pytest.raises(InputError, match="cannot be opened"):
        read_image("x" * 5000)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(pixels("L", 1), "PNG"))
    path.chmod(0)
    with pytest.raises(InputError, match=r"secret\.png: cannot be opened \(Permission denied\)"):
        read_image(path)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(100_000_000), 9))
        + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(50_000, 50_000))
    assert 90_000 < path.stat().st_size < 110_000
    program = (
        "import resource, sys; from boxwright.images import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: read_image(sys.argv[1])\n"
        "except ValueError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    message, grown = run.stdout.splitlines()
    assert message.startswith(f"{path}: too large")
    assert int(grown) < 20_000, "kilobytes of memory to refuse a bomb"


def test_the_limit_on_pixels_is_the_callers() -> None:
    file = encoded(Image.new("L", (11, 10)), "PNG")
    assert read_image(file, max_pixels=110).shape == (10, 11, 3)
    with pytest.raises(InputError, match="too large: 11 x 10 is more than 109 pixels"):
        read_image(file, max_pixels=109)
    assert image_size(file) == (10, 11)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_random_bytes_raise_only_input_errors(content: bytes) -> None:
    for read in (read_image, image_size, orientation):
        with pytest.raises(InputError):
            read(content)


@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_an_image_or_an_input_error(format: str, damage: list[tuple[float, int]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    options = {} if format in ("GIF", "BMP", "PPM") else {"exif": exif}
    content = bytearray(encoded(photograph(size=(31, 17)), format, **options))
    for where, value in damage:
        content[int(where * len(content))] = value
    for read in (read_image, image_size, orientation):
        try:
            found = read(bytes(content))
        except InputError:
            continue
        if read is read_image:
            assert found.dtype == np.uint8 and found.ndim == 3
