"""Mask files to values: a class is what stands in the file, and a file that may say something else is refused.

- Formats whose compression changes values, or may (JPEG, JPEG 2000, AVIF, lossy WebP and TIFF) are no masks.
- A palette's index is the value; so is a grey value as it is stored, of 1, 2, 4, 8 or 16 bits.
- Transparency, several frames, and colours beside grey have no one reading.
- EXIF orientation is applied, as it is to images.

Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from boxwright import exif
from boxwright.errors import InputError
from boxwright.foreign import reading
from boxwright.images import loaded_image, read_header

Labels = UInt8[np.ndarray, "height width"]

_COMPRESSION = 259  # TIFF's tag
_LOSSY_TIFF = {
    6: "JPEG",
    7: "JPEG",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34892: "JPEG",
}
_LOSSY_TIFF |= {50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}
_SCALED = {2: 85, 4: 17}
"""What Pillow multiplies grey values of 2 and 4 bits by."""

SAVE_AS_PNG = "save masks as PNG, from the tool that made them"
_ONE_VALUE = "save it with one grey value or palette index for each class"


@dataclass(frozen=True)
class Mask:
    """A mask file.

    Attributes:
        values: grey values or indices of a palette, upright.
        palette: the colour of each index, where the file has a palette.
    """

    values: Labels
    palette: UInt8[np.ndarray, "index 3"] | None = None


def open_mask(path: Path) -> Mask:
    """Read a mask: grey, indices of a palette, or 0 and 1.

    Raises:
        InputError: missing, damaged, of a lossy format, of colours, with transparency or several frames.
    """
    header = read_header(path)  # its refusals name the file and the way out
    if how := _lossy(path, header.format):
        raise InputError(
            f"is a {how} file, whose compression blurs the values of a mask: neighbours of 0 and 255 would become "
            "classes",
            path=path,
            hint=SAVE_AS_PNG,
        )
    with loaded_image(path) as image:
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise InputError(
                f"has {frames} frames or pages, of which one mask would be read",
                path=path,
                hint="save each as a mask of its own",
            )
        values = _values(image, path)
        if header.format == "PNG" and image.mode == "L":
            values //= np.uint8(_SCALED.get(_grey_bits(path), 1))
        palette = _palette(image)
        turn = exif.turn_to_apply(image)
    return Mask(np.ascontiguousarray(exif.upright(values[..., None], turn)[..., 0]), palette)


def read_mask(path: Path) -> Labels:
    """The values of `open_mask`."""
    return open_mask(path).values


def _values(image: Image.Image, path: Path) -> Labels:
    """The pixels as they are stored."""
    if image.mode in ("P", "L"):
        return np.array(image)
    if image.mode == "1":
        return np.array(image).astype(np.uint8)
    values = np.asarray(image)
    if image.mode in ("RGBA", "LA", "PA"):
        _opaque(values[..., -1], path)
        values = values[..., :-1]
        if image.mode != "RGBA":
            return np.array(values[..., 0])
    if image.mode in ("RGB", "RGBA"):
        spread = int((values.max(2).astype(int) - values.min(2)).max(initial=0))
        if not spread:
            return np.array(values[..., 0])
        near = " that are almost grey, as after lossy compression" if spread <= 16 else ""
        raise InputError(f"is a mask of kind {image.mode}, with colours{near}", path=path, hint=_ONE_VALUE)
    if values.ndim == 2 and image.mode != "F" and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8)
    if values.ndim == 2 and image.mode != "F":
        raise InputError(
            f"is a mask of kind {image.mode}, with values from {values.min()} to {values.max()}, beyond 255",
            path=path,
            hint=_ONE_VALUE,
        )
    raise InputError(f"is a mask of kind {image.mode}, with colours or fractions", path=path, hint=_ONE_VALUE)


def _opaque(alpha: Labels, path: Path) -> None:
    if (alpha != 255).any():
        raise InputError(
            f"is transparent at {np.mean(alpha != 255):.0%} of its pixels, and what class those have is not said",
            path=path,
            hint="save it without transparency, with one grey value or palette index for each class",
        )


def _palette(image: Image.Image) -> UInt8[np.ndarray, "index 3"] | None:
    found = image.getpalette("RGB") if image.mode == "P" else None
    return None if found is None else np.array(found, np.uint8).reshape(-1, 3)


def _lossy(path: Path, kind: str) -> str | None:
    """What a file is called whose compression may have changed values; None if it cannot have."""
    if kind in ("JPEG", "MPO", "AVIF", "JPEG2000"):
        return kind
    if kind == "WEBP":
        return None if _is_lossless_webp(path) else "lossy WebP"
    if kind == "TIFF":
        with reading(path, "mask", again="restore the mask"), Image.open(path) as image:
            inside = _LOSSY_TIFF.get(image.tag_v2.get(_COMPRESSION, 1))  # type: ignore[attr-defined]
        return inside and f"{inside} in TIFF"
    return None


def _is_lossless_webp(path: Path) -> bool:
    """Whether the first picture is a "VP8L" chunk; others may stand before it (RFC 9649, 2.3)."""
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            kind, length = head[:4], int.from_bytes(head[4:], "little")
            if kind in (b"VP8L", b"VP8 "):
                return kind == b"VP8L"
            # A frame holds its picture's chunks behind 16 bytes of its own.
            file.seek(16 if kind == b"ANMF" else length + length % 2, 1)
    return False


def _grey_bits(path: Path) -> int:
    with path.open("rb") as file:
        return file.read(25)[24]
