"""What a person gets back for one image: boxes in its own pixels, numpy only, no torch."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from boxwright.errors import InputError

_SHOWN_SIDE = 800  # pixels of the picture's longer side in a notebook
_SHOWN_ROWS = 20


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
        places = np.arange(len(self))
        # An empty list would become an array of floats, which selects nothing but an error.
        chosen = places[which] if isinstance(which, slice) or len(which) else places[:0]
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

    def plot(self) -> UInt8[np.ndarray, "height width 3"]:
        """The image with its boxes, names and scores drawn in; read from `path` when it was not kept.

        Raises:
            InputError: the result has neither an image nor a path, or the file cannot be read.
        """
        # Pillow and its fonts are loaded only when something is drawn.
        from boxwright.draw import class_colour, draw_boxes

        colours = [class_colour(int(i)) for i in self.index]
        return draw_boxes(self._picture(), self.boxes, self.names, self.scores, colours)

    def save(self, path: str | Path) -> Path:
        """Write `plot()` to a picture file whose suffix says its kind (.jpg, .png, .webp, .tif)."""
        from boxwright.draw import write_picture

        write_picture(Path(path), self.plot())
        return Path(path)

    def to_supervision(self) -> Any:
        """The same as a `supervision.Detections`; `class_id` holds the data set's own ids."""
        try:
            import supervision  # type: ignore[import-not-found]
        except ImportError as error:
            raise ImportError("to_supervision needs its package: pip install supervision") from error
        return supervision.Detections(
            xyxy=self.boxes,
            confidence=self.scores,
            class_id=self.labels,
            data={"class_name": np.array(self.names, dtype=str)},
        )

    def _picture(self) -> UInt8[np.ndarray, "height width 3"]:
        if self.image is not None:
            return self.image
        if self.path is None:
            raise InputError("this result has no image to draw on", hint="give it a path or an image")
        from boxwright.images import read_image

        return read_image(self.path)

    def _repr_html_(self) -> str:
        """A picture and a table, complete in themselves, for notebooks."""
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{score:.3f}</td>"
            f"<td>{', '.join(f'{v:.0f}' for v in box)}</td></tr>"
            for name, score, box in list(zip(self.names, self.scores, self.boxes, strict=True))[:_SHOWN_ROWS]
        )
        more = f"<p>and {len(self) - _SHOWN_ROWS} more</p>" if len(self) > _SHOWN_ROWS else ""
        where = html.escape(str(self.path)) if self.path else "image"
        head = "<tr><th>class</th><th>score</th><th>box (x1, y1, x2, y2)</th></tr>"
        table = f"<table>{head}{rows}</table>{more}" if len(self) else "<p>nothing detected</p>"
        caption = f"<p>{where}: {self.size[1]} × {self.size[0]}, {len(self)} detected</p>"
        return f"<div>{self._picture_html()}{caption}{table}</div>"

    def _picture_html(self) -> str:
        from boxwright.draw import encode_picture, shrink

        try:
            drawn = shrink(self.plot(), (_SHOWN_SIDE, _SHOWN_SIDE))
        except InputError as error:
            return f"<p>{html.escape(str(error))}</p>"
        content = base64.b64encode(encode_picture(drawn, ".jpg")).decode()
        return f'<img alt="detections" src="data:image/jpeg;base64,{content}">'
