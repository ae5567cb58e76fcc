"""The whole table."""

from boxwright.fidelity.one_stage import PYRAMIDS, SSD
from boxwright.fidelity.others import OTHERS
from boxwright.fidelity.row import Row
from boxwright.fidelity.two_stage import ALTERNATING, FAST, FASTER, RCNN

TABLE: tuple[Row, ...] = (*RCNN, *FAST, *FASTER, *ALTERNATING, *SSD, *PYRAMIDS, *OTHERS)
