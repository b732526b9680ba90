"""What each piece of augmentation is worth: one training with it and one without, everything else alike.

Every training has a process of its own with one thread and leaves a line in a JSONL file, so that the table can be made
in parts: a training whose line is there is not repeated. `--summary` prints what is there: for each arm the difference
in AP to the arm `default` of the same data, part and seed, its mean and the interval that holds the true mean in 95 of
100 cases (Student's t over the pairs; none from one pair).

    python tools/benchmarks/augmentation.py --data A B --weights yolo11n.pt --out augmentation.jsonl --seeds 0 1 2
        [--arms default mosaic ...] [--fractions 1.0 0.3] [--epochs 8] [--imgsz 224] [--batch 16] [--until 04:45]

`--until` begins no training that would end after this time of the day, by the longest so far.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

ARMS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"augment": "none"},
    "mosaic": {"augment": ["default", {"Mosaic": {"p": 0.5}}]},
    "copy_paste": {"augment": ["default", {"CopyPaste": {"p": 0.5}}]},
    "mixup": {"augment": ["default", {"MixUp": {"p": 0.3}}]},
    "scale_by_boxes": {"augment": ["signs", {"CopyPaste": {"p": 0}}, {"HorizontalFlip": {"p": 0.5}}]},
    "no_mirror": {"mirror": {"images": False}},
    "repeat": {"train": {"class_balance": "repeat"}},
    "small_set": {"augment": "small_set"},
    "signs": {"augment": "signs"},
    "pedestrians": {"augment": "pedestrians"},
    "aerial": {"augment": "aerial"},
}
SETTINGS = ("weights", "epochs", "imgsz", "batch")
_SAME = ("data", "fraction", "seed")


def main() -> None:
    """Run what is not in the file yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="data folders that tools/convert.py wrote")
    parser.add_argument("--weights", required=True, help="what training starts from")
    parser.add_argument("--out", type=Path, required=True, help="the JSONL file of the trainings")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--fractions", type=float, nargs="+", default=[1.0, 0.3], help="of the training images")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--imgsz", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--until", type=datetime.fromisoformat, help="as 2026-01-31T04:45")
    parser.add_argument("--summary", action="store_true", help="run nothing, print what is in the file")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in SETTINGS}
    if options.one:
        Path(options.out).write_text(json.dumps(trained(options, options.one)))
        return
    for key in () if options.summary else keys_of(options):
        rows = read_rows(options.out, settings)
        if any(all(row[name] == value for name, value in key.items()) for row in rows):
            continue
        longest = timedelta(seconds=max((row["seconds"] for row in rows), default=0.0))
        if options.until is not None and datetime.now() + longest > options.until:
            break
        row = {**key, **settings, **run_one(key)}
        with options.out.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        words = " ".join(f"{value!s:14s}" for value in key.values())
        sys.stdout.write(f"{words} AP {row['AP']:.4f}  {row['seconds']:.0f} s\n")
        sys.stdout.flush()
    sys.stdout.write("\n".join(summary(read_rows(options.out, settings))) + "\n")


def keys_of(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return what tells trainings apart, seed by seed, so that a part of them compares all arms."""
    return [
        {"data": data.name, "folder": str(data.resolve()), "fraction": fraction, "seed": seed, "arm": arm}
        for seed in options.seeds
        for fraction in options.fractions
        for arm in options.arms
        for data in options.data
    ]


def read_rows(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the trainings with these settings."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [row for row in rows if all(row[name] == value for name, value in settings.items())]


def run_one(key: dict[str, Any]) -> dict[str, Any]:
    """Run one training in a process of its own, with one thread."""
    with tempfile.TemporaryDirectory(prefix="augmentation-") as folder:
        out = Path(folder) / "row.json"
        words = [*sys.argv[1:], "--one", json.dumps(key), "--out", str(out)]  # the last --out counts
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, __file__, *words], capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        return dict(json.loads(out.read_text()))


def trained(options: argparse.Namespace, key: dict[str, Any]) -> dict[str, Any]:
    """Train once; return AP and the seconds that the process computed."""
    import detect_transfer
    from detect_transfer.config import RunConfig
    from detect_transfer.models.device import machine_name
    from detect_transfer.workflows.train import train

    arm = ARMS[key["arm"]]
    scratch = Path(options.out).parent
    settings = {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": key["seed"]}
    config = RunConfig.model_validate(
        {
            "data": {"path": key["folder"], "split_file": split_file(Path(key["folder"]), key["fraction"], scratch)},
            "model": {"weights": options.weights},
            **arm,
            "train": {**settings, "workers": 0, **arm.get("train", {})},
            "out": scratch / "run",
        }
    )
    began, wall = time.process_time(), time.monotonic()
    result = train(config, name="benchmark", command="benchmark")
    return {
        "AP": result.metrics["AP"] or 0.0,
        "AP50": result.metrics["AP50"] or 0.0,
        "last": next(row["AP"] or 0.0 for row in reversed(result.progress.history)),
        "train_images": result.train_images,
        "cpu_seconds": time.process_time() - began,
        "seconds": time.monotonic() - wall,
        "version": detect_transfer.__version__,
        "machine": machine_name(),
    }


def split_file(data: Path, fraction: float, scratch: Path) -> Path | None:
    """Write the split file that names a part of the training images; None where all are taken."""
    if fraction == 1:
        return None
    names = {
        split: [image["file_name"] for image in json.loads(path.read_text())["images"]]
        for split in ("train", "val")
        if (path := data / "annotations" / f"instances_{split}.json")
    }
    names["train"].sort(key=lambda name: sha256(name.encode()).digest())
    names["train"] = names["train"][: max(1, round(fraction * len(names["train"])))]
    path = scratch / "splits.json"
    path.write_text(json.dumps({"splits_version": 1, "splits": names}))
    return path


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table: each arm on each data set and part, and over all of them."""
    base = {tuple(row[name] for name in _SAME): row["AP"] for row in rows if row["arm"] == "default"}
    lines = [f"{'arm':15s} {'data':16s} {'part':>5s} pairs      AP    gain  interval"]
    groups = list(dict.fromkeys((row["data"], row["fraction"]) for row in rows))
    for arm in dict.fromkeys(row["arm"] for row in rows):
        of_arm = [row for row in rows if row["arm"] == arm and tuple(row[name] for name in _SAME) in base]
        for data, fraction in [*groups, ("all", None)]:
            part = [row for row in of_arm if fraction is None or (row["data"], row["fraction"]) == (data, fraction)]
            if part:
                gains = [row["AP"] - base[tuple(row[name] for name in _SAME)] for row in part]
                mean = statistics.mean(row["AP"] for row in part)
                share = "" if fraction is None else f"{fraction:.0%}"
                gain = "" if arm == "default" else gain_text(gains)
                lines.append(f"{arm:15s} {data:16s} {share:>5s} {len(part):5d}  {mean:.4f}  {gain}")
    return lines


def gain_text(gains: list[float]) -> str:
    """Return the mean of paired differences with its interval."""
    from scipy.stats import t

    mean = statistics.mean(gains)
    if len(gains) < 2:
        return f"{mean:+.4f}"
    half = float(t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / math.sqrt(len(gains))
    return f"{mean:+.4f}  [{mean - half:+.4f}, {mean + half:+.4f}]"


if __name__ == "__main__":
    main()
