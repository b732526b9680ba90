"""Whether `convert yolo --to coco --check` stays linear and small: 100,000 images with 1,000,000 boxes, below 2 GB.

The images are tiny, so what is measured is the work on names, rows and files, not the decoding of pixels.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

MOST_BYTES = 2 * 10**9
MOST_GROWTH = 1.3  # of the seconds an image, from a quarter of the images to all
BOXES_AN_IMAGE = 10
SIDE = 24


def make_yolo(root: Path, count: int) -> None:
    """Write images of noise with labels and a data.yaml."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    for i in range(count):
        pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / "train" / f"{i:06d}.png", compress_level=1)
        centres = rng.uniform(0.2, 0.8, (BOXES_AN_IMAGE, 2))
        rows = "".join(f"{k % 3} {x:.6f} {y:.6f} 0.25 0.25\n" for k, (x, y) in enumerate(centres))
        (root / "labels" / "train" / f"{i:06d}.txt").write_text(rows)
    (root / "data.yaml").write_text("train: images/train\nnames: [a, b, c]\n")


def measure(root: Path, out: Path, *words: str, format: str = "yolo") -> tuple[float, int]:
    """Return the seconds of processor time and the peak of memory in bytes of one conversion in its own process."""
    words = ("convert", format, str(root), *words, "--check", "--out", str(out), "-q")
    process = subprocess.Popen([sys.executable, "-m", "detect_transfer", *words], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"convert ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def main() -> int:
    """Convert a quarter of the images and all of them; return 1 where it is too slow or takes too much memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--scratch", type=Path, help="Where files are made and removed again.")
    args = parser.parse_args()
    measured = []
    for count in (args.images // 4, args.images):
        with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
            make_yolo(Path(folder) / "yolo", count)
            seconds, peak = measure(Path(folder) / "yolo", Path(folder) / "out", "--to", "coco")
        measured.append(seconds / count)
        boxes = count * BOXES_AN_IMAGE
        print(
            f"{count:,} images, {boxes:,} boxes: {seconds:.0f} s of processor time, {peak / 1e9:.2f} GB at the most",
            flush=True,
        )
    growth = measured[1] / measured[0]
    print(f"time an image: {growth:.2f} of that of a quarter (limit {MOST_GROWTH}); limit {MOST_BYTES / 1e9} GB")
    return 0 if growth <= MOST_GROWTH and peak <= MOST_BYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
