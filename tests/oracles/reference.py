"""Rebuild the weights and images of the reference cases (their README says how)."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """A model of torchvision 0.28.0, its inputs, and what it computed."""

    spec: dict[str, Any]
    outputs: Any

    def state_dict(self) -> dict[str, Tensor]:
        gains, offsets = self.spec["gains"], self.spec.get("offsets", {})
        return {
            key: _tensor(key, tuple(shape), gains.get(key, 1.0), offsets.get(key, 0.0))
            for key, shape in self.spec["layout"].items()
        }

    def images(self) -> list[Tensor]:
        return [torch.from_numpy(picture(**item)) for item in self.spec["inputs"]]


def load(folder: Path, name: str) -> Case:
    return Case(json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npz"))


def picture(h: int, w: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype("float32")
    planes = [0.5 + 0.4 * np.sin(x / (9 + 5 * c) + seed) * np.cos(y / (13 + 3 * c)) for c in range(3)]
    noisy = np.stack(planes) + 0.1 * rng.standard_normal((3, h, w))
    return np.clip(noisy, 0, 1).astype("float32")


def _tensor(key: str, shape: tuple[int, ...], gain: float, offset: float) -> Tensor:
    z = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype("float32")
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.long)
    if leaf == "running_mean":
        values = 0.1 * z
    elif leaf == "running_var":
        values = 1 + 0.1 * np.abs(z)
    elif len(shape) <= 1:
        values = gain * (1 + 0.1 * z) if leaf in ("weight", "scale_weight") else 0.05 * z
    else:
        values = gain * np.sqrt(2 / np.prod(shape[1:])) * z
    return torch.from_numpy(np.asarray(values + offset, dtype="float32"))
