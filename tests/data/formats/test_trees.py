from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.data.formats.trees import grow, keeps, parse, values
from boxwright.data.records import Finding

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{("&" + chr(97 + i) + ";") * 10}">' for i in range(9))
    + "]><annotation><filename>&j;</filename></annotation>"
)
STRANGER = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'
)


def parsed(text: str | bytes, tmp_path: Path) -> tuple[ET.Element | None, list[Finding]]:
    found: list[Finding] = []
    file = tmp_path / "a.xml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse(file, found.append), found


@pytest.mark.parametrize("text", [BOMB, STRANGER, "<!DOCTYPE annotation><annotation/>"])
def test_a_doctype_is_refused_at_once(text: str, tmp_path: Path) -> None:
    start = time.process_time()
    tree, found = parsed(text, tmp_path)
    assert time.process_time() - start < 0.1
    assert tree is None and [f.check for f in found] == ["xml-doctype"]
    assert found[0].file == str(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("", "xml-syntax"),
        ("<annotation>", "xml-syntax"),
        ("<annotation>&undefined;</annotation>", "xml-syntax"),
        (b"<annotation>\xff</annotation>", "xml-syntax"),
        ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "xml-syntax"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "xml-syntax"),
        ("<html/>", "xml-shape"),
    ],
)
def test_what_is_no_annotation_is_reported(text: str | bytes, check: str, tmp_path: Path) -> None:
    tree, found = parsed(text, tmp_path)
    assert tree is None and [f.check for f in found] == [check]


def test_other_encodings_are_read(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        head = '<?xml version="1.0" encoding="latin-1"?>' if encoding == "latin-1" else ""
        tree, found = parsed(f"{head}<annotation><n>é</n></annotation>".encode(encoding), tmp_path)
        assert found == [] and tree is not None and values(tree) == {"n": "é"}


def test_deep_nesting_is_cut_off_and_does_not_crash(tmp_path: Path) -> None:
    tree, found = parsed("<annotation>" + "<a>" * 20_000 + "</a>" * 20_000 + "</annotation>", tmp_path)
    assert found == [] and tree is not None
    depth, inner = 0, values(tree)
    while inner:
        depth, inner = depth + 1, inner["a"]
    assert depth == 20


def test_numbers_are_only_read_where_they_would_be_written_the_same() -> None:
    text = (
        "<a><i>7</i><n>-3</n><f>0.5</f><z>007</z><e>1e5</e><big>123456789012345678901234567890</big><s/></a>"
    )
    assert values(ET.fromstring(text)) == {
        "i": 7,
        "n": -3,
        "f": 0.5,
        "z": "007",
        "e": "1e5",
        "big": "123456789012345678901234567890",
        "s": "",
    }


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab-1 ", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(content=st.dictionaries(st.text("ab-1 ", max_size=3), anything, max_size=3))
def test_what_is_said_to_be_kept_comes_back(content: dict[str, Any]) -> None:
    parent = ET.Element("annotation")
    grow(parent, content)
    ET.indent(parent, "\t")
    back = values(ET.fromstring(ET.tostring(parent, encoding="unicode")))
    assert back == {tag: value for tag, value in content.items() if keeps(tag, value)}
