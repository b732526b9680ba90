"""Two trainings beside each other on one machine: images/s of each against one alone, by how threads wait and how many.

An OpenMP thread that has nothing to do waits in a loop for a while before it sleeps, which takes the core from whoever
could use it. With `OMP_WAIT_POLICY=PASSIVE` it sleeps at once; with cores / runs threads there is one for each core.

    python tools/benchmarks/side_by_side.py [--runs 2] [--repeats 3] [--images 64] [--imgsz 160]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import processor

from detect_transfer.core.threads import cores

LIMIT = 2.2  # times the time of one, for two runs on two cores
CHILD = """
import json, sys
from detect_transfer.config import RunConfig
from detect_transfer.workflows.train import train
config = RunConfig.model_validate(json.loads(sys.argv[1]))
rows = train(config, name="benchmark", command="benchmark").progress.history[2:]
print("images/s", sum(row["images_per_second"] for row in rows) / len(rows))
"""


def main() -> None:
    """Run each way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=3, help="the first is not counted")
    options = parser.parse_args()
    every, share = str(cores()), str(max(1, cores() // options.runs))
    ways = [
        ("alone, waiting in a loop", 1, {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": "ACTIVE"}),
        ("alone, as libgomp comes", 1, {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": ""}),
        ("alone, passive", 1, {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": "PASSIVE"}),
        (
            f"{options.runs} beside, waiting in a loop",
            options.runs,
            {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": "ACTIVE"},
        ),
        (f"{options.runs} beside, as libgomp comes", options.runs, {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": ""}),
        (f"{options.runs} beside, passive", options.runs, {"OMP_NUM_THREADS": every, "OMP_WAIT_POLICY": "PASSIVE"}),
        (
            f"{options.runs} beside, passive, {share} threads each",
            options.runs,
            {"OMP_NUM_THREADS": share, "OMP_WAIT_POLICY": "PASSIVE"},
        ),
    ]
    means = {}
    for name, count, variables in ways:
        speeds = [speed for _ in range(options.repeats) for speed in speeds_of(options, count, variables)]
        means[name] = statistics.mean(speeds)
        print(
            f"{name:40s} {means[name]:6.1f} images/s each ({min(speeds):.1f} to {max(speeds):.1f})",
            flush=True,
        )
    *_, beside, shared = means
    for name in (beside, shared):
        print(f"{name}: {means['alone, passive'] / means[name]:.2f} times the time of one alone (limit {LIMIT})")
    print(processor())


def speeds_of(options: argparse.Namespace, count: int, variables: dict[str, str]) -> list[float]:
    """Return images/s of so many trainings that begin together."""
    environment = {**os.environ, **variables}
    environment = {name: value for name, value in environment.items() if value}
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as folder:
        children = []
        for number in range(count):
            config = {
                "data": {"synthetic": {"task": "target", "train_images": options.images, "val_images": 18}},
                "model": {"weights": "scratch"},
                "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": 16},
                "out": str(Path(folder) / str(number)),
            }
            command = [sys.executable, "-c", CHILD, json.dumps(config)]
            children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
        outputs = [child.communicate()[0] for child in children]
    return [float(output.split("images/s")[1]) for output in outputs]


if __name__ == "__main__":
    main()
