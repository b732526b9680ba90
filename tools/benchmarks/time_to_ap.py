"""What training is worth and how soon: ours beside stock ultralytics, from one checkpoint, on one data folder.

Every run has a process of its own and leaves a line in a JSONL file, so that the table can be made in parts: a run
whose line is there is not repeated. `--summary` prints what is there. Arms:

    auto, no_map, no_averages       ours as it comes; without a class map; without averages of weights
    full, head_only, gradual ...    ours by a named strategy
    head_2                          ours with two epochs of the head in place of half of them
    train.lr=1e-3 ...               ours with keys of the config, parted by semicolons
    stock, stock_10, stock_23       ultralytics with its defaults; with its first 10 or 23 layers frozen

Seconds are those of the whole training call: reading images, training and scoring every epoch; with `--clock cpu`
those that the process computed, which on a busy machine with one thread tell more. AP is COCO's, by one
evaluator (ours) for all: stock's weights of each epoch are scored after its training, on the clock of the training.
The last columns are the seconds until an arm reaches the final AP of `stock` with the same seed.

    python tools/benchmarks/time_to_ap.py --data DATA_FOLDER --weights yolo11n.pt --out times.jsonl --seeds 0 1 2
        [--arms auto stock ...] [--epochs 10] [--imgsz 320] [--batch 16] [--fraction 1.0]
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
from hashlib import sha256
from pathlib import Path
from typing import Any

ARMS = ("auto", "no_map", "no_averages", "stock", "stock_10", "stock_23")
OF_OURS: dict[str, dict[str, Any]] = {
    "auto": {},
    "no_map": {"class_map": "none"},
    "no_averages": {"interpolate": "off"},
}
SETTINGS = ("data", "weights", "epochs", "imgsz", "batch", "fraction", "class_map")


def main() -> None:
    """Run what is not in the file yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder that tools/convert.py wrote")
    parser.add_argument("--weights", type=Path, required=True, help="an ultralytics .pt checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="the JSONL file of the runs")
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the training images; smaller ones are nested")
    parser.add_argument("--class-map", help="of ours, as YAML, e.g. '{pedestrian: person}', for all arms but no_map")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="which seconds the table shows")
    parser.add_argument("--summary", action="store_true", help="run nothing, print what is in the file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        row = (stock if options.one.startswith("stock") else ours)(options, options.seeds[0])
        (options.scratch / "row.json").write_text(json.dumps(row))
        return
    settings = {name: str(value) if isinstance(value := getattr(options, name), Path) else value for name in SETTINGS}
    for seed in () if options.summary else options.seeds:
        for arm in options.arms:
            if not any(row["arm"] == arm and row["seed"] == seed for row in read_rows(options.out, settings)):
                row = {"arm": arm, "seed": seed, **settings, **run_one(arm, seed)}
                with options.out.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
                print(f"{arm:12s} seed {seed}  AP {row['AP']:.4f}  {row['curve'][-1][options.clock]:.0f} s", flush=True)
    print_summary(read_rows(options.out, settings), options.clock)


def read_rows(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs with these settings."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [row for row in rows if all(row[name] == value for name, value in settings.items())]


def run_one(arm: str, seed: int) -> dict[str, Any]:
    """Run one arm with one seed in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="time-to-ap-") as folder:
        # the last of an option that is given twice counts
        words = [*sys.argv[1:], "--one", arm, "--seeds", str(seed), "--scratch", folder]
        done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        return dict(json.loads((Path(folder) / "row.json").read_text()))


def seconds_to(row: dict[str, Any], ap: float, clock: str) -> float | None:
    """Return the seconds after which a run first had an AP; None where it never had."""
    return next((point[clock] for point in row["curve"] if point["AP"] >= ap), None)


def print_summary(rows: list[dict[str, Any]], clock: str) -> None:
    """Print for each arm the mean and spread of AP, seconds, and when it had the final AP of stock."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    of = {arm: {row["seed"]: row for row in rows if row["arm"] == arm} for arm in arms}
    stock_runs = of.get("stock", {})
    print(f"{'arm':12s} seeds  {'epoch 0':>7s}  {'AP':>7s}  {'sd':>6s}  {'seconds':>7s}  to stock's AP")
    means: dict[str, float] = {}
    for arm, runs in of.items():
        values = [float(row["AP"]) for row in runs.values()]
        means[arm] = statistics.mean(values)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        seconds = statistics.mean(row["curve"][-1][clock] for row in runs.values())
        first = statistics.mean(row["curve"][0]["AP"] for row in runs.values())
        both = [(row, stock_runs[seed]) for seed, row in runs.items() if seed in stock_runs]
        times = [(seconds_to(row, peer["AP"], clock), peer["curve"][-1][clock]) for row, peer in both]
        reached = [(took, whole) for took, whole in times if took is not None]
        text = f"{len(reached)} of {len(times)} reach it"
        if reached:
            share = statistics.mean(took / whole for took, whole in reached)
            text = f"{statistics.mean(took for took, _ in reached):.0f} s, {share:.2f} of its time; {text}"
        shown = "   -   " if arm.startswith("stock") else f"{first:7.4f}"
        print(f"{arm:12s} {len(runs):5d}  {shown}  {means[arm]:7.4f}  {spread:6.4f}  {seconds:7.0f}  {text}")
    rivals = [arm for arm in arms if arm.startswith("stock")]
    if "auto" in means and rivals:
        best = max(rivals, key=lambda arm: means[arm])
        print(f"auto - best of stock ({best}): {means['auto'] - means[best]:+.4f}")
    for machine in sorted({f"{row['version']}, {row['machine']}" for row in rows}):
        print(machine)


class Clock:
    """What has passed since it was made, in seconds of the wall and of this process."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()

    def passed(self) -> dict[str, float]:
        """Return both."""
        return {"wall": time.monotonic() - self._began[0], "cpu": time.process_time() - self._began[1]}


def part_of(options: argparse.Namespace) -> Path | None:
    """Write the split file that names a part of the training images; None where all are taken."""
    if options.fraction == 1:
        return None
    from detect_transfer import read_dataset

    table = read_dataset(options.data, format="data_folder")
    train, val = (table.split_of(split).images["file_name"].to_list() for split in ("train", "val"))
    names = sorted(train, key=lambda name: sha256(name.encode()).digest())
    splits = {"train": names[: max(1, round(options.fraction * len(names)))], "val": val}
    path = options.scratch / "splits.json"
    path.write_text(json.dumps({"splits_version": 1, "splits": splits}))
    return path


def settings_of(arm: str, epochs: int) -> dict[str, Any]:
    """Return what an arm of ours sets of `transfer`."""
    if "=" in arm:
        return {}
    if not arm.startswith("head_") or not arm[5:].isdigit():
        return OF_OURS.get(arm, {"strategy": arm})
    head = {"epochs": int(arm[5:]), "train": ["rpn", "head"], "lr": 1e-3, "cache_features": 2, "patience": 3}
    return {"phases": [head, {"epochs": round(0.9 * epochs), "train": "all", "lr": 5e-4, "start": "best"}]}


def ours(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with this project."""
    import yaml

    import detect_transfer
    from detect_transfer.config import make_config
    from detect_transfer.models.device import machine_name
    from detect_transfer.workflows.train import Watch, train

    given = {"class_map": yaml.safe_load(options.class_map)} if options.class_map else {}
    config = make_config(
        {
            "data": {"path": options.data, "split_file": part_of(options)},
            "model": {"weights": str(options.weights)},
            "transfer": {**given, **settings_of(options.one, options.epochs)},
            "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": seed},
            "out": options.scratch / "run",
        },
        options.one.split(";") if "=" in options.one else (),
    )
    clock, curve = Clock(), []
    watch = Watch(on_epoch=lambda row: curve.append({**clock.passed(), "AP": row["AP"] or 0.0}))
    result = train(config, name="benchmark", command="benchmark", watch=watch)
    return {
        "AP": result.metrics["AP"] or 0.0,
        "curve": curve,
        "best": result.progress.best_weights,
        "version": f"detect_transfer {detect_transfer.__version__}",
        "machine": machine_name(),
    }


def stock(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with stock ultralytics on a copy of the data, and score the weights of each epoch with our COCO AP."""
    import matplotlib
    import yaml

    home = options.scratch / "home"
    (home / "Ultralytics").mkdir(parents=True)
    font = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copy(font, home / "Ultralytics" / "Arial.ttf")  # else it asks the network for one
    os.environ.update(YOLO_CONFIG_DIR=str(home), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
    data = options.scratch / "data"
    shutil.copytree(options.data, data)
    described = {**yaml.safe_load((data / "data.yaml").read_text()), "path": str(data)}
    if split_file := part_of(options):
        names = json.loads(split_file.read_text())["splits"]["train"]
        (data / "part.txt").write_text("".join(f"{data / 'images' / name}\n" for name in names))
        described["train"] = "part.txt"
    (data / "data.yaml").write_text(yaml.safe_dump(described))

    import torch
    import ultralytics

    torch.set_num_threads(torch.get_num_threads())
    model = ultralytics.YOLO(str(options.weights))
    weights: list[tuple[dict[str, float], Path]] = []

    def keep(trainer: Any) -> None:
        weights.append((clock.passed(), options.scratch / f"{len(weights):03d}.pt"))
        shutil.copy(trainer.last, weights[-1][1])

    model.add_callback("on_model_save", keep)
    _, _, frozen = options.one.partition("_")
    clock = Clock()
    model.train(
        data=str(data / "data.yaml"),
        epochs=options.epochs,
        imgsz=options.imgsz,
        batch=options.batch,
        seed=seed,
        device="cpu",
        workers=0,
        plots=False,
        project=str(options.scratch),
        name="stock",
        verbose=False,
        freeze=int(frozen) if frozen else None,
    )
    whole = clock.passed()

    from detect_transfer.models.device import machine_name

    best = stock_ap(options, options.scratch / "stock" / "weights" / "best.pt")
    curve = [{**passed, "AP": stock_ap(options, path)} for passed, path in weights]
    return {
        "AP": best,
        "curve": [*curve, {**whole, "AP": best}],  # after its last epoch it scores its best once more
        "version": f"ultralytics {ultralytics.__version__}",
        "machine": machine_name(),
    }


def stock_ap(options: argparse.Namespace, weights: Path) -> float:
    """Return the COCO AP of what stock's own prediction finds with its weights (score floor 0.001, 300 boxes)."""
    import polars as pl
    import ultralytics

    from detect_transfer.core.annotations import Detections
    from detect_transfer.evaluation import score
    from detect_transfer.formats import READERS

    val = READERS["data_folder"].read(options.data).split_of("val")
    best = ultralytics.YOLO(str(weights))
    columns: dict[str, list[float]] = {key: [] for key in ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")}
    for image_id, name in val.images.select("image_id", "file_name").iter_rows():
        path = str(options.data / "images" / name)
        boxes = best.predict(path, conf=0.001, iou=0.7, max_det=300, imgsz=options.imgsz, verbose=False)[0].boxes
        for box, confidence, label in zip(boxes.xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True):
            values = (image_id, int(label) + 1, *box, min(confidence, 1.0))
            for key, value in zip(columns, values, strict=True):
                columns[key].append(value)
    return score(val, Detections.from_columns(pl.DataFrame(columns, strict=False))).metrics["AP"] or 0.0


if __name__ == "__main__":
    main()
