"""What a model's decoder chooses detections from: all of it, for `boxwright.runtime.parity` to judge a choice by."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from boxwright.decode import Decoder
from boxwright.runtime.parity import Candidates, Row
from boxwright.types import Predictions, Priors, TwoStageOutput


class TorchCandidates:
    """Every candidate of a network, in eager torch: by its own decoder, with nothing cut off or suppressed.

    Args:
        net: in eval mode, on the CPU.
        decoder: what reads its output.
        margin: scores may be so far below the decoder's floor.
    """

    def __init__(self, net: nn.Module, decoder: Decoder, margin: float) -> None:
        self._net, self._decoder, self._margin = net, decoder, margin

    @torch.inference_mode()
    def __call__(
        self, images: Float32[np.ndarray, "batch 3 height width"], sizes: Int64[np.ndarray, "batch 2"]
    ) -> list[Candidates]:
        """Those of each image."""
        extent = torch.from_numpy(sizes)
        out = self._net(torch.from_numpy(images), extent)
        if isinstance(out, TwoStageOutput):
            out = out.regions
        by_level = self._decoder.per == "level"
        parts: list[list[Candidates]] = [[] for _ in images]
        for number, level in enumerate(_levels(out) if by_level else [out]):
            _, priors, columns = level.logits.shape
            # One level by itself: of all its pairs of prior and class as many are candidates as it has.
            everything = replace(
                self._decoder,
                floor=self._decoder.floor - self._margin,
                candidates=priors * columns,
                iou=1.0,
                detections=priors * columns,
            )
            found = everything(level, extent)
            for own, boxes, scores, labels, valid in zip(
                parts, found.boxes, found.scores, found.labels, found.valid, strict=True
            ):
                row = Row(boxes[valid].numpy(), scores[valid].numpy(), labels[valid].numpy())
                own.append(Candidates(row, np.full_like(row.labels, number) if by_level else row.labels))
        return [_joined(own) for own in parts]


def _levels(out: Predictions) -> list[Predictions]:
    """The predictions of each level."""
    priors = out.priors
    return [
        Predictions(
            out.logits[:, a:b],
            out.deltas[:, a:b],
            Priors(priors.boxes[:, a:b], priors.level[:, a:b], priors.valid[:, a:b], (b - a,)),
        )
        for a, b in pairwise(accumulate(priors.per_level, initial=0))
    ]


def _joined(parts: list[Candidates]) -> Candidates:
    rows = [part.row for part in parts]
    return Candidates(
        Row(
            np.concatenate([row.boxes for row in rows]),
            np.concatenate([row.scores for row in rows]),
            np.concatenate([row.labels for row in rows]),
        ),
        np.concatenate([part.pools for part in parts]),
    )
