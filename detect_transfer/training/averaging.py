"""The average of a network over the steps of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel


def average_of(module: torch.nn.Module) -> AveragedModel:
    """Return the average of a network, which is the network as it is."""
    return AveragedModel(module, multi_avg_fn=_average, use_buffers=True)


def _average(averaged: Any, current: Any, count: Any) -> None:
    """Move the average towards the network: a mean over about the last eighth of the steps so far.

    Source: the power-function average of Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
    Diffusion Models", section 3.1; it needs no time constant, so short and long runs are averaged alike. A tensor that
    does not change is kept to the last bit.
    """
    weight = 1.0 - (1.0 - 1.0 / (float(count) + 1.0)) ** 8
    if torch.is_floating_point(averaged[0]):
        torch._foreach_lerp_(averaged, current, weight)
    else:
        torch._foreach_copy_(averaged, current)
