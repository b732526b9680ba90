"""What the order of `rank-images` is worth: AP after labelling its first images, beside as many taken at random.

For each seed the data are split again. A detector is trained on a few images; of the other training images it ranks,
the first ones are added to these, and beside it as many drawn at random; both sets train from the same source with the
same epochs and are scored on the same validation images. Differences are paired by seed; their interval is Student's.

    python tools/benchmarks/rank_images.py --data ../shared/data/road_signs --format voc --source yolo11n.pt
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from machine import processor
from scipy.stats import t

from detect_transfer import convert, read_dataset, train
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import read_json
from detect_transfer.data.load import read_ground_truth
from detect_transfer.evaluation.image_ranking import rank_images
from detect_transfer.workflows.evaluate_weights import image_files
from detect_transfer.workflows.trained_detector import load_trained


def main() -> None:
    """Print AP of each seed and the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--source", default="yolo11n")
    parser.add_argument("--first", type=int, default=28, help="images that are labelled at the start")
    parser.add_argument("--added", type=int, default=28, help="images that are labelled then")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--imgsz", type=int, default=192)
    parser.add_argument("--strategy", default="auto", help="head_only trains on features, which is much quicker")
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory(prefix="rank-images-") as scratch:
            rows.append(of_seed(options, seed, Path(scratch)))
        print(f"seed {seed}: first {rows[-1][0]:.3f}, ranked {rows[-1][1]:.3f}, random {rows[-1][2]:.3f}", flush=True)
    first, ranked, at_random = np.array(rows).T
    for name, values in (("ranked - random", ranked - at_random), ("random - first", at_random - first)):
        half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        mean = values.mean()
        print(f"{name:16s} {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}], larger in {(values > 0).sum()} seeds")
    plan = f"{options.epochs} epochs of {options.strategy} at {options.imgsz} px"
    print(f"{options.first} + {options.added} images, {plan}, {processor()}")


def of_seed(options: argparse.Namespace, seed: int, folder: Path) -> tuple[float, float, float]:
    """Return AP after the first images, after those of the ranking, and after random ones."""
    data = read_dataset(options.data, format=options.format)
    convert(data, folder / "whole", split={"train": 0.7, "val": 0.3}, seed=seed)
    table = read_ground_truth(folder / "whole", split="all").table
    rng = np.random.default_rng(seed)
    ids = rng.permutation(table.split_of("train").images["image_id"].to_numpy()).tolist()
    first, others = ids[: options.first], ids[options.first :]
    run, ap = trained_on(options, table, first, folder / "first", seed)
    pool = table.select_images(others)
    detector = load_trained(run)
    detections = detector.find(image_files(pool), range(len(detector.class_names)))
    best = rank_images(pool.images, detections, most=options.added)["image_id"].to_list()
    _, ranked = trained_on(options, table, first + best, folder / "ranked", seed)
    _, at_random = trained_on(options, table, first + others[: options.added], folder / "random", seed)
    return ap, ranked, at_random


def trained_on(
    options: argparse.Namespace, table: AnnotationTable, image_ids: list[int], folder: Path, seed: int
) -> tuple[Path, float]:
    """Train on some images and return the run and its AP on the validation images."""
    part = table.select_images([*image_ids, *table.split_of("val").images["image_id"]])
    convert(part, folder / "data", split="source", image_mode="link")
    words = [f"train.epochs={options.epochs}", f"train.imgsz={options.imgsz}", "train.batch=8", f"train.seed={seed}"]
    words += [f"data.path={folder / 'data'}", f"model.weights={options.source}"]
    words += [f"transfer.strategy={options.strategy}"]
    run = train(overrides=words, out=folder / "run").folder
    return run, float(read_json(run / "metrics.json")["AP"] or 0)


if __name__ == "__main__":
    main()
