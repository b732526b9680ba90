"""What converting many boxes takes, without their images: seconds of processor time and the peak of memory.

Our tables (`parquet`) or a COCO file are drawn with a number of boxes, 100 an image, and converted with `--check`, each
in a process of its own.

    python tools/benchmarks/convert_boxes.py [--boxes 1000000 4000000] [--source parquet coco] [--to parquet yolo]
"""

from __future__ import annotations

import argparse
import tempfile
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from convert_large import measure
from machine import processor

from detect_transfer.core.annotations import BOX_SCHEMA, CATEGORY_SCHEMA, IMAGE_SCHEMA, ScannedTable, frame
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.parquet.writer import write_parquet

BOXES_AN_IMAGE = 100
WIDTH, HEIGHT = 1280, 720
N_CLASSES = 10
PORTION = 1_000_000


def draw(first: int, count: int) -> pl.DataFrame:
    """Return boxes from a number on; one in a hundred reaches half a pixel past its image."""
    rng, numbers = np.random.default_rng(first), np.arange(first, first + count)
    x1, y1 = rng.uniform(0, 1100, count).round(2), rng.uniform(0, 600, count).round(2)
    x2 = np.where(numbers % 100 == 0, WIDTH + 0.5, x1 + rng.uniform(2, 150, count).round(2))
    return frame(
        {
            "annotation_id": numbers + 1,
            "image_id": numbers // BOXES_AN_IMAGE + 1,
            "category_id": rng.integers(1, N_CLASSES + 1, count),
            "x1": x1,
            "y1": y1,
            "x2": x2,
            "y2": y1 + rng.uniform(2, 110, count).round(2),
            "source": pl.select(pl.concat_str(pl.lit("drawn#/annotations/"), pl.lit(pl.Series(numbers)))).to_series(),
        },
        BOX_SCHEMA,
    )


def write(source: str, count: int, root: Path) -> None:
    """Write a source of so many boxes, drawn in portions."""
    n_images = count // BOXES_AN_IMAGE
    images = {
        "image_id": np.arange(1, n_images + 1),
        "file_name": [f"{i:08}.jpg" for i in range(n_images)],
        "width": np.full(n_images, WIDTH),
        "height": np.full(n_images, HEIGHT),
        "split": ["val" if i % 5 == 0 else "train" for i in range(n_images)],
    }
    classes = {"category_id": range(1, N_CLASSES + 1), "name": [f"class {i}" for i in range(N_CLASSES)]}
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        for first in range(0, count, PORTION):
            draw(first, min(PORTION, count - first)).write_parquet(Path(folder) / f"{first:012}.parquet")
        boxes = pl.scan_parquet(Path(folder) / "*.parquet")
        table = ScannedTable(frame(images, IMAGE_SCHEMA), boxes, frame(classes, CATEGORY_SCHEMA))
        if source == "parquet":
            write_parquet(table, root)
        else:
            write_in_portions(table, count, root / "instances.json")


def write_in_portions(table: ScannedTable, count: int, path: Path) -> None:
    """Write a COCO file whose annotations are those of many, each of a portion of the boxes."""
    opening, closing = '"annotations":[', '],\n"categories":['
    with path.open("w") as whole:
        for first in range(0, count, PORTION):
            boxes = table.boxes.slice(first, PORTION)
            write_coco(table.with_boxes(boxes).in_memory(), path.with_suffix(".part"))
            text = path.with_suffix(".part").read_text()
            head, rows = text[: text.index(opening)], text[text.index(opening) + len(opening) : text.index(closing)]
            whole.write(f"{head}{opening}{rows}" if first == 0 else f",{rows}")
        whole.write(text[text.index(closing) :])
    path.with_suffix(".part").unlink()


def main() -> None:
    """Convert each number of boxes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument("--source", nargs="+", choices=("parquet", "coco"), default=["parquet"])
    parser.add_argument("--to", nargs="+", choices=("parquet", "yolo", "coco"), default=["parquet", "yolo"])
    parser.add_argument("--scratch", type=Path, help="Where files are made and removed again.")
    args = parser.parse_args()
    print(
        "| boxes | from | to | seconds of processor | most memory | bytes a box |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for count in args.boxes:
        for source in args.source:
            with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
                root = Path(folder) / "source"
                root.mkdir()
                # not in this process, whose peak those that it starts would inherit
                drawing = get_context("spawn").Process(target=write, args=(source, count, root))
                drawing.start()
                drawing.join()
                for target in args.to:
                    words = ("--to", target, "--image-mode", "none", "--bad-boxes", "fix")
                    seconds, peak = measure(
                        root if source == "parquet" else root / "instances.json",
                        Path(folder) / target,
                        *words,
                        format=source,
                    )
                    memory = f"{peak / 1e9:.2f} GB | {peak / count:.0f}"
                    print(f"| {count:,} | {source} | {target} | {seconds:.1f} | {memory} |", flush=True)
    print(processor())


if __name__ == "__main__":
    main()
