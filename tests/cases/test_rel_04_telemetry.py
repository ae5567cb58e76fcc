from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

WATCHED = """
import os, sys
seen = []
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"):
        seen.append((event, str(arguments)[:80]))
sys.addaudithook(hook)
from boxwright.cli import main
sys.argv = ["boxwright", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
sockets = {os.readlink(link) for link in links if os.path.exists(link)}
assert not seen, seen
assert not [one for one in sockets if one.startswith("socket:")], sockets
"""


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_detecting_opens_no_socket_and_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    """With a home of its own, in which ONNX Runtime would keep a device id and a database of events."""
    home, work = tmp_path / "home", tmp_path / "work"
    for folder in (home, work):
        folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(work / "a.jpg")
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "TMPDIR": str(home / "tmp")}
    (home / "tmp").mkdir()
    environment = {k: v for k, v in os.environ.items() if "TELEMETRY" not in k} | places
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "detect", "a.jpg", "--out", "out", "--json"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert files(home) == set()
    assert {name.split("/")[0] for name in files(work)} == {"a.jpg", "out"}
