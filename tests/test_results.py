"""What a person gets back: selecting, drawing, writing, showing."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.draw import class_colour
from boxwright.errors import InputError
from boxwright.results import Result


def a_result(**changes: object) -> Result:
    whole = Result(
        boxes=np.array([[10, 40, 60, 90], [70, 20, 110, 60]], np.float32),
        scores=np.array([0.9, 0.4], np.float32),
        labels=np.array([90, 7]),
        index=np.array([2, 0]),
        names=("zebra", "<b>cat</b>"),
        size=(100, 120),
        image=np.full((100, 120, 3), 80, np.uint8),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_selecting_keeps_what_belongs_together() -> None:
    result = a_result()
    high = result[result.scores > 0.5]
    assert high.names == ("zebra",) and high.labels.tolist() == [90] and high.boxes.shape == (1, 4)
    assert result[np.array([1, 0])].names == ("<b>cat</b>", "zebra")
    assert result[:1].names == ("zebra",) and len(result[[]]) == 0


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        a_result(names=("zebra",))


def test_a_dict_is_plain_json() -> None:
    read = json.loads(json.dumps(a_result(path=Path("a.jpg")).to_dict()))
    assert read["detections"][1] == {"box": [70, 20, 110, 60], "score": 0.4, "label": 7, "name": "<b>cat</b>"}
    assert (read["path"], read["height"], read["width"]) == ("a.jpg", 100, 120)


def test_a_plot_has_each_box_in_the_colour_of_its_class() -> None:
    drawn = a_result().plot()
    assert tuple(drawn[65, 10]) == class_colour(2) and tuple(drawn[40, 70]) == class_colour(0)


def test_a_plot_reads_the_file_when_the_image_was_not_kept(tmp_path: Path) -> None:
    Image.fromarray(a_result().image).save(tmp_path / "a.png")
    drawn = a_result(image=None, path=tmp_path / "a.png").plot()
    np.testing.assert_array_equal(drawn, a_result().plot())


def test_nothing_to_draw_on_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no image to draw on"):
        a_result(image=None).plot()
    with pytest.raises(InputError, match=r"gone\.png"):
        a_result(image=None, path=tmp_path / "gone.png").plot()


def test_saving_writes_the_plot(tmp_path: Path) -> None:
    written = a_result().save(str(tmp_path / "new" / "a.png"))
    with Image.open(written) as read:
        np.testing.assert_array_equal(np.asarray(read), a_result().plot())


def test_a_notebook_shows_picture_and_table_without_running_names() -> None:
    shown = a_result(path=Path("<i>.jpg"))._repr_html_()
    picture = re.search(r'src="data:image/jpeg;base64,([^"]+)"', shown)
    assert picture and base64.b64decode(picture[1])[:3] == b"\xff\xd8\xff"
    assert "<b>cat" not in shown and html.escape("<b>cat</b>") in shown and "<i>" not in shown
    assert "http" not in shown


def test_a_notebook_shows_large_and_empty_and_lost_results(tmp_path: Path) -> None:
    many = Result(
        boxes=np.zeros((50, 4), np.float32),
        scores=np.ones(50, np.float32),
        labels=np.zeros(50, np.int64),
        index=np.zeros(50, np.int64),
        names=("a",) * 50,
        size=(1500, 3000),
        image=np.zeros((1500, 3000, 3), np.uint8),
    )
    shown = many._repr_html_()
    assert shown.count("<tr>") == 21 and "and 30 more" in shown and len(shown) < 200_000
    assert "nothing detected" in many[[]]._repr_html_()
    lost = a_result(image=None, path=tmp_path / "gone.png")._repr_html_()
    assert "gone.png" in lost and "zebra" in lost


def test_supervision_gets_the_same_boxes() -> None:
    pytest.importorskip("supervision")
    detections = a_result().to_supervision()
    np.testing.assert_array_equal(detections.xyxy, a_result().boxes)
    assert detections.class_id.tolist() == [90, 7]
    assert detections.data["class_name"].tolist() == ["zebra", "<b>cat</b>"]
    assert len(a_result()[[]].to_supervision()) == 0


def test_a_missing_supervision_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)  # what Python itself does for a known absence
    with pytest.raises(ImportError, match="pip install supervision"):
        a_result().to_supervision()


def test_results_and_drawing_need_no_torch() -> None:
    code = "import sys, boxwright.results, boxwright.draw; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
