"""Time and memory of reading, scoring and reporting against the number of images and detections.

    python tools/benchmarks/score_sizes.py [--images 1000 10000 100000] [--report-images 1000]

There are ten detections an image. For each size, each step runs in a process of its own, so that its peak memory is its
own, the truth and one copy of the detections included: reading detections of each layout, the COCO numbers, the metrics
that every report shows, and all of it with the report without pictures. At last a report of 640 x 480 pictures that lie
on the disk. Targets: less than 4 GB for a million detections of 100,000 images, 20 s for the report with pictures.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from score_against_pycocotools import generate

from detect_transfer.evaluation import score
from detect_transfer.exports.results import write_results
from detect_transfer.formats.results import read_detections
from detect_transfer.scoring import score_protocols, write_page
from detect_transfer.table import AnnotationTable, Detections

MOST_GB, MOST_SECONDS = 4.0, 20.0
CLASSES, PER_IMAGE = 20, 10
LAYOUTS = {"coco": "d.json", "csv": "d.csv", "parquet": "d.parquet", "text": "text", "yolo": "yolo"}
NUMBERS, METRICS, PAGE, PICTURES = (
    "12 numbers, classes",
    "metrics of the report",
    "all, page bare",
    "all, with pictures",
)
SIZE_WH = (640, 480)


def make(n_images: int) -> tuple[AnnotationTable, Detections]:
    """Return generated truth and detections; the images have a size."""
    table, found = generate(n_images, n_images * PER_IMAGE, CLASSES)
    width, height = SIZE_WH
    sized = table.images.with_columns(width=pl.lit(width, pl.Int32), height=pl.lit(height, pl.Int32))
    return AnnotationTable(sized, table.boxes, table.categories), found


def write_layouts(folder: Path, table: AnnotationTable, found: Detections) -> None:
    """Write detections in each layout."""
    names = table.images.select("image_id", "file_name")
    rows = found.rows.join(names, on="image_id", maintain_order="left").with_columns(label=pl.col("category_id") - 1)
    paths = {kind: folder / name for kind, name in LAYOUTS.items()}
    write_results(found, paths["coco"])
    rows.select("file_name", "x1", "y1", "x2", "y2", "category_id", "score").write_csv(paths["csv"])
    found.rows.write_parquet(paths["parquet"])
    width, height = SIZE_WH
    shares = [(pl.col("x1") + pl.col("x2")) / 2 / width, (pl.col("y1") + pl.col("y2")) / 2 / height]
    shares += [(pl.col("x2") - pl.col("x1")) / width, (pl.col("y2") - pl.col("y1")) / height]
    texts = {
        "yolo": pl.concat_str(
            pl.col("label"), *(s.clip(0, 1).round(6) for s in shares), pl.col("score"), separator=" "
        ),
        "text": pl.concat_str("category_id", "score", "x1", "y1", "x2", "y2", separator=" "),
    }
    for kind, line in texts.items():
        paths[kind].mkdir()
        held = rows.select("file_name", line=line).group_by("file_name").agg(pl.col("line").str.join("\n"))
        for name, text in held.iter_rows():
            (paths[kind] / name).with_suffix(".txt").write_text(text, encoding="utf-8")


def measured(step: str, folder: Path, n_images: int) -> tuple[float, float, float]:
    """Return the seconds that a step takes, those of processors, and the peak memory in GB of the process."""
    context = multiprocessing.get_context("spawn")  # threads of polars do not survive a fork
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=do, args=(step, folder, n_images, there))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"'{step}' ended with {process.exitcode}")
    return here.recv()


def do(step: str, folder: Path, n_images: int, told: Connection) -> None:
    """Do a step on data made anew, and tell how long it took."""
    table, found = make(n_images)
    if step == PICTURES:
        table = AnnotationTable(table.images, table.boxes, table.categories, image_root=folder)
    start, busy = time.perf_counter(), time.process_time()
    if step.startswith("read "):
        read_detections(folder / LAYOUTS[step.removeprefix("read ")], table)
    elif step == NUMBERS:
        score(table, found)
    elif step == METRICS:
        score_protocols(table, found)
    else:
        page_of(folder, table, found)
    status = Path("/proc/self/status").read_text(encoding="utf-8")  # `getrusage` would count what the parent had
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e6
    told.send((time.perf_counter() - start, time.process_time() - busy, peak))


def page_of(folder: Path, table: AnnotationTable, found: Detections) -> None:
    """Score and write the report, as `evaluate` does."""
    metrics = score_protocols(table, found)
    write_page(folder / "report.html", table, found, score(table, found), facts={}, metrics=metrics)


def write_pictures(folder: Path, table: AnnotationTable) -> None:
    """Write noise as the pictures."""
    rng = np.random.default_rng(0)
    for name in table.images["file_name"]:
        noise = rng.integers(0, 255, (SIZE_WH[1] // 8, SIZE_WH[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(SIZE_WH).save(folder / name)


def main() -> int:
    """Print a line a step; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--report-images", type=int, default=1_000)
    args = parser.parse_args()
    missed = False
    print(f"{'images':>9} {'detections':>11}  {'step':<24} {'seconds':>8} {'CPU':>8} {'GB':>6}")
    sizes = [(n, [*(f"read {kind}" for kind in LAYOUTS), NUMBERS, METRICS, PAGE]) for n in args.images]
    for n, steps in [*sizes, (args.report_images, [PICTURES])]:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            table, found = make(n)
            if steps == [PICTURES]:
                write_pictures(folder, table)
            else:
                write_layouts(folder, table, found)
            for step in steps:
                seconds, busy, memory = measured(step, folder, n)
                missed |= memory > MOST_GB or (step == PICTURES and seconds > MOST_SECONDS)
                print(f"{n:9,} {len(found.rows):11,}  {step:<24} {seconds:8.2f} {busy:8.2f} {memory:6.2f}", flush=True)
            if steps == [PICTURES]:
                print(f"the page has {(folder / 'report.html').stat().st_size / 1e6:.1f} MB")
    print(f"targets: {MOST_GB:g} GB, {MOST_SECONDS:g} s for the report with pictures; {os.cpu_count()} CPUs")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
