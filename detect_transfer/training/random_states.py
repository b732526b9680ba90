"""The random numbers of training, so that a resumed run draws those that it would have drawn."""

from __future__ import annotations

import torch
from accelerate import Accelerator


def random_states(accelerator: Accelerator) -> torch.Tensor:
    """Return the states (P, N) uint8 of the generators of all processes: of the CPU, then of a CUDA device.

    All processes must call. Each has its own: those of a region network draw as many numbers as it has proposals.
    """
    own = torch.get_rng_state()
    if accelerator.device.type == "cuda":
        own = torch.cat([own, torch.cuda.get_rng_state(accelerator.device)])
    states: torch.Tensor = accelerator.gather(own[None].to(accelerator.device))
    return states.cpu()


def restore_random_states(states: torch.Tensor, accelerator: Accelerator) -> None:
    """Put the state of this process back; where there were fewer processes, that of the first.

    Args:
        states: As `random_states` gave them, or (N,) of the first process alone, as older runs have it.
        accelerator: Of this run.
    """
    states = states.reshape(-1, states.shape[-1])
    index = accelerator.process_index
    own = states[index if index < len(states) else 0].cpu()
    n_cpu = len(torch.get_rng_state())
    torch.set_rng_state(own[:n_cpu].clone())  # torch reads past the end of a view
    if accelerator.device.type == "cuda" and len(own) > n_cpu:
        torch.cuda.set_rng_state(own[n_cpu:].clone(), accelerator.device)
