"""Names that are addresses of the network: nothing is fetched unless a download is asked for."""

from __future__ import annotations

import re
from pathlib import Path

from boxwright.errors import InputError

_ADDRESS = re.compile(r"(https?|ftp|s3|gs|az|abfss?|hdfs|rtsp):/", re.IGNORECASE)


def refuse_address(name: str | Path) -> None:
    """See that a name is no address of the network: nothing is fetched unless a download is asked for.

    Raises:
        InputError: it is one.
    """
    if match := _ADDRESS.match(str(name)):
        # A path drops the second slash.
        shown = f"{match[1]}://{str(name)[match.end() :].lstrip('/')}"
        raise InputError("is an address, and nothing is fetched", path=shown, hint="download it first")
