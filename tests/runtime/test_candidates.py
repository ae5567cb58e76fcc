"""Candidates of each way of choosing: what the decoder makes of a network's output has no faults by its own rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch

from boxwright.boxes import DeltaCoder
from boxwright.decode import Decoder
from boxwright.detectors import Network
from boxwright.model import TorchEngine
from boxwright.runtime.candidates import TorchCandidates
from boxwright.runtime.parity import Rule, Tolerance, compare
from boxwright.types import Predictions, Priors, TwoStageOutput

PER_LEVEL, CLASSES = (40, 12, 5), 4
IMAGES = [np.full((3, 64, 64), value, np.float32) for value in (0.2, 0.7)]


class Scattered(Network):
    """Many boxes on three levels, scored by what the image is filled with; not by anything that is learnt."""

    def __init__(self, two_stages: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.two_stages, total = two_stages, sum(PER_LEVEL)
        corners = 48 * torch.rand(1, total, 2, generator=generator)
        sides = 4 + 12 * torch.rand(1, total, 2, generator=generator)
        self.boxes = torch.nn.Parameter(torch.cat((corners, corners + sides), -1))
        self.pattern = torch.nn.Parameter(torch.randn(1, total, CLASSES, generator=generator))

    def forward(self, images: torch.Tensor, sizes: torch.Tensor) -> Predictions | TwoStageOutput:
        logits = self.pattern * (1 + images.mean((1, 2, 3)))[:, None, None]
        valid = torch.ones(len(images), sum(PER_LEVEL), dtype=torch.bool)
        level = torch.repeat_interleave(torch.arange(3), torch.tensor(PER_LEVEL))[None]
        deltas = torch.zeros(len(images), sum(PER_LEVEL), 1, 4)
        out = Predictions(logits, deltas, Priors(self.boxes, level, valid, PER_LEVEL))
        return TwoStageOutput(out, out) if self.two_stages else out


@pytest.mark.parametrize("two_stages", [False, True])
@pytest.mark.parametrize("per", ["class", "level"])
@pytest.mark.parametrize("candidates", [3, 30])
def test_a_decoder_has_no_faults_by_its_own_rule_and_many_by_the_other(
    per: Literal["class", "level"], candidates: int, two_stages: bool
) -> None:
    net = Scattered(two_stages).eval()
    decoder = Decoder(DeltaCoder(), "sigmoid", 0.3, candidates=candidates, iou=0.4, detections=100, per=per)
    other = replace(decoder, per="level" if per == "class" else "class")
    rule = Rule(decoder.floor, decoder.candidates, decoder.iou, decoder.detections)
    engine = TorchEngine(net, decoder)
    for judged_by, holds in ((decoder, True), (other, False)):
        reference = TorchCandidates(net, judged_by, Tolerance().score)
        parity = compare(reference, engine, IMAGES, rule)
        assert parity.detections > 10
        assert parity.holds == holds
        assert (parity.faults == 0) == holds


def test_every_pair_of_prior_and_class_above_the_floor_is_a_candidate_once() -> None:
    net = Scattered(False).eval()
    images, sizes = np.stack(IMAGES), np.full((2, 2), 64, np.int64)
    with torch.inference_mode():
        scores = net(torch.from_numpy(images), torch.from_numpy(sizes)).logits.sigmoid()
    for per in ("class", "level"):
        # Fewer candidates than there are: none is cut off here.
        decoder = Decoder(DeltaCoder(), "sigmoid", 0.3, candidates=2, iou=0.4, detections=1, per=per)
        for own, found in zip(scores, TorchCandidates(net, decoder, 0.1)(images, sizes), strict=True):
            expected = own[own > 0.2]
            np.testing.assert_allclose(np.sort(found.row.scores), np.sort(expected.numpy()), rtol=1e-6)
            kinds = np.arange(CLASSES) if per == "class" else np.arange(len(PER_LEVEL))
            assert np.array_equal(np.unique(found.pools), kinds)
            if per == "class":
                assert np.array_equal(found.pools, found.row.labels)
            else:
                counts = [int((level > 0.2).sum()) for level in own.split(PER_LEVEL)]
                assert np.bincount(found.pools).tolist() == counts
