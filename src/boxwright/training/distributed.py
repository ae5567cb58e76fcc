"""Several processes, started by torchrun, that train one network: each takes a share of every batch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

# Its functions take the group of the moment of their import as a default value. Imported while a group is alive
# (an optimiser does so), it would keep that group and its threads past `destroy_process_group`, to crash at exit.
import torch.distributed.nn
from torch import Tensor, nn

from boxwright.errors import InputError

_LOST = re.compile(r"[Cc]onnection (closed|reset|refused)|gloo|NCCL|[Tt]imed out waiting")
"""What torch says of a process that is no longer there."""

PATIENCE = timedelta(hours=4)
"""How long processes wait for the first one, which validates alone."""


@dataclass(frozen=True)
class Team:
    """One process among those that train together: the one this code runs in.

    Attributes:
        rank: its number.
        world: how many there are.
        device: what it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """The first process validates, saves and talks."""
        return self.rank == 0

    def average_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Replace gradients by their mean over all processes; one that has none counts as zero."""
        if self.world == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        # One message for all: a network has hundreds of small tensors.
        flat = self.mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def agree(self, *values: float) -> list[float]:
        """What the first process says, to all."""
        if self.world == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return [float(value) for value in told]

    def wait(self) -> None:
        """Until all processes are here."""
        self.agree(0.0)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each value over the processes; not finite if one of them is not."""
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes that torchrun started; alone without torchrun.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: no such device.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    here = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if world == 1 or dist.is_initialized():
        yield Team(rank, world, here)
        return
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(rank, world, here)
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
            raise
        # Not its own fault: the process that has ended says why, if it could.
        raise InputError(
            f"process {rank} of {world} stopped, since another one has ended",
            hint="see what that one says, then go on with --resume",
        ) from error
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local: int = 0) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one.

    Raises:
        InputError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no device {name!r}", hint="use cpu, cuda or auto") from error
    if device.type == "cpu":
        return device
    if device.type == "cuda" and torch.cuda.is_available():
        index = local if device.index is None else device.index
        if index >= torch.cuda.device_count():
            raise InputError(f"no GPU number {index}", hint=f"there are {torch.cuda.device_count()}")
        torch.cuda.set_device(index)
        return torch.device("cuda", index)
    raise InputError(f"torch finds no {device.type} device here", hint="use --device cpu")
