from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from boxwright.compare import plots, record, summary, table
from boxwright.compare.page import page
from boxwright.compare.speed import LEAST, MOST, WARM_UP, in_turns
from boxwright.errors import InputError

FACTS = {"images": "9 to train", "weights": "auto", "train.lr": 0.1, "train.select": "AP50", "model.x": 1}


def write(out: Path, label: str, seed: int, ap50: float, number: int = 0, **facts: Any) -> None:
    folder = record.folder(out, label, seed)
    recipe, changes = facts.pop("recipe", "r"), facts.pop("changes", ())
    started = record.Started(label, seed, number, recipe, changes, 1_500_000, 2.0, FACTS | facts)
    record.write(folder / record.VARIANT, started)
    found = {"AP50": ap50, "AP": ap50 / 2, "VOC AP50": ap50}
    record.write(folder / record.RESULT, record.Result(found, "test", 7, 60.0 * (seed + 1), 100))
    rows = [(1, 0.1, 8.0), (2, ap50, 10.0)]
    text = "epoch,AP50,images_per_second\n" + "".join(f"{e},{a},{p}\n" for e, a, p in rows)
    (folder / "metrics.csv").write_text(text)


def test_means_and_deviations_by_hand(tmp_path: Path) -> None:
    for seed, ap50 in enumerate((0.5, 0.6, 0.7)):
        write(tmp_path, "a", seed, ap50, 1)
    write(tmp_path, "b", 0, 0.25, 0)
    found = summary.compare(record.gather(tmp_path), {}, data="d")
    assert [row.label for row in found.rows] == ["b", "a"]
    head, (second, first) = table.cells(found)
    assert head[:3] == ["model", "AP50", "AP"]
    # 50, 60, 70: mean 60, standard deviation 10; 1, 2 and 3 minutes: 2 and 1.
    assert first == ["a", "60.0 ± 10.0", "30.0 ± 5.0", "–", "1.50", "2.00", "2.0 ± 1.0", "9.0", "3"]
    assert second == ["b", "25.0", "12.5", "–", "1.50", "2.00", "1.0", "9.0", "1"]
    assert math.isnan(summary.spread([0.25]))
    assert found.tested == "test (7 images)"
    assert record.gather(tmp_path)[1].curve == ((1.0, 0.1), (2.0, 0.5))


def test_what_was_held_the_same_is_what_does_not_differ(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, 0.5)
    write(tmp_path, "b", 0, 0.5, **{"train.lr": 0.2, "model.x": 2})
    line = summary.held(record.gather(tmp_path))
    assert line.endswith("seed 0; starting weights (auto); every setting but model.x, train.lr.")
    # Of two recipes, their own settings are not the same things; other weights are no longer held.
    write(tmp_path, "c", 0, 0.5, recipe="other", weights="none")
    line = summary.held(record.gather(tmp_path))
    assert line.endswith("seed 0; every setting of training and augmentation but train.lr.")
    write(tmp_path, "d", 0, 0.5, images="8 to train")
    assert "images" not in summary.held(record.gather(tmp_path))


def test_the_page_lists_what_differs_and_says_once_what_does_not(tmp_path: Path) -> None:
    common = ("train.epochs=24", "train.freeze=3")
    write(tmp_path, "r", 0, 0.5, 0, changes=common)
    # A variant's own value overrules the common one, which then is not common.
    write(tmp_path, "own", 0, 0.5, 1, changes=(*common, "train.freeze=0", "augment.scale=0.5,2"))
    text = page(summary.compare(record.gather(tmp_path), {}, data="d"), tmp_path)
    assert "<p>All variants: r, train.epochs=24.</p>" in text
    settings = re.findall(r'<b>(.*?)</b><div class="soft">(.*?)</div>', text)
    assert settings == [("r", "train.freeze=3"), ("own", "train.freeze=0<br>augment.scale=0.5,2")]
    # Another recipe is named with the variant, unless that is called like it.
    write(tmp_path, "third", 0, 0.5, 2, recipe="s<", changes=("train.freeze=1",))
    text = page(summary.compare(record.gather(tmp_path), {}, data="d"), tmp_path)
    assert "All variants" not in text
    settings = re.findall(r'<b>(.*?)</b><div class="soft">(.*?)</div>', text)
    assert [what for _, what in settings] == [
        "train.epochs=24<br>train.freeze=3",
        "r<br>train.epochs=24<br>train.freeze=0<br>augment.scale=0.5,2",
        "s&lt;<br>train.freeze=1",
    ]


def test_names_from_outside_are_escaped_and_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", 0, 0.5)
    found = summary.compare(record.gather(tmp_path), {}, data="<b>x</b>", question="<i>why</i>")
    text = page(found, tmp_path)
    assert "<b>x</b>" not in text
    assert "&lt;i&gt;why&lt;/i&gt;" in text
    with pytest.raises(InputError, match="holds no comparison"):
        record.gather(tmp_path / "nothing")
    sound = (tmp_path / "runs/a-0/result.json").read_text()
    odd = ["1e999", "1e40", "Infinity", "1" + 400 * "0", '"x"', "[]"]
    values = json.loads(sound)
    for content in (
        "{",
        "[]",
        *(sound.replace(f'"seconds": {values["seconds"]}', f'"seconds": {o}') for o in odd),
    ):
        assert content != sound
        (tmp_path / "runs/a-0/result.json").write_text(content)
        with pytest.raises(InputError, match=r"result\.json: is damaged or no record of a comparison"):
            record.gather(tmp_path)


def test_names_in_a_crowded_plot_lie_apart() -> None:
    places = [(200.0 + 3 * k, 140.0 + 2 * (k % 3)) for k in range(10)]
    names = [f"variant number {k}" for k in range(10)]
    boxes = [
        (left, top, left + plots.LETTER * len(name), top + plots.LINE)
        for (left, top), name in zip(plots.labels(places, names), names, strict=True)
    ]
    for k, one in enumerate(boxes):
        assert one[0] >= 0 and one[2] <= plots.WIDTH and one[1] >= 0 and one[3] <= plots.HEIGHT
        for other in boxes[k + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_plot_holds_every_dot_with_its_bars_and_leaves_out_what_is_missing() -> None:
    dots = [
        plots.Dot("a & b", 0, 10.0, 50.0, (9.0, 11.0), (48.0, 52.0)),
        plots.Dot("far", 1, 400.0, 70.0, (390.0, 410.0), (70.0, 70.0)),
        plots.Dot("gone", 2, 20.0, math.nan, (20.0, 20.0), (math.nan, math.nan)),
    ]
    drawn = plots.scatter(dots, "ms", "AP50, %")
    assert drawn.count("<circle") == 2
    assert "a &amp; b" in drawn
    assert "gone" not in drawn
    # 10 to 400 is too far for an axis from nothing on: equal ratios are equal distances there.
    axis = plots.Axis(10, 1000, 200, log=True)
    assert axis(100) - axis(10) == pytest.approx(axis(1000) - axis(100))
    assert axis.ticks() == [10, 20, 50, 100, 200, 500, 1000]
    assert plots.Axis(40, 72, 100).ticks() == [40, 45, 50, 55, 60, 65, 70]
    assert plots.scatter([], "ms", "AP50, %") == plots.curves([], "AP50") == ""


def test_networks_are_timed_in_turns() -> None:
    asked: list[tuple[str, int]] = []

    def job(label: str, seconds: float) -> Any:
        def run(number: int) -> float:
            asked.append((label, number))
            return seconds

        return run

    times = in_turns({"a": job("a", 0.1), "b": job("b", 0.2)})
    assert asked[:4] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert set(times["a"]) == {0.1}
    assert set(times["b"]) == {0.2}
    assert LEAST <= len(times["a"]) == len(times["b"]) == MOST
    assert len(asked) == 2 * (MOST + WARM_UP)
