"""Loading processes that are spawned, as on macOS, Windows and Python 3.14, give what forked ones do."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from detect_transfer.models import load_weights


@pytest.fixture
def start_method() -> Iterator[None]:
    before = multiprocessing.get_start_method()
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.mark.slow
@pytest.mark.usefixtures("start_method")
def test_two_spawned_workers__train_the_weights_of_forked_ones(config, run, few_data: Path, tmp_path: Path) -> None:
    trained = []
    for method in ("fork", "spawn"):
        multiprocessing.set_start_method(method, force=True)
        run(config(method, data={"path": few_data}, train={"epochs": 1, "imgsz": 64, "workers": 2}))
        trained.append(load_weights(tmp_path / method / "weights" / "last.safetensors").tensors)
    forked, spawned = trained
    assert forked.keys() == spawned.keys()
    assert all(torch.equal(forked[name], spawned[name]) for name in forked)
