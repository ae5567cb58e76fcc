from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """A session on two local cores, which all tests share; starting one takes as long as most of them."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java here")
    from boxwright.spark.session import spark_session

    with spark_session("local[2]") as session:
        yield session
