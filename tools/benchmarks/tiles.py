"""What tiles are worth for small objects: AP and AP_small of whole images and of tiles, scored at full resolution.

With `--weights` of the classes of the data nothing is trained, and tiles are used in prediction alone. Without, two
networks are trained from `--source` with the same epochs, one on whole images and one on tiles of the training images
(`convert --tile`), and both are scored on the whole validation images. Intervals are those of `evaluate` (bootstrap
over images).

    python tools/benchmarks/tiles.py --format gtsdb --data GTSDB --source yolo11n --tile 640
    python tools/benchmarks/tiles.py --format coco --data instances_val.json --weights yolo11n.pt --tile 320
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import processor

from detect_transfer import convert, evaluate, predict, train
from detect_transfer.core.tiles import Tiling


def main() -> None:
    """Predict with and without tiles and print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--weights", help="of the classes of the data: nothing is trained")
    parser.add_argument("--source", default="yolo11n", help="what both trainings start from")
    parser.add_argument("--tile", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=10)
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
            tiled = {"format": options.format, "tiling": tiling, "split": folder / "whole" / "splits.json"}
            convert(options.data, folder / "tiled", **tiled)
            runs = {name: fine_tune(options, folder, name) for name in ("whole", "tiled")}
            sides = [
                ("trained and predicted whole", runs["whole"], None),
                ("trained whole, predicted in tiles", runs["whole"], tiling),
                ("trained and predicted in tiles", runs["tiled"], tiling),
            ]
        for number, (name, weights, chosen) in enumerate(sides):
            print(f"{name:34s} {score(options, folder, number, weights, chosen)}", flush=True)
    print(f"tiles of {options.tile} px, overlap {options.overlap}, network {options.imgsz} px, {processor()}")


def fine_tune(options: argparse.Namespace, folder: Path, name: str) -> Path:
    """Train on one of the two data folders."""
    words = [f"train.imgsz={options.imgsz}", f"train.epochs={options.epochs}", f"model.weights={options.source}"]
    return train(overrides=[f"data.path={folder / name}", *words], out=folder / f"run_{name}").folder


def score(options: argparse.Namespace, folder: Path, number: int, weights: str | Path, tiling: Tiling | None) -> str:
    """Predict on the whole validation images and return AP and AP_small with their intervals."""
    images, out = folder / "whole" / "images" / "val", folder / f"predicted_{number}"
    predict(weights, images, out, tiling=tiling, draw=False, imgsz=options.imgsz)
    truth = folder / "whole" / "annotations" / "instances_val.json"
    scores = evaluate(truth, out / "detections.json", folder / f"scored_{number}")
    parts = []
    for name in ("AP", "AP_small"):
        value, interval = scores.metrics.get(name), (scores.interval or {}).get(name)
        span = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        parts.append(f"{name} {'null' if value is None else f'{value:.3f}'}{span}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
