from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from boxwright.training.display import Lines, Live, Silent, Step, clock, shown

STEP = Step(40, 400, 3.25, 30.0, {"loss": 4.0, "classification": 2.5}, 0.001, 9.4, 754.0)


@given(st.integers(0, 10**6))
def test_the_clock_can_be_read_back(seconds: int) -> None:
    parts = [int(part) for part in clock(seconds).split(":")]
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == seconds


def test_lines_come_when_they_are_due() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.step(STEP, due=False)
    assert stream.getvalue() == ""
    lines.step(STEP, due=True)
    lines.figure("val AP50 0.5")
    assert stream.getvalue().splitlines() == [
        "    40/400  epoch 3.2/30  loss 4.000  classification 2.500  lr 0.001  9.4 images/s  12:34 to go",
        "val AP50 0.5",
    ]


def test_a_terminal_shows_loss_speed_time_and_the_last_validation() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160)
    live = Live(console)
    with live.bar:
        live.step(STEP, due=True)
        live.figure("val AP50 0.512  AP 0.3")
        live.say("[brackets] are not markup")
        live.bar.refresh()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in ("40/400", "loss 4.000", "9.4 images/s", "12:34 to go", "val AP50 0.512", "[brackets] are"):
        assert words in text


def test_only_the_first_process_talks() -> None:
    with shown(first=False) as show:
        assert isinstance(show, Silent)
    with shown(first=True) as show:  # pytest's output is no terminal
        assert isinstance(show, Lines)
