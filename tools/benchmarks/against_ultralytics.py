"""Ours against stock ultralytics: same images, weights, epochs, input size, batch and seeds; AP and images/s.

Both start from one checkpoint and train on one data folder (tools/convert.py). Each run has a process of its own, one
after the other. Seconds are those of the whole training call: reading images, training and scoring every epoch.
Stock trains with its defaults (optimizer=auto), without plots. Its best weights then predict the validation images
(score floor 0.001, 300 boxes an image), and one evaluator, our COCO AP, scores both.

    python tools/benchmarks/against_ultralytics.py --data DATA_FOLDER --weights yolo11n.pt --seeds 0 1 2
    the head alone: ... --strategy head_only --cache-features 4 --freeze 23 --epochs 20
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run every seed on both sides and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder that tools/convert.py wrote")
    parser.add_argument("--weights", type=Path, required=True, help="an ultralytics .pt checkpoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--strategy", default="full", help="of ours")
    parser.add_argument("--cache-features", type=int, default=0, help="of ours: views of the frozen features, 0: none")
    parser.add_argument("--freeze", type=int, help="of stock: the first layers that are frozen (23: all but the head)")
    parser.add_argument("--class-map", default="{}", help="of ours, as YAML, e.g. '{pedestrian: person}'")
    parser.add_argument("--one", choices=["ours", "stock"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        facts = (ours if options.one == "ours" else stock)(options, options.seeds[0])
        (options.out / "facts.json").write_text(json.dumps(facts))
        return
    rows = {"ours": [], "stock": []}
    for seed in options.seeds:
        for side in rows:
            rows[side].append(run_one(side, seed))
            result = rows[side][-1]
            print(
                f"{side:6s} seed {seed}  AP {result['AP']:.4f}  AP50 {result['AP50']:.4f}  {result['seconds']:.1f} s  "
                f"{result['images_per_second']:.1f} images/s",
                flush=True,
            )
    print_summary(rows)


def run_one(side: str, seed: int) -> dict[str, float | str]:
    """Run one side with one seed in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        words = sys.argv[1:]
        at = words.index("--seeds") if "--seeds" in words else None
        if at is not None:
            end = next((i for i in range(at + 1, len(words)) if words[i].startswith("--")), len(words))
            del words[at:end]
        command = [sys.executable, __file__, *words, "--one", side, "--seeds", str(seed), "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads((Path(folder) / "facts.json").read_text())


def print_summary(rows: dict[str, list[dict[str, float | str]]]) -> None:
    """Print means, spreads and ratios."""
    for side, runs in rows.items():
        ap = [float(row["AP"]) for row in runs]
        spread = statistics.stdev(ap) if len(ap) > 1 else 0.0
        speed = statistics.mean(float(row["images_per_second"]) for row in runs)
        print(
            f"{side:6s} mean AP {statistics.mean(ap):.4f} (sd {spread:.4f})  {speed:.1f} images/s  {runs[0]['version']}"
        )
    ratio = statistics.mean(float(r["images_per_second"]) for r in rows["ours"]) / statistics.mean(
        float(r["images_per_second"]) for r in rows["stock"]
    )
    gain = statistics.mean(float(r["AP"]) for r in rows["ours"]) - statistics.mean(
        float(r["AP"]) for r in rows["stock"]
    )
    print(f"speed ratio {ratio:.2f} x, AP difference {gain:+.4f}")
    print(f"machine: {rows['ours'][0]['machine']}")


def ours(options: argparse.Namespace, seed: int) -> dict[str, float | str]:
    """Train with this project."""
    import yaml

    import detect_transfer
    from detect_transfer.config import RunConfig
    from detect_transfer.models.device import machine_name
    from detect_transfer.workflows.train import train

    config = RunConfig.model_validate(
        {
            "data": {"path": options.data},
            "model": {"weights": str(options.weights)},
            "transfer": {
                "strategy": options.strategy,
                "class_map": yaml.safe_load(options.class_map),
                "cache_features": options.cache_features or False,
            },
            "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": seed},
            "out": options.out / "run",
        }
    )
    result = train(config, name="benchmark", command="benchmark")
    history = result.progress.history
    # everything from the decoded images to the last score, as for stock
    seconds = sum(row["epoch_seconds"] for row in history) + result.loading_seconds
    images = options.epochs * result.train_images
    return {
        "AP": result.metrics["AP"] or 0.0,
        "AP50": result.metrics["AP50"] or 0.0,
        "seconds": seconds,
        "images_per_second": images / seconds,
        "version": f"detect_transfer {detect_transfer.__version__}",
        "machine": machine_name(),
    }


def stock(options: argparse.Namespace, seed: int) -> dict[str, float | str]:
    """Train with stock ultralytics on a copy of the data, and score its predictions with our COCO AP."""
    import matplotlib
    import polars as pl
    import yaml

    home = options.out / "home"
    (home / "Ultralytics").mkdir(parents=True)
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copy(font, home / "Ultralytics" / "Arial.ttf")  # else it asks the network for one
    os.environ.update(YOLO_CONFIG_DIR=str(home), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
    data = options.out / "data"
    shutil.copytree(options.data, data)
    described = yaml.safe_load((data / "data.yaml").read_text())
    (data / "data.yaml").write_text(yaml.safe_dump({**described, "path": str(data)}))

    import torch
    import ultralytics

    threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    model = ultralytics.YOLO(str(options.weights))
    images = len(list((data / "labels" / "train").rglob("*.txt")))
    began = time.monotonic()
    model.train(
        data=str(data / "data.yaml"),
        epochs=options.epochs,
        imgsz=options.imgsz,
        batch=options.batch,
        seed=seed,
        device="cpu",
        workers=0,
        plots=False,
        project=str(options.out),
        name="stock",
        verbose=False,
        freeze=options.freeze,
    )
    seconds = time.monotonic() - began

    from detect_transfer.core.annotations import Detections
    from detect_transfer.evaluation import score
    from detect_transfer.formats import READERS

    val = READERS["data_folder"].read(options.data).split_of("val")
    best = ultralytics.YOLO(str(options.out / "stock" / "weights" / "best.pt"))
    columns: dict[str, list[float]] = {
        name: [] for name in ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    }
    for image_id, name in val.images.select("image_id", "file_name").iter_rows():
        found = best.predict(
            str(options.data / "images" / name), conf=0.001, iou=0.7, max_det=300, imgsz=options.imgsz, verbose=False
        )[0].boxes
        for box, confidence, label in zip(found.xyxy.tolist(), found.conf.tolist(), found.cls.tolist(), strict=True):
            values = (image_id, int(label) + 1, *box, min(confidence, 1.0))
            for key, value in zip(columns, values, strict=True):
                columns[key].append(value)
    metrics = score(val, Detections.from_columns(pl.DataFrame(columns, strict=False))).metrics
    return {
        "AP": metrics["AP"] or 0.0,
        "AP50": metrics["AP50"] or 0.0,
        "seconds": seconds,
        "images_per_second": options.epochs * images / seconds,
        "version": f"ultralytics {ultralytics.__version__}",
    }


if __name__ == "__main__":
    main()
