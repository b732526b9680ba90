"""The average of a network over the steps of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel


def average_of(module: torch.nn.Module) -> AveragedModel:
    """Return the average of a network, which is the network as it is.

    Later networks move it towards a mean over about the last eighth of the steps so far. A tensor that does not change
    is kept to the last bit.

    Source: the power-function average of Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
    Diffusion Models", section 3.1; it needs no time constant, so short and long runs are averaged alike.
    """

    def move(averaged: Any, current: Any, _: Any) -> None:
        # the count of the average itself is on the host: of the one given here the host would wait for the device
        weight = 1.0 - (1.0 - 1.0 / (float(average.n_averaged) + 1.0)) ** 8
        if torch.is_floating_point(averaged[0]):
            torch._foreach_lerp_(averaged, current, weight)
        else:
            torch._foreach_copy_(averaged, current)

    average = AveragedModel(module, multi_avg_fn=move, use_buffers=True)
    return average
