"""What papers say, what their released programs do, and what the recipes of those names have: one table.

`python -m boxwright.fidelity` prints it as a page, docs/fidelity.md; a test holds every recipe to it.
"""

from boxwright.fidelity.row import Row
from boxwright.fidelity.table import TABLE

__all__ = ["TABLE", "Row"]
