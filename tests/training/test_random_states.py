"""Each process of a training goes on with its own random numbers."""

from dataclasses import dataclass, field

import pytest
import torch

from detect_transfer.training.random_states import random_states, restore_random_states


@dataclass
class Process:
    """One of several processes, whose states are gathered one after another."""

    process_index: int
    others: list[torch.Tensor] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def gather(self, states: torch.Tensor) -> torch.Tensor:
        return torch.cat([*self.others, states])


@pytest.mark.parametrize(("index", "expected"), [(0, 0), (1, 1), (2, 0)])
def test_each_process__draws_what_it_would_have_drawn(index: int, expected: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = random_states(Process(0))
        drawn = [torch.rand(3)]
        torch.rand(7)  # the second has drawn more
        states = random_states(Process(1, [first]))
        drawn.append(torch.rand(3))
        restore_random_states(states, Process(index))
        assert torch.equal(torch.rand(3), drawn[expected])


def test_state_of_an_older_run__is_that_of_each_process() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = torch.get_rng_state()
        drawn = torch.rand(3)
        restore_random_states(state, Process(1))
        assert torch.equal(torch.rand(3), drawn)
