"""What starting a training costs an image: seconds of the processor and memory, from ten thousand images to a million.

The data folder holds links to a few drawn images, so that its size is that of its names. Every count is a process of
its own. `start-up` is reading and checking the data and their files; `table` is what the annotations take, `training`
what a training holds beside them for each image (paths, boxes, labels), which forked loading processes share.

    python tools/benchmarks/many_images.py [--images 10000 100000 1000000] [--boxes 3]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from machine import processor

from detect_transfer.config import Data
from detect_transfer.core.io import write_json
from detect_transfer.data.checked_images import remember_images
from detect_transfer.data.image_writing import FileFacts
from detect_transfer.data.manifest import write_manifest
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.run_data import load_run_data
from detect_transfer.synthetic.dataset import write_scenes
from detect_transfer.training.samples import TrainSamples

LINKS = 60_000  # of one file, below what file systems allow
SIZE = 64


def main() -> None:
    """Run each count and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--boxes", type=int, default=3, help="of an image")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        measure(options.one, options.images[0])
        return
    print(
        "| images | start-up | us an image | table, bytes an image | training, bytes an image |\n|---|---|---|---|---|"
    )
    for count in options.images:
        with tempfile.TemporaryDirectory(prefix="many-images-") as folder:
            write(Path(folder), count, options.boxes)
            command = [sys.executable, __file__, "--images", str(count), "--one", folder]
            subprocess.run(command, check=True)
    print(processor())


def write(root: Path, count: int, boxes: int) -> None:
    """Write a data folder whose training images are links to drawn ones."""
    drawn = write_scenes(root / "drawn", "target", counts={"train": 20, "val": 20}, seed=0, size_wh=(SIZE, SIZE))
    originals = [root / "drawn" / name for name in drawn.split_of("train").images["file_name"]]
    (root / "annotations").mkdir()
    for split, total in (("train", count), ("val", 20)):
        (root / "images" / split).mkdir(parents=True)
        images, annotations = [], []
        for i in range(total):
            name = f"{split}/{i:07}.jpg"
            if i % LINKS < len(originals) or split == "val":
                # other bytes behind the image: else training and validation would share it
                content = originals[i % len(originals)].read_bytes() + f"{split} {i}".encode()
                (root / "images" / name).write_bytes(content)
            else:
                first = i // LINKS * LINKS + i % len(originals)
                os.link(root / "images" / f"{split}/{first:07}.jpg", root / "images" / name)
            images.append({"id": i + 1, "file_name": name, "width": SIZE, "height": SIZE})
            for k in range(boxes):
                bbox = [4.0 + k, 5.0, 20.0, 10.0]
                annotations.append({"id": len(annotations) + 1, "image_id": i + 1, "category_id": k + 1, "bbox": bbox})
        categories = [{"id": k + 1, "name": f"class {k + 1}"} for k in range(boxes)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    write_json(root / "ledger.json", {"steps": []})
    shutil.rmtree(root / "drawn")
    write_manifest(root, {}, {})
    images = read_dataset(root, format="coco").images
    facts = {name: FileFacts.of((root / "images" / name).read_bytes()) for name in images["file_name"]}
    remember_images(root, images, facts, before_ns=time.time_ns())


def resident() -> int:
    """Return the bytes that this process holds now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(root: Path, count: int) -> None:
    """Load the data and print a line."""
    before = resident()
    began = time.process_time()
    data = load_run_data(Data(path=root), drawn=root / "none")
    seconds = time.process_time() - began
    table = resident() - before
    tracemalloc.start()
    samples = TrainSamples(data.train, data.paths)
    training = tracemalloc.get_traced_memory()[0] + data.paths.nbytes
    assert len(samples) == count
    each = f"{1e6 * seconds / count:.0f} | {table / count:.0f} | {training / count:.0f}"
    print(f"| {count:,} | {seconds:.1f} s | {each} |", flush=True)


if __name__ == "__main__":
    main()
