"""What is wrong with a master, or with this machine, is one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.errors import InputError
from boxwright.spark import session


@pytest.mark.parametrize(
    "master", ["", "nonsense", "local[x]", "spark://", "spark://host", "http://host:7077"]
)
def test_what_is_no_master_s_name_is_told_before_spark_starts(java: str, master: str) -> None:
    with pytest.raises(InputError, match="no Spark master is called"), session.spark_session(master):
        pass


def test_a_master_that_does_not_answer_is_told(java: str) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody else can answer there.
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match=r"no Spark master answers at spark://127\.0\.0\.1"):
            session._check(f"spark://127.0.0.1:{taken.getsockname()[1]}")


@pytest.mark.parametrize("master", ["local", "local[2]", "local[*]", "local[2,4]", "local-cluster[2,1,1024]"])
def test_what_is_a_master_s_name_needs_java_alone(
    master: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(InputError, match="Spark needs Java"):
        session._check(master)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="Spark needs Java"):
        session._check(master)


def test_no_pyspark_is_told_with_the_extra(tmp_path: Path) -> None:
    # A package of its name that cannot be found hides the real one.
    script = (
        "import sys; sys.modules['pyspark'] = None\n"
        "from boxwright.cli import main\n"
        f"sys.argv = ['boxwright', 'detect', 'everyday', {str(tmp_path)!r}, '--spark', 'local[2]']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "boxwright[spark]"' in done.stderr


def test_an_output_whose_name_java_cannot_be_told_is_refused() -> None:
    from boxwright.cli.on_spark import _target

    with pytest.raises(InputError, match="its name is not UTF-8"):
        _target(Path(os.fsdecode(b"a\xff")))
    assert _target(Path("/a/b")) == "/a/b"
