from __future__ import annotations

import pytest
import torch
from torch import nn

from boxwright.backbones.layers import DropPath
from boxwright.training.dropping import KeyedDropout, KeyedDropPath, make_keyed


def net() -> nn.Sequential:
    return nn.Sequential(nn.Dropout(0.3), DropPath(0.25), nn.Dropout(0.3))


def test_layers_are_replaced_and_the_function_in_evaluation_stays() -> None:
    layers = net().eval()
    make_keyed(layers)
    assert [type(layer) for layer in layers] == [KeyedDropout, KeyedDropPath, KeyedDropout]
    given = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(layers(given), given)


def test_what_is_dropped_follows_from_the_image_and_the_step_alone() -> None:
    layers = net().train()
    keys, images = make_keyed(layers), torch.tensor([11, 12, 13, 14])
    given = torch.ones(4, 3, 5, 5)
    keys.begin(images)
    whole = layers(given)
    for rows in ([0, 1], [2, 3], [3], [2, 0]):
        keys.begin(images[rows])
        torch.testing.assert_close(layers(given[rows]), whole[rows])
    keys.begin(images + 1)
    assert not torch.equal(layers(given), whole)


def test_two_layers_drop_different_numbers() -> None:
    layers = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)).train()
    keys = make_keyed(layers)
    keys.begin(torch.tensor([3]))
    first, second = layers[0](torch.ones(1, 400)), layers[1](torch.ones(1, 400))
    assert 100 < int((first != second).sum()) < 300


def test_regions_of_an_image_stand_one_after_the_other() -> None:
    layers = nn.Sequential(nn.Dropout(0.5)).train()
    keys, given = make_keyed(layers), torch.ones(6, 50)
    keys.begin(torch.tensor([5, 6]))
    whole = layers(given)
    keys.begin(torch.tensor([6]))
    torch.testing.assert_close(layers(given[3:]), whole[3:])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_and_mean(rate: float) -> None:
    layers = nn.Sequential(nn.Dropout(rate), DropPath(rate)).train()
    keys = make_keyed(layers)
    images = torch.arange(2000)
    keys.begin(images)
    for layer in layers:
        dropped = layer(torch.ones(2000, 20, 1, 1))
        # Of 2,000 images at least: the deviation of the mean is at most .5 / 45, times 10 for the scale.
        assert float((dropped == 0).float().mean()) == pytest.approx(rate, abs=0.05)
        assert float(dropped.mean()) == pytest.approx(1, abs=0.25)


def test_without_keys_torch_draws() -> None:
    layers = net().train()
    make_keyed(layers)
    torch.manual_seed(0)
    first = layers(torch.ones(8, 3, 4, 4))
    torch.manual_seed(0)
    torch.testing.assert_close(layers(torch.ones(8, 3, 4, 4)), first)


def test_a_second_run_of_a_network_has_its_own_keys() -> None:
    layers = net().train()
    old, new = make_keyed(layers), make_keyed(layers)
    assert all(layer.keys is new and layer.keys is not old for layer in layers)
