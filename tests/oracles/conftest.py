from __future__ import annotations

import pytest
import reference
import torch

from boxwright.model import Model
from boxwright.types import Output


@pytest.fixture(scope="module")
def case(pair: tuple[reference.Case, Model]) -> reference.Case:
    return pair[0]


@pytest.fixture(scope="module")
def model(pair: tuple[reference.Case, Model]) -> Model:
    return pair[1]


@pytest.fixture(scope="module")
def out(case: reference.Case, model: Model) -> Output:
    """Of image 0 alone."""
    one = reference.batch(case, model, 0)
    with torch.no_grad():
        return model.net(one.images, one.sizes)
