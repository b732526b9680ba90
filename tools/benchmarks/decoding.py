"""How long images take to decode with every warning of libjpeg an error, as a ratio to Pillow, which lets them pass.

    python tools/benchmarks/decoding.py [FOLDER ...]

Both give the same upright RGB pixels, which is checked. Times are of the processor, the middle of five rounds in turn;
without a folder drawn street scenes are decoded. The exit code is 1 where ours takes more than 1.05 x the time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from detect_transfer.config import Synthetic
from detect_transfer.core.images import IMAGE_SUFFIXES, read_rgb
from detect_transfer.core.io import list_files
from detect_transfer.data.run_data import draw_data

MOST = 1.05


def read_by_pillow(path: Path) -> np.ndarray:
    """Decode an image with Pillow alone."""
    with Image.open(path) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def seconds(read: Callable[[Path], np.ndarray], paths: list[Path]) -> float:
    """Return the processor time of reading all images."""
    start = time.process_time()
    for path in paths:
        read(path)
    return time.process_time() - start


def ratio(folder: Path) -> float:
    """Print and return the ratio of one folder."""
    paths = [folder / name for name in list_files(folder, IMAGE_SUFFIXES)][:200]
    different = [path for path in paths if not np.array_equal(read_rgb(path), read_by_pillow(path))]
    rounds = [(seconds(read_rgb, paths), seconds(read_by_pillow, paths)) for _ in range(5)]
    ours, pillow = (statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        f"{folder}: {len(paths)} images, {1000 * ours / len(paths):.2f} ms each, {ours / pillow:.2f} x Pillow, "
        f"{len(different)} of other pixels"
    )
    return ours / pillow


def main() -> int:
    """Compare both over the folders; return 1 where ours is slower."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not args.folders:
            draw_data(Synthetic(train_images=40, val_images=10, size=640), Path(scratch) / "drawn", seed=0)
        return int(max(ratio(folder) for folder in args.folders or [Path(scratch) / "drawn"]) > MOST)


if __name__ == "__main__":
    sys.exit(main())
