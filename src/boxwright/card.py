"""What travels in the file of a network that is no detector: what it is for, how it is built, where it comes from.

One JSON object, the same in a `.safetensors` checkpoint and in an exported graph. Torch-free.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright.errors import InputError

VERSION = 1
_LARGEST = 1 << 1023
_KEYS = {"version", "task", "settings", "notes"}


@dataclass(frozen=True)
class Card:
    """A network's description.

    Attributes:
        task: what it is for, which is also the command that uses it: "style", "upscale", "vae", "segment".
        settings: what builds it anew; JSON values.
        notes: provenance: data, figures, licence.

    >>> card = Card("upscale", {"factor": 2})
    >>> Card.found(card.to_json()) == card
    True
    """

    task: str
    settings: Mapping[str, Any]
    notes: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # As they come back from a file: tuples are lists there, and equal cards should be equal.
        object.__setattr__(self, "settings", json.loads(json.dumps(dict(self.settings), allow_nan=False)))

    def to_json(self) -> str:
        """One line of JSON, the same for equal cards; numbers that are not finite are left out of the notes."""
        notes = {k: v for k, v in self.notes.items() if isinstance(v, str) or math.isfinite(v)}
        values = {"version": VERSION, "task": self.task, "settings": dict(self.settings), "notes": notes}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def found(cls, text: str) -> Card | None:
        """The card that a description is; None where it is something else, such as a detector's manifest.

        Raises:
            InputError: one of a later boxwright.
        """
        try:
            values = json.loads(text)
        except Exception:  # ValueError, RecursionError and what else JSON can cause: it is no card
            return None
        match values:
            case {"version": int(version), "task": str(task)} if version > VERSION:
                raise InputError(
                    f"made for {task} by a later boxwright (version {version})",
                    hint="update boxwright to read it",
                )
            case {"task": str(task), "settings": dict(settings), "notes": dict(notes)} if set(
                values
            ) == _KEYS and all(map(_is_note, notes.values())):
                return cls(task, settings, notes)
        return None

    @classmethod
    def expected(cls, text: str, task: str, path: Path | None) -> Card:
        """The card of a network that must be for one task.

        Args:
            text: a file's description.
            task: what it must be for.
            path: the file, for the error's text.

        Raises:
            InputError: a detector, a network for something else, or one of a later boxwright.
        """
        card = cls.found(text)
        if card is None:
            raise InputError(
                f"is no network for {task}", path=path, hint=f"make one by boxwright {task} train"
            )
        if card.task != task:
            raise InputError(
                f"is a network for {card.task}, not for {task}",
                path=path,
                hint=f"see boxwright {card.task} --help",
            )
        return card


def _is_note(value: object) -> bool:
    """A text or a number; whole ones beyond what a float can be are neither."""
    whole = type(value) is int and abs(value) < _LARGEST
    return whole or isinstance(value, str | float)
