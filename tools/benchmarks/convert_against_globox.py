"""COCO to YOLO labels, 50,000 images and 500,000 boxes: ours against globox, one after the other in the same run.

    python tools/benchmarks/convert_against_globox.py [--images 50000] [--boxes 500000] [--repeat 3] [--scratch DIR]

Both read the same generated JSON and write one label file an image, each in a process of its own, timed from after the
imports, in /dev/shm where there is one: making 50,000 small files on a disk takes anything from 2 to 30 seconds, which
says nothing of either program (--scratch measures a disk). Ours also checks what it reads, cleans, keeps a ledger, and
writes `data.yaml`. They take turns, and of each the fastest run counts, since other work on the machine only ever slows
one down. Printed are the seconds, the ratio, the peak memory of each process, and whether both gave the same boxes.
Exit code 1: above the limits, or not the same. Needs `pip install detect-transfer[bench]`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import machine
import numpy as np

HIGHEST_RATIO = 0.3
HIGHEST_RSS_GB = 2.0
N_CLASSES = 80
MEMORY = Path("/dev/shm")


def generate(path: Path, *, n_images: int, n_boxes: int, seed: int = 0) -> None:
    """Write a COCO file of random boxes with two decimals, as in COCO, inside images of random sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(320, 2000, size=(n_images, 2))
    owner = rng.integers(0, n_images, size=n_boxes)
    low = rng.random((n_boxes, 2)) * 0.8
    span = 0.01 + rng.random((n_boxes, 2)) * (0.99 - low)
    # a whole box in whole hundredths of a pixel, never past the border
    xy = np.floor(low * sizes[owner] * 100) / 100
    wh = np.floor(span * sizes[owner] * 100) / 100
    classes = rng.integers(1, N_CLASSES + 1, size=n_boxes)
    annotations = [
        {
            "id": i,
            "image_id": int(image) + 1,
            "category_id": int(category),
            "bbox": [round(v, 2) for v in box],
            "area": round(box[2] * box[3], 4),
            "iscrowd": 0,
        }
        for i, (image, category, box) in enumerate(
            zip(owner, classes, np.concatenate([xy, wh], axis=1).tolist(), strict=True), start=1
        )
    ]
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": int(w), "height": int(h)}
        for i, (w, h) in enumerate(sizes, start=1)
    ]
    categories = [{"id": i, "name": f"class {i:02d}", "supercategory": "thing"} for i in range(1, N_CLASSES + 1)]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def run_ours(source: Path, out: Path) -> float:
    """Read, check, clean and write with this project; return seconds."""
    from detect_transfer.core.io import new_folder
    from detect_transfer.core.ledger import Ledger
    from detect_transfer.data.clean import clean
    from detect_transfer.formats.coco import reader as coco
    from detect_transfer.formats.writing.ignored_regions import plan_ignored
    from detect_transfer.formats.yolo.writer import write_labels

    start = time.perf_counter()
    ledger = Ledger()
    table = clean(coco.read(source), ledger)
    with new_folder(out) as building:
        write_labels(plan_ignored(table, "drop", ledger=ledger), building, ledger)
    return time.perf_counter() - start


def run_globox(source: Path, out: Path) -> float:
    """Read and write with globox; return seconds."""
    from globox import AnnotationSet

    start = time.perf_counter()
    label_to_id = {f"class {i:02d}": i - 1 for i in range(1, N_CLASSES + 1)}
    AnnotationSet.from_coco(source).save_yolo_v5(out, label_to_id=label_to_id)
    return time.perf_counter() - start


RUNNERS = {"ours": run_ours, "globox": run_globox}
PICK = {"seconds": min, "peak_gb": max}


def measure(name: str, source: Path, out: Path) -> dict[str, float]:
    """Run one of them in a fresh process; return its seconds and peak memory in GB."""
    command = [sys.executable, __file__, "--run", name, str(source), str(out)]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def read_labels(folder: Path) -> dict[str, Any]:
    """Return the rows of every label file as arrays (N, 5), sorted."""
    labels = {}
    for path in sorted(folder.glob("*.txt")):
        rows = np.array(path.read_text().split(), dtype=np.float64).reshape(-1, 5)
        labels[path.stem] = rows[np.lexsort(rows.T[::-1])]
    return labels


def compare(ours: Path, theirs: Path) -> tuple[int, int, float]:
    """Return the rows of ours and of theirs, and the largest difference of a number; inf where shapes differ."""
    a, b = read_labels(ours), read_labels(theirs)
    n_ours, n_theirs = sum(map(len, a.values())), sum(map(len, b.values()))
    if any(len(a.get(stem, ())) != len(rows) for stem, rows in b.items()) or n_ours != n_theirs:
        return n_ours, n_theirs, float("inf")
    return n_ours, n_theirs, max(float(np.abs(a[s] - rows).max(initial=0)) for s, rows in b.items())


def main() -> int:
    """Generate, run both, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--boxes", type=int, default=500_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=MEMORY if MEMORY.is_dir() else None)
    parser.add_argument("--run", nargs=3, metavar=("NAME", "SOURCE", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        name, source, out = options.run
        seconds = RUNNERS[name](Path(source), Path(out))
        print(json.dumps({"seconds": seconds, "peak_gb": machine.peak_gb()}))
        return 0
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        source = folder / "instances.json"
        generate(source, n_images=options.images, n_boxes=options.boxes)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in RUNNERS}
        for _ in range(options.repeat):
            for name, done in runs.items():
                shutil.rmtree(folder / name, ignore_errors=True)
                done.append(measure(name, source, folder / name))
        n_ours, n_theirs, largest = compare(folder / "ours" / "labels", folder / "globox")
    figures_of = {
        name: {key: pick(run[key] for run in done) for key, pick in PICK.items()} for name, done in runs.items()
    }
    ratio = figures_of["ours"]["seconds"] / figures_of["globox"]["seconds"]
    print(f"{machine.processor()}; Python {platform.python_version()}")
    print("versions: " + ", ".join(f"{p} {version(p)}" for p in ("polars", "orjson", "numpy", "globox")))
    print(
        f"{options.images:,} images, {options.boxes:,} boxes; written below {options.scratch or tempfile.gettempdir()}"
    )
    for name, figures in figures_of.items():
        every = ", ".join(f"{run['seconds']:.2f}" for run in runs[name])
        print(f"{name:7s} {figures['seconds']:7.2f} s   peak {figures['peak_gb']:.2f} GB   (runs: {every})")
    print(f"ratio   {ratio:7.3f}     (limit {HIGHEST_RATIO}; peak limit {HIGHEST_RSS_GB} GB)")
    print(f"rows: ours {n_ours:,}, globox {n_theirs:,}; largest difference of a number {largest:.1e}")
    same = n_ours == n_theirs and largest < 1e-5
    return 0 if same and ratio <= HIGHEST_RATIO and figures_of["ours"]["peak_gb"] <= HIGHEST_RSS_GB else 1


if __name__ == "__main__":
    sys.exit(main())
