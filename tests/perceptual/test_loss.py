"""The perceptual loss against finite differences, numpy and its own laws; the network it looks through never moves."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from boxwright.errors import InputError
from boxwright.perceptual import FeatureDistance, PerceptualLoss, PerceptualTargets, RelativeDistance
from boxwright.perceptual.loss import gram
from boxwright.weights.trunk import Trunk, build_trunk

TAPS = ("conv1", "conv2")


def trunk(name: str = "vgg16", taps: tuple[str, ...] = TAPS) -> Trunk:
    torch.manual_seed(1)
    return build_trunk(name, taps)


def loss(**weights: dict[str, float]) -> PerceptualLoss:
    given = weights or {"content": {"conv2": 2.0}, "style": {"conv1": 3.0, "conv2": 4.0}}
    return PerceptualLoss(trunk(), **given)


def pictures(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def numpy_gram(features: np.ndarray) -> np.ndarray:
    """As the paper writes it, pair by pair."""
    channels, height, width = features.shape
    pairs = [[float((a * b).sum()) for b in features] for a in features]
    return np.array(pairs) / (channels * height * width)


def test_a_gram_matrix_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    assert torch.equal(gram(features), torch.tensor([[[5.0, 1.0], [1.0, 10.0]]]) / 4)


def test_the_terms_against_numpy() -> None:
    found = loss()
    seen, content, style = (
        pictures(2, 3, 12, 16),
        pictures(2, 3, 12, 16, seed=1),
        pictures(1, 3, 20, 9, seed=2),
    )
    terms = found(seen, found.targets(content, style))
    maps = [{k: v.double().numpy() for k, v in found.features(x).items()} for x in (seen, content, style)]
    wanted_content = 2 * np.mean((maps[0]["conv2"] - maps[1]["conv2"]) ** 2)
    wanted_style = sum(
        weight
        * np.mean([((numpy_gram(one) - numpy_gram(maps[2][tap][0])) ** 2).sum() for one in maps[0][tap]])
        for tap, weight in (("conv1", 3), ("conv2", 4))
    )
    assert terms.content.item() == pytest.approx(wanted_content, rel=1e-4)
    assert terms.style.item() == pytest.approx(wanted_style, rel=1e-4)
    assert terms.total.item() == pytest.approx(wanted_content + wanted_style, rel=1e-4)


def test_gradients_are_those_of_finite_differences() -> None:
    found = loss().double()
    targets = found.targets(pictures(1, 3, 5, 6, seed=1).double(), pictures(1, 3, 7, 7, seed=2).double())
    seen = pictures(1, 3, 5, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tuple(vars(found(x, targets)).values()), seen, fast_mode=True)
    distance = FeatureDistance(trunk()).double()
    other = pictures(1, 3, 5, 6, seed=3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: distance(x, y), (seen, other), fast_mode=True)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10), channels=st.integers(1, 6))
def test_what_a_gram_matrix_does_not_see(seed: int, scale: float, channels: int) -> None:
    features = torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(seed)).double()
    matrix = gram(features)
    places = torch.randperm(20, generator=torch.Generator().manual_seed(seed))
    moved = features.flatten(2)[:, :, places].view_as(features)
    torch.testing.assert_close(gram(moved), matrix)
    torch.testing.assert_close(gram(features.repeat(1, 1, 2, 3)), matrix)  # nor how large a texture is
    torch.testing.assert_close(gram(scale * features), scale**2 * matrix)
    torch.testing.assert_close(matrix, matrix.transpose(1, 2))
    assert torch.linalg.eigvalsh(matrix).min() > -1e-9
    order = torch.randperm(channels, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(gram(features[:, order]), matrix[:, order][:, :, order])


def test_a_term_is_nothing_only_at_its_target() -> None:
    found, seen, other = loss(), pictures(1, 3, 16, 16), pictures(1, 3, 16, 16, seed=1)
    same = found(seen, found.targets(seen, seen))
    assert (same.content.item(), same.style.item(), same.total.item()) == (0, 0, 0)
    apart = found(seen, found.targets(other, other))
    assert apart.content > 0 and apart.style > 0
    # A term without targets, or without taps, is none.
    assert found(seen, found.targets(content=other)).style == 0
    assert found(seen, found.targets(style=other)).content == 0
    assert not PerceptualLoss(trunk(), {"conv1": 1.0}).targets(other, other).style


def test_targets_are_computed_once_and_shared_by_a_batch() -> None:
    found, seen = loss(), pictures(3, 3, 16, 12)
    content, style = pictures(3, 3, 16, 12, seed=1), pictures(1, 3, 10, 10, seed=2)
    together = found(seen, found.targets(content, style))
    singly = [found(seen[i : i + 1], found.targets(content[i : i + 1], style)) for i in range(3)]
    assert together.total.item() == pytest.approx(sum(one.total.item() for one in singly) / 3, rel=1e-5)
    targets = found.targets(content.requires_grad_(), style)
    assert not any(x.requires_grad for x in (*targets.content.values(), *targets.style.values()))


class Parent(nn.Module):
    """What trains by the loss and holds it."""

    def __init__(self, own: PerceptualLoss) -> None:
        super().__init__()
        self.layer, self.loss = nn.Conv2d(3, 3, 1), own


@pytest.mark.parametrize("name", ["vgg16", "efficientnet-lite0"])
def test_the_network_stays_as_it_is(name: str) -> None:
    tap = {"vgg16": "conv2", "efficientnet-lite0": "stage2"}[name]
    judge = trunk(name, (tap,))
    before = {key: value.clone() for key, value in judge.state_dict().items()}
    parent = Parent(PerceptualLoss(judge, {tap: 1.0}, {tap: 1.0})).train().requires_grad_(True)
    assert (
        list(parent.state_dict())
        == ["layer.weight", "layer.bias"]
        == [k for k, _ in parent.named_parameters()]
    )
    parent.load_state_dict(parent.state_dict())
    optimiser = torch.optim.SGD(parent.parameters(), 0.1)
    seen = pictures(2, 3, 24, 24)
    terms = parent.loss(parent.layer(seen), parent.loss.targets(seen, seen))
    torch.autograd.backward(terms.total)
    optimiser.step()
    assert not judge.training and not any(module.training for module in judge.modules())
    assert all(parameter.grad is None for parameter in judge.parameters())
    assert parent.layer.weight.grad is not None and parent.layer.weight.grad.abs().sum() > 0
    # Batch norms' running means among them.
    assert all(torch.equal(before[key], value) for key, value in judge.state_dict().items())


def test_it_moves_with_its_parent() -> None:
    parent = Parent(loss()).double()
    kinds = {value.dtype for value in parent.loss.features.trunk.state_dict().values()}
    assert kinds == {torch.float64} and parent.loss.features.trunk.mean.dtype == torch.float64


def test_half_precision_computes_features_and_nothing_more() -> None:
    found, seen = loss(), pictures(1, 3, 24, 24)
    targets = found.targets(pictures(1, 3, 24, 24, seed=1), pictures(1, 3, 24, 24, seed=2))
    exact = found(seen, targets)
    with torch.autocast("cpu", torch.bfloat16):
        assert found.features(seen)["conv2"].dtype == torch.bfloat16
        half = found(seen, targets)
        # 300 x 300 positions of one value: in bfloat16 the sum would stop growing at 256 times it.
        assert gram(torch.ones(1, 1, 300, 300, dtype=torch.bfloat16)).item() == 1
    for one, other in zip(vars(half).values(), vars(exact).values(), strict=True):
        assert one.dtype == torch.float32
        assert one.item() == pytest.approx(other.item(), rel=0.05)


COMPILED = """
import torch
from boxwright.perceptual import PerceptualLoss
from boxwright.weights.trunk import build_trunk
torch.manual_seed(0)
loss = PerceptualLoss(build_trunk("vgg16", ["conv1", "conv2"]), {"conv2": 1.0}, {"conv1": 1.0})
one, two = torch.rand(2, 1, 3, 16, 16)
targets = loss.targets(one, one)
totals = []
for way in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
    seen = two.clone().requires_grad_()
    total = way(seen, targets).total
    total.backward()
    totals += [total.item(), seen.grad.norm().item()]
print(*totals)
"""


def test_it_compiles_whole() -> None:
    """In a program of its own: the checks of shapes that tests add cannot be compiled."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True)
    total, slope, compiled_total, compiled_slope = map(float, done.stdout.split())
    assert total > 0 and slope > 0
    assert (compiled_total, compiled_slope) == pytest.approx((total, slope), rel=1e-5)


def test_it_takes_either_layout() -> None:
    found, seen = loss(), pictures(1, 3, 16, 16)
    targets = found.targets(pictures(1, 3, 16, 16, seed=1), pictures(1, 3, 16, 16, seed=2))
    last = found(seen.contiguous(memory_format=torch.channels_last), targets)
    assert last.total.item() == pytest.approx(found(seen, targets).total.item(), rel=1e-6)


@given(seed=st.integers(0, 50))
def test_the_laws_of_the_distance(seed: int) -> None:
    distance = FeatureDistance(trunk())
    a, b = pictures(2, 3, 9, 11, seed=seed), pictures(2, 3, 9, 11, seed=seed + 1)
    assert torch.equal(distance(a, a), torch.zeros(2))
    there, back = distance(a, b), distance(b, a)
    assert torch.equal(there, back) and (there > 0).all() and (there <= 2).all()


def test_the_distance_against_numpy() -> None:
    distance = FeatureDistance(trunk())
    a, b = pictures(1, 3, 8, 10), pictures(1, 3, 8, 10, seed=1)
    maps = [{k: v[0].double().numpy() for k, v in distance.features(x).items()} for x in (a, b)]
    each = []
    for tap in TAPS:
        one, two = (x[tap] / np.linalg.norm(x[tap], axis=0) for x in maps)
        each.append(((one - two) ** 2).sum(0).mean())
    assert distance(a, b).item() == pytest.approx(np.mean(each), rel=1e-4)


def test_a_relative_distance_is_one_for_the_pairs_it_was_made_of() -> None:
    distance = FeatureDistance(trunk())
    a, b = pictures(11, 3, 8, 10), pictures(11, 3, 8, 10, seed=1)
    relative = RelativeDistance(distance, a, b)
    assert relative(a, b).item() == pytest.approx(1, rel=1e-5)
    assert relative(a, a).item() == 0
    other = pictures(11, 3, 8, 10, seed=2)
    wanted = distance(a, other).mean() / distance(a, b).mean()
    assert relative(a, other).item() == pytest.approx(wanted.item(), rel=1e-5)
    # Of pairs that do not differ the unit is the least, and nothing is infinite.
    assert torch.isfinite(RelativeDistance(distance, a, a)(a, b))


def test_dead_features_have_no_distance_and_a_finite_gradient() -> None:
    judge = trunk()
    for parameter in judge.parameters():
        parameter.data.zero_()
    seen = pictures(1, 3, 8, 8).requires_grad_()
    found = FeatureDistance(judge)(seen, pictures(1, 3, 8, 8, seed=1))
    torch.autograd.backward(found.sum())
    assert found.item() == 0 and seen.grad is not None and torch.isfinite(seen.grad).all()


@pytest.mark.parametrize(
    ("name", "tap", "least"), [("vgg16", "conv4", 8), ("efficientnet-lite0", "stage3", 1)]
)
def test_odd_and_tiny_pictures(name: str, tap: str, least: int) -> None:
    found = PerceptualLoss(trunk(name, (tap,)), {tap: 1.0})
    for side in (least, least + 1, 2 * least + 3):
        seen = pictures(1, 3, side, 2 * side + 1)
        assert torch.isfinite(found(seen, found.targets(1 - seen)).total)
    if least > 1:
        with pytest.raises(
            InputError, match=f"of 7 x 20 pixels nothing is left at {tap} of {name}; give 8 pixels"
        ):
            found.targets(pictures(1, 3, 7, 20))


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(
        InputError, match=r"content: the trunk has no tap conv3; it was built with conv1, conv2"
    ):
        PerceptualLoss(trunk(), {"conv3": 1.0})
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="style: the weight of conv1"):
            PerceptualLoss(trunk(), style={"conv1": weight})
    with pytest.raises(InputError, match="neither content nor style has a tap"):
        PerceptualLoss(trunk())
    found = loss()
    with pytest.raises(
        InputError, match=r"content of \[4, 4\] cells at conv2, pictures of \[4, 5\]; give both"
    ):
        found(pictures(1, 3, 8, 10), found.targets(content=pictures(1, 3, 8, 8)))
    assert found(pictures(1, 3, 8, 8), PerceptualTargets()).total == 0
