"""The one decoder: any image file to uint8 RGB as a person sees it, or a clear refusal.

What the pixels become, by kind of file:

- EXIF orientation is applied (all eight), so that boxes, width and height mean the upright picture.
- Transparency (alpha, a palette's or PNG's transparent colour) is laid over white: the colour under a
  transparent pixel is arbitrary and never meant to be seen.
- 16-bit grey keeps its range: 65535 becomes 255 (12-bit TIFF: 4095), rounded. 32-bit integer and float images
  have no white of their own: their least finite value becomes 0, their greatest 255; a constant one is black.
- CMYK (Adobe's inverted JPEGs too), LAB, YCbCr, HSV, palettes and 1-bit images become RGB.
- Of several frames or pages, the first.

Pixels, and the memory that decoding takes at its peak, are checked in the header before a pixel is decoded, and a
file that ends early is an error: half a picture is never returned. Beside Pillow's own copy and the pixels that are
given out, conversions need a band of rows only. Pipes, devices and folders are not opened. Nothing here writes, and
nothing is executed (formats that are programs, such as EPS, are refused).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, UnidentifiedImageError

from boxwright import exif
from boxwright.errors import InputError
from boxwright.image_memory import MAX_BYTES, THREADS, Gate, decoding_bytes, gigabytes
from boxwright.regular import check_regular

try:
    import simplejpeg
except ImportError:  # the extra [fast] is not installed: Pillow decodes JPEGs too, more slowly
    simplejpeg = None

RGB8 = UInt8[np.ndarray, "height width 3"]
Source = str | Path | bytes | exif.File

Image.init()  # registers all of Pillow's formats; those asked for below would else be unknown to it
_WANTED = ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"}
)
"""Endings (lower case) of the files that a folder of images is searched for; reading goes by content."""

MAX_PIXELS = 178_956_970
"""Largest width x height decoded unless told otherwise: 512 MiB of RGB, Pillow's own hard limit."""

_SMALLER = "shrink it, or cut it into tiles"

TRUNCATED, EMPTY = "the file is truncated", "the file is empty"
"""The messages of two of this module's errors, for those who tell them apart."""

_BAND = 1 << 20
"""Pixels that are converted at a time."""

# The budget above decides, not Pillow's warning; and what Pillow thinks of metadata is no news for a person. Added at
# the end, so that whoever asks for these warnings has them.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)
warnings.filterwarnings("ignore", module=r"PIL\.", append=True)

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC = 256, 257, 258, 262  # TIFF tags


def read_image(
    source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES, gate: Gate = THREADS
) -> RGB8:
    """Decode an image upright to RGB, by the rules at the head of this module.

    Args:
        source: a path, an image file's content, or a binary file open for reading.
        max_pixels: refuse images of more pixels than this, from the header. Pillow's own guard
            (`PIL.Image.MAX_IMAGE_PIXELS`, twice over) holds as well.
        max_bytes: refuse images whose decoding takes more memory than this at its peak, from the header.
        gate: lets the decoding begin when there is memory for it beside what others are decoding.

    Returns:
        uint8 [height, width, 3], C-contiguous and writable.

    Raises:
        InputError: missing, a folder, a pipe or device, empty, not an image, truncated or too large; names the
            file.

    >>> import io; file = io.BytesIO(); Image.new("L", (3, 2), 7).save(file, "PNG")
    >>> read_image(file.getvalue()).shape
    (2, 3, 3)
    """
    with _opened(source) as (image, file, name), _in_turn(image, file, name, max_pixels, max_bytes, gate):
        turn = exif.turn_to_apply(image)
        pixels = _fast_jpeg(image, file)
        if pixels is None:
            with _decoding(name):
                image.load()
                pixels = to_rgb(image)
        return exif.upright(pixels, turn)


@contextmanager
def loaded_image(source: Source) -> Iterator[Image.Image]:
    """The Pillow image of a file, as it is stored and not upright: for values that are no colours (masks).

    Raises:
        InputError: as `read_image`.
    """
    with _opened(source) as (image, file, name), _in_turn(image, file, name):
        with _decoding(name):
            image.load()
        yield image


def read_thumbnail(source: Source, size: tuple[int, int], *, max_pixels: int = MAX_PIXELS) -> RGB8:
    """The image upright, shrunk to exactly `size` (height, width): for hashes and contact sheets.

    The whole file is still decoded, so a truncated one fails as in `read_image`; a large JPEG is decoded at a
    half to an eighth of its size, which moves pixel values a little and is far faster.
    """
    with _opened(source) as (image, file, name):
        turn = exif.turn_to_apply(image)
        height, width = size if turn < 5 else (size[1], size[0])
        _few_enough(image, name, max_pixels)
        with _decoding(name):
            if image.format == "JPEG" and image.mode in ("RGB", "L"):
                image.draft(image.mode, (2 * width, 2 * height))
        with THREADS.hold(_affordable(image, file, name)), _decoding(name):
            image.load()
            opaque = image.mode in ("RGB", "L") and not image.has_transparency_data
            small = (image if opaque else _plain(image)).resize((width, height), Image.Resampling.BOX)
        return exif.upright(np.array(small.convert("RGB")), turn)


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels.

    Attributes:
        size: (height, width) as a person sees the image.
        orientation: EXIF's, 1 to 8; 1 (upright) where there is none or it makes no sense.
        format: Pillow's name of the format ("JPEG", "PNG", ...), by content, whatever the file is called.
    """

    size: tuple[int, int]
    orientation: int
    format: str


def read_header(source: Source) -> Header:
    """Size, orientation and format, without decoding a pixel.

    Raises:
        InputError: as `read_image`, except that truncated pixels and an excess of them go unnoticed.
    """
    with _opened(source) as (image, _, _name):
        width, height = image.size
        if image.format == "TIFF":  # newer Pillow has swapped these already, older has not
            width, height = int(image.tag_v2[_WIDTH]), int(image.tag_v2[_HEIGHT])  # type: ignore[attr-defined]
        turn = exif.orientation(image)
        size = (width, height) if turn >= 5 else (height, width)
        return Header(size, turn, image.format or "")


def image_size(source: Source) -> tuple[int, int]:
    """(height, width) of the image as a person sees it, from the header alone; raises as `read_header`."""
    return read_header(source).size


def orientation(source: Source) -> int:
    """The EXIF orientation in the header, 1 to 8; raises as `read_header`."""
    return read_header(source).orientation


def to_rgb(image: Image.Image) -> RGB8:
    """Pixels of a Pillow image as uint8 RGB; its EXIF orientation is left to the caller.

    >>> to_rgb(Image.new("I;16", (1, 1), 65535)).tolist()
    [[[255, 255, 255]]]
    """
    convert = _conversion(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, band in _bands(image):
        pixels[top : top + band.height] = convert(band)
    return pixels


def _plain(image: Image.Image) -> Image.Image:
    """`to_rgb` as a Pillow image."""
    convert = _conversion(image)
    plain = Image.new("RGB", image.size)
    for top, band in _bands(image):
        plain.paste(Image.fromarray(convert(band)), (0, top))
    return plain


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The image in bands of rows, each with its first row."""
    rows = max(1, _BAND // max(1, image.width))
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _conversion(image: Image.Image) -> Callable[[Image.Image], RGB8]:
    """What makes RGB of a band of this image."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        table = _full_range(image)
        return lambda band: _grey(table[np.clip(np.asarray(band), 0, 65535)])
    if image.mode in ("I", "F"):
        low, high = _finite_range(image)
        return lambda band: _grey(_own_range(np.asarray(band), low, high))
    return _colours


def _colours(image: Image.Image) -> RGB8:
    """Of 8 bits; over white."""
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode in ("RGBA", "LA", "PA") or image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.array(image.convert("RGB"))


def _grey(values: UInt8[np.ndarray, "height width"]) -> RGB8:
    return np.repeat(values[:, :, None], 3, axis=2)


def _full_range(image: Image.Image) -> UInt8[np.ndarray, "65536"]:
    """What each sample of 16 bits becomes, white to white. Pillow's convert("RGB") would clip all above 255."""
    tags = getattr(image, "tag_v2", {})
    white = 4095 if tags.get(_BITS) == (12,) else 65535
    values = np.minimum(np.arange(65536, dtype=np.uint32), white)
    if tags.get(_PHOTOMETRIC) == 0:  # "white is zero", which Pillow undoes for 8 bits only
        values = white - values
    table: UInt8[np.ndarray, "65536"] = ((values * 255 + white // 2) // white).astype(np.uint8)
    return table


def _finite_range(image: Image.Image) -> tuple[float, float]:
    """The least and the greatest finite value; 0 and 0 without any."""
    low, high = np.inf, -np.inf
    for _, band in _bands(image):
        values = np.asarray(band)
        values = values[np.isfinite(values)]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _own_range(
    values: Num[np.ndarray, "height width"], low: float, high: float
) -> UInt8[np.ndarray, "height width"]:
    """Least finite value to 0, greatest to 255; NaN and infinities to the nearer end (NaN: 0)."""
    if high == low:
        return np.zeros(values.shape, np.uint8)
    values = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled: UInt8[np.ndarray, "height width"] = np.rint((values - low) / (high - low) * 255).astype(np.uint8)
    return scaled


def _fast_jpeg(image: Image.Image, file: exif.File) -> RGB8 | None:
    """libjpeg-turbo without Pillow in between, or None where that does not apply or anything is odd.

    Both are the same library with the same exact DCT and upsampling; `strict` turns its warnings (corrupt or
    missing data) into a refusal, whereupon Pillow decides.
    """
    if not _is_fast(image):
        return None
    back = file.tell()
    file.seek(0)
    try:
        pixels: RGB8 = simplejpeg.decode_jpeg(file.read(), colorspace="RGB", strict=True)
    except ValueError:
        return None
    finally:
        file.seek(back)
    return pixels if pixels.shape[:2] == (image.height, image.width) else None


def _is_fast(image: Image.Image) -> bool:
    return simplejpeg is not None and image.format == "JPEG" and image.mode in ("RGB", "L")


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Image.Image, exif.File, str]]:
    """The image with its header read, its file, and its name for errors."""
    file: exif.File
    ours = isinstance(source, bytes | str | Path)
    if isinstance(source, bytes):
        name, file = "<bytes>", io.BytesIO(source)
    elif isinstance(source, str | Path):
        name, file = str(source), _open_file(str(source))
    else:
        name, file = str(getattr(source, "name", "<file>")), source
        file.seek(0)
    try:
        with _decoding(name, empty=not file.read(1)):
            file.seek(0)
            image = Image.open(cast(BinaryIO, file), formats=FORMATS)
        yield image, file, name
    finally:
        if ours:
            file.close()


@contextmanager
def _in_turn(
    image: Image.Image,
    file: exif.File,
    name: str,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    gate: Gate = THREADS,
) -> Iterator[None]:
    """Decode inside the block: when the image may be decoded, and there is memory for it.

    Raises:
        InputError: the image has too many pixels, or takes too much memory.
    """
    _few_enough(image, name, max_pixels)
    with gate.hold(_affordable(image, file, name, max_bytes)):
        yield


def _few_enough(image: Image.Image, name: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise InputError(
            f"too large: {image.width} x {image.height} is more than {max_pixels} pixels",
            path=name,
            hint=_SMALLER,
        )


def _affordable(image: Image.Image, file: exif.File, name: str, max_bytes: int = MAX_BYTES) -> int:
    """The memory that decoding takes at its peak.

    Raises:
        InputError: it is too much.
    """
    back = file.tell()
    needed = decoding_bytes(image, file.seek(0, io.SEEK_END), straight=_is_fast(image))
    file.seek(back)
    if needed > max_bytes:
        raise InputError(
            f"too large: {image.format} of {image.width} x {image.height} pixels takes {gigabytes(needed)} of memory "
            f"to decode, more than {gigabytes(max_bytes)}",
            path=name,
            hint=_SMALLER,
        )
    return needed


def _open_file(name: str) -> exif.File:
    try:
        if check_regular(name).st_size == 0:  # those of /proc too, which can wait or never end
            raise InputError(EMPTY, path=name, hint="restore it, or take it out of the data set")
        return Path(name).open("rb")
    except FileNotFoundError:
        raise InputError("no such file", path=name) from None
    except IsADirectoryError:
        raise InputError("is a folder, not an image", path=name) from None
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be opened ({reason})", path=name) from error


@contextmanager
def _decoding(name: str, *, empty: bool = False) -> Iterator[None]:
    """Turn whatever Pillow meets in a bad file into one line about that file.

    Its parsers raise OSError, SyntaxError, struct.error, IndexError and more on hostile bytes, hence the wide
    net; nothing but opening, loading and converting stands inside the block.
    """
    if empty:
        raise InputError(EMPTY, path=name, hint="restore it, or take it out of the data set")
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"too large: {error}", path=name, hint=_SMALLER) from error
    except UnidentifiedImageError as error:
        raise InputError(
            "not an image of a kind that can be read", path=name, hint="convert it to PNG or JPEG"
        ) from error
    except MemoryError as error:
        raise InputError("too large for this machine's memory", path=name, hint="shrink it") from error
    except Exception as error:
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        message = TRUNCATED if cut else f"cannot be decoded ({str(error) or type(error).__name__})"
        raise InputError(message, path=name, hint="restore it, or take it out of the data set") from error
