"""How many training images a loading process makes in a second: decoded in full, and at a smaller scale.

Drawn street scenes of the size of VGA and of GTSDB as JPEG, of eight boxes each, fitted and augmented as in training,
by the clock of the processor; and how far apart the pixels of both ways are.

    python tools/benchmarks/loader.py [--images 40] [--imgsz 320 640]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from machine import processor

from detect_transfer.synthetic.dataset import write_scenes
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.dataset import ImageOptions, TrainSet
from detect_transfer.training.samples import SampleRef

SIZES = {"VGA": (640, 480), "GTSDB": (1360, 800)}
NONE = np.empty((0, 4))
BOXES = np.array([[60.0 * i, 50 * i, 60 * i + 90, 50 * i + 70] for i in range(8)])  # of each image


def main() -> None:
    """Print a row for each size, side and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--imgsz", type=int, nargs="+", default=[320, 640])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| images | imgsz | decoding | images/s of a process | without augmentation | grey levels apart, mean |")
    print("|---|---|---|---|---|---|")
    for name, size_wh in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = draw(Path(folder), options.images, size_wh)
            for imgsz in options.imgsz:
                full = None
                for decode in ("full", "scaled"):
                    speed, fitting, pixels = measure(paths, imgsz, decode, options.rounds)
                    full = pixels if full is None else full
                    apart = np.abs(pixels.astype(int) - full).mean()
                    print(f"| {name} | {imgsz} | {decode} | {speed:.0f} | {fitting:.0f} | {apart:.2f} |", flush=True)
    print(processor())


def draw(folder: Path, count: int, size_wh: tuple[int, int]) -> list[Path]:
    """Write so many JPEGs of a size, from fewer drawn scenes."""
    table = write_scenes(folder / "drawn", "target", counts={"train": 4, "val": 4}, seed=0, size_wh=size_wh)
    scenes = [cv2.imread(str(folder / "drawn" / name)) for name in table.images["file_name"]]
    paths = [folder / f"{i}.jpg" for i in range(count)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), scenes[i % len(scenes)], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def measure(paths: list[Path], imgsz: int, decode: str, rounds: int) -> tuple[float, float, np.ndarray]:
    """Return images a second of a process, with and without augmentation, and the first fitted image."""
    refs = [SampleRef(path, BOXES, np.zeros(len(BOXES), np.int64), NONE) for path in paths]
    data = TrainSet(refs, ImageOptions(imgsz, Augmenter("default", imgsz=imgsz), 0, decode=decode))
    cv2.setNumThreads(1)
    whole, fitting = [], []
    for epoch in range(1, rounds + 1):
        for seconds, make in ((whole, lambda i, e=epoch: data[e, i]), (fitting, data._fitted)):
            began = time.process_time()
            for i in range(len(paths)):
                make(i)
            seconds.append(time.process_time() - began)
    return len(paths) / min(whole), len(paths) / min(fitting), data._fitted(0).sample.pixels


if __name__ == "__main__":
    main()
