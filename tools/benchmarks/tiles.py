"""What tiles are worth for small objects: AP and AP_small of whole images and of tiles, scored at full resolution.

With `--weights` of the classes of the data nothing is trained: a row of whole images and one of tiles. Without, two
networks are trained from `--source`, one on whole images and one on tiles of the training images (`convert --tile`),
and both are scored on the whole validation images: whole by whole, whole by tiles, tiles by tiles. Tiles are several
for an image: `--tiled-epochs` gives both trainings about as many steps. Intervals are the middle 95 % over draws of the
validation images, the same ones for all rows, so that differences to the first row are paired.

    python tools/benchmarks/tiles.py --format gtsdb --data GTSDB --source yolo11n --tile 640

The row of the README is of one training (GTSDB in four classes and its own split, 110 and 36 scenes):

    detect-transfer convert gtsdb GTSDB --classes datasets/gtsdb/dataset.yaml#super4 --out data/g4
    detect-transfer train data.path=data/g4 data.val_split=test model.weights=yolo11n train.imgsz=480 train.epochs=10
        out=runs/g4
    python tools/benchmarks/tiles.py --format coco --data data/g4/annotations/instances_test.json --weights runs/g4
        --tile 640 --imgsz 480
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import processor
from resampled import resampled, span

from detect_transfer import convert, train
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.tiles import Tiling
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.split_file import load_split_file
from detect_transfer.workflows.evaluate_weights import ScoredTable, evaluate_weights
from detect_transfer.workflows.trained_detector import load_trained

METRICS = ("AP", "AP_small")


def main() -> None:
    """Score with and without tiles and print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--weights", help="of the classes of the data: nothing is trained")
    parser.add_argument("--source", default="yolo11n", help="what both trainings start from")
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--tiled-epochs", type=int, help="of the training on tiles; without it the same")
    options = parser.parse_args()
    tiling = Tiling(options.tile, options.overlap)
    with tempfile.TemporaryDirectory(prefix="tiles-") as scratch:
        folder = Path(scratch)
        split = {"val": 1.0} if options.weights else "auto"
        convert(options.data, folder / "whole", format=options.format, split=split)
        sides: list[tuple[str, str | Path, Tiling | None]]
        if options.weights:
            sides = [("whole images", options.weights, None), ("tiles", options.weights, tiling)]
        else:
            same = load_split_file(folder / "whole" / "splits.json")
            convert(options.data, folder / "tiled", format=options.format, tiling=tiling, split=same)
            epochs = {"whole": options.epochs, "tiled": options.tiled_epochs or options.epochs}
            runs = {name: fine_tune(options, folder, name, count) for name, count in epochs.items()}
            sides = [
                ("trained and predicted whole", runs["whole"], None),
                ("trained whole, predicted in tiles", runs["whole"], tiling),
                ("trained and predicted in tiles", runs["tiled"], tiling),
            ]
        first: FloatArray | None = None
        for number, (name, weights, chosen) in enumerate(sides):
            scored = score(options, folder, number, weights, chosen)
            drawn = resampled(scored.case, METRICS)
            first = drawn if first is None else first
            print(f"{name:34s} {shown(scored, drawn, drawn - first if number else None)}", flush=True)
    print(f"tiles of {options.tile} px, overlap {options.overlap}, network {options.imgsz} px, {processor()}")


def fine_tune(options: argparse.Namespace, folder: Path, name: str, epochs: int) -> Path:
    """Train on one of the two data folders."""
    words = [f"train.imgsz={options.imgsz}", f"train.epochs={epochs}", f"model.weights={options.source}"]
    return train(overrides=[f"data.path={folder / name}", *words], out=folder / f"run_{name}").folder


def score(
    options: argparse.Namespace, folder: Path, number: int, weights: str | Path, tiling: Tiling | None
) -> ScoredTable:
    """Score on the whole validation images, as `evaluate --tile` does."""
    trained = replace(load_trained(weights, imgsz=options.imgsz), tiling=tiling)
    truth = read_ground_truth(folder / "whole", split="val")
    return evaluate_weights(trained, truth, folder / f"scored_{number}")


def shown(scored: ScoredTable, drawn: FloatArray, differences: FloatArray | None) -> str:
    """Return each metric with its interval, and that of its difference to the first row."""
    parts = []
    for column, name in enumerate(METRICS):
        value = scored.scores.metrics[name]
        parts.append(f"{name} {'null' if value is None else f'{value:.3f}'} {span(drawn[:, column])}")
        if differences is not None:
            parts[-1] += f", {np.mean(differences[:, column]):+.3f} {span(differences[:, column])}"
    return "  ".join(parts)


if __name__ == "__main__":
    main()
