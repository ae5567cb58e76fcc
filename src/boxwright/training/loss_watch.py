"""A loss that grows without end: gradients that are clipped keep it finite, so nothing else would notice."""

from __future__ import annotations

from collections import deque

from boxwright.training.state import Progress

FIRST = 10
"""Steps whose mean is the loss that a run began with."""
LAST = 20
"""Steps over which the loss must have grown."""
GROWTH = 3.0
"""Times the first loss. Warm-up and hard batches move a loss by less; what was learnt lies below it."""


class LossWatch:
    """Looks at each step's loss, and tells once when the run comes apart.

    It tells again when the loss has been back below where it began and has grown once more.

    Args:
        progress: of the run; keeps the first losses, so that a run that goes on is measured by its beginning.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last: deque[float] = deque(maxlen=LAST)
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
        began, now = sum(first) / FIRST, sum(self._last) / LAST
        if now <= began:
            self._told = False
        if self._told or not now > GROWTH * began > 0:
            return ""
        self._told = True
        return (
            f"the loss has grown from {began:.3g} to {now:.3g} by iteration {self._progress.iteration}, at a learning "
            f"rate of {lr:.3g}: the run comes apart; lower train.lr, or warm up longer (train.warmup)"
        )
