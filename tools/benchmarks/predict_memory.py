"""Memory of `predict` over many images: what the process holds at each tenth of them, and the growth of each thousand.

The images are links to one drawn scene, in folders of a thousand, or with `--video` the frames of a small drawn video;
the network is the embedded one at a small size, so that the time goes into what could grow: names, rows, results that
wait.

    python tools/benchmarks/predict_memory.py --images 100000
    python tools/benchmarks/predict_memory.py --video --images 90000    # an hour of 25 frames a second
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from machine import peak_gb, processor

from detect_transfer.config import Synthetic
from detect_transfer.data.run_data import draw_data
from detect_transfer.workflows.predict import PredictOptions, predict_sources


def main() -> None:
    """Predict and print the memory as it goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--imgsz", type=int, default=32)
    parser.add_argument("--draw", action="store_true", help="write annotated images too")
    parser.add_argument("--video", action="store_true", help="the images are frames of one video")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="predict-memory-") as folder:
        draw_data(Synthetic(train_images=8, val_images=8, size=96), Path(folder) / "data", seed=0)
        scene = next((Path(folder) / "data" / "images" / "val").iterdir())
        source = Path(folder) / ("video.avi" if options.video else "images")
        (draw_video if options.video else link_images)(source, scene, options.images)
        marks: list[tuple[int, float]] = []
        start = time.perf_counter()

        def note(done: int, total: int | None) -> None:
            if done % max(1, options.images // 10) == 0:
                marks.append((done, held_mb()))
                print(
                    f"{done:>9,} images  {marks[-1][1]:7.1f} MB  {done / (time.perf_counter() - start):6.0f} images/s"
                )

        chosen = PredictOptions(device="cpu", imgsz=options.imgsz, draw=options.draw)
        predict_sources("embedded", source, Path(folder) / "out", chosen, note)
        (first, low), (last, high) = marks[0], marks[-1]
        growth = (high - low) / (last - first) * 1000
        print(f"from {first:,} to {last:,} images {high - low:+.1f} MB, {growth:+.3f} MB a thousand images")
        print(f"peak {peak_gb():.2f} GB, {processor()}")


def link_images(folder: Path, scene: Path, count: int) -> None:
    """Make a folder of links to one image."""
    for number in range(count):
        part = folder / f"{number // 1000:04d}"
        if number % 1000 == 0:
            part.mkdir(parents=True)
        (part / f"{number:06d}.jpg").symlink_to(scene)


def draw_video(path: Path, scene: Path, count: int) -> None:
    """Write a video of so many frames of a scene that moves, 25 a second."""
    image = cv2.imread(str(scene))
    height, width = image.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (width, height))
    for number in range(count):
        writer.write(np.roll(image, number % width, axis=1))
    writer.release()


def held_mb() -> float:
    """Return the resident memory of this process."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
