"""Why several processes ended: one line, by the first of them that can still speak.

A process that cannot go on leaves its reason in the store where they met. The others, which lose their connection to
it, look there; the first one tells, and the others keep silent unless the first one is gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch.distributed.distributed_c10d import Store

from boxwright.errors import InputError, ToldElsewhereError

_PATIENCE = 10.0
"""Seconds that a process waits for another one's words."""
_EACH = 0.05


@dataclass(frozen=True)
class LastWords:
    """What a process leaves behind, and what it finds.

    Attributes:
        store: where they met.
        rank: this process's number.
        world: how many there are.
    """

    store: Store
    rank: int
    world: int

    def own(self, error: InputError) -> InputError:
        """What to raise for an error of this process's own."""
        if self.rank == 0:
            self._leave(str(error))
            return error
        self._leave(f"process {self.rank} of {self.world}: {error}")
        return self._told_by_the_first() or error

    def lost(self) -> InputError:
        """What to raise where another process is gone."""
        error = InputError(
            f"process {self.rank} of {self.world} stopped, since another one has ended",
            hint="see what that one says, then go on with --resume",
        )
        if self.rank:
            return self._told_by_the_first() or error
        found = self._found(range(1, self.world), _PATIENCE / 5)
        error = InputError(found) if found else error
        self._leave(str(error))
        return error

    def _told_by_the_first(self) -> InputError | None:
        return ToldElsewhereError("the first process tells") if self._found([0], _PATIENCE) else None

    def _leave(self, text: str) -> None:
        try:
            self.store.set(self._key(self.rank), text)
        except RuntimeError:
            return
        if self.rank == 0:
            # The store may be this process's own, and the others look at it every so often.
            time.sleep(10 * _EACH)

    def _found(self, ranks: list[int] | range, patience: float) -> str:
        """The words of one of these processes, or nothing after so many seconds."""
        until = time.monotonic() + patience
        try:
            while time.monotonic() < until:
                for rank in ranks:
                    if self.store.check([self._key(rank)]):
                        return self.store.get(self._key(rank)).decode()
                time.sleep(_EACH)
        except RuntimeError:
            pass  # whoever kept the store is gone
        return ""

    def _key(self, rank: int) -> str:
        return f"boxwright/ended/{rank}"
