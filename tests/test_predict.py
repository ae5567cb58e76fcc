from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boxwright.errors import InputError
from boxwright.inputs import pad_batch
from boxwright.manifest import Manifest
from boxwright.predict import Predictor
from boxwright.preprocess import Preprocess
from boxwright.results import Result

PLAIN = Preprocess((32, 32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Middle:
    """Says "dog" (index 1) of the middle half of an image, its mean red as the score; and one below."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(
        self, images: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        self.shapes.append(images.shape)
        height, width = sizes[:, 0].astype(np.float32), sizes[:, 1].astype(np.float32)
        middle = np.stack([width / 4, height / 4, width * 3 / 4, height * 3 / 4], -1)
        over = np.stack([-width, -height, 2 * width, 2 * height], -1)  # leaves the image on every side
        red = np.array(
            [image[0, :h, :w].mean() for image, (h, w) in zip(images, sizes, strict=True)], np.float32
        )
        batch = len(images)
        return (
            np.stack([middle, over, np.zeros_like(over)], 1),
            np.stack([red, red / 2, np.ones(batch, np.float32)], 1),
            np.tile(np.array([1, 0, 0], np.int64), (batch, 1)),
            np.tile(np.array([True, True, False]), (batch, 1)),
        )


def predictor(preprocess: Preprocess = PLAIN, score: float = 0.0) -> Predictor:
    return Predictor(Middle(), Manifest("toy", {}, ("cat", "dog"), (90, 7), preprocess, score))


def shade(height: int, width: int, level: int) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=5),
    st.sampled_from(["stretch", "shorter-side"]),
    st.sampled_from([1, 32]),
    st.integers(1, 4),
)
def test_boxes_come_back_in_the_image_s_own_pixels(
    sizes: list[tuple[int, int]], mode: str, multiple: int, batch: int
) -> None:
    preprocess = replace(PLAIN, size=(32, 48), mode=mode, pad_multiple=multiple)
    images = [shade(h, w, 40 * (i + 1)) for i, (h, w) in enumerate(sizes)]
    results = predictor(preprocess).predict(images, batch=batch)
    assert len(results) == len(images)
    for i, (result, (height, width)) in enumerate(zip(results, sizes, strict=True)):
        expected = [width / 4, height / 4, width * 3 / 4, height * 3 / 4]
        np.testing.assert_allclose(result.boxes, [expected, [0, 0, width, height]], rtol=1e-5)
        np.testing.assert_allclose(result.scores, np.array([1, 0.5]) * 40 * (i + 1) / 255, rtol=1e-4)
        assert result.names == ("dog", "cat") and result.labels.tolist() == [7, 90]
        assert result.index.tolist() == [1, 0] and result.size == (height, width)


def test_every_kind_of_image_gives_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    file = tmp_path / "größe 图.png"
    Image.fromarray(pixels).save(file)
    floats = pixels.transpose(2, 0, 1).astype(np.float32) / 255
    tensor = torch.from_numpy(floats)
    model = predictor()
    [expected] = model.predict(pixels)
    kinds = [
        file,
        str(file),
        Image.fromarray(pixels),
        floats,
        floats.astype(np.float64),
        tensor,
        tensor.double(),
    ]
    for image in kinds:
        [result] = model.predict(image)
        np.testing.assert_allclose(result.scores, expected.scores, atol=2e-3)  # 8-bit resizing rounds
        np.testing.assert_array_equal(result.boxes, expected.boxes)
        assert result.path == (file if isinstance(image, str | Path) else None)
    assert len(model.predict(torch.stack([tensor, tensor]))) == 2
    assert len(model.predict(kinds)) == len(kinds)
    assert model.predict([]) == []
    [half] = model.predict(tensor.bfloat16())
    np.testing.assert_allclose(half.scores, expected.scores, atol=5e-3)


def test_the_threshold_is_the_model_s_unless_given() -> None:
    image = shade(8, 8, 128)  # scores of about 0.5 and 0.25
    assert len(predictor(score=0.3).predict(image)[0]) == 1
    assert len(predictor(score=0.3).predict(image, score=0.1)[0]) == 2
    assert len(predictor(score=0.3).predict(image, score=0.9)[0]) == 0
    for score in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"choose one in \[0, 1\]"):
            predictor().predict(image, score=score)


def test_an_image_held_sideways_is_turned_first(tmp_path: Path) -> None:
    image = Image.fromarray(shade(10, 30, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    for source in (tmp_path / "a.jpg", Image.open(tmp_path / "a.jpg")):
        assert predictor().predict(source)[0].size == (30, 10)


def test_images_are_kept_only_when_asked_for() -> None:
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    assert predictor().predict(image)[0].image is None
    for source in (image, image.transpose(2, 0, 1).astype(np.float32) / 255):
        kept = predictor().predict(source, keep_images=True)[0].image
        np.testing.assert_array_equal(kept, image)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((5, 5), np.uint8), r"uint8 and shape \[5, 5\].*give a path"),
        (np.zeros((5, 5, 4), np.uint8), r"shape \[5, 5, 4\]"),
        (np.zeros((0, 5, 3), np.uint8), r"shape \[0, 5, 3\]"),
        (np.zeros((5, 5, 3), np.float32), r"float32 and shape \[5, 5, 3\]"),
        (np.zeros((3, 5, 5), np.int64), "int64"),
        (np.full((3, 5, 5), 255, np.float32), r"255 to 255.*scale it to \[0, 1\]"),
        (np.full((3, 5, 5), np.nan, np.float32), "nan"),
        (torch.zeros(3, 5, 5, dtype=torch.uint8), r"uint8 and shape \[3, 5, 5\]"),
        ({"a": 1}.values(), "cannot detect on a int"),
        (7, "cannot detect on a int.*give a path"),
        (None, "NoneType"),
        ("nowhere.jpg", "nowhere.jpg: no such file"),
    ],
)
def test_what_is_no_image_is_refused(image: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        predictor().predict(image)


def test_a_damaged_pillow_image_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"a\.png: cannot be decoded"):
        predictor().predict(Image.open(tmp_path / "a.png"))


def test_bad_files_are_skipped_in_their_place(tmp_path: Path) -> None:
    paths = []
    for i in range(7):
        paths.append(tmp_path / f"{i}.png")
        if i in (0, 3, 6):
            paths[-1].write_bytes(b"" if i else b"no image")
        else:
            Image.fromarray(shade(8, 8, 10 * i)).save(paths[-1])
    found = list(predictor().stream(paths, batch=3, on_error="skip"))
    for path, item in zip(paths, found, strict=True):
        if isinstance(item, Result):
            assert item.path == path and round(float(item.scores[0]) * 255) == 10 * int(path.stem)
        else:
            assert item[0] == path and path.stem in "036" and str(path) in str(item[1])
    before = []
    with pytest.raises(InputError, match=r"0\.png"):
        before.extend(predictor().stream(paths, batch=3))
    assert before == []
    with pytest.raises(InputError, match=r"3\.png"):
        before.extend(predictor().stream(paths[1:], batch=3))
    assert len(before) == 2


def test_batches_are_full_and_of_one_size() -> None:
    model = predictor()
    model.predict([shade(20 + i, 30, 9) for i in range(7)], batch=3)
    assert isinstance(model.engine, Middle)
    assert model.engine.shapes == [(3, 3, 32, 32), (3, 3, 32, 32), (1, 3, 32, 32)]


def test_a_stream_holds_only_a_few_images() -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield shade(300, 300, 50)

    results = predictor().stream(endless(), batch=4)
    tracemalloc.start()
    next(results)
    early = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        next(results)
    late = tracemalloc.get_traced_memory()[0]
    results.close()  # type: ignore[attr-defined]
    tracemalloc.stop()  # once no thread of the stream allocates: before, CPython 3.11 may crash (gh-128679)
    assert taken <= 101 + 2 * 4 + 2
    assert late - early < 3 * 300 * 300 * 4  # less than four images more


def test_padding_is_right_and_below_and_zero() -> None:
    batch = pad_batch([np.ones((3, 2, 5), np.float32), np.ones((3, 4, 3), np.float32)], multiple=4)
    assert batch.shape == (2, 3, 4, 8)
    assert batch[0, :, :2, :5].all() and batch[0].sum() == 30
    assert batch[1, :, :4, :3].all() and batch[1].sum() == 36


def test_few_large_images_are_kept_at_a_time(tmp_path, monkeypatch):
    """With pictures to draw, images wait in memory: as many as fit, and one in any case."""
    from boxwright import predict

    paths = [tmp_path / f"{i}.png" for i in range(8)]
    for path in paths:
        Image.new("RGB", (40, 30)).save(path)
    bytes_each = 40 * 30 * 3
    for fit, most in ((0.5, 2), (2, 3), (100, 8)):
        monkeypatch.setattr(predict, "_KEPT", int(fit * bytes_each))
        pulled = 0

        def feed():
            nonlocal pulled
            for path in paths:
                pulled += 1
                yield path

        furthest = given = 0
        for result in predictor().stream(feed(), batch=8, keep_images=True):
            furthest = max(furthest, pulled - given)
            given += 1
            assert result.image.shape == (30, 40, 3)
        assert given == 8
        # Those of the chunk, those read ahead of the next, and one whose size has been looked at.
        assert furthest <= 2 * most + 1, (fit, furthest)
