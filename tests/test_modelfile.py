from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from boxwright.errors import InputError
from boxwright.manifest import Manifest
from boxwright.modelfile import read_model, write_model
from boxwright.preprocess import Preprocess

MANIFEST = Manifest("toy", {}, ("cät", "dog"), (7, 3), Preprocess((32, 32)))
TENSORS = {
    "weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "half": np.ones((3, 1), np.float16),
    "step": np.array(5, np.int64),
    "mask": np.array([True, False, True]),
    "none": np.zeros((0, 4), np.float32),
}

dtypes = st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "model.safetensors", TENSORS, MANIFEST, extra={"step": "12"})
    return tmp_path / "model.safetensors"


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), arrays, max_size=5), st.dictionaries(st.text(max_size=5), st.text())
)
def test_written_and_read_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, np.ndarray], extra: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("model") / "ünï cödé.safetensors"
    write_model(path, tensors, MANIFEST, extra=extra)
    read = read_model(path)
    assert read.manifest == MANIFEST and read.extra == extra and read.tensors.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read.tensors[name].dtype == array.dtype and read.tensors[name].shape == array.shape
        assert read.tensors[name].tobytes() == array.tobytes()
        assert read.tensors[name].flags.aligned and read.tensors[name].flags.writeable


def test_the_library_reads_it_too(model: Path) -> None:
    theirs = safetensors.numpy.load_file(model)
    assert theirs.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(theirs[name], array)


def test_views_that_are_not_contiguous_are_written_as_they_look(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::-1].T
    write_model(tmp_path / "m.safetensors", {"a": array}, MANIFEST)
    np.testing.assert_array_equal(read_model(tmp_path / "m.safetensors").tensors["a"], array)


def test_a_flipped_byte_anywhere_is_refused(model: Path) -> None:
    good = model.read_bytes()
    for place in range(0, len(good), 3):
        damaged = bytearray(good)
        damaged[place] ^= (1, 32, 128, 255)[place % 4]
        model.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.safetensors: .*; "):
            read_model(model)
    model.write_bytes(good)
    read_model(model)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 0.5, -1, -64])
def test_a_cut_file_is_refused(model: Path, keep: float) -> None:
    good = model.read_bytes()
    length = int(len(good) * keep) if keep == 0.5 else int(keep) if keep >= 0 else len(good) + int(keep)
    model.write_bytes(good[:length])
    with pytest.raises(InputError, match=r"model\.safetensors: is (empty|cut short|not a).*again"):
        read_model(model)


def test_appended_bytes_are_refused(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(InputError, match="bytes too many"):
        read_model(model)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return Path.write_text, (Path("/tmp/boxwright-pickle-was-run"), "boom")  # type: ignore[return-value]


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb()))


def headed(header: object) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


DESCRIBED = {"boxwright": MANIFEST.to_json(), "sha256": "0" * 64}
FOREIGN: dict[str, tuple[bytes, str]] = {
    "pickle": (pickle.dumps(Bomb()), "a pickle.*boxwright never opens one.*safetensors"),
    "pickle 5": (pickle.dumps({"a": 1}, protocol=5), "a pickle"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "a web page.*download"),
    "html with space": (b"\n\n  <HTML><body>" + b" " * 99, "a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer.*git lfs pull"),
    "empty": (b"", "is empty"),
    "text": (b"hello, world, this is a text", "is not a .safetensors file"),
    "header bomb": ((2**63).to_bytes(8, "little") + b"{" + b" " * 100, "cut short or no model"),
    "header of 200 MB": ((200_000_000).to_bytes(8, "little") + b"{" + b" " * 100, "cut short or no model"),
    "no json": ((9).to_bytes(8, "little") + b"{aaaaaaa}", "header is damaged"),
    "deep json": ((200_000).to_bytes(8, "little") + b'{"a":' * 40_000, "header is damaged"),
    "a list": (headed({"a": 1})[:8] + b"{1:2}   ", "header is damaged"),
    "no metadata": (headed({}), "no boxwright description.*weights="),
    "other metadata": (headed({"__metadata__": {"format": "pt"}}), "no boxwright description"),
    "number as metadata": (headed({"__metadata__": {**DESCRIBED, "a": 1}}), "metadata that is no text"),
    "tensor that is none": (headed({"__metadata__": DESCRIBED, "a": 3}), "tensor 'a'"),
    "negative shape": (
        headed({"__metadata__": DESCRIBED, "a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}),
        "tensor 'a'",
    ),
    "unknown dtype": (
        headed({"__metadata__": DESCRIBED, "a": {"dtype": "PY", "shape": [0], "data_offsets": [0, 0]}}),
        "tensor 'a'",
    ),
    "huge tensor": (
        headed(
            {"__metadata__": DESCRIBED, "a": {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}}
        ),
        "cut short",
    ),
}


@pytest.mark.parametrize(("content", "says"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=rf"x\.safetensors: .*{says}"):
        read_model(tmp_path / "x.safetensors")
    assert not Path("/tmp/boxwright-pickle-was-run").exists()


def test_a_zipped_checkpoint_a_folder_and_nothing_are_refused(tmp_path: Path) -> None:
    zipped(tmp_path / "model.pt")
    for path, says in [("model.pt", "pickle"), (".", "cannot be read"), ("no.safetensors", "No such file")]:
        with pytest.raises(InputError, match=says):
            read_model(tmp_path / path)


def test_reserved_names_and_unknown_dtypes_are_a_defect(tmp_path: Path) -> None:
    for tensors, extra in [
        ({"__metadata__": np.zeros(1)}, {}),
        ({}, {"sha256": ""}),
        ({"a": np.zeros(1, "c8")}, {}),
    ]:
        with pytest.raises(ValueError, match=r"reserved|dtype"):
            write_model(tmp_path / "m.safetensors", tensors, MANIFEST, extra=extra)
    assert list(tmp_path.iterdir()) == []


def test_the_previous_file_is_kept_where_asked(model: Path, tmp_path: Path) -> None:
    before = model.read_bytes()
    write_model(model, {"a": np.zeros(3)}, MANIFEST, keep=tmp_path / "previous.safetensors")
    assert (tmp_path / "previous.safetensors").read_bytes() == before
    assert list(read_model(model).tensors) == ["a"]


WRITER = """
import sys
from pathlib import Path
import numpy as np
from boxwright.manifest import Manifest
from boxwright.modelfile import write_model
from boxwright.preprocess import Preprocess
manifest = Manifest("toy", {}, ("a",), (1,), Preprocess((32, 32)))
"""


def test_kill_at_any_moment_leaves_the_old_file_or_the_new(model: Path) -> None:
    loop = WRITER + (
        "for step in range(10_000):\n"
        "    tensors = {'a': np.full(300_000, step)}\n"
        "    write_model(Path(sys.argv[1]), tensors, manifest, extra={'step': str(step)})\n"
        "    print(step, flush=True)\n"
    )
    moments = random.Random(0)
    seen = -1
    for _ in range(10):
        child = subprocess.Popen([sys.executable, "-c", loop, str(model)], stdout=subprocess.PIPE)
        assert child.stdout is not None and child.stdout.readline()
        time.sleep(moments.uniform(0, 0.03))
        child.kill()
        child.wait()
        read = read_model(model)
        assert set(read.tensors["a"]) == {int(read.extra["step"])}
        seen = max(seen, int(read.extra["step"]))
    assert seen > 0  # otherwise no child was killed in the middle of its loop


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_a_full_disk_leaves_the_old_file_and_no_litter(model: Path) -> None:
    script = WRITER + (
        "import resource, signal\n"
        "from boxwright.errors import InputError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n"
        "    write_model(Path(sys.argv[1]), {'a': np.zeros(9_000)}, manifest)\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    before = model.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", script, str(model)], capture_output=True, text=True, check=True
    )
    assert "the disk is full; free some space" in done.stdout and str(model) in done.stdout
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]
