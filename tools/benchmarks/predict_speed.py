"""Images a second of `predict` against ultralytics': same weights, images, size and batch, one thread, in one run.

Each side runs in a process of its own, in turn, several times; reading the images is within. Both write nothing and
keep detections from a score of 0.25 on, at most 300 an image. The time of the processor is given beside that of the
clock, as it hardly depends on what else the machine does.

    python tools/benchmarks/predict_speed.py --weights yolo11n.pt --images IMAGES
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import processor

_SCORE, _MOST = 0.25, 300


def main() -> None:
    """Run both sides and print the ratio for each batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="a .pt of ultralytics")
    parser.add_argument("--images", type=Path, required=True, help="a folder")
    parser.add_argument("--limit", type=int, default=64, help="images of a run")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        print(json.dumps(SIDES[options.side](options)))
        return
    for batch in options.batches:
        rates: dict[str, list[list[float]]] = {side: [] for side in SIDES}
        for _ in range(options.rounds):
            for side in SIDES:
                rates[side].append(run_side(options, side, batch))
        clock, cpu = ({s: statistics.median(r[i] for r in rates[s]) for s in SIDES} for i in (0, 1))
        print(
            f"batch {batch:2d}: ours {clock['ours']:.1f} images/s, ultralytics {clock['stock']:.1f}: ratio "
            f"{clock['ours'] / clock['stock']:.2f}; by processor time {cpu['ours']:.1f} and {cpu['stock']:.1f}: ratio "
            f"{cpu['ours'] / cpu['stock']:.2f}",
            flush=True,
        )
    print(f"median of {options.rounds}, {options.limit} images, {options.imgsz} px, one thread, {processor()}")


def run_side(options: argparse.Namespace, side: str, batch: int) -> list[float]:
    """Return images a second of one side, by the clock and by processor time."""
    given = {"weights": options.weights, "images": options.images, "limit": options.limit, "imgsz": options.imgsz}
    words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, __file__, *words, "--batches", str(batch), "--side", side]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return list(json.loads(done.stdout.splitlines()[-1]))


def rates(n_images: int, start: tuple[float, float]) -> list[float]:
    """Return images a second since a start."""
    return [n_images / (time.perf_counter() - start[0]), n_images / (time.process_time() - start[1])]


def ours(options: argparse.Namespace) -> list[float]:
    """Run our stream as `predict` does."""
    import torch

    from detect_transfer.core.image_sources import ImageSources
    from detect_transfer.models.fuse import fused
    from detect_transfer.models.stream import StreamOptions, detect_stream
    from detect_transfer.workflows.trained_detector import load_trained

    torch.set_num_threads(1)
    trained = load_trained(options.weights, device="cpu", imgsz=options.imgsz)
    detector = fused(trained.detector)
    chosen = {"batch": options.batches[0], "score_floor": _SCORE, "max_detections": _MOST, "multi_label": False}
    stream = StreamOptions(options.imgsz, trained.settings.model_copy(update=chosen))
    list(detect_stream(detector, ImageSources((str(options.images),), limit=2), stream))
    start = time.perf_counter(), time.process_time()
    sources = ImageSources((str(options.images),), limit=options.limit)
    return rates(sum(1 for _ in detect_stream(detector, sources, stream)), start)


def stock(options: argparse.Namespace) -> list[float]:
    """Run the predictor of ultralytics."""
    folder = tempfile.mkdtemp()
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=folder, YOLO_VERBOSE="false")
    import torch
    from ultralytics import YOLO

    torch.set_num_threads(1)
    model = YOLO(str(options.weights))
    paths = sorted(str(path) for path in options.images.iterdir())[: options.limit]
    chosen = {"conf": _SCORE, "max_det": _MOST, "imgsz": options.imgsz, "device": "cpu", "verbose": False}
    chosen |= {"stream": True, "batch": options.batches[0]}
    list(model.predict(paths[:2], **chosen))
    start = time.perf_counter(), time.process_time()
    return rates(sum(1 for _ in model.predict(paths, **chosen)), start)


SIDES = {"ours": ours, "stock": stock}

if __name__ == "__main__":
    main()
