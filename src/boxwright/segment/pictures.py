"""Truth and prediction side by side, for a person. Torch-free."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from boxwright.draw import grid
from boxwright.segment.masks import IGNORED, value_colour

RGB8 = UInt8[np.ndarray, "height width 3"]
Labels = UInt8[np.ndarray, "height width"]

WRONG, IGNORED_COLOUR = (213, 94, 0), (200, 200, 200)


def compared(
    picture: RGB8, labels: Labels, predicted: Labels
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Four pictures in a row: the picture, the truth, what was found, and where that is wrong.

    Args:
        picture: RGB.
        labels: the truth; ignored pixels are grey in it.
        predicted: what was found.
    """
    table = np.array([value_colour(value) for value in range(256)], np.uint8)
    # Two classes are told apart best in black and white.
    if max(int(labels[labels != IGNORED].max(initial=0)), int(predicted.max())) <= 1:
        table[1] = 255
    truth, found = table[labels], table[predicted]
    truth[labels == IGNORED] = IGNORED_COLOUR
    wrong = np.repeat(picture.mean(2, keepdims=True), 3, 2).astype(np.uint8) // 2 + 127
    wrong[(labels != predicted) & (labels != IGNORED)] = WRONG
    return grid([picture, truth, found, wrong], 4)
