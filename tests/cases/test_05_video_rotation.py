"""Case 05: a video stored lying down with a display matrix is detected on, and written, as players show it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from boxwright.cli import main

av = pytest.importorskip("av")

TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
"""A quarter turn clockwise."""


def write(path: Path, image: np.ndarray, matrix: tuple[int, ...] | None) -> None:
    """Two equal frames without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=5)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "bgr0"
        if matrix is not None:
            stream.set_display_matrix(list(matrix))
        for frame in [*(av.VideoFrame.from_ndarray(image, format="rgb24") for _ in range(2)), None]:
            for packet in stream.encode(frame):
                container.mux(packet)


def test_a_phones_video_is_what_players_show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = np.full((160, 120, 3), 200, np.uint8)  # upright: higher than wide
    image[20:140, 40:80] = (150, 90, 60)
    image[30:60, 45:75] = (230, 190, 170)
    write(Path("upright.mkv"), image, None)
    write(Path("turned.mkv"), np.ascontiguousarray(np.rot90(image)), TURN)
    monkeypatch.setattr(
        sys, "argv", ["boxwright", "detect", "upright.mkv", "turned.mkv", "--json", "--score", "0.01"]
    )
    with pytest.raises(SystemExit) as stopped:
        main()
        raise SystemExit(0)
    assert not stopped.value.code
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    upright, turned = lines[:2], lines[2:]
    assert all((line["height"], line["width"]) == (160, 120) for line in lines)
    assert upright[0]["detections"]
    for one, other in zip(upright, turned, strict=True):
        assert one["detections"] == other["detections"]
    for name in ("upright.mkv.mp4", "turned.mkv.mp4"):
        with av.open(str(Path("runs/detect") / name)) as container:
            frame = next(container.decode(video=0))
            assert (frame.height, frame.width, frame.rotation) == (160, 120, 0)
