"""A painting from its first iteration to its file, with pictures of it on the way, and what it needs to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from boxwright.draw import write_picture
from boxwright.errors import InputError
from boxwright.perceptual.style import Painting
from boxwright.training.memory import keep_freed_memory
from boxwright.training.stop import Interrupted, StopRequest

Watch = Callable[[Iterable[Painting]], Iterable[Painting]]


@dataclass(frozen=True)
class Painted:
    """What a painting came to.

    Attributes:
        image: the picture.
        first: losses of what it began with, seen at the size of the result.
        last: losses of the result.
        iterations: done in all.
        seconds: spent in all, over all parts of a resumed painting.
    """

    image: UInt8[np.ndarray, "height width 3"]
    first: dict[str, float]
    last: dict[str, float]
    iterations: int
    seconds: float


def paint(
    painting: Painting,
    out: Path,
    *,
    every: int = 50,
    resume: bool = False,
    overwrite: bool = False,
    watch: Watch = iter,
) -> Painted:
    """Paint to the end and write the picture.

    On the way the picture as it stands is in `preview_of(out)`, and what is needed to go on in `state_of(out)`; at the
    end both are removed.

    Args:
        painting: that has not begun.
        out: the picture's file.
        every: iterations between two previews.
        resume: go on with the painting that was stopped on its way to `out`.
        overwrite: leave such a painting for a new one.
        watch: sees the painting pass by after each iteration.

    Raises:
        InputError: a file that cannot be written or is no picture, nothing to resume, or something that would be lost.
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
    """
    state, preview = state_of(out), preview_of(out)
    if resume and not state.is_file():
        raise InputError("there is nothing to resume", path=state, hint="leave --resume out")
    if state.is_file() and not resume and not overwrite:
        raise InputError(
            "a painting was stopped here",
            path=state,
            hint="give --resume to go on, or --overwrite to begin anew",
        )
    if resume:
        painting.restore(state)
    if painting.device.type == "cpu":
        keep_freed_memory()
    # Now, and not after minutes, is the time to say that it cannot be written.
    write_picture(preview, painting.image())
    with StopRequest() as stop:
        for _ in watch(_steps(painting)):
            if stop.asked or painting.done % every == 0:
                painting.save(state)
                write_picture(preview, painting.image())
            if stop.asked and painting.done < painting.settings.total:
                raise Interrupted(f"stopped after iteration {painting.done} of {painting.settings.total}")
    found = Painted(
        painting.image(), painting.judged(start=True), painting.judged(), painting.done, painting.seconds
    )
    write_picture(out, found.image)
    state.unlink(missing_ok=True)
    preview.unlink(missing_ok=True)
    return found


def state_of(out: Path) -> Path:
    """Where a painting on its way to a file keeps what it needs to go on.

    >>> state_of(Path("a/cat.png")).name, preview_of(Path("a/cat.png")).name
    ('cat.painting.safetensors', 'cat.painting.png')
    """
    return out.with_suffix(".painting.safetensors")


def preview_of(out: Path) -> Path:
    """Where it is seen as it stands."""
    return out.with_name(f"{out.stem}.painting{out.suffix}")


def _steps(painting: Painting) -> Iterator[Painting]:
    """The painting's own steps; that memory does not suffice is no defect of it."""
    try:
        yield from painting.steps()
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise InputError("this machine's memory does not suffice", hint="give a smaller --size") from error
