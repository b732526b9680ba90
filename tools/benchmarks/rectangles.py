"""Batches of images of like shape against batches of squares: images/s, AP, and pixels, on one data folder.

Both arms train the whole network in turns, seed by seed, in one process; images/s are those of its processor clock in
training steps alone, so that a busy machine does not decide. AP is that of the best epoch on val, which is scored in
the same way in both arms. `--imgsz 384x640` measures two sides against their longer one.

    python tools/benchmarks/rectangles.py --data DATA_FOLDER --weights yolo11n [--imgsz 640] [--epochs 5]
        [--batch 16] [--seeds 0 1 2] [--shapes one like]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from detect_transfer.config import RunConfig
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.device import machine_name
from detect_transfer.workflows.train import Watch, train


def main() -> None:
    """Train both arms with each seed and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", default="yolo11n")
    parser.add_argument("--imgsz", type=InputSize.of_option, default=InputSize(640, 640))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shapes", nargs="+", default=["one", "like"], choices=["one", "like"])
    options = parser.parse_args()
    sizes = [options.imgsz] if options.imgsz.is_square else [InputSize.of(options.imgsz.longer), options.imgsz]
    arms = [(size, shapes) for size in sizes for shapes in options.shapes]
    rows: dict[Any, list[dict[str, float]]] = {arm: [] for arm in arms}
    for seed in options.seeds:
        for size, shapes in arms:
            rows[size, shapes].append(row := train_once(options, seed, size, shapes))
            print(f"seed {seed}, {size} px, {shapes}: {row}", flush=True)
    print(f"\n| {options.data.name} | images/s | of `one` | AP | AP50 | AP by seed |\n|---|---|---|---|---|---|")
    base = statistics.median(row["speed"] for row in rows[arms[0]])
    for (size, shapes), runs in rows.items():
        speed = statistics.median(row["speed"] for row in runs)
        scores = " | ".join(f"{statistics.mean(row[name] for row in runs):.3f}" for name in ("AP", "AP50"))
        by_seed = ", ".join(f"{row['AP']:.3f}" for row in runs)
        print(f"| {size} px, `{shapes}` | {speed:.1f} | {speed / base:.2f} | {scores} | {by_seed} |")
    print(f"\n{options.epochs} epochs, batch {options.batch}, {len(options.seeds)} seeds; {machine_name()}")


def train_once(options: argparse.Namespace, seed: int, size: InputSize, shapes: str) -> dict[str, float]:
    """Train the whole network; return images/s of the processor clock, and AP of the best epoch."""
    steps: list[tuple[int, int, float]] = []
    watch = Watch(on_step=lambda epoch, step, count, *_: steps.append((step, count, time.process_time())))
    with tempfile.TemporaryDirectory() as scratch:
        settings = {
            "data": {"path": options.data},
            "model": {"weights": options.weights},
            "transfer": {"strategy": "full", "interpolate": "off"},
            "train": {
                "epochs": options.epochs,
                "imgsz": size.plain,
                "batch": options.batch,
                "batch_shapes": shapes,
                "seed": seed,
            },
            "out": Path(scratch) / "run",
        }
        result = train(RunConfig.model_validate(settings), name="rectangles", command="rectangles", watch=watch)
    pairs = [(before, after) for before, after in pairwise(steps) if after[0] == before[0] + 1]
    seconds = statistics.mean(after[2] - before[2] for before, after in pairs)
    best = max(result.progress.history, key=lambda row: row["AP"] or 0.0)
    return {
        "speed": result.train_images / steps[0][1] / seconds,
        "AP": best["AP"] or 0.0,
        "AP50": best["AP50"] or 0.0,
        "epoch": best["epoch"],
    }


if __name__ == "__main__":
    main()
