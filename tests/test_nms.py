from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from boxwright import nms as module
from boxwright.nms import by_rounds, nms

IMPLEMENTATIONS = pytest.mark.parametrize("suppress", [nms, by_rounds], ids=["compiled", "rounds"])


@IMPLEMENTATIONS
@pytest.mark.parametrize("iou", ["0.0", "0.3", "0.5", "0.7", "0.95"])
def test_equals_torchvision(shared: Path, suppress: object, iou: str) -> None:
    cases = np.load(shared / "reference/torchvision/functional.npz")
    boxes, scores, labels = (torch.from_numpy(cases[f"nms_{k}"])[None] for k in ("boxes", "scores", "labels"))
    for groups, name in [(torch.zeros_like(labels), "nms_keep"), (labels, "batched_nms_keep")]:
        kept = suppress(boxes, scores, groups, float(iou), boxes.shape[1])[0]  # type: ignore[operator]
        expected = cases[f"{name}_{iou}"]
        np.testing.assert_array_equal(kept[: len(expected)], expected)
        assert (kept[len(expected) :] == -1).all()


@IMPLEMENTATIONS
def test_worked_by_hand(suppress: object) -> None:
    # IoU of 0 and 1 is 5/15, of 1 and 2 too; 0 and 2 touch. Box 3 is box 0 in another group, 4 has no area.
    boxes = torch.tensor([[[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 10, 10], [2, 2, 2, 9]]])
    scores = torch.tensor([[0.5, 0.9, 0.5, 0.7, 0.1]])
    groups = torch.tensor([[0, 0, 0, 1, 0]])
    for iou, expected in [(0.3, [1, 3, 4, -1, -1]), (0.34, [1, 3, 0, 2, 4])]:
        assert suppress(boxes, scores, groups, iou, 5).tolist() == [expected]  # type: ignore[operator]
    assert suppress(boxes, scores, groups, 0.34, 2).tolist() == [[1, 3]]  # type: ignore[operator]
    masked = torch.tensor([[0.5, -torch.inf, 0.5, torch.nan, 0.1]])
    assert suppress(boxes, masked, groups, 0.34, 5).tolist() == [[0, 2, 4, -1, -1]]  # type: ignore[operator]


@IMPLEMENTATIONS
def test_an_overlap_of_exactly_the_threshold_is_allowed(suppress: object) -> None:
    boxes = torch.tensor([[[0.0, 0, 2, 1], [0, 0, 1, 1]]])  # IoU 1/2, exact in float32
    scores, groups = torch.tensor([[0.9, 0.8]]), torch.zeros(1, 2, dtype=torch.long)
    assert suppress(boxes, scores, groups, 0.5, 2).tolist() == [[0, 1]]  # type: ignore[operator]
    assert suppress(boxes, scores, groups, 0.4999, 2).tolist() == [[0, -1]]  # type: ignore[operator]


@IMPLEMENTATIONS
def test_nothing_to_choose_from(suppress: object) -> None:
    none = torch.zeros(2, 0, dtype=torch.long)
    assert suppress(torch.zeros(2, 0, 4), torch.zeros(2, 0), none, 0.5, 3).tolist() == [[-1] * 3] * 2  # type: ignore[operator]
    boxes, groups = torch.rand(2, 4, 4), torch.zeros(2, 4, dtype=torch.long)
    assert suppress(boxes, torch.full((2, 4), -torch.inf), groups, 0.5, 3).eq(-1).all()  # type: ignore[operator]
    assert suppress(boxes, torch.rand(2, 4), groups, 0.5, 0).shape == (2, 0)  # type: ignore[operator]


def test_negative_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0, not -1"):
        nms(torch.zeros(1, 1, 4), torch.zeros(1, 1), torch.full((1, 1), -1), 0.5, 1)


def random_case(batch: int = 3, count: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(batch, count, 2, generator=generator) * 50
    extent = torch.rand(batch, count, 2, generator=generator) * 40
    scores = torch.rand(batch, count, generator=generator)
    return (
        torch.cat([corner, corner + extent], -1),
        scores,
        torch.arange(count).remainder(3).expand(batch, -1),
    )


def test_without_numba_the_boxes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nms(*random_case(), 0.4, 12)
    monkeypatch.setattr(module, "greedy", lambda: None)
    assert torch.equal(nms(*random_case(), 0.4, 12), expected)


def test_half_precision_and_views_are_accepted() -> None:
    boxes, scores, groups = random_case()
    turned = boxes.transpose(0, 1).contiguous().transpose(0, 1)
    assert torch.equal(nms(turned, scores, groups.int(), 0.4, 9), nms(boxes, scores, groups, 0.4, 9))
    half = nms(boxes.half(), scores.half(), groups, 0.4, 9)
    assert torch.equal(half, nms(boxes.half().float(), scores.half().float(), groups, 0.4, 9))


def test_the_operator_keeps_torch_s_rules() -> None:
    torch.library.opcheck(torch.ops.boxwright.nms, (*random_case(), 0.5, 7))


def test_compiles_without_a_graph_break_and_exports_with_a_dynamic_batch() -> None:
    class Decode(torch.nn.Module):
        def forward(self, boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
            kept = torch.ops.boxwright.nms(boxes, scores, groups, 0.5, 7)
            return scores.gather(1, kept.clamp(min=0)) * (kept >= 0)

    case = random_case()
    expected = Decode()(*case)
    compiled = torch.compile(Decode(), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*case), expected)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(Decode(), case, dynamic_shapes=({0: batch},) * 3)
    one = tuple(t[:1] for t in case)
    assert torch.equal(exported.module()(*one), expected[:1])
