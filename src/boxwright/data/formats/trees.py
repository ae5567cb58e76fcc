"""XML read without a DOCTYPE, and XML to and from plain values (dicts, lists, text, numbers)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from boxwright.data.findings import finding
from boxwright.data.formats.text import UndecodableError, decoded
from boxwright.data.records import Report
from boxwright.regular import read_regular

_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# What XML 1.0 cannot hold at all, not even escaped (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class DoctypeError(Exception):
    """Raised inside the parser at the first sign of a DOCTYPE, before anything in it is read."""


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DoctypeError


def parse(file: Path, report: Report) -> ET.Element | None:
    """The root <annotation>, or None after reporting why there is none."""
    root = parse_any(file, report)
    if root is None or root.tag == "annotation":
        return root
    report(finding("xml-shape", file, "", f"has the root <{root.tag:.40}>, not <annotation>"))
    return None


def parse_any(file: Path, report: Report) -> ET.Element | None:
    """The root of an XML file in any encoding that it declares, or None after reporting why there is none."""
    try:
        parser = ET.XMLParser(target=_Builder())
        # As text: the parser itself knows few encodings.
        parser.feed(decoded(read_regular(file), xml=True))
        root: ET.Element = parser.close()
        return root
    except OSError as error:
        report(finding("file-unreadable", file, "", f"cannot be opened ({error.strerror or error})"))
    except UndecodableError as error:
        report(finding("xml-syntax", file, error.place, str(error)))
    except DoctypeError:
        report(finding("xml-doctype", file, "", "has a DOCTYPE, which is refused"))
    except Exception as error:  # whatever else the parser raises, the file is the cause
        report(finding("xml-syntax", file, "", f"is not XML ({error!s:.120})"))
    return None


def values(element: ET.Element, but: frozenset[str] = frozenset(), levels: int = 20) -> dict[str, Any]:
    """The child elements as plain values; a repeated one becomes a list.

    Args:
        element: the parent.
        but: tags to leave out.
        levels: how deep to go; a file nested deeper than that is no annotation.

    >>> values(ET.fromstring("<a><x>1</x><y>one</y><y>two</y><z><w>0.5</w></z></a>"))
    {'x': 1, 'y': ['one', 'two'], 'z': {'w': 0.5}}
    """
    found: dict[str, list[Any]] = {}
    for child in element:
        if child.tag not in but and levels:
            value = values(child, levels=levels - 1) if len(child) else _plain(child.text)
            found.setdefault(child.tag, []).append(value)
    return {tag: several if len(several) > 1 else several[0] for tag, several in found.items()}


def grow(parent: ET.Element, content: Mapping[str, Any], but: frozenset[str] = frozenset()) -> None:
    """Add `content` to an element: the inverse of `values`, for what XML can hold; the rest is left out."""
    for tag, value in content.items():
        if tag not in but and keeps(tag, value):
            _add(parent, tag, value)


def leaf(parent: ET.Element, tag: str, value: str | int | float) -> None:
    """Add an element with text; characters that no XML can hold become U+FFFD."""
    ET.SubElement(parent, tag).text = _FORBIDDEN.sub("\ufffd", _text(value))


def keeps(tag: Any, value: Any) -> bool:
    """Whether a value comes back from XML as it was."""
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        return False
    if isinstance(value, dict):
        return bool(value) and all(keeps(inner, held) for inner, held in value.items())
    if isinstance(value, list):
        return len(value) > 1 and all(not isinstance(held, list) and keeps(tag, held) for held in value)
    if not isinstance(value, (str, int, float)):
        return False
    text = _text(value)
    return _plain(text) == value and not _FORBIDDEN.search(text) and "\r" not in text


def _add(parent: ET.Element, tag: str, value: Any) -> None:
    if isinstance(value, dict):
        grow(ET.SubElement(parent, tag), value)
    elif isinstance(value, list):
        for held in value:
            _add(parent, tag, held)
    else:
        leaf(parent, tag, value)


def _text(value: str | int | float) -> str:
    """A value as XML text; a float that is whole is written as such, as annotation tools do."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return str(value)


def _plain(text: str | None) -> int | float | str:
    """XML has no types: what reads as a number, and would be written the same, is one."""
    text = (text or "").strip()
    if not text.removeprefix("-")[:1].isdigit() or len(text) > 24:
        return text
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return kind(text)
        except ValueError:
            continue
    return text
