"""`python -m boxwright`, which is also how `torchrun -m boxwright` starts it."""

from __future__ import annotations

from boxwright.cli import main

if __name__ == "__main__":
    main()
