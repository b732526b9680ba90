"""Depthwise convolutions that are quicker in single precision than in bfloat16 on a CPU.

The backward pass of a depthwise convolution with a stride or a kernel beyond 3 x 3 takes up to four times as long in
bfloat16 (torch 2.14, oneDNN on AVX-512); all others gain by it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class SinglePrecisionConv(nn.Conv2d):
    """A convolution that computes in single precision on a CPU, whatever autocast says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution of x."""
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def keep_slow_ones_single(module: nn.Module) -> None:
    """Replace the slow depthwise convolutions of a network; the parameters and their names stay."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and child.groups == child.in_channels > 1 and _is_slow(child):
                setattr(parent, name, _single(child))


def _is_slow(conv: nn.Conv2d) -> bool:
    return max(conv.kernel_size) > 3 or max(conv.stride) > 1


def _single(conv: Any) -> SinglePrecisionConv:
    copied = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    options = {name: getattr(conv, name) for name in copied}
    new = SinglePrecisionConv(**options, bias=conv.bias is not None, device="meta")
    new.weight, new.bias = conv.weight, conv.bias
    return new
