from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.assign import IoUAssigner
from boxwright.sample import Balanced, RegionSampler, with_objects
from boxwright.types import Assignment, Priors, Targets

STATES = st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=60)


def assignment(*rows: list[int]) -> Assignment:
    state = torch.tensor(rows)
    return Assignment(torch.zeros_like(state), state)


def drawn(sample: Balanced, given: Assignment) -> torch.Tensor:
    return sample(given, torch.zeros(given.state.shape))


@given(STATES, st.integers(1, 40), st.sampled_from([0.25, 0.5, 1.0]))
@settings(deadline=None)
def test_as_many_objects_as_allowed_and_background_for_the_rest(
    states: list[int], count: int, part: float
) -> None:
    given = assignment(states)
    mask = drawn(Balanced(count, part), given)[0]
    objects = min(states.count(1), int(count * part))
    assert int(mask[given.state[0] == 1].sum()) == objects
    assert int(mask[given.state[0] == 0].sum()) == min(states.count(0), count - objects)
    assert not mask[given.state[0] == -1].any()


def test_images_are_drawn_from_by_themselves() -> None:
    mask = drawn(Balanced(4, 0.5), assignment([1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]))
    assert mask.sum(1).tolist() == [4, 4]
    assert mask[1, 5]


def test_every_background_prior_has_the_same_chance() -> None:
    torch.manual_seed(0)
    given = assignment([0] * 10)
    hits = sum(drawn(Balanced(3, 0.5), given)[0].float() for _ in range(2000))
    # 600 of 2000 expected for each; the deviation of one is 20.
    assert ((hits - 600).abs() < 100).all()


def test_by_keys_an_image_is_drawn_from_alike_in_whatever_batch_and_padding() -> None:
    states, keys = [[1, 0, 0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0, 0]], torch.tensor([4, 9])
    rule, given = Balanced(4, 0.5), assignment(*states)
    whole = rule(given, torch.zeros(given.state.shape), keys)
    assert whole.sum(1).tolist() == [4, 4]
    torch.testing.assert_close(rule(given, torch.zeros(given.state.shape), keys), whole)
    for row, state in enumerate(states):
        # Padding in between, as of proposals before the objects.
        padded = assignment(state[:5] + [-1] * 3 + state[5:])
        alone = rule(padded, torch.zeros(padded.state.shape), keys[row : row + 1])[0].tolist()
        assert alone[:5] + alone[8:] == whole[row].tolist() and not any(alone[5:8])
    hits = sum(rule(given, torch.zeros(given.state.shape), keys + step).float() for step in range(0, 4000, 2))
    # Two of three objects, and two of five others.
    right = torch.tensor([2 / 3, 0.4, 0.4, 2 / 3, 0.4, 0.4, 2 / 3, 0.4])
    torch.testing.assert_close(hits[0] / 2000, right, atol=0.06, rtol=0)


def regions(*boxes: list[float]) -> Priors:
    laid = torch.tensor([boxes])
    return Priors(
        laid, torch.zeros(1, len(boxes), dtype=torch.long), torch.ones(1, len(boxes), dtype=torch.bool)
    )


def objects(*boxes: list[float], ignore: bool = False) -> Targets:
    valid = torch.ones(1, len(boxes), dtype=torch.bool)
    return Targets(torch.tensor([boxes]), torch.zeros(1, len(boxes), dtype=torch.long), valid, valid & ignore)


def test_objects_join_the_proposals_but_not_the_ignored() -> None:
    box = [5.0, 5.0, 9.0, 9.0]
    assert with_objects(regions([0.0, 0.0, 1.0, 1.0]), objects(box)).valid.tolist() == [[True, True]]
    joined = with_objects(regions([0.0, 0.0, 1.0, 1.0]), objects(box, ignore=True))
    assert joined.valid.tolist() == [[True, False]]


def test_sampled_regions_come_first_and_the_rest_is_not_valid() -> None:
    far = [[20.0 + 9 * k, 20.0, 28.0 + 9 * k, 28.0] for k in range(3)]
    near, unclear = [0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 4.0]
    rule = IoUAssigner(0.5, 0.3)  # `unclear` overlaps by .4
    sampler = RegionSampler(rule, Balanced(4, 0.5), count=6)
    truth = objects([0.0, 0.0, 10.0, 10.0])
    found = sampler(regions(*far, near, unclear), truth)
    assert found.boxes.shape == (1, 6, 4)
    assert found.valid.tolist() == [[True] * 4 + [False] * 2]
    kept = found.boxes[0][found.valid[0]].tolist()
    assert near in kept
    assert [0.0, 0.0, 10.0, 10.0] in kept
    assert sum(box in far for box in kept) == 2
    # The objective's own assignment agrees: two objects, two times background, the rest ignored.
    assert sorted(rule(found, truth).state[0].tolist()) == [-1, -1, 0, 0, 1, 1]
