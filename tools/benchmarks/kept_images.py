"""What reading the training images takes a run: as they are, and with a folder of fitted images, first and again.

Drawn street scenes as JPEG, of the size of VGA, of GTSDB and of photos of 12 million pixels, or images of a folder; by
the clock of the processor, each way in the same process.

    python tools/benchmarks/kept_images.py [--images 40] [--imgsz 320 640] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from loader import draw
from machine import processor

from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.input_size import InputSize
from detect_transfer.training.array_store import LocalProcesses
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.dataset import ImageOptions, TrainSet
from detect_transfer.training.fitted_images import FittedImages
from detect_transfer.training.samples import SampleRef
from detect_transfer.training.shapes import ShapeGroups

SIZES = {"VGA": (640, 480), "GTSDB's size": (1360, 800), "12 million pixels": (4000, 3000)}
NONE = np.empty((0, 4))
SETTLED = 2.1  # seconds after which a file is taken for one that does not change


def main() -> None:
    """Print a row for each size and side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--imgsz", type=int, nargs="+", default=[320, 640])
    parser.add_argument("--folder", type=Path, help="Of images, instead of drawn ones.")
    options = parser.parse_args()
    print("| images | imgsz | ms an image | and kept | of the next run | of the first | bytes an image |")
    print("|---|---|---|---|---|---|---|")
    for name, size_wh in {str(options.folder): None}.items() if options.folder else SIZES.items():
        with tempfile.TemporaryDirectory() as scratch:
            if size_wh is None:
                found = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
                paths = found[: options.images]
            else:
                paths = draw(Path(scratch), options.images, size_wh)
            time.sleep(SETTLED)
            for imgsz in options.imgsz:
                plain, first, again, size = measure(paths, imgsz, Path(scratch) / f"kept{imgsz}")
                ratio = f"{again / plain:.2f} x | {size / len(paths):,.0f}"
                print(f"| {name} | {imgsz} | {plain:.2f} | {first:.2f} | {again:.2f} | {ratio} |", flush=True)
    print(processor())


def measure(paths: list[Path], imgsz: int, folder: Path) -> tuple[float, float, float, int]:
    """Return milliseconds an image without the folder, when it fills and with it, and the bytes that it holds."""
    cv2.setNumThreads(1)
    refs = [SampleRef(path, NONE, np.zeros(0, np.int64), NONE) for path in paths]
    groups = ShapeGroups.one(len(paths), InputSize.of(imgsz))
    taken, pixels = [], []
    for kept in (None, folder, folder):
        began = time.process_time()
        images = None
        if kept is not None:
            images = FittedImages(kept, decode="full", intake=None, most_bytes=10**11)
            images.prepare(paths, groups, LocalProcesses())
        data = TrainSet(refs, ImageOptions(imgsz, Augmenter("none", imgsz=imgsz), 0, kept=images))
        pixels.append([data._read(i)[0] for i in range(len(paths))])
        taken.append(1000 * (time.process_time() - began) / len(paths))
    assert all(np.array_equal(a, b) for others in pixels[1:] for a, b in zip(pixels[0], others, strict=True))
    return *taken, sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
