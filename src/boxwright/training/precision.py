"""Mixed precision: what of a step runs in 16 bits, and what keeps float16's gradients from vanishing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor

from boxwright.errors import InputError

Mode = Literal["auto", "off", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """Autocast for the network's forward; a loss scale where float16 needs it (Micikevicius et al. 2018).

    Losses and everything after them are float32 in any case.

    Args:
        device: where the network is.
        mode: "auto" takes bfloat16 on CUDA devices and CPUs that compute in it, else float16 on CUDA devices, and
            nothing elsewhere.

    Raises:
        InputError: float16 on a CPU, whose kernels for it are slower than float32's.
    """

    def __init__(self, device: torch.device, mode: Mode) -> None:
        if mode == "auto":
            slow: Mode = "fp16" if device.type == "cuda" else "off"
            mode = "bf16" if computes_in_bf16(device) else slow
        if mode == "fp16" and device.type == "cpu":
            raise InputError("train.amp=fp16 needs a GPU", hint="use bf16 or off on the CPU")
        self.device = device
        self.dtype = _DTYPES.get(mode)
        self._scaler = torch.amp.GradScaler(device.type, enabled=mode == "fp16")

    @property
    def scaled(self) -> bool:
        """Whether losses are scaled: then an overflow of gradients is expected now and then, and skipped."""
        return self._scaler.is_enabled()

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of the network's forward."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, scaled where needed."""
        torch.autograd.backward(self._scaler.scale(loss))

    def unscale(self, optimiser: torch.optim.Optimizer) -> None:
        """True gradients, before they are clipped."""
        if self.scaled:
            self._scaler.unscale_(optimiser)

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Move the weights, unless scaled gradients overflowed."""
        self._scaler.step(optimiser)
        self._scaler.update()

    def state(self) -> dict[str, float]:
        """JSON values to go on from."""
        return dict(self._scaler.state_dict())

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what `state` said."""
        if state:
            self._scaler.load_state_dict(dict(state))


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers itself; where it is emulated, float32 is quicker."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of torch do not tell what a CPU can do.
    can = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(can.get("avx512_bf16") or can.get("amx_bf16"))
