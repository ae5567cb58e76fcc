"""Reading others' weights: tensors only, never code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from boxwright.errors import InputError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` file or of a PyTorch file that holds nothing but plain values.

    A training program's checkpoint, in which they stand under "state_dict", "model" or "model_state_dict" beside
    numbers, texts and other tensors, is opened up.

    Raises:
        InputError: missing, not such a file, or a pickle that would run code; nothing of it is run.
    """
    if not path.is_file():
        raise InputError("no such weights file", path=path)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise InputError(f"not a safetensors file ({error})", path=path, hint="download it again") from error
    except Exception as error:  # a damaged archive fails in as many ways as it has parts
        raise InputError(
            "not a file of plain tensors, and nothing else is ever unpickled",
            path=path,
            hint="save its state_dict() as .safetensors",
        ) from error
    try:
        tensors = _unwrapped(state)
    except RecursionError:  # a mapping that holds itself
        tensors = None
    if tensors is None:
        raise InputError(
            "holds more than named tensors", path=path, hint="save its state_dict() as .safetensors"
        )
    return tensors


def _unwrapped(state: object) -> dict[str, Tensor] | None:
    if not isinstance(state, Mapping) or not _plain(state):
        return None
    if _named_tensors(state):
        return dict(state)
    inner = (state.get(key) for key in ("state_dict", "model", "model_state_dict"))
    return next(
        (dict(value) for value in inner if isinstance(value, Mapping) and _named_tensors(value)), None
    )


def _named_tensors(state: Mapping[object, object]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items())


def _plain(value: object) -> bool:
    """Tensors, numbers and texts, and what is made of them."""
    if isinstance(value, Mapping):
        return all(_plain(part) for part in (*value.keys(), *value.values()))
    if isinstance(value, list | tuple):
        return all(_plain(part) for part in value)
    return value is None or isinstance(value, Tensor | int | float | str)


def copy_strictly(module: nn.Module, state: Mapping[str, Tensor], origin: str | Path) -> None:
    """Copy `state` into `module`; raises as `check_fit`."""
    check_fit(module, state, origin)
    module.load_state_dict(dict(state))


def check_fit(module: nn.Module, state: Mapping[str, Tensor], origin: str | Path) -> None:
    """See that `state` is of `module`: every name and every shape must agree.

    Raises:
        InputError: naming the first keys that are missing, left over or of another shape.
    """
    own = module.state_dict()
    wrong = [f"lacks {key}" for key in own if key not in state]
    wrong += [f"has {key}, which the network has not" for key in state if key not in own]
    wrong += [
        f"{key} is {list(state[key].shape)} where the network has {list(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(
            "not weights of this network: " + "; ".join(wrong[:3]) + more,
            path=origin,
            hint="check the model's name",
        )


@torch.no_grad()
def copy_fitting(module: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Copy every tensor of the same name and shape; returns the names of those that keep their fresh values."""
    fresh = []
    for name, value in module.state_dict().items():
        given = state.get(name)
        if given is None or given.shape != value.shape:
            fresh.append(name)
        else:
            value.copy_(given)
    return fresh


def with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state whose batch norms lack `num_batches_tracked`, as frozen and very old ones do, with counters of zero."""
    layers = [key.removesuffix("running_var") for key in state if key.endswith("running_var")]
    counters = {f"{layer}num_batches_tracked": torch.zeros((), dtype=torch.long) for layer in layers}
    return {**counters, **state}
