from __future__ import annotations

import pytest
import torch

from boxwright.features import FeatureSpec, Step
from boxwright.heads.dense import SharedHead, TowerNorm

SPECS = tuple(FeatureSpec(32, (Step(3, 2, 1),) * depth) for depth in (3, 4))


def levels(fine: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, 32, n, n, generator=generator) * scale for n, scale in ((6, fine), (3, 1.0))]


@pytest.mark.parametrize("norm", ["none", "group", "batch"])
@pytest.mark.parametrize("separable", [False, True])
def test_one_head_serves_all_levels(norm: TowerNorm, separable: bool) -> None:
    head = SharedHead(SPECS, 3, 5, depth=2, width=32, norm=norm, separable=separable).eval()
    logits, deltas = head(levels())
    assert logits.shape == (2, 3 * (36 + 9), 5)
    assert deltas.shape == (2, 3 * (36 + 9), 1, 4)
    # Levels do not meet: what one holds does not change what the other gets.
    fine, coarse = levels()
    again, _ = head([fine.flip(1), coarse])
    torch.testing.assert_close(again[:, 108:], logits[:, 108:])
    assert not torch.allclose(again[:, :108], logits[:, :108])
    # Fresh batch norms are all alike, so that a map is scored the same wherever it stands.
    swapped, _ = head(levels()[::-1])
    torch.testing.assert_close(swapped[:, 27:], logits[:, :108])


def test_priors_stand_by_row_column_and_shape() -> None:
    head = SharedHead(SPECS[:1], 3, 5, depth=0, width=32)
    logits, _ = head(levels()[:1])
    flat = head.scores(levels()[0]).view(2, 3, 5, 6, 6)
    torch.testing.assert_close(logits[1, (2 * 6 + 4) * 3 + 1], flat[1, 1, :, 2, 4])


@pytest.mark.parametrize("probability", [0.01, 0.5])
def test_the_first_opinion_is_the_prior(probability: float) -> None:
    head = SharedHead(SPECS, 3, 5, probability=probability, width=32)
    logits, deltas = head(levels())
    torch.testing.assert_close(logits.sigmoid().mean(), torch.tensor(probability), rtol=0.05, atol=0)
    assert deltas.abs().max() < 0.2


def test_batch_norms_keep_a_level_s_statistics_to_themselves() -> None:
    head = SharedHead(SPECS, 3, 5, depth=1, width=32, norm="batch")
    head(levels(fine=10.0))
    fine, coarse = head.scores_tower.norms[0]
    assert fine.running_var.mean() > 10 * coarse.running_var.mean() - 10
    assert not torch.allclose(fine.running_var, coarse.running_var)
