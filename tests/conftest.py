"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# Before torch is loaded: its threads sleep, not spin, while they wait, as the command line has it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SHARED = Path(__file__).resolve().parents[2] / "shared"

# A slow example is no failure: kernels compile on their first call, and machines are shared.
hypothesis.settings.register_profile("boxwright", deadline=None, max_examples=40)
hypothesis.settings.load_profile("boxwright")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and references beside the checkout; tests skip where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"{SHARED} is not here: real data and reference outputs are kept outside the project")
    return SHARED
