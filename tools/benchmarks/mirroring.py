"""Whether mirrored training images help or harm classes of digits and of text: the same trainings with and without.

Every line is a class; each seed trains once with `mirror.images` true and once with false, everything else alike. The
difference is paired by seed; its interval is Student's t over the seeds, so that with few of them it is wide.

    python tools/benchmarks/mirroring.py --data DATA_FOLDER --weights yolo11n.pt
        [--seeds 0 1 2] [--epochs 8] [--imgsz 256] [--batch 16] [--val-split val]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

ALL = "all classes"


def main() -> None:
    """Train with and without mirroring for every seed and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder that tools/convert.py wrote")
    parser.add_argument("--weights", required=True, help="a name or a path")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--imgsz", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--val-split", default="val")
    options = parser.parse_args()

    from scipy.special import stdtrit  # type: ignore[import-untyped]

    from detect_transfer.models.device import machine_name

    scores: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for seed in options.seeds:
        for mirrored, runs in scores.items():
            began = time.monotonic()
            runs.append(train_once(options, seed=seed, mirrored=mirrored))
            took = time.monotonic() - began
            print(f"seed {seed}  mirrored {mirrored!s:5}  AP {runs[-1][ALL]:.4f}  {took:.0f} s", flush=True)
    print("\n| class | mirrored | not mirrored | mirrored - not, 95 % |\n|---|---|---|---|")
    n = len(options.seeds)
    for name in scores[True][0]:
        with_, without = ([run[name] for run in scores[mirrored]] for mirrored in (True, False))
        apart = [a - b for a, b in zip(with_, without, strict=True)]
        reach = float(stdtrit(n - 1, 0.975)) * statistics.stdev(apart) / n**0.5 if n > 1 else float("nan")
        means = " | ".join(f"{statistics.mean(values):.3f}" for values in (with_, without))
        print(f"| {name} | {means} | {statistics.mean(apart):+.3f} +- {reach:.3f} |")
    print(f"\n{n} seeds, {options.epochs} epochs, {options.imgsz} px; {machine_name()}")


def train_once(options: argparse.Namespace, *, seed: int, mirrored: bool) -> dict[str, float]:
    """Train the whole network and return AP of the best epoch, of all classes and of each."""
    from detect_transfer.config import RunConfig
    from detect_transfer.core.io import read_json
    from detect_transfer.workflows.run_folder import RunFolder
    from detect_transfer.workflows.train import train

    with tempfile.TemporaryDirectory() as scratch:
        settings = {
            "data": {"path": options.data, "val_split": options.val_split},
            "model": {"weights": options.weights},
            "transfer": {"strategy": "full", "interpolate": "off"},
            "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": seed},
            "mirror": {"images": mirrored},
            "out": Path(scratch) / "run",
        }
        result = train(RunConfig.model_validate(settings), name="mirroring", command="mirroring")
        stored = read_json(RunFolder(result.folder).metrics)
    return {ALL: stored["AP"] or 0.0, **{row["name"]: row["AP"] or 0.0 for row in stored["per_class"]}}


if __name__ == "__main__":
    main()
