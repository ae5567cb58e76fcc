from __future__ import annotations

from pathlib import Path

import pytest
import torch

from boxwright.errors import InputError
from boxwright.training.precision import Precision, computes_in_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        ("auto", torch.bfloat16 if computes_in_bf16(CPU) else torch.float32),
        ("off", torch.float32),
        ("bf16", torch.bfloat16),
    ],
)
def test_the_forward_runs_in_the_asked_precision(mode: str, dtype: torch.dtype) -> None:
    precision = Precision(CPU, mode)  # type: ignore[arg-type]
    weight = torch.randn(3, 3, requires_grad=True)
    with precision.autocast():
        out = torch.randn(2, 3) @ weight
    assert out.dtype == dtype
    precision.backward(out.float().sum())
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    assert not precision.scaled


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="Linux alone lists what the CPU can do here")
def test_bfloat16_is_taken_where_the_cpu_has_it() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert computes_in_bf16(CPU) == bool({"avx512_bf16", "amx_bf16"} & set(flags))
    assert not computes_in_bf16(torch.device("meta"))


def test_float16_is_for_gpus() -> None:
    with pytest.raises(InputError, match="fp16 needs a GPU; use bf16 or off"):
        Precision(CPU, "fp16")


def test_a_step_is_the_optimisers() -> None:
    precision = Precision(CPU, "off")
    weight = torch.ones(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=0.5)
    precision.backward((2 * weight).sum())
    precision.unscale(optimiser)
    precision.step(optimiser)
    assert weight.item() == 0.0
    again = Precision(CPU, "off")
    again.restore(precision.state())
