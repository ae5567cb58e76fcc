"""`boxwright demo`: from nothing to a trained detector, its report and pictures, with no data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[Path, typer.Option(help="Where scenes, model, report and pictures go.")] = Path(
        "runs/demo"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="A minute's run that only shows the way.")] = False,
    seed: Annotated[int, typer.Option(help="Of scenes and training.")] = 0,
) -> None:
    """Make scenes, train `ssd320-efficientnet-lite0` on them, evaluate it and detect on unseen scenes.

    The scenes are real handwritten digits over real photographs, both from installed packages; nothing is
    downloaded.

    **Examples**

    `boxwright demo`  350 iterations: five to ten minutes on two idle cores; to `runs/demo`

    `boxwright demo --quick --out /tmp/demo`
    """
    from boxwright.demo import run

    run(out, quick=quick, seed=seed)
