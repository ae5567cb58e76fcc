"""A loss that grows without end: gradients that are clipped keep it finite, so nothing else would notice."""

from __future__ import annotations

import math
from collections import deque
from statistics import fmean, median

from boxwright.training.state import Progress

FIRST = 10
"""Steps whose mean is the loss that a run began with."""
LAST = 20
"""Steps whose median is the loss now: one bad batch, however bad, does not move it."""
GROWTH = 3.0
"""Times the first loss. Warm-up and hard batches move a loss by less; what was learnt lies below it."""
RELAPSE = 10.0
"""Times the least loss that was reached, if by that at least half of the first is back."""


class LossWatch:
    """Looks at each step's loss, and tells once when the run comes apart.

    It tells again when the loss has been back below half of where it began and has grown once more.

    Args:
        progress: of the run; keeps the first losses, so that a run that goes on is measured by its beginning.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last: deque[float] = deque(maxlen=LAST)
        self._least = math.inf
        self._told = False

    def __call__(self, loss: float, lr: float) -> str:
        """Take in a step.

        Args:
            loss: what was descended.
            lr: by which learning rate.

        Returns:
            What a person should know now; "" if nothing.
        """
        first = self._progress.first
        if len(first) < FIRST:
            first.append(loss)
        self._last.append(loss)
        if len(first) < FIRST or len(self._last) < LAST:
            return ""
        began, now = fmean(first), median(self._last)
        self._least = min(self._least, now)
        if now <= began / 2:
            self._told = False
        grown = now > GROWTH * abs(began) > 0
        relapsed = now > max(RELAPSE * self._least, began / 2) and self._least > 0
        if self._told or not (grown or relapsed):
            return ""
        self._told = True
        from_ = began if grown else self._least
        self._least = math.inf
        return (
            f"the loss has grown from {from_:.3g} to {now:.3g} by iteration {self._progress.iteration}, at a learning "
            f"rate of {lr:.3g}: the run comes apart; lower train.lr, or warm up longer (train.warmup)"
        )
