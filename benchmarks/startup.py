"""How long the first word takes: importing, and `boxwright --help`."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import Figure, seconds


def startup() -> list[Figure]:
    """Whole processes, less that of a Python that does nothing."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    empty, _ = seconds(lambda: run("-c", ""), 9)
    figures = []
    for name, arguments, target in (
        ("import boxwright", ("-c", "import boxwright"), "<= 0.1 s"),
        (
            "boxwright --help",
            ("-c", "import sys; sys.argv = ['boxwright', '--help']; from boxwright.cli import main; main()"),
            "<= 0.4 s",
        ),
    ):
        median, (low, high) = seconds(lambda arguments=arguments: run(*arguments), 9)
        versus = f"an empty Python takes {empty:.3f} s of it"
        figures.append(Figure(name, median, "s", target, (low, high), versus))
    return figures
