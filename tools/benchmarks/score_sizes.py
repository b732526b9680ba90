"""Time and memory of reading, scoring and reporting against the number of images and detections.

    python tools/benchmarks/score_sizes.py [--images 1000 10000 100000] [--report-images 1000] [--repeat 3]

There are ten detections an image. For each size, each step runs in a process of its own, so that its peak memory is its
own, the truth and one copy of the detections included: reading detections of each layout, the COCO numbers, the metrics
that every report shows, and all that `evaluate` does, intervals by 1,000 draws among it, with the report without
images. At last a report of 640 x 480 images that lie on the disk, which is then opened in a headless Chromium: the
seconds until the first frame after its load event is drawn, and those of the processor in the process that shows it.
Targets: less than 4 GB for a million detections of 100,000 images; the report with images written in 20 s, opened in
2 s, and less than 5 MB plus its images. The fastest of the repeats counts, as others may use the machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
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

import machine
import webdriver
from score_against_pycocotools import generate

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case, score
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.workflows.evaluate import score_all, score_protocols, write_page

MOST_GB, MOST_SECONDS, MOST_SECONDS_TO_OPEN, MOST_MB = 4.0, 20.0, 2.0, 5.0
CLASSES, PER_IMAGE = 20, 10
LAYOUTS = {"coco": "d.json", "csv": "d.csv", "parquet": "d.parquet", "text": "text", "yolo": "yolo"}
NUMBERS, METRICS, PAGE, IMAGES = (
    "12 numbers, classes",
    "metrics of the report",
    "all, page bare",
    "all, with images",
)
SIZE_WH = (640, 480)
DRAWN = """const done = arguments[0];  // when the frame after the next one begins, the next one has been drawn
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() / 1000)));"""
IMAGE = re.compile(rb"data:image/jpeg;base64,[^\"]*")


def make(n_images: int) -> tuple[AnnotationTable, Detections]:
    """Return generated truth and detections; the images have a size."""
    table, detections = generate(n_images, n_images * PER_IMAGE, CLASSES)
    width, height = SIZE_WH
    sized = table.images.with_columns(width=pl.lit(width, pl.Int32), height=pl.lit(height, pl.Int32))
    return AnnotationTable(sized, table.boxes, table.categories), detections


def write_layouts(folder: Path, table: AnnotationTable, detections: Detections) -> None:
    """Write detections in each layout."""
    names = table.images.select("image_id", "file_name")
    rows = detections.rows.join(names, on="image_id", maintain_order="left").with_columns(
        label=pl.col("category_id") - 1
    )
    paths = {kind: folder / name for kind, name in LAYOUTS.items()}
    write_results(detections, table, paths["coco"])
    rows.select("file_name", "x1", "y1", "x2", "y2", "category_id", "score").write_csv(paths["csv"])
    detections.rows.write_parquet(paths["parquet"])
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
        texts = rows.select("file_name", line=line).group_by("file_name").agg(pl.col("line").str.join("\n"))
        for name, text in texts.iter_rows():
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


def do(step: str, folder: Path, n_images: int, connection: Connection) -> None:
    """Do a step on data made again, and tell how long it took."""
    table, detections = make(n_images)
    if step == IMAGES:
        table = AnnotationTable(table.images, table.boxes, table.categories, image_root=folder)
    start, busy = time.perf_counter(), time.process_time()
    if step.startswith("read "):
        read_detections(folder / LAYOUTS[step.removeprefix("read ")], table)
    elif step == NUMBERS:
        score(table, detections)
    elif step == METRICS:
        score_protocols(Case(table, detections))
    else:
        page_of(folder, table, detections)
    connection.send((time.perf_counter() - start, time.process_time() - busy, machine.peak_gb()))


def page_of(folder: Path, table: AnnotationTable, detections: Detections) -> None:
    """Score and write the report, as `evaluate` does."""
    case = Case(table, detections)
    scores, metrics = score_all(case)
    write_page(folder / "report.html", case, scores, facts={}, metrics=metrics)


def opened(page: Path) -> tuple[float, float]:
    """Return the seconds from the start of opening a page until it is drawn, and those of the processor."""
    with webdriver.Browser() as browser:
        browser.devtools("Performance.enable")
        browser.open(page)
        seconds = browser.run_until_called(DRAWN)
        metrics = {row["name"]: row["value"] for row in browser.devtools("Performance.getMetrics")["metrics"]}
    return seconds, metrics["ProcessTime"]


def write_images(folder: Path, table: AnnotationTable) -> None:
    """Write noise as the images."""
    rng = np.random.default_rng(0)
    for name in table.images["file_name"]:
        noise = rng.integers(0, 255, (SIZE_WH[1] // 8, SIZE_WH[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize(SIZE_WH).save(folder / name)


def show(n: int, step: str, *figures: float) -> None:
    """Print a line of the table."""
    print(f"{n:9,} {n * PER_IMAGE:11,}  {step:<24} {' '.join(f'{number:8.2f}' for number in figures)}", flush=True)


def measure_sizes(n_images: int) -> bool:
    """Print a line for each step without images; return whether the target is met."""
    met = True
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_layouts(folder, *make(n_images))
        for step in [*(f"read {kind}" for kind in LAYOUTS), NUMBERS, METRICS, PAGE]:
            figures = measured(step, folder, n_images)
            show(n_images, step, *figures)
            met &= figures[2] <= MOST_GB
    return met


def measure_report(n_images: int, repeat: int) -> bool:
    """Print the time to write and to open the report with images, and its size; return whether targets are met."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_images(folder, make(n_images)[0])
        written = [measured(IMAGES, folder, n_images) for _ in range(repeat)]
        text = (folder / "report.html").read_bytes()
        there = webdriver.CHROMIUM is not None and webdriver.DRIVER is not None
        seen = [opened(folder / "report.html") for _ in range(repeat if there else 0)]
    for figures in written:
        show(n_images, IMAGES, *figures)
    for figures in seen:
        show(n_images, "open it in Chromium", *figures)
    bare = len(IMAGE.sub(b"", text)) / 1e6
    print(f"the page has {bare:.2f} MB, and {len(text) / 1e6 - bare:.2f} MB of {len(IMAGE.findall(text))} images")
    if not seen:
        print("not opened, as there is no chromium with chromedriver in PATH")
    met = min(written)[0] <= MOST_SECONDS and max(figures[2] for figures in written) <= MOST_GB and bare <= MOST_MB
    return met and min(seen, default=(0.0,))[0] <= MOST_SECONDS_TO_OPEN


def main() -> int:
    """Print a line a step; return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--report-images", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    print(f"{'images':>9} {'detections':>11}  {'step':<24} {'seconds':>8} {'CPU':>8} {'GB':>8}")
    met = [*map(measure_sizes, args.images), measure_report(args.report_images, args.repeat)]
    print(
        f"targets: {MOST_GB:g} GB; the report with images written in {MOST_SECONDS:g} s, opened in "
        f"{MOST_SECONDS_TO_OPEN:g} s, {MOST_MB:g} MB without its images; {machine.processor()}"
    )
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
