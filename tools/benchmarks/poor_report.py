"""What the report of a poor model takes, which finds far too much: seconds of the processor and the size of the page.

Six images of street-like noise with 1,758 detections of random places and scores.

    python tools/benchmarks/poor_report.py [--images 6] [--detections 1758] [--size 1360 800]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from machine import processor

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case
from detect_transfer.workflows.evaluate import score_all, write_page

MOST_SECONDS, MOST_BYTES = 5.0, 5 * 10**6
BOXES_AN_IMAGE, N_CLASSES = 4, 5


def boxes_of(images: int, each: int, size_wh: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """Return so many random boxes in each image."""
    rng, (width, height) = np.random.default_rng(seed), size_wh
    count = images * each
    x1, y1 = rng.uniform(0, 0.8 * width, count), rng.uniform(0, 0.8 * height, count)
    return {
        "image_id": np.repeat(np.arange(1, images + 1), each),
        "category_id": rng.integers(1, N_CLASSES + 1, count),
        "x1": x1,
        "y1": y1,
        "x2": x1 + rng.uniform(8, 0.2 * width, count),
        "y2": y1 + rng.uniform(8, 0.2 * height, count),
    }


def main() -> int:
    """Write the page and print what it took; return 1 where that is too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--detections", type=int, default=1758)
    parser.add_argument("--size", type=int, nargs=2, default=(1360, 800), metavar=("WIDTH", "HEIGHT"))
    options = parser.parse_args()
    n_images, size_wh = options.images, tuple(options.size)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n_images):
            coarse = rng.integers(0, 256, (size_wh[1] // 16, size_wh[0] // 16, 3), dtype=np.uint8)
            cv2.imwrite(f"{folder}/{i}.jpg", cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC))
        truth = boxes_of(n_images, BOXES_AN_IMAGE, size_wh, 1)
        table = AnnotationTable.from_columns(
            images={
                "image_id": range(1, n_images + 1),
                "file_name": [f"{i}.jpg" for i in range(n_images)],
                "width": [size_wh[0]] * n_images,
                "height": [size_wh[1]] * n_images,
            },
            boxes={"annotation_id": range(1, len(truth["x1"]) + 1), **truth},
            categories={"category_id": range(1, N_CLASSES + 1), "name": [f"class {k}" for k in range(N_CLASSES)]},
            image_root=Path(folder),
        )
        found = boxes_of(n_images, options.detections // n_images, size_wh, 2)
        scores = rng.uniform(0.0, 1.0, len(found["x1"]))
        case = Case(table, Detections.from_columns({**found, "score": scores}))
        scored, metrics = score_all(case)
        began, page = time.process_time(), Path(folder) / "report.html"
        write_page(page, case, scored, facts={}, metrics=metrics)
        seconds, size = time.process_time() - began, page.stat().st_size
        images = sum(map(len, re.findall(rb"data:image/[^\"')]*", page.read_bytes())))
    print(f"{n_images} images, {len(scores):,} detections: {seconds:.1f} s of the processor, ", end="")
    print(f"{size / 1e6:.1f} MB, of these {images / 1e6:.1f} MB are images")
    print(processor())
    return 0 if seconds <= MOST_SECONDS and size - images <= MOST_BYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
