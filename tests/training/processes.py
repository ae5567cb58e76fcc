"""A program started in several processes that know of each other, as torchrun starts it."""

from __future__ import annotations

import os
import socket
import subprocess


def together(argv: list[str], count: int = 2) -> list[subprocess.Popen[str]]:
    """The same program in several processes that know of each other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [word.replace("{rank}", str(rank)) for word in argv],
            env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
