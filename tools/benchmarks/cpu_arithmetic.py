"""What single precision, bfloat16, the layout of channels and torch.compile are worth in training on this processor.

Steps of the whole network on random images with one box each: forward, loss and backward, with weights from scratch.
The arms take turns round by round, on the clock of the processor, so that a busy machine does not decide; the ratio is
to single precision with channels first. What compiling itself takes is a column of its own; its C++ compiler runs
beside the process, so those seconds are of the wall.

    python tools/benchmarks/cpu_arithmetic.py [--archs yolo11n ...] [--imgsz 320] [--batch 16] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from machine import processor

from detect_transfer.config import Model, Transfer
from detect_transfer.models import build_detector
from detect_transfer.models.base import Detector, Target
from detect_transfer.models.device import Precision, autocast, cpu_has_bf16

CPU = torch.device("cpu")
ARMS: dict[str, tuple[Precision, torch.memory_format, bool]] = {  # arithmetic, layout, compiled
    "fp32": ("fp32", torch.contiguous_format, False),
    "fp32, channels last": ("fp32", torch.channels_last, False),
    "bf16": ("bf16", torch.contiguous_format, False),
    "bf16, channels last": ("bf16", torch.channels_last, False),
    "fp32, channels last, compiled": ("fp32", torch.channels_last, True),
    "bf16, channels last, compiled": ("bf16", torch.channels_last, True),
}
FAMILY = {"yolo11n": "yolo", "fasterrcnn_mobilenet_v3_large_320_fpn": "torchvision"}


def main() -> None:
    """Print a row for each network and arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="+", choices=list(FAMILY), default=list(FAMILY))
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | arm | images/s | of fp32 | first step, s |\n|---|---|---|---|---|")
    for arch in options.archs:
        print_rows(arch, options)
    print(f"{processor()}, one thread; torch {torch.__version__}; bfloat16 in hardware: {cpu_has_bf16()}")


def print_rows(arch: str, options: argparse.Namespace) -> None:
    """Measure the arms of a network in turns."""
    steps, first = {}, {}
    for arm in options.arms:
        steps[arm] = step_of(arch, arm, options)
        began = time.monotonic()
        steps[arm]()
        first[arm] = time.monotonic() - began
    seconds: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for _ in range(options.rounds):
        for arm, step in steps.items():
            began = time.process_time()
            step()
            seconds[arm].append(time.process_time() - began)
    base = statistics.median(seconds[options.arms[0]])
    for arm, measured in seconds.items():
        middle = statistics.median(measured)
        speed = options.batch / middle
        print(f"| {arch} | {arm} | {speed:.1f} | {base / middle:.2f} | {first[arm]:.1f} |", flush=True)


def step_of(arch: str, arm: str, options: argparse.Namespace) -> Callable[[], None]:
    """Return a training step without its optimizer."""
    precision, layout, compiled = ARMS[arm]
    torch.manual_seed(0)
    model = Model(family=FAMILY[arch], arch=arch, weights="scratch")
    detector: Detector = build_detector(model, Transfer(), ["a", "b", "c"], None)[0]
    module = detector.module.to(memory_format=layout).train()
    network = torch.compile(module) if compiled else module
    shape = (options.batch, 3, options.imgsz, options.imgsz)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    box = np.array([[0.2, 0.3, 0.6, 0.7]]) * options.imgsz
    targets = [Target(box, np.array([i % 3])) for i in range(options.batch)]
    size_hw = (options.imgsz, options.imgsz)

    def step() -> None:
        module.zero_grad()
        with autocast(CPU, precision):
            inputs = detector.preprocess(images).contiguous(memory_format=layout)
            outputs = network(*detector.forward_args(inputs, targets))
        losses = detector.loss(outputs, targets, size_hw)
        torch.stack([part.mean(part.count) for part in losses.values()]).sum().backward()

    return step


if __name__ == "__main__":
    main()
