"""What the source detects on the boxes of each class, what shuffled labels give, and epoch 0 with and without the map.

For each data folder: the table of target and source classes; how many classes match clearly and weakly where the labels
of the boxes are shuffled (none may match clearly, as the labels then mean nothing); AP on the validation split before
any training, for `class_map: none` and `auto`. With `--epochs` also the AP of short trainings, seed by seed.

    python tools/benchmarks/class_map.py DATA_FOLDER [DATA_FOLDER ...] --weights yolo11n --imgsz 320
        [--shuffles 200] [--hide-names] [--epochs 3 --seeds 0 1 2 --strategy full]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


def main() -> None:
    """Print everything for each data folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="data folders that tools/convert.py wrote")
    parser.add_argument("--weights", required=True, help="a name or a path")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--shuffles", type=int, default=200)
    parser.add_argument("--hide-names", action="store_true", help="classes do not meet by name either")
    parser.add_argument("--epochs", type=int, default=0, help="of the trainings; none without it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--strategy", help="of the trainings; without it the default")
    options = parser.parse_args()
    from detect_transfer.models.device import machine_name

    for folder in options.data:
        print(f"== {folder.name}, {options.weights}, {options.imgsz} px", flush=True)
        look(folder, options)
        if options.epochs:
            train_both(folder, options)
    print(f"machine: {machine_name()}")


def look(folder: Path, options: argparse.Namespace) -> None:
    """Print the table, the shuffles and epoch 0."""
    import torch

    from detect_transfer.config import Data
    from detect_transfer.data.run_data import load_run_data
    from detect_transfer.models import find_weights, load_detector, load_weights
    from detect_transfer.workflows.class_evidence import ask_source, choose_images, detect_own_classes

    data = load_run_data(Data(path=folder), drawn=folder)
    source = load_weights(find_weights(options.weights))
    evidence = ask_source(source, data, imgsz=options.imgsz, device=torch.device("cpu"))
    print(evidence.sentence)
    for match in evidence.matches:
        print(f"  {match.target:24.24s} {match.match:5s} {match.sentence}")
    ids = choose_images(data.train)
    detections = detect_own_classes(load_detector(source), data, ids, imgsz=options.imgsz)
    print(shuffled(data.train.select_images(ids), detections, source.class_names, options.shuffles))
    scores = {word: epoch_0(data, source, evidence if word == "auto" else None, options) for word in ("none", "auto")}
    ratio = f"{scores['auto'] / scores['none']:.2f} x" if scores["none"] else "from nothing"
    print(
        f"epoch 0 on val: AP {scores['none']:.4f} without, {scores['auto']:.4f} with the class map ({ratio})",
        flush=True,
    )


def shuffled(truth: Any, detections: Any, source_names: tuple[str, ...], times: int) -> str:
    """Return in words what matches where the labels of the boxes are shuffled."""
    from detect_transfer.models.class_evidence import match_classes

    truth = replace(truth, boxes=truth.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd")))
    labels = truth.boxes["category_id"].to_numpy()
    if len(np.unique(labels)) < 2:
        return "shuffled labels: all boxes are of one class, there is nothing to shuffle"
    counts: Counter[str] = Counter()
    for seed in range(times):
        mixed = pl.Series("category_id", np.random.default_rng(seed).permutation(labels))
        other = replace(truth, boxes=truth.boxes.with_columns(mixed))
        counts.update(each.match for each in match_classes(other, detections, truth.class_names, source_names))
    return f"shuffled labels, {times} times: " + ", ".join(
        f"{counts[kind]} {kind}" for kind in ("clear", "weak", "none")
    )


def epoch_0(data: Any, source: Any, evidence: Any, options: argparse.Namespace) -> float:
    """Return the AP on the validation split before any training."""
    from detect_transfer.config import Evaluate, Model, Transfer
    from detect_transfer.evaluation import coco_metrics
    from detect_transfer.models import build_detector
    from detect_transfer.models.predict import predict, read_images

    model = Model(family=source.family, weights=options.weights)
    transfer = Transfer(match_names=not options.hide_names)
    detector, _ = build_detector(model, transfer, data.train.class_names, source, evidence)
    images = read_images([(i, data.paths[i]) for i in data.val.images["image_id"]], options.imgsz)
    ids = data.val.categories["category_id"].sort().to_list()
    return coco_metrics(data.val, predict(detector, images, settings=Evaluate(), category_ids=ids))["AP"] or 0.0


def train_both(folder: Path, options: argparse.Namespace) -> None:
    """Train with and without the class map and print AP by epoch, the best of each seed, and their means."""
    best: dict[str, list[float]] = {"none": [], "auto": []}
    for seed in options.seeds:
        for class_map, scores in best.items():
            history = train_one(folder, options, class_map, seed)
            scores.append(max(history))
            print(f"{class_map}, seed {seed}: AP by epoch {' '.join(f'{ap:.3f}' for ap in history)}", flush=True)
    for class_map, scores in best.items():
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        print(f"{class_map}: best epoch, mean AP {statistics.mean(scores):.4f} (sd {spread:.4f})", flush=True)


def train_one(folder: Path, options: argparse.Namespace, class_map: str, seed: int) -> list[float]:
    """Return the AP of each epoch of one training, epoch 0 first."""
    from detect_transfer.config import make_config
    from detect_transfer.workflows.train import train

    transfer: dict[str, Any] = {"class_map": class_map, "match_names": not options.hide_names, "interpolate": "off"}
    if options.strategy:
        transfer["strategy"] = options.strategy
    with tempfile.TemporaryDirectory(prefix="class-map-") as scratch:
        content = {
            "data": {"path": str(folder)},
            "model": {"weights": options.weights},
            "transfer": {**transfer, "soup_epochs": 0},
            "train": {"epochs": options.epochs, "imgsz": options.imgsz, "seed": seed},
            "out": str(Path(scratch) / "run"),
        }
        result = train(make_config(content, []), name="benchmark", command="benchmark")
    return [row["AP"] or 0.0 for row in result.progress.history if "AP" in row]


if __name__ == "__main__":
    main()
