"""What a person gets back for one image: boxes in its own pixels, numpy only, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8


@dataclass(frozen=True)
class Result:
    """Detections on one image, best score first.

    Attributes:
        boxes: float32 [det, 4], xyxy in the original image's pixels.
        scores: float32 [det], in [0, 1].
        labels: int64 [det], the data set's own class ids.
        index: int64 [det], the same classes as indices into the model's list.
        names: the class name of each detection.
        size: (height, width) of the original image.
        path: the file it came from, or None.
        image: uint8 [height, width, 3], kept only when asked for.

    Indexing selects detections: `result[result.scores > 0.5]`.
    """

    boxes: Float32[np.ndarray, "det 4"]
    scores: Float32[np.ndarray, " det"]
    labels: Int64[np.ndarray, " det"]
    index: Int64[np.ndarray, " det"]
    names: tuple[str, ...]
    size: tuple[int, int]
    path: Path | None = None
    image: UInt8[np.ndarray, "height width 3"] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.boxes), len(self.scores), len(self.labels), len(self.index), len(self.names)}
        if len(lengths) != 1:
            raise ValueError(f"boxes, scores, labels, index and names differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(
        self, which: Bool[np.ndarray, " det"] | Int64[np.ndarray, " some"] | slice | Sequence[int]
    ) -> Result:
        """The detections that a mask, indices or a slice select; an integer array keeps its order."""
        chosen = np.arange(len(self))[which if isinstance(which, slice) else np.asarray(which)]
        return Result(
            boxes=self.boxes[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            index=self.index[chosen],
            names=tuple(self.names[i] for i in chosen),
            size=self.size,
            path=self.path,
            image=self.image,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: path, size and a list of detections."""
        return {
            "path": None if self.path is None else str(self.path),
            "height": self.size[0],
            "width": self.size[1],
            "detections": [
                {
                    "box": [round(float(v), 3) for v in box],
                    "score": round(float(score), 6),
                    "label": int(label),
                    "name": name,
                }
                for box, score, label, name in zip(
                    self.boxes, self.scores, self.labels, self.names, strict=True
                )
            ],
        }
