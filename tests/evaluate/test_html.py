from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boxwright.evaluate import evaluate
from boxwright.evaluate.html import page, summary

from .cases import dataset, random_case, result, sample

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects what the laws below are about, and insists on balanced tags."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.ids, self.text = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def policy(self):
        return next(value for tag, name, value in self.attributes if tag == "meta" and "default-src" in value)


EVIL = '<script>alert("1")</script>&\'"'


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    data, results = random_case(3, images=12, classes=4)
    samples = []
    for place, one in enumerate(data):
        path = folder / f"<b>{place}.jpg"
        Image.fromarray(rng.integers(0, 255, (480, 640, 3), np.uint8)).save(path)
        samples.append(replace(one, path=path))
    evil = replace(data, samples=tuple(samples), root=folder, classes=(EVIL, *data.classes[1:]), split=EVIL)
    return evaluate(evil, results, model_facts={"name": EVIL, EVIL: "x"}, speed={EVIL: 3.0}, notes=[EVIL])


@pytest.fixture(scope="module")
def text(report):
    return page(report)


def test_it_parses_and_has_every_section(text):
    parsed = Page(text)
    assert [tag for tag in parsed.tags if tag == "section"] == ["section"] * 9
    assert len(set(parsed.ids)) == len(parsed.ids)
    links = {value[1:] for tag, name, value in parsed.attributes if tag == "a" and name == "href"}
    assert links == set(parsed.ids)


def test_nothing_is_loaded_and_nothing_runs(text):
    parsed = Page(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    for tag, name, value in parsed.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert value.startswith("#") or value.startswith("data:image/jpeg;base64,"), (
                tag,
                name,
                value[:60],
            )
    assert not re.search(r"url\(|@import|https?://", text)


def test_it_keeps_its_own_strict_policy(text):
    parsed = Page(text)
    policy = parsed.policy()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert not [tag for tag, name, _ in parsed.attributes if name == "style"]


def test_names_from_outside_are_text(text):
    assert "<script" not in text
    assert "<b>0" not in text
    shown = "".join(Page(text).text)
    assert shown.count('<script>alert("1")</script>') > 5
    assert any("<b>" in value for tag, name, value in Page(text).attributes) or "<b>" in shown


def test_pictures_are_inside_and_small(text):
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert len(sources) > 20
    for source in sources:
        assert base64.b64decode(source).startswith(b"\xff\xd8\xff")
    assert len(text) < 6_000_000  # of noise, which compresses worst


def test_a_picture_that_is_gone_leaves_its_caption(report, tmp_path):
    without = page(replace(report, root=str(tmp_path)))
    assert "cannot be read" in without
    assert "data:image/jpeg" not in without
    Page(without)


@pytest.mark.parametrize("images", [0, 1])
def test_an_empty_report_is_a_page(images):
    data = dataset([sample([[0, 0, 9, 9]], [0])] * images, ["a"])
    text = page(evaluate(data, [result()] * images))
    Page(text)
    assert "nan" not in text.replace("background", "")


def test_the_headline_says_what_the_numbers_say():
    data = dataset([sample([[0, 0, 50, 50], [100, 0, 150, 50]], [0, 0])], ["a"])
    report = evaluate(data, [result([[0, 0, 50, 50]], [0.9], [0])], threshold=0.5)
    words = " ".join("".join(Page(page(report)).text).split())
    assert "Of 100 objects it finds 50; of 100 boxes it draws, 100 are right." in words


def test_the_notebook_gets_a_short_and_escaped_summary(report):
    short = report._repr_html_()
    Page(short)
    assert short == summary(report)
    assert len(short) < 4_000
    assert "<script" not in short


def test_real_photographs(shared, tmp_path):
    from boxwright.data import open_dataset

    whole = open_dataset(shared / "data" / "bccd", "test")
    data = whole.subset(range(12))
    rng = np.random.default_rng(0)
    results = [
        result(s.boxes + rng.normal(0, 6, s.boxes.shape), np.sort(rng.random(len(s.boxes)))[::-1], s.labels)
        for s in data
    ]
    path = evaluate(data, results, model_facts={"name": "made up"}).save(tmp_path)
    assert path == Path(tmp_path) / "report.html"
    assert path.stat().st_size < 3_000_000
    Page(path.read_text(encoding="utf-8"))
