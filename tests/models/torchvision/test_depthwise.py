"""Slow depthwise convolutions stay in single precision on a CPU; all else is as it was."""

import copy

import torch
from torch import nn

from detect_transfer.models.torchvision.depthwise import SinglePrecisionConv, keep_slow_ones_single


def test_slow_ones__compute_in_single_precision_with_the_same_parameters() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 4, 3, stride=2),
    )
    before = copy.deepcopy(network)
    parameters = dict(network.named_parameters())
    keep_slow_ones_single(network)
    assert [type(layer) is SinglePrecisionConv for layer in network] == [True, True, False, False]
    assert all(parameter is parameters[name] for name, parameter in network.named_parameters())
    x = torch.rand(2, 8, 16, 16)
    assert torch.equal(network(x), before(x))
    with torch.autocast("cpu", torch.bfloat16):
        exact = network[0](x)
        assert network[3](x).dtype == torch.bfloat16
    assert torch.equal(exact, before[0](x))
    torch.testing.assert_close(copy.deepcopy(network)(x), before(x))
