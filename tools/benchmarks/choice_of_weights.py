"""Are the weights that score best on few validation images the best ones? Epochs, averages of weights and both, judged.

A training on a random part of the images scores every epoch and every average of weights on the validation images, as
always, and on up to 50 of the images that are left, by which nothing is chosen. For each way of choosing: the AP on the
latter. Every training leaves a line in a JSONL file; one whose line is there is not repeated.

    python tools/benchmarks/choice_of_weights.py --data DATA_FOLDER --weights yolo11n.pt --out choices.jsonl
        --images 9 --epochs 20 [--seeds 0 1 2] [--imgsz 320] [--batch 16] [--summary]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from machine import processor
from torch import nn

from detect_transfer.config import RunConfig, Stage
from detect_transfer.data.run_data import load_run_data
from detect_transfer.evaluation import coco_metrics
from detect_transfer.formats import READERS
from detect_transfer.workflows.run_scores import RunScorer, ScoredImages
from detect_transfer.workflows.train import train

JUDGES = 50
SETTINGS = ("data", "images", "epochs", "imgsz", "batch")


def main() -> None:
    """Train what is not in the file yet, and print what each way of choosing comes to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data folder with a val split; all other splits are drawn from")
    parser.add_argument("--weights", help="what training starts from")
    parser.add_argument("--out", type=Path, required=True, help="the JSONL file of the trainings")
    parser.add_argument("--images", type=int, default=9, help="to train on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the part and of the training")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--summary", action="store_true", help="train nothing, print what is in the file")
    options = parser.parse_args()
    for seed in () if options.summary else options.seeds:
        key = {**{name: getattr(options, name) for name in SETTINGS}, "data": options.data.name, "seed": seed}
        if any(all(row[name] == value for name, value in key.items()) for row in read_rows(options.out)):
            continue
        with tempfile.TemporaryDirectory(prefix="choice-") as scratch:
            row = {**key, "machine": processor(), "candidates": candidates_of(options, seed, Path(scratch))}
        with options.out.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
    print("\n".join(summary(read_rows(options.out))))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the trainings in a file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def candidates_of(options: argparse.Namespace, seed: int, scratch: Path) -> list[dict[str, Any]]:
    """Train once; return the AP of each candidate on the validation images and on the judges."""
    split_file = scratch / "splits.json"
    split_file.write_text(json.dumps({"splits_version": 1, "splits": splits_of(options, seed)}))
    config = RunConfig.model_validate(
        {
            "data": {"path": options.data, "split_file": split_file, "test_split": "test"},
            "model": {"weights": options.weights},
            "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": options.batch, "seed": seed},
            "out": scratch / "run",
        }
    )
    data, scored, call = load_run_data(config.data, drawn=scratch), [], RunScorer.__call__
    judges: list[ScoredImages] = []

    def judged(self: RunScorer, module: nn.Module, as_source: frozenset[Stage], name: str) -> dict[str, float | None]:
        metrics = call(self, module, as_source, name)
        if not judges:
            judges.append(ScoredImages(config, data.test, data, self._val._accelerator))
        detections = judges[0].detect(self._detector.with_module(module), as_source, self.watch)
        test = coco_metrics(judges[0].table, detections)
        scored.append({"name": name, "val": metrics["AP"] or 0.0, "test": test["AP"] or 0.0})
        return metrics

    RunScorer.__call__ = judged  # type: ignore[method-assign]
    try:
        train(config, name="benchmark", command="benchmark")
    finally:
        RunScorer.__call__ = call  # type: ignore[method-assign]
    return scored


def splits_of(options: argparse.Namespace, seed: int) -> dict[str, list[str]]:
    """Return the names of the images of each split: some to train on, up to 50 others as judges."""
    table = READERS["data_folder"].read(options.data)
    names = {split: sorted(table.split_of(split).images["file_name"].to_list()) for split in table.splits}
    others = [name for split, each in sorted(names.items()) if split != "val" for name in each]
    random.Random(1000 + seed).shuffle(others)
    test = others[options.images : options.images + JUDGES]
    return {"train": others[: options.images], "val": names["val"], "test": test}


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line a way of choosing: its mean AP on the judges, and in how many trainings it beats the best epoch."""
    chosen = [choices(row["candidates"]) for row in rows]
    if not chosen:
        return ["no trainings"]
    lines = [f"{len(rows)} trainings, {', '.join(sorted({row['machine'] for row in rows}))}"]
    for name in chosen[0]:
        gains = [each[name] - each["the best epoch"] for each in chosen]
        better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
        ap = mean(each[name] for each in chosen)
        lines.append(f"{name:44s} {ap:.3f}  {mean(gains):+.3f}  better {better}, worse {worse}")
    return lines


def choices(candidates: list[dict[str, Any]]) -> dict[str, float]:
    """Return what each way of choosing scores on the judges."""
    epochs = [each for each in candidates if each["name"].isdigit()]
    averages = [each for each in candidates if not each["name"].isdigit()]

    def best(of: list[dict[str, Any]]) -> float:
        return float(max(of, key=lambda each: each["val"])["test"])

    return {
        "the best epoch": best(epochs),
        "the last epoch": float(epochs[-1]["test"]),
        "the best of epochs and averages (the default)": best(candidates),
        "the best of epoch 0 and averages": best([epochs[0], *averages]),
        **{f"the average at .{share}": float(each["test"]) for share, each in zip((25, 5, 75), averages, strict=True)},
        "what is best on the judges": max(float(each["test"]) for each in candidates),
    }


if __name__ == "__main__":
    main()
