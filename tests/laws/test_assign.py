"""Laws of assignment and sampling, and the papers' rules by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from boxwright.assign import Force, IoUAssigner, bipartite
from boxwright.boxes import iou
from boxwright.sample import HardNegatives, descending_rank
from boxwright.types import Assignment, Priors, Targets


def random_boxes(generator: torch.Generator, count: int) -> Tensor:
    corner = torch.rand(count, 2, generator=generator) * 80
    return torch.cat((corner, corner + 5 + torch.rand(count, 2, generator=generator) * 40), 1)


def scene(seed: int, priors: int, objects: list[int]) -> tuple[Priors, Targets]:
    g = torch.Generator().manual_seed(seed)
    boxes = random_boxes(g, priors)[None]
    most = max(objects, default=0)
    valid = torch.arange(most)[None] < torch.tensor(objects)[:, None]
    target = torch.stack([random_boxes(g, most) for _ in objects])
    labels = torch.randint(0, 3, valid.shape, generator=g)
    everywhere = torch.ones(len(objects), priors, dtype=torch.bool)
    return (
        Priors(boxes, torch.zeros(1, priors, dtype=torch.long), everywhere),
        Targets(target, labels, valid, torch.zeros_like(valid)),
    )


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 6), min_size=1, max_size=4),
    st.sampled_from(["none", "bipartite", "last"]),
)
def test_a_batch_is_its_images_one_by_one(seed: int, objects: list[int], force: Force) -> None:
    priors, targets = scene(seed, 40, objects)
    assigner = IoUAssigner(force=force)
    together = assigner(priors, targets)
    for image in range(len(objects)):
        row = slice(image, image + 1)
        alone = assigner(
            Priors(priors.boxes, priors.level, priors.valid[row]),
            Targets(targets.boxes[row], targets.labels[row], targets.valid[row], targets.ignore[row]),
        )
        assert torch.equal(alone.state[0], together.state[image])
        assert torch.equal(alone.gt[0], together.gt[image])


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_padding_changes_nothing(seed: int, extra: int) -> None:
    priors, targets = scene(seed, 30, [3, 0])
    pad = torch.nn.functional.pad
    padded = Targets(
        pad(targets.boxes, (0, 0, 0, extra), value=7.0),
        pad(targets.labels, (0, extra)),
        pad(targets.valid, (0, extra)),
        pad(targets.ignore, (0, extra)),
    )
    assigner = IoUAssigner(force="bipartite")
    a, b = assigner(priors, targets), assigner(priors, padded)
    assert torch.equal(a.state, b.state)
    assert torch.equal(a.gt[a.state == 1], b.gt[b.state == 1])


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_thresholds_say_what_happens(seed: int, objects: int) -> None:
    priors, targets = scene(seed, 60, [objects])
    verdict = IoUAssigner(foreground=0.5, background=0.3)(priors, targets)
    best, row = iou(targets.boxes[0], priors.boxes[0]).max(0)
    expected = torch.where(best >= 0.5, 1, torch.where(best < 0.3, 0, -1))
    assert torch.equal(verdict.state[0], expected)
    assert torch.equal(verdict.gt[0], row)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 10))
def test_every_object_that_touches_a_prior_gets_one(seed: int, objects: int) -> None:
    priors, targets = scene(seed, 60, [objects])
    verdict = IoUAssigner(force="bipartite")(priors, targets)
    overlap = iou(targets.boxes[0], priors.boxes[0])
    pairs = bipartite(overlap)
    assert len({row for row, _ in pairs}) == len({prior for _, prior in pairs}) == len(pairs)
    for row, prior in pairs:
        assert verdict.state[0, prior] == 1
        assert verdict.gt[0, prior] == row
    left_out = set(range(objects)) - {row for row, _ in pairs}
    assert all(
        overlap[row].max() <= 0 or len(pairs) == overlap.shape[1] or _taken(overlap[row], pairs)
        for row in left_out
    )


def _taken(overlap: Tensor, pairs: list[tuple[int, int]]) -> bool:
    """Every prior that the object touches belongs to another object."""
    return set(overlap.nonzero()[:, 0].tolist()) <= {prior for _, prior in pairs}


def plain_bipartite(overlap: Tensor) -> list[tuple[int, int]]:
    """The definition: the greatest entry, strike its row and column, again."""
    left, pairs = overlap.clone(), []
    while left.max() > 0:
        place = int(left.argmax())
        row, prior = divmod(place, left.shape[1])
        pairs.append((row, prior))
        left[row], left[:, prior] = -1, -1
    return pairs


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 20))
def test_bipartite_is_its_definition(seed: int, objects: int, priors: int) -> None:
    overlap = torch.rand(objects, priors, generator=torch.Generator().manual_seed(seed))
    overlap = torch.where(overlap < 0.3, 0.0, overlap)
    assert bipartite(overlap) == plain_bipartite(overlap)


def test_who_wins_a_shared_prior() -> None:
    """Two objects of which both like prior 0 best: by the paper the better fit, by torchvision the later one."""
    priors = Priors(
        torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 30], [50, 50, 60, 60]]]),
        torch.zeros(1, 3, dtype=torch.long),
        torch.ones(1, 3, dtype=torch.bool),
    )
    objects = torch.tensor([[[0.0, 0, 10, 9], [0, 0, 9, 13]]])
    two = torch.ones(1, 2, dtype=torch.bool)
    targets = Targets(objects, torch.tensor([[0, 1]]), two, ~two)
    paper = IoUAssigner(foreground=0.95, background=0.95, force="bipartite")(priors, targets)
    assert paper.gt[0, :2].tolist() == [0, 1]
    assert paper.state[0].tolist() == [1, 1, 0]
    later = IoUAssigner(foreground=0.95, background=0.95, force="last")(priors, targets)
    assert later.gt[0, 0] == 1
    assert later.state[0].tolist() == [1, 0, 0]


def test_ignored_objects_neither_match_nor_punish() -> None:
    priors = Priors(
        torch.tensor([[[0.0, 0, 10, 10], [0, 0, 40, 40], [100, 100, 110, 110]]]),
        torch.zeros(1, 3, dtype=torch.long),
        torch.ones(1, 3, dtype=torch.bool),
    )
    crowd = torch.tensor([[[0.0, 0, 12, 12]]])
    one = torch.ones(1, 1, dtype=torch.bool)
    verdict = IoUAssigner(force="bipartite")(
        priors, Targets(crowd, torch.zeros(1, 1, dtype=torch.long), one, one)
    )
    # The first prior lies inside the crowd; the second has 9% of its area there.
    assert verdict.state[0].tolist() == [-1, 0, 0]


def test_priors_over_padding_take_no_part() -> None:
    priors, targets = scene(0, 20, [2])
    valid = torch.arange(20)[None] < 15
    verdict = IoUAssigner(force="bipartite")(Priors(priors.boxes, priors.level, valid), targets)
    assert (verdict.state[0, 15:] == -1).all()


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 6))
def test_hard_negatives_are_the_hardest(seed: int, objects: list[int], least: int) -> None:
    g = torch.Generator().manual_seed(seed)
    state = torch.zeros(len(objects), 50, dtype=torch.long)
    for row, count in enumerate(objects):
        state[row, :count] = 1
    state[:, 40:] = -1
    losses = torch.rand(state.shape, generator=g)
    mask = HardNegatives(3, least)(Assignment(torch.zeros_like(state), state), losses)
    for row, count in enumerate(objects):
        chosen = mask[row] & (state[row] == 0)
        assert mask[row][state[row] == 1].all()
        assert not mask[row][state[row] == -1].any()
        assert chosen.sum() == min(max(3 * count, least), int((state[row] == 0).sum()))
        rest = ~mask[row] & (state[row] == 0)
        if chosen.any() and rest.any():
            assert losses[row][chosen].min() >= losses[row][rest].max()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_rank_orders_and_keeps_ties(values: list[int]) -> None:
    rank = descending_rank(torch.tensor([values], dtype=torch.float32))[0].tolist()
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert [expected[r] for r in rank] == list(range(len(values)))


@pytest.mark.parametrize("objects", [[0], [0, 0, 0]])
def test_no_objects_is_no_special_case(objects: list[int]) -> None:
    priors, targets = scene(1, 10, objects)
    verdict = IoUAssigner(force="bipartite")(priors, targets)
    assert (verdict.state == 0).all()
