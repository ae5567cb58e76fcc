"""Videos through PyAV (the extra [video]): frames one by one, in and out."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from boxwright.errors import InputError

RGB8 = UInt8[np.ndarray, "height width 3"]
_CODECS = ("libx264", "libopenh264", "mpeg4")


def read_video(path: Path) -> Iterator[tuple[RGB8, float]]:
    """Frames of the first video stream, each with the stream's frames per second.

    Raises:
        InputError: PyAV is not installed; no video, or a damaged one (after the frames that could be read).
    """
    av = _av(path)
    frames = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError("has no video stream", path=path)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for frame in container.decode(stream):
                yield frame.to_ndarray(format="rgb24"), rate
                frames += 1
    except av.FFmpegError as error:
        reason = f"{error.strerror or error} after {frames} frames"
        raise InputError(
            f"the video cannot be decoded ({reason})", path=path, hint="convert it to MP4"
        ) from error
    if frames == 0:
        raise InputError("the video has no frames", path=path, hint="convert it to MP4")


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
