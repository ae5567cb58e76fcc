from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import InputError, printable
from boxwright.files import spreadsheet_cell, spreadsheet_text

EVIL = "a\x1b]0;PWNED\x07\x1b[31m\u202egpj.exe\x9b31m\u200b\x7f"


@given(st.text(max_size=300))
def test_what_is_printed_has_no_character_that_a_terminal_obeys(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


def test_an_error_shows_a_names_control_characters() -> None:
    said = str(InputError("cannot be read", path=EVIL + ".jpg"))
    assert said.isprintable() and "\\x1b[31m" in said and "\\u202e" in said
    assert len(str(InputError("x" * 100_000))) <= 2000


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-2+3+cmd|'x'!A0", "@SUM(A1)", "\t=1", "'=x", "''-x"])
def test_cells_that_a_spreadsheet_would_run_are_quoted_and_come_back(cell: str) -> None:
    assert str(spreadsheet_cell(cell)).startswith("'")
    assert spreadsheet_text(str(spreadsheet_cell(cell))) == cell


@given(st.text(max_size=12))
def test_every_cell_comes_back(cell: str) -> None:
    assert spreadsheet_text(str(spreadsheet_cell(cell))) == cell
    file = io.StringIO()
    csv.writer(file).writerow([spreadsheet_cell(cell)])
    assert not file.getvalue().lstrip('"').startswith(("=", "@", "\t"))


@pytest.mark.parametrize("cell", ["-1.5", "3", 4, -2.5, "cat"])
def test_numbers_and_plain_names_stay(cell: object) -> None:
    assert spreadsheet_cell(cell) == cell
