from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

pytest.importorskip("pyspark", reason="the extra [spark] is not installed")
from pyspark.sql import SparkSession

from boxwright.cluster.extractor import build_graph
from boxwright.spark.session import spark_session

from .standalone import JAVA


@pytest.fixture(scope="session")
def java() -> str:
    path = shutil.which("java")
    if path is None:
        pytest.skip("there is no Java here")
    return path


@pytest.fixture(scope="session")
def spark(java: str) -> Iterator[SparkSession]:
    """A session on two local cores, which all tests share: starting one takes as long as most of them."""
    few = {"spark.sql.shuffle.partitions": "2", "spark.default.parallelism": "2"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in JAVA.items():
            environment.setenv(name, value)
        with spark_session("local[2]", few) as session:
            yield session


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small backbone with fresh weights."""
    return build_graph("efficientnet-lite0", "stage2", size=32, weights="none")
