"""What becomes of damaged data and weights: here, in ultralytics, pycocotools and torchvision, each in its own way.

    python tools/benchmarks/faults.py

Every fault is put into a small data set, which each tool then loads as its documentation says; what a tool does not
read is left out. `error`: loading ends, and the message names the file at fault; `unclear error`: it does not.
`noted`: it goes on, and names what it found. `dropped`: the image is left out, with a line in the log. `taken`: of the
fault nothing is said. `CODE RAN`: code from the file was run. Handled are `error` and `noted`. On CPU; about a minute.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

IMAGE, LABEL = "images/train/0.jpg", "labels/train/0.txt"
TOOLS = ("detect_transfer", "ultralytics", "pycocotools", "torchvision")
HANDLED = ("error", "noted")
AT_FAULT = ("0.jpg", "0.txt", "9.txt", "coco.json", "evil.pt")  # what a message has to name
Fault = Callable[[Path], object]


def make_yolo(root: Path) -> Path:
    """Write a YOLO data set of two images a split."""
    for number, split in enumerate(("train", "train", "val", "val")):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((128, 96)).save(root / "images" / split / f"{number}.jpg", quality=95)
        (root / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25\n")
    (root / "data.yaml").write_text(f"path: {root}\ntrain: images/train\nval: images/val\nnames: [car, dog]\n")
    return root


def make_coco(root: Path) -> Path:
    """Write COCO instances of two images."""
    make_yolo(root)
    document = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 128, "height": 96} for n in (0, 1)],
        "annotations": [
            {"id": n + 1, "image_id": n, "category_id": 1, "bbox": [10, 10, 40, 30], "area": 1200, "iscrowd": 0}
            for n in (0, 1)
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (root / "coco.json").write_text(json.dumps(document))
    return root


def image(change: Callable[[bytes], bytes]) -> Fault:
    """Change the bytes of the first image."""
    return lambda root: (root / IMAGE).write_bytes(change((root / IMAGE).read_bytes()))


def rows(text: str) -> Fault:
    """Put a text into the first label."""
    return lambda root: (root / LABEL).write_text(text)


def document(change: Callable[[dict[str, Any]], object]) -> Fault:
    """Change the COCO document."""

    def fault(root: Path) -> None:
        content = json.loads((root / "coco.json").read_text())
        change(content)
        (root / "coco.json").write_text(json.dumps(content))

    return fault


def text(change: Callable[[str], str]) -> Fault:
    """Change the text of the COCO file."""
    return lambda root: (root / "coco.json").write_text(change((root / "coco.json").read_text()))


YOLO: dict[str, Fault] = {
    "F01 JPEG cut in half": image(lambda data: data[: len(data) // 2]),
    "F02 JPEG cut, with an end marker": image(lambda data: data[: len(data) // 3] + b"\xff\xd9"),
    "F04 text named .jpg": image(lambda _: b"not an image"),
    "F04 file of no bytes": image(lambda _: b""),
    "F12 a coordinate is nan": rows("0 nan 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25\n"),
    "F13 box far past the edge": rows("0 0.95 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25\n"),
    "F14 box of 0.3 px": rows("0 0.5 0.5 0.0025 0.25\n1 0.3 0.3 0.25 0.25\n"),
    "F15 four columns": rows("0 0.5 0.5 0.25\n1 0.3 0.3 0.25 0.25\n"),
    "F15 boxes and polygons": rows("0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3\n"),
    "F16 class beyond the names": rows("7 0.5 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25\n"),
    "F17 a row twice": rows("0 0.5 0.5 0.25 0.25\n0 0.5 0.5 0.25 0.25\n"),
    "F18 label cut in its last number": rows("0 0.5 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.2"),
    "F19 no label file": lambda root: (root / LABEL).unlink(),
    "F20 label without an image": lambda root: (root / "labels/train/9.txt").write_text("0 0.5 0.5 0.2 0.2\n"),
    "F39 one image in train and val": lambda root: shutil.copy(root / IMAGE, root / "images/val/2.jpg"),
}
COCO: dict[str, Fault] = {
    "F27 an image id twice": document(lambda d: d["images"][1].update(id=0)),
    "F28 an image id that is nowhere": document(lambda d: d["annotations"][0].update(image_id=99)),
    "F28 a class id that is nowhere": document(lambda d: d["annotations"][0].update(category_id=99)),
    "F30 no bbox": document(lambda d: d["annotations"][0].pop("bbox")),
    "F30 bbox of three numbers": document(lambda d: d["annotations"][0].update(bbox=[1, 2, 3])),
    "F31 no width and height": document(lambda d: [d["images"][0].pop(key) for key in ("width", "height")]),
    "F31 another width and height": document(lambda d: d["images"][0].update(width=96, height=128)),
    "F32 JSON cut": text(lambda content: content[: len(content) // 2]),
    "F33 a coordinate is NaN": text(lambda content: content.replace("[10, 10,", "[NaN, 10,", 1)),
    "F33 a key twice": text(
        lambda content: content.replace('"image_id": 0,', '"image_id": 0, "bbox": [0, 0, 5, 5],', 1)
    ),
    "F34 file name ../": document(lambda d: d["images"][0].update(file_name="../../images/train/0.jpg")),
}


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def make_weights(root: Path) -> Path:
    """Write weights whose reading would make the folder `ran` in the current folder."""
    with (root / "evil.pt").open("wb") as stream:
        torch.save({"model": _Payload()}, stream, pickle_module=pickle)
    return root


def run_ours(root: Path, name: str) -> str:
    """Return what the commands here make of it."""
    from detect_transfer.cli import main

    words = ["check", str(root / "data.yaml"), "--format", "yolo"]
    if name in COCO:
        words = ["check", str(root / "coco.json"), "--format", "coco", "--option", f"images={root / 'images/train'}"]
    elif name not in YOLO:
        words = ["predict", str(root / "evil.pt"), str(root / "images/val"), "--out", str(root / "out")]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            main(words)
        except SystemExit as left:
            code = int(left.code or 0)
    said = shown.getvalue()
    if code:
        return "error" if any(part in said for part in AT_FAULT) else "unclear error"
    return "noted" if any(line.startswith(("warning ", "note ")) for line in said.splitlines()) else "taken"


def run_ultralytics(root: Path, name: str) -> str:
    """Return what the scan of a data set by ultralytics, or its loading of weights, makes of it."""
    if name not in YOLO:
        from ultralytics import YOLO as Model  # type: ignore[attr-defined]

        Model(str(root / "evil.pt"))
        return "taken"
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.utils import LOGGER

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    data = {"names": {0: "car", 1: "dog"}, "nc": 2, "channels": 3}
    sets = [
        YOLODataset(img_path=str(root / "images" / split), data=data, task="detect", hyp=get_cfg(), augment=False)
        for split in ("train", "val")
    ]
    LOGGER.removeHandler(handler)
    n_images = sum(len(each.labels) for each in sets)
    n_boxes = sum(len(label["cls"]) for each in sets for label in each.labels)
    if n_images < 4:
        return "dropped"
    stated = sum(len(path.read_text().split("\n")) - 1 for path in root.glob("labels/*/[0-3].txt"))
    warned = any("0.jpg" in line or "0.txt" in line for line in said)
    return "noted" if warned and n_boxes <= stated else "taken"


def run_pycocotools(root: Path, name: str) -> str:
    """Return what pycocotools makes of it: the index, and every annotation as a detection that is scored."""
    from pycocotools.coco import COCO as Index
    from pycocotools.cocoeval import COCOeval

    index = Index(str(root / "coco.json"))
    found = [{**each, "score": 0.5} for each in index.loadAnns(index.getAnnIds())]
    keys = ("image_id", "category_id", "bbox", "score")
    detections = index.loadRes([{key: row[key] for key in keys} for row in found])
    COCOeval(index, detections, "bbox").evaluate()
    return "taken"


def run_torchvision(root: Path, name: str) -> str:
    """Return what torchvision's data set, wrapped for its detectors, makes of it; or `torch.load` of weights."""
    if name not in COCO:
        torch.load(root / "evil.pt")
        return "taken"
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2

    data = wrap_dataset_for_transforms_v2(CocoDetection(root / "images/train", str(root / "coco.json")))
    for _ in (data[i] for i in range(len(data))):
        pass
    return "taken"


RUN = {
    "detect_transfer": run_ours,
    "ultralytics": run_ultralytics,
    "pycocotools": run_pycocotools,
    "torchvision": run_torchvision,
}


def outcome(tool: str, name: str) -> str:
    """Return what a tool makes of a fault, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        root = Path(folder).resolve() / "set"
        make_coco(root) if name in COCO else make_yolo(root)
        fault = YOLO.get(name) or COCO.get(name) or make_weights
        fault(root)
        quiet = io.StringIO()
        try:
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                result = RUN[tool](root, name)
        except Exception as error:  # noqa: BLE001 - any way to end is a result here
            named = name not in YOLO | COCO or any(part in str(error) for part in AT_FAULT)  # weights are one file
            result = "error" if named else "unclear error"
        return "CODE RAN" if Path("ran").exists() else result


def main(tools: tuple[str, ...] = TOOLS) -> None:
    """Print the table; with the name of a tool as the argument what it alone makes of the faults, as JSON."""
    names = [*YOLO, *COCO, "F43 code in a .pt"]
    reads = {
        "detect_transfer": names,
        "ultralytics": [*YOLO, names[-1]],
        "pycocotools": list(COCO),
        "torchvision": [*COCO, names[-1]],
    }
    if len(sys.argv) == 2:
        print(json.dumps({name: outcome(sys.argv[1], name) for name in reads[sys.argv[1]]}))
        return
    found: dict[str, dict[str, str]] = {}
    for tool in tools:
        environment = {**os.environ, "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "true"}
        words = [sys.executable, __file__, tool]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        found[tool] = json.loads(done.stdout.splitlines()[-1])
    print(f"| fault | {' | '.join(tools)} |\n|---|{'---|' * len(tools)}")
    for name in names:
        print(f"| {name} | {' | '.join(found[tool].get(name, '') for tool in tools)} |")
    handled = [f"{sum(r in HANDLED for r in found[tool].values())} of {len(found[tool])}" for tool in tools]
    print(f"| **handled** | {' | '.join(handled)} |")


if __name__ == "__main__":
    main()
