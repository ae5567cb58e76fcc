"""Videos through PyAV (the extra [video]): frames one by one as a player shows them, in and out."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from boxwright.errors import InputError
from boxwright.foreign import in_words

RGB8 = UInt8[np.ndarray, "height width 3"]
Turned = UInt8[np.ndarray, "_ _ 3"]
Matrix = Sequence[float]
_CODECS = ("libx264", "libopenh264", "mpeg4")


def read_video(path: Path) -> Iterator[tuple[RGB8, float]]:
    """Frames of the best video stream (not of a cover picture), each with the stream's frames per second.

    Phones store portrait videos lying down, with a matrix that says how to show them: frames are turned and
    mirrored by it, as players do.

    Raises:
        InputError: PyAV is not installed; no video, or a damaged one (after the frames that could be read); one
            that is to be shown turned by other than quarters.
    """
    av = _av(path)
    frames = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.best("video")
            if stream is None:
                raise InputError("has no video stream", path=path)
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for frame in container.decode(stream):
                yield _upright(frame.to_ndarray(format="rgb24"), _display_matrix(frame), path), rate
                frames += 1
    except InputError:
        raise
    except Exception as error:  # FFmpeg's own, and whatever else a damaged stream leads PyAV into
        reason = f"{in_words(error)} after {frames} frames"
        raise InputError(
            f"the video cannot be decoded ({reason})", path=path, hint="convert it to MP4"
        ) from error
    if frames == 0:
        raise InputError("the video has no frames", path=path, hint="convert it to MP4")


def turned(pixels: RGB8, matrix: Matrix) -> Turned | None:
    """The frame as its display matrix has it; None where that is neither quarter turn nor mirroring.

    Args:
        pixels: the frame as stored.
        matrix: (a, b, c, d): the pixel at column p and row q is shown at column a p + c q and row b p + d q,
            but for where the picture begins (ISO 14496-12, section 6.2.2). How much it scales does not matter.

    >>> turned(np.zeros((4, 6, 3), np.uint8), (0, 1, -1, 0)).shape
    (6, 4, 3)
    """
    largest = max(map(abs, matrix))
    a, b, c, d = (round(value / largest, 1) if largest else 0.0 for value in matrix)
    if b == c == 0 and a and d:
        return np.ascontiguousarray(pixels[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1])
    if a == d == 0 and b and c:
        return np.ascontiguousarray(pixels.transpose(1, 0, 2)[:: 1 if b > 0 else -1, :: 1 if c > 0 else -1])
    return None


def _upright(pixels: RGB8, matrix: Matrix | None, path: Path) -> Turned:
    shown = pixels if matrix is None else turned(pixels, matrix)
    if shown is None:
        raise InputError(
            "the video is to be shown turned by other than quarters", path=path, hint="turn it beforehand"
        )
    return shown


def _display_matrix(frame: Any) -> Matrix | None:
    """(a, b, c, d) of the matrix that the container or the frame itself brings, or None."""
    data = next((bytes(one) for one in frame.side_data if one.type.name == "DISPLAYMATRIX"), None)
    if data is None or len(data) < 36:
        return None
    a, b, _, c, d, *_ = struct.unpack("=9i", data[:36])
    return a, b, c, d


class VideoWriter:
    """An MP4 that takes pictures one by one.

    Args:
        file: open for writing and seeking.
        rate: frames per second.
        size: (height, width) of every frame; an odd last row or column is left out, as the format wants.
    """

    def __init__(self, file: BinaryIO, rate: float, size: tuple[int, int]) -> None:
        self._av = _av(None)
        self._container = self._av.open(file, "w", format="mp4")
        codec = next(name for name in _CODECS if name in self._av.codecs_available)
        self._stream: Any = self._container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
        self._stream.height, self._stream.width = (max(2, side // 2 * 2) for side in size)
        self._stream.pix_fmt = "yuv420p"

    def write(self, image: RGB8) -> None:
        """Add a frame."""
        height, width = self._stream.height, self._stream.width
        even = np.ascontiguousarray(image[:height, :width])
        frame = self._av.VideoFrame.from_ndarray(even, format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file; it is not playable before."""
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()


def _av(path: Path | None) -> Any:
    try:
        import av
    except ImportError as error:
        raise InputError("videos need PyAV", path=path, hint='pip install "boxwright[video]"') from error
    return av
