"""In a step of training the host waits for the device once, but where code of others asks for a number."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from paths import ROOT

from detect_transfer.training.context import Stop
from detect_transfer.training.notices import Notices
from detect_transfer.training.time_budget import Deadline

ONCE = {"ours _one_step": 1}  # losses, notices and the norm of the gradient
CASES = [  # of those in the backward pass torch does not say whose they are
    ({"weights": "scratch", "arch": "yolo11n"}, ONCE, 5),
    # the head learns from the regions of a sample, of which the host has to know how many there are
    (
        {"family": "torchvision", "weights": "scratch", "arch": "fasterrcnn_mobilenet_v3_large_320_fpn"},
        {**ONCE, "ours losses": 1},
        37,
    ),
    ({"family": "transformers", "weights": "scratch", "arch": "rtdetr_v2_r18vd"}, {**ONCE, "ours _backward": 35}, 52),
]


@pytest.mark.parametrize(("model", "ours", "theirs"), CASES, ids=["yolo", "faster-rcnn", "rt-detr"])
@pytest.mark.slow
def test_step__waits_once_and_where_others_do(model: dict, ours: dict, theirs: int) -> None:
    script = ROOT / "tests" / "pretend_device.py"
    done = subprocess.run([sys.executable, str(script), json.dumps(model)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    waits = json.loads(done.stdout)
    assert {name: count for name, count in waits.items() if name.startswith("ours")} == ours
    assert sum(count for name, count in waits.items() if name.startswith("theirs")) <= theirs


def process(index: int, signal: int | None, deadline: Deadline) -> Notices:
    """Return the notices of one of two processes; the time of a phase has been told before."""
    accelerator = SimpleNamespace(
        num_processes=2, process_index=index, is_main_process=index == 0, device=torch.device("cpu")
    )
    endless = Deadline()
    notices = Notices(SimpleNamespace(accelerator=accelerator, stop=Stop(signal)), endless)
    notices._deadline = deadline
    return notices


@pytest.mark.parametrize("signals", [(None, 15), (15, None), (15, 15), (2, 15)])
def test_signal__is_known_to_all_processes_after_the_step(signals: tuple) -> None:
    both = [process(i, signal, Deadline()) for i, signal in enumerate(signals)]
    assert [each.signal for each in both] == [None, None]  # not before all know of it
    summed = sum(each.own() for each in both).tolist()
    for each in both:
        each.take(summed)
    assert [each.signal for each in both] == [15, 15]
    assert [each._context.stop.signal for each in both] == [15, 15]


def test_signal_that_comes_after_the_sum__waits_for_the_next_step() -> None:
    notices = process(0, None, Deadline())
    summed = notices.own().tolist()
    notices._context.stop.signal = 15
    notices.take(summed)
    assert notices.signal is None
    notices.take(notices.own().tolist())
    assert notices.signal == 15


def test_time__is_that_of_the_main_process() -> None:
    both = [process(0, None, Deadline(-1e9, 1e9)), process(1, None, Deadline(-1e9, -1))]
    assert both[1]._deadline.passed() == 1.0
    summed = sum(each.own() for each in both).tolist()
    for each in both:
        each.take(summed)
    assert [each.passed for each in both] == [pytest.approx(0.5, abs=1e-3)] * 2
