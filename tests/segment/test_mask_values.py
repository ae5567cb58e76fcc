"""Masks whose values are no classes are refused by one line; what is a class is read as it stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, features

from boxwright.errors import InputError
from boxwright.segment.data import open_labelled
from boxwright.segment.mask_values import beside_both
from boxwright.segment.masks import IGNORED
from boxwright.segment.reading import read_mask


def disc(value: int = 255, side: int = 40) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return (((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < side**2 / 9) * value).astype(np.uint8)


def data(root: Path, *masks: Image.Image, suffix: str = ".png", **options: object) -> Path:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.new("RGB", mask.size, (9, 99, 199)).save(root / f"images/{number}.png")
        mask.save(root / f"masks/{number}{suffix}", **options)
    return root


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", {}),
        (".webp", {"quality": 80}),
        (".tif", {"compression": "jpeg"}),
        (".jp2", {}),
        pytest.param(
            ".avif", {}, marks=pytest.mark.skipif(not features.check("avif"), reason="no AVIF here")
        ),
    ],
)
def test_lossy_files_are_refused(suffix: str, options: dict, tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc()), suffix=suffix, **options)
    with pytest.raises(InputError, match=rf"0\{suffix}: is a [\w ]+ file, whose compression blurs"):
        open_labelled(root)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".webp", {"lossless": True}),
        (".tif", {"compression": "tiff_lzw"}),
        (".tif", {}),
        (".bmp", {}),
    ],
)
def test_lossless_files_are_read(suffix: str, options: dict, tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc()), suffix=suffix, **options)
    found = open_labelled(root)
    assert found.classes.values == (0, 255)
    np.testing.assert_array_equal(found.read(0).labels, disc(1))


@pytest.mark.parametrize("factor", [2, 3])
def test_masks_that_were_resized_smoothly_are_refused_unless_the_classes_are_said(
    factor: int, tmp_path: Path
) -> None:
    small = Image.fromarray(disc())
    size = (small.width // factor, small.height // factor)
    root = data(tmp_path / "data", small.resize(size, Image.Resampling.BILINEAR))
    with pytest.raises(InputError, match=r"0\.png: has .* only on edges between a smaller and a greater"):
        open_labelled(root)
    sharp = data(tmp_path / "sharp", small.resize(size, Image.Resampling.NEAREST))
    assert open_labelled(sharp).classes.values == (0, 255)


def test_a_thin_class_may_be_said(tmp_path: Path) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 10], mask[:, 11:] = 1, 2
    root = data(tmp_path / "data", Image.fromarray(mask))
    with pytest.raises(InputError, match="has the value 1 only on edges"):
        open_labelled(root)
    assert open_labelled(root, classes="0=sky,1=rim,2=ground").classes.values == (0, 1, 2)


def test_an_ignored_rim_is_no_neighbour(tmp_path: Path) -> None:
    """As VOC has it: a small object whose every pixel lies between the background and the rim of 255."""
    mask = np.zeros((20, 20), np.uint8)
    mask[5:8, 5:8], mask[6, 6] = 255, 15
    mask[10:18, 10:18] = 3
    root = data(tmp_path / "data", Image.fromarray(mask))
    assert open_labelled(root).classes.values == (0, 3, 15)


def test_one_class_with_two_values_is_refused(tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc(1)), Image.fromarray(disc(255)))
    with pytest.raises(
        InputError, match=r"1\.png: has 255 where 0\.png has 1, as if one class had two values"
    ):
        open_labelled(root)
    # With 255 in one mask beside 1, it is what is to be ignored.
    both = disc(1)
    both[:2] = 255
    root = data(tmp_path / "ignored", Image.fromarray(both))
    assert open_labelled(root).classes.values == (0, 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency(mode: str, tmp_path: Path) -> None:
    opaque = Image.fromarray(disc()).convert(mode)
    root = data(tmp_path / "opaque", opaque)
    np.testing.assert_array_equal(open_labelled(root).read(0).labels, disc(1))
    opaque.putalpha(Image.fromarray(disc()))
    root = data(tmp_path / "clear", opaque)
    with pytest.raises(InputError, match=r"0\.png: is transparent at \d+% of its pixels"):
        open_labelled(root)


def test_a_mask_is_turned_as_its_file_says(tmp_path: Path) -> None:
    mask = disc(side=40)[:, :30]
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    root = data(tmp_path / "data", Image.fromarray(mask), exif=exif)
    Image.new("RGB", (40, 30)).save(root / "images/0.png")
    np.testing.assert_array_equal(read_mask(root / "masks/0.png"), np.rot90(mask, -1))
    assert open_labelled(root).read(0).labels.shape == (30, 40)


def test_an_index_mask_that_was_smoothed_is_refused_though_each_value_is_a_class(tmp_path: Path) -> None:
    """Between 0 and 14 the edge has all classes that there are, and those are solid elsewhere."""
    solid = np.repeat(np.random.default_rng(0).permutation(15), 4)[None].repeat(60, 0).astype(np.uint8)
    small = Image.fromarray(disc(14)).resize((30, 30), Image.Resampling.BILINEAR)
    smooth = small.resize((60, 60), Image.Resampling.BILINEAR)
    root = data(tmp_path / "data", Image.fromarray(solid), smooth)
    with pytest.raises(InputError, match=r"1\.png: has \d+ values only on edges"):
        open_labelled(root)
    (root / "classes.txt").write_text("\n".join(f"c{value}" for value in range(15)))
    with pytest.raises(InputError, match=r"1\.png: has \d+ values only on edges"):
        open_labelled(root)
    assert len(open_labelled(root, classes=",".join(f"{v}=c{v}" for v in range(15))).classes.names) == 15


@pytest.mark.parametrize("value", [1, 2, 7])
def test_255_in_some_masks_and_another_value_in_others(value: int, tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc()), Image.fromarray(disc(value)))
    with pytest.raises(InputError, match=rf"0\.png: has 255 where 1\.png has {value}"):
        open_labelled(root)
    found = open_labelled(root, classes=f"0=rest,{value}=disc")
    assert set(np.unique(found.read(0).labels)) == {0, IGNORED}


def test_masks_of_one_bit_beside_masks_of_255(tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc()), Image.fromarray(disc() > 0))
    with pytest.raises(InputError, match=r"0\.png: has 255 where 1\.png has 1"):
        open_labelled(root)


def test_validation_masks_of_another_convention(tmp_path: Path) -> None:
    data(tmp_path / "train", Image.fromarray(disc(1)))
    data(tmp_path / "val", Image.fromarray(disc()))
    learned = open_labelled(tmp_path, "train")
    with pytest.raises(InputError, match=r"val/masks/0\.png: has 255, which is ignored, and none of .* 0, 1"):
        open_labelled(tmp_path, "val", learned.classes)


def painted(mask: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette([part for colour in colours for part in colour])
    return image


def test_palettes_that_differ_say_no_class(tmp_path: Path) -> None:
    black, white = (0, 0, 0), (255, 255, 255)
    root = data(tmp_path / "data", painted(disc(1), black, white), painted(1 - disc(1), white, black))
    with pytest.raises(InputError, match=r"1\.png: gives palette index 0 another colour than 0\.png"):
        open_labelled(root)
    assert open_labelled(root, classes="0=a,1=b").classes.values == (0, 1)
    assert open_labelled(data(tmp_path / "alike", painted(disc(1), black, white))).classes.values == (0, 1)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_values_of_few_bits_are_as_they_are_stored(bits: int, tmp_path: Path) -> None:
    """Pillow spreads them over 0 to 255, whereupon the last class would be ignored."""
    values = np.tile(np.arange(4, dtype=np.uint8), (3, 2))
    path = tmp_path / "a.png"
    painted(values, *((value,) * 3 for value in range(4))).save(path, bits=bits)
    content = bytearray(path.read_bytes())
    content[25] = 0  # grey instead of indices
    content[29:33] = PngImagePlugin._crc32(bytes(content[12:29])).to_bytes(4, "big")
    path.write_bytes(content)
    assert Image.open(path).mode == "L"
    np.testing.assert_array_equal(read_mask(path), values)


def test_sixteen_bits_almost_grey_and_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(disc().astype(np.uint16) * 257).save(path)
    with pytest.raises(InputError, match=r"a\.png: is a mask of kind I;16, with values from 0 to 65535"):
        read_mask(path)
    Image.fromarray(np.stack([disc(), disc(), np.clip(disc(), 3, 255)], 2)).save(path)
    with pytest.raises(InputError, match="with colours that are almost grey"):
        read_mask(path)
    page = Image.fromarray(disc())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(InputError, match=r"a\.tif: has 2 frames or pages"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("turn", range(2, 9))
def test_masks_that_are_not_turned_as_their_pictures_are(turn: int, tmp_path: Path) -> None:
    root = data(tmp_path / "data", Image.fromarray(disc()[:, :30]))
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (30, 40)).save(root / "images/0.png", exif=exif)
    if turn >= 5:
        with pytest.raises(
            InputError, match=rf"its EXIF orientation {turn} has turned; draw masks on upright"
        ):
            open_labelled(root)
        return
    (warning,) = open_labelled(root).warnings
    assert warning.startswith("1 pictures are turned or mirrored by EXIF and their masks are not (0.png)")
    Image.fromarray(disc()[:, :30]).save(root / "masks/0.png", exif=exif)
    assert open_labelled(root).warnings == ()


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=30)
def test_beside_both_by_loops(seed: int, kinds: int) -> None:
    mask = np.random.default_rng(seed).integers(100, 101 + kinds, (5, 6)).astype(np.uint8)
    found = beside_both(mask)
    for row in range(5):
        for column in range(6):
            near = mask[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            value = mask[row, column]
            assert found[row, column] == ((near < value).any() and (near > value).any())
