from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from boxwright.errors import InputError
from boxwright.perceptual.loss import FeatureDistance
from boxwright.perceptual.squares import Squares, find_pictures, hold_back
from boxwright.perceptual.vae import Vae, VaeSettings
from boxwright.perceptual.vae_coder import open_coder, read_vae
from boxwright.perceptual.vae_latents import draw_latents, psnr
from boxwright.perceptual.vae_losses import log_weights
from boxwright.perceptual.vae_task import VAE_TRAINING, VaeTask
from boxwright.training.step import DivergenceError
from boxwright.training.stop import Interrupted
from boxwright.training.task_loop import train_task
from boxwright.weights.trunk import Trunk, build_trunk

SETTINGS = VaeSettings(size=32, latent=6, width=8, held=6)
QUICK = replace(
    VAE_TRAINING, iterations=60, batch=8, lr=3e-3, warmup=5, eval_every=20, ema=0.9, ema_ramp=5, threads=1
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Discs of some colour, size and place on grounds of another."""
    folder, rng = tmp_path_factory.mktemp("discs"), np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    for i in range(30):
        image = np.full((24, 24, 3), rng.integers(0, 90, 3), np.uint8)
        row, column, radius = rng.uniform(8, 16), rng.uniform(8, 16), rng.uniform(4, 8)
        image[(y - row) ** 2 + (x - column) ** 2 < radius**2] = rng.integers(120, 256, 3)
        Image.fromarray(image).save(folder / f"{i:02}.png")
    return find_pictures(folder)


def trunk() -> Trunk:
    torch.manual_seed(7)
    return build_trunk("vgg11", ["conv1", "conv2"]).eval()


def task(paths: tuple[Path, ...], settings: VaeSettings = SETTINGS) -> VaeTask:
    learned, held = hold_back(paths, settings.held, settings.seed)
    return VaeTask(settings, learned, held, trunk() if settings.features else None)


@pytest.fixture(scope="module")
def trained(paths: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vae") / "run"
    train_task(task(paths), QUICK, out)
    return out


def test_it_learns_more_than_the_mean_picture(paths: tuple[Path, ...], trained: Path) -> None:
    net, card = read_vae(trained / "best.safetensors")
    learned, held = hold_back(paths, SETTINGS.held, SETTINGS.seed)
    mean = Squares(learned, 32).middles().mean(0)
    pictures = Squares(held, 32).middles()
    of_mean = psnr(np.broadcast_to(mean, pictures.shape).astype(np.float32), pictures).mean()
    assert card.notes["psnr"] > of_mean + 1
    assert card.settings["held"] == 6
    assert net.batches.item() > 10
    assert {path.name for path in trained.iterdir()} >= {
        "preview.png",
        "curves.png",
        "metrics.csv",
        "run.json",
    }


def test_figures_are_what_they_are_called(paths: tuple[Path, ...], trained: Path) -> None:
    net, _ = read_vae(trained / "best.safetensors")
    judged = task(paths)
    judged.judges["random vgg11"] = FeatureDistance(trunk())
    with torch.inference_mode():
        figures = judged.measure(net)
        decoded = net.decode(net.encode(judged.held)[0])
        noise = torch.from_numpy(draw_latents(6, 6, SETTINGS.seed))
        # The bound of one draw each, with the divergence's expectation in the place of the draw's own.
        mean, log_variance = net.encode(judged.held)
        q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        p = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
        drawn = mean + torch.exp(0.5 * log_variance) * noise
        sampled = (q.log_prob(drawn) - p.log_prob(drawn)).sum(1)
        analytic = torch.distributions.kl_divergence(q, p).sum(1)
        weights = log_weights(net, net.log_deviation("pixels"), judged.held, noise[None])[0]
        distance = judged.judges["random vgg11"](decoded, judged.held).mean()
    assert figures["kl"] == pytest.approx(analytic.mean().item(), rel=1e-4)
    assert figures["elbo"] == pytest.approx((weights + sampled - analytic).mean().item(), rel=1e-4)
    assert figures["loss"] == pytest.approx(-figures["elbo"] / 3072, rel=1e-4)
    assert figures["psnr"] == pytest.approx(psnr(decoded.numpy(), judged.held.numpy()).mean(), rel=1e-4)
    assert figures["random vgg11"] == pytest.approx(distance.item(), rel=1e-4)


def test_the_preview_shows_pictures_decoded_and_drawn(paths: tuple[Path, ...], trained: Path) -> None:
    net, _ = read_vae(trained / "best.safetensors")
    with torch.inference_mode():
        shown = task(paths).picture(net)
    assert shown.shape[0] == 4 * 66 - 2
    row = shown[:64, -(12 * 66 - 2) :][::2, ::2]
    held = Squares(hold_back(paths, 6, 0)[1], 32).middle(0)
    np.testing.assert_array_equal(row[:32, :32], np.rint(held * 255).transpose(1, 2, 0))


def test_an_example_is_a_function_of_its_generator(paths: tuple[Path, ...]) -> None:
    some = task(paths)
    one, two = (some.example(3, np.random.default_rng(9)) for _ in range(2))
    for a, b in zip(one.arrays, two.arrays, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.float32
    assert one.path.endswith(".png")
    assert (some.example(3, np.random.default_rng(10)).arrays[1] != one.arrays[1]).any()


def test_stopped_and_resumed_it_ends_as_if_undisturbed(
    paths: tuple[Path, ...], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = task(paths)
    calls = 0
    losses = VaeTask.losses

    def until(self: VaeTask, net: torch.nn.Module, *batch: Tensor) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == 33:
            raise Interrupted("stopped")
        return losses(self, net, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(VaeTask, "losses", until)
        with pytest.raises(Interrupted):
            train_task(interrupted, QUICK, tmp_path / "run")
    train_task(task(paths), QUICK, tmp_path / "run", resume=True)
    whole, parts = (read_vae(out / "last.safetensors")[0].state_dict() for out in (trained, tmp_path / "run"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=0, rtol=0)


def test_a_continuation_of_other_pictures_is_refused(paths: tuple[Path, ...], trained: Path) -> None:
    with pytest.raises(InputError, match="held was"):
        train_task(task(paths[:-1]), QUICK, trained, resume=True)


def test_features_are_in_units_of_their_variety(paths: tuple[Path, ...]) -> None:
    """1 is how far the mean of the pictures is from them."""
    one = task(paths, replace(SETTINGS, pixels=0.0, features=1.0))
    pictures = torch.from_numpy(Squares(one.learned.paths, 32).middles())
    decoded = pictures.mean(0, keepdim=True).repeat(len(pictures), 1, 1, 1).requires_grad_()
    distance = one.objective.distances["features"](decoded, pictures)
    assert distance.item() == pytest.approx(1, rel=1e-4)
    apart = (
        FeatureDistance(trunk())(pictures, pictures.flip(0)).mean()
        / FeatureDistance(trunk())(decoded, pictures).mean()
    )
    assert one.objective.distances["features"](pictures, pictures.flip(0)).item() == pytest.approx(
        apart.item(), rel=1e-4
    )
    torch.autograd.backward(distance)
    assert decoded.grad is not None and decoded.grad.abs().sum() > 0


@pytest.mark.parametrize("weights", [(0.0, 1.0), (0.5, 0.5)])
def test_it_learns_by_features(paths: tuple[Path, ...], tmp_path: Path, weights: tuple[float, float]) -> None:
    settings = replace(SETTINGS, pixels=weights[0], features=weights[1], warmup=3, free_bits=0.05)
    one = task(paths, settings)
    with torch.inference_mode():
        before = one.measure(one.net.eval())
    result = train_task(one, replace(QUICK, iterations=25), tmp_path / "run")
    assert result.card.notes["features"] < 0.9 * before["features"]
    assert ("elbo" in result.card.notes) == (weights[0] > 0)
    # The frozen network is no part of what was saved.
    net, _ = read_vae(result.best)
    assert set(net.state_dict()) == set(Vae(settings).state_dict())
    assert open_coder(result.best).decode(draw_latents(2, 6, 0)).shape == (2, 3, 32, 32)


def test_the_deviation_starts_at_the_pictures_own(paths: tuple[Path, ...]) -> None:
    learned, _ = hold_back(paths, SETTINGS.held, SETTINGS.seed)
    expected = Squares(learned, 32).middles().std(0)
    found = task(paths).net.log_deviation("pixels").exp().item()
    assert found == pytest.approx(math.sqrt((expected**2).mean()), rel=1e-4)
    fixed = task(paths, replace(SETTINGS, deviation=0.2)).net.log_deviation("pixels").exp().item()
    assert fixed == pytest.approx(0.2)


def test_features_need_a_network_before_anything_is_learned(paths: tuple[Path, ...]) -> None:
    learned, held = hold_back(paths, SETTINGS.held, SETTINGS.seed)
    with pytest.raises(ValueError, match="no distance was given"):
        VaeTask(replace(SETTINGS, features=1.0), learned, held)


def test_a_deviation_that_is_given_is_no_weight(paths: tuple[Path, ...], tmp_path: Path) -> None:
    """The loop lets all weights of a network learn."""
    given = task(paths, replace(SETTINGS, deviation=0.2))
    result = train_task(given, replace(QUICK, iterations=10), tmp_path / "run")
    net, _ = read_vae(result.best)
    assert net.log_deviation("pixels").exp().item() == pytest.approx(0.2)
    assert "log_deviations.pixels" not in net.state_dict()


def test_one_begins_where_another_ended(paths: tuple[Path, ...], trained: Path) -> None:
    before, _ = read_vae(trained / "best.safetensors")
    settings = replace(SETTINGS, features=0.5, pixels=0.5)
    learned, held = hold_back(paths, SETTINGS.held, SETTINGS.seed)
    begun = VaeTask(settings, learned, held, trunk(), start=before)
    with torch.inference_mode():
        assert begun.measure(begun.net.eval())["psnr"] == task(paths).measure(before)["psnr"]
    assert begun.net.log_deviation("pixels") == before.log_deviation("pixels")
    assert begun.net.log_deviation("features") == 0
    with pytest.raises(InputError, match="a latent of 6, not 7"):
        VaeTask(replace(SETTINGS, latent=7), learned, held, start=before)


def test_a_loss_that_is_not_finite_stops_and_names_the_files(paths: tuple[Path, ...], tmp_path: Path) -> None:
    broken = task(paths)
    with torch.no_grad():
        broken.net.last.bias.fill_(float("nan"))
    with pytest.raises(DivergenceError, match=r"\.png"):
        train_task(broken, QUICK, tmp_path / "run")


def test_a_continuation_by_other_features_is_refused(paths: tuple[Path, ...], tmp_path: Path) -> None:
    settings = replace(SETTINGS, features=1.0, pixels=0.0)
    train_task(task(paths, settings), replace(QUICK, iterations=3), tmp_path / "run")
    learned, held = hold_back(paths, SETTINGS.held, SETTINGS.seed)
    torch.manual_seed(8)
    other = VaeTask(settings, learned, held, build_trunk("vgg11", ["conv1", "conv2"]))
    with pytest.raises(InputError, match="features was"):
        train_task(other, replace(QUICK, iterations=3), tmp_path / "run", resume=True)
