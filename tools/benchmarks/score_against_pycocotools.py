"""Score generated detections with pycocotools and with ours, and print the ratio of the times.

    python tools/benchmarks/score_against_pycocotools.py [--images 5000] [--detections 500000] [--classes 80]

Both start from what they take in memory: pycocotools from the dicts of a COCO file and of a results file, ours from an
`AnnotationTable` and `Detections`. Making these is not timed; everything from there to the twelve numbers is; ours
is the median of five runs, pycocotools runs once. Targets: at most 0.03, and the twelve numbers equal to 1e-9. With
tables of classes, intervals by 1,000 draws, slices, TIDE, calibration and operating points at most 0.2, and less memory
than pycocotools needs; memory is the peak of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import machine
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.boxes import xyxy_to_xywh
from detect_transfer.evaluation import METRIC_NAMES, Case, coco_metrics, evaluate_metrics, score, score_case

TARGET, TARGET_OF_ALL = 0.03, 0.2
DRAWS = 1000
METRICS = ("coco", "slices", "tide", "calibration", "operating_points")


def generate(n_images: int, n_detections: int, n_classes: int, *, seed: int = 0) -> tuple[AnnotationTable, Detections]:
    """Make objects (7 an image, a hundredth of them crowds) and detections, half of them near an object."""
    rng = np.random.default_rng(seed)
    n_objects = 7 * n_images
    size = np.exp(rng.uniform(np.log(8), np.log(250), (n_objects, 2)))
    corner = rng.uniform(0, 390, (n_objects, 2))
    truth = np.concatenate([corner, corner + size], axis=1)
    image = rng.integers(1, n_images + 1, n_objects)
    category = rng.integers(1, n_classes + 1, n_objects)
    near = rng.integers(0, n_objects, n_detections)
    shift = rng.normal(0, rng.uniform(0.01, 0.25, (n_detections, 1)), (n_detections, 4))
    xyxy = truth[near] + shift * np.tile(size[near], 2)
    xyxy = np.concatenate([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])], axis=1)
    stray = rng.random(n_detections) < 0.5
    image_ids = np.where(stray, rng.integers(1, n_images + 1, n_detections), image[near])
    category_ids = np.where(stray, rng.integers(1, n_classes + 1, n_detections), category[near])
    table = AnnotationTable.from_columns(
        images={"image_id": np.arange(1, n_images + 1), "file_name": [f"{i}.jpg" for i in range(1, n_images + 1)]},
        boxes={
            "annotation_id": np.arange(1, n_objects + 1),
            "image_id": image,
            "category_id": category,
            **dict(zip(XYXY, truth.T, strict=True)),
            "iscrowd": rng.random(n_objects) < 0.01,
        },
        categories={"category_id": np.arange(1, n_classes + 1), "name": [f"class {i}" for i in range(n_classes)]},
    )
    columns = dict(zip(XYXY, xyxy.T, strict=True))
    scores = rng.random(n_detections).round(4)  # rounded, so that there are ties
    return table, Detections.from_columns(
        {"image_id": image_ids, "category_id": category_ids, **columns, "score": scores}
    )


def as_dicts(table: AnnotationTable, detections: Detections) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Make what `json.load` would give pycocotools."""
    boxes = table.boxes.select("annotation_id", "image_id", "category_id", "iscrowd")
    truth = {
        "images": [{"id": i} for i in table.images["image_id"]],
        "categories": [{"id": i, "name": n} for i, n in table.categories.select("category_id", "name").iter_rows()],
        "annotations": [
            {"id": a, "image_id": i, "category_id": c, "iscrowd": int(d), "bbox": b, "area": b[2] * b[3]}
            for (a, i, c, d), b in zip(
                boxes.iter_rows(), xyxy_to_xywh(table.boxes.select(XYXY).to_numpy()).tolist(), strict=True
            )
        ],
    }
    rows = detections.rows.select("image_id", "category_id", pl.col("score"))
    results = [
        {"image_id": i, "category_id": c, "score": s, "bbox": b}
        for (i, c, s), b in zip(
            rows.iter_rows(), xyxy_to_xywh(detections.rows.select(XYXY).to_numpy()).tolist(), strict=True
        )
    ]
    return truth, results


def with_pycocotools(truth: dict[str, Any], results: list[dict[str, Any]]) -> tuple[float, np.ndarray]:
    """Return the seconds and the twelve numbers of pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        objects = COCO()
        objects.dataset = truth
        objects.createIndex()
        evaluator = COCOeval(objects, objects.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
        return time.perf_counter() - start, np.asarray(evaluator.stats)


def with_everything(table: AnnotationTable, detections: Detections) -> None:
    """Compute what a report shows: tables, intervals, slices, kinds of error, calibration, operating points."""
    case = Case(table, detections)
    score_case(case, n_draws=DRAWS)
    evaluate_metrics(case, METRICS)


def peak_gb(side: str, sizes: tuple[int, int, int]) -> float:
    """Return the peak memory of one side in a process of its own, its input included."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak_gb, side, sizes).result()


def _peak_gb(side: str, sizes: tuple[int, int, int]) -> float:
    table, detections = generate(*sizes)
    if side == "ours":
        with_everything(table, detections)
    else:
        with_pycocotools(*as_dicts(table, detections))
    return machine.peak_gb()


def median_seconds(work: Callable[[], object]) -> float:
    """Return the median of five runs: one run of less than a second says little on a busy machine."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> int:
    """Run both and print a line each; return 1 when the target or the equality is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--classes", type=int, default=80)
    args = parser.parse_args()
    table, detections = generate(args.images, args.detections, args.classes)
    warm, few = generate(20, 200, 3)
    score(warm, few)  # imports and first-call costs of both libraries are not what is compared
    with_pycocotools(*as_dicts(warm, few))

    ours = coco_metrics(table, detections)
    seconds = median_seconds(lambda: coco_metrics(table, detections))
    seconds_all = median_seconds(lambda: score(table, detections))
    seconds_everything = median_seconds(lambda: with_everything(table, detections))
    theirs_seconds, theirs = with_pycocotools(*as_dicts(table, detections))
    sizes = (args.images, args.detections, args.classes)
    memory = {side: peak_gb(side, sizes) for side in ("ours", "pycocotools")}

    numbers = np.array([-1.0 if ours[name] is None else ours[name] for name in METRIC_NAMES])
    difference = float(np.abs(numbers - theirs).max())
    ratio = seconds / theirs_seconds
    print(f"{args.images:,} images, {args.detections:,} detections, {args.classes} classes; AP {ours['AP']:.6f}")
    print(f"pycocotools {version('pycocotools'):8}                  {theirs_seconds:8.2f} s")
    print(
        f"ours, 12 numbers (hotcoco {version('hotcoco')})         {seconds:8.2f} s   ratio {ratio:.4f}, target {TARGET}"
    )
    print(f"ours, with classes, curves, thresholds   {seconds_all:8.2f} s   ratio {seconds_all / theirs_seconds:.4f}")
    ratio_of_all = seconds_everything / theirs_seconds
    print(
        f"ours, with {DRAWS} draws and {len(METRICS)} metrics {seconds_everything:8.2f} s   ratio {ratio_of_all:.4f}, "
        f"target {TARGET_OF_ALL}"
    )
    print(f"peak memory: ours with all of it {memory['ours']:.2f} GB, pycocotools {memory['pycocotools']:.2f} GB")
    print(f"largest difference of the 12 numbers     {difference:.1e}, target 1e-09")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, polars {pl.__version__}")
    print(machine.processor())
    missed = ratio > TARGET or ratio_of_all > TARGET_OF_ALL or memory["ours"] > memory["pycocotools"]
    return int(missed or difference > 1e-9)


if __name__ == "__main__":
    sys.exit(main())
