"""The average of a network over the steps of its training."""

from __future__ import annotations

import torch
from torch.optim.swa_utils import AveragedModel


def average_of(module: torch.nn.Module) -> AveragedModel:
    """Return the average of a network, which is the network as it is.

    Later networks move it towards a mean over about the last eighth of the steps so far. A tensor that does not change
    is kept to the last bit.

    Source: the power-function average of Karras et al. 2024, "Analyzing and Improving the Training Dynamics of
    Diffusion Models", section 3.1; it needs no time constant, so short and long runs are averaged alike.
    """
    return AveragedModel(module, use_buffers=True)


@torch.no_grad()
def move_average(average: AveragedModel, module: torch.nn.Module) -> None:
    """Move an average towards the network after a step; the first one is taken as it is.

    torch's own `update_parameters` copies its count to the device in every step, and the host waits for it.
    """
    count = int(average.n_averaged)
    weight = 1.0 - (1.0 - 1.0 / (count + 1.0)) ** 8
    averaged, current = ([*each.parameters(), *each.buffers()] for each in (average.module, module))
    moved = [i for i, tensor in enumerate(averaged) if count and torch.is_floating_point(tensor)]
    if moved:
        torch._foreach_lerp_([averaged[i] for i in moved], [current[i] for i in moved], weight)
    copied = sorted(set(range(len(averaged))).difference(moved))
    if copied:
        torch._foreach_copy_([averaged[i] for i in copied], [current[i] for i in copied])
    average.n_averaged += 1
