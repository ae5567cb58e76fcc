"""Several processes, started by torchrun, that train one network: each takes a share of every batch."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

# Its functions take the group of the moment of their import as a default value. Imported while a group is alive
# (an optimiser does so), it would keep that group and its threads past `destroy_process_group`, to crash at exit.
import torch.distributed.nn
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from boxwright.errors import InputError
from boxwright.training.last_words import LastWords

_LOST = re.compile(r"[Cc]onnection (closed|reset|refused)|gloo|NCCL|[Tt]imed out waiting")
"""What torch says of a process that is no longer there."""

PATIENCE = timedelta(hours=4)
"""How long processes wait for the first one, which finds regions and trains R-CNN's judges alone."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Team:
    """One process among those that train together: the one this code runs in.

    Attributes:
        rank: its number.
        world: how many there are.
        device: what it computes on.
        folder: of this process's own, for what it is sent; None for the first one, which keeps the run's files.
    """

    rank: int
    world: int
    device: torch.device
    folder: Path | None = None

    @property
    def first(self) -> bool:
        """The first process saves and talks."""
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

    def largest(self, *values: int) -> list[int]:
        """The largest of each value over the processes."""
        if self.world == 1:
            return list(values)
        told = torch.tensor(values, device=self.device)
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return [int(value) for value in told]

    def any(self, asked: bool) -> bool:
        """Whether it is so for any process."""
        return bool(self.largest(int(asked))[0])

    def gathered(self, value: Value) -> list[Value]:
        """What each process has, in their order, for the first one; the others get an empty list."""
        if self.world == 1:
            return [value]
        parts: list[Value] = [value] * self.world if self.first else []
        dist.gather_object(value, parts if self.first else None, dst=0)
        return parts

    def told(self, value: Value) -> Value:
        """What the first process has, for all; what the others give does not matter."""
        if self.world == 1:
            return value
        parts = [value if self.first else None]
        dist.broadcast_object_list(parts, src=0, device=self.device)
        found: Value = parts[0]  # type: ignore[assignment]
        return found

    def shared(self, path: Path) -> Path:
        """A file that the first process has, where this one can read it: they need not have a disk in common.

        A file that is not there is not there for the others either.
        """
        if self.world == 1:
            return path
        there = self.first and path.is_file()
        content = self.told(path.read_bytes() if there else None)
        if self.first:
            return path
        assert self.folder is not None
        own = self.folder / path.name
        own.unlink(missing_ok=True)
        if content is not None:
            own.write_bytes(content)
        return own

    def same(self, net: nn.Module) -> None:
        """Give a network the first process's parameters and buffers."""
        if self.world > 1:
            with torch.no_grad():
                for value in net.state_dict().values():
                    plain = value.contiguous()
                    dist.broadcast(plain, src=0)
                    value.copy_(plain)

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
        yield from _joined(rank, world, here)
        return
    store, _, _ = next(iter(rendezvous("env://", rank, world)))
    dist.init_process_group(
        "nccl" if here.type == "cuda" else "gloo", store=store, rank=rank, world_size=world, timeout=PATIENCE
    )
    try:
        try:
            yield from _joined(rank, world, here)
        finally:
            # Those who wait for this process see at once that it is gone.
            dist.destroy_process_group()
    except InputError as error:
        raise LastWords(store, rank, world).own(error) from error
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
            raise
        raise LastWords(store, rank, world).lost() from error


def _joined(rank: int, world: int, here: torch.device) -> Iterator[Team]:
    if rank == 0:
        yield Team(rank, world, here)
        return
    with tempfile.TemporaryDirectory(prefix="boxwright-process-") as folder:
        yield Team(rank, world, here, Path(folder))


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
