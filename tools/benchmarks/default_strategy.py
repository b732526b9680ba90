"""The default strategy against the roads it chooses from: the source untouched, the head alone, the whole network.

Every line is one training with one seed through the same pipeline; a run hands back its best epoch, and the untouched
source is epoch 0 of each. The last lines compare means: the default may lie below the best road by no more than the
spread (standard deviation) of the seeds.

    python tools/benchmarks/default_strategy.py --data DATA_FOLDER --weights yolo11n.pt --seeds 0 1 2
        [--epochs 10] [--class-map '{pedestrian: person}'] [--imgsz 320] [--val-split val] [--augment none]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

ROADS = ("head_only", "full", "default")


def main() -> None:
    """Run every road with every seed and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder that tools/convert.py wrote")
    parser.add_argument("--weights", required=True, help="a name or a path")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--class-map", default="{}", help="YAML, e.g. '{pedestrian: person}'")
    parser.add_argument("--val-split", default="val")
    parser.add_argument("--augment", type=Path, help="a config whose augmentation is taken")
    options = parser.parse_args()

    from detect_transfer.models.device import machine_name

    scores: dict[str, list[float]] = {road: [] for road in ("epoch 0", *ROADS)}
    for seed in options.seeds:
        for road in ROADS:
            began = time.monotonic()
            result = train_road(options, road, seed)
            history = result.progress.history
            ap = result.metrics["AP"] or 0.0
            scores[road].append(ap)
            if road == ROADS[0]:
                scores["epoch 0"].append(history[0]["AP"] or 0.0)
            print(
                f"{road:10s} seed {seed}  AP {ap:.4f}  best epoch {result.progress.best_epoch}/{result.progress.epoch} "
                f"(epoch 0: {history[0]['AP'] or 0.0:.4f})  {time.monotonic() - began:.0f} s",
                flush=True,
            )
    means = {road: statistics.mean(values) for road, values in scores.items()}
    spreads = {road: statistics.stdev(values) if len(values) > 1 else 0.0 for road, values in scores.items()}
    for road, mean in means.items():
        print(f"{road:10s} mean AP {mean:.4f} (sd {spreads[road]:.4f})")
    best = max((road for road in means if road != "default"), key=lambda road: means[road])
    spread = max(spreads[best], spreads["default"])
    print(f"default - best ({best}): {means['default'] - means[best]:+.4f}; spread of the seeds {spread:.4f}")
    print(f"machine: {machine_name()}")


def train_road(options: argparse.Namespace, road: str, seed: int) -> Any:
    """Train by one road with one seed."""
    import yaml

    from detect_transfer.config import RunConfig, read_yaml
    from detect_transfer.workflows.train import train

    augment = {"augment": read_yaml(options.augment)["augment"]} if options.augment else {}
    transfer: dict[str, Any] = {"class_map": yaml.safe_load(options.class_map)}
    if road != "default":
        transfer["strategy"] = road
    with tempfile.TemporaryDirectory(prefix="roads-") as folder:
        config = RunConfig.model_validate(
            {
                "data": {"path": options.data, "val_split": options.val_split},
                "model": {"weights": options.weights},
                "transfer": transfer,
                "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": seed},
                **augment,
                "out": Path(folder) / "run",
            }
        )
        return train(config, name="benchmark", command="benchmark")


if __name__ == "__main__":
    main()
