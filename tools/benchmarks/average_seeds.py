"""What is the average of the runs of several seeds worth, on images that nothing was chosen by?

For each arm and size of a finished study: the test AP of its runs (mean), of the run that is best on the validation
images, and of what `average` makes of them, which is a soup of some or that run alone.

    python tools/benchmarks/average_seeds.py studies/road_signs [--baseline scratch]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

from machine import processor

from detect_transfer.data.run_data import load_run_data
from detect_transfer.workflows.average import average_runs
from detect_transfer.workflows.evaluate_weights import score_table
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import load_trained


def ap_on_test(run: RunFolder, weights: Path) -> float:
    """Return the AP of these weights on the test images of a run."""
    config = run.read_config()
    data = load_run_data(config.data, drawn=run.drawn_data, for_training=False)
    if data.test is None:
        raise SystemExit(f"{run.path}: no test images")
    return score_table(load_trained(weights), data.test).scores.metrics["AP"] or 0.0


def main() -> None:
    """Average the runs of each arm and size, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the folder of a finished study with a test split")
    parser.add_argument("--baseline", default="scratch", help="the arm to leave out")
    options = parser.parse_args()
    groups: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for run in json.loads((options.study / "study.json").read_text(encoding="utf-8"))["runs"]:
        if run["arm"] != options.baseline:
            groups[run["arm"], run["n_images"]].append(run)
    print(f"machine: {processor()}")
    print(f"{'arm':20s} {'images':>7s}  runs  mean   best on val  average")
    for (arm, n_images), runs in groups.items():
        folders = [options.study / "runs" / run["key"] for run in runs]
        best = max(runs, key=lambda run: run["val"]["AP"])
        with tempfile.TemporaryDirectory() as scratch:
            made = average_runs(folders, Path(scratch) / "average")
            ap = ap_on_test(RunFolder(folders[0]), made.folder)
        kind = f"soup of {len(made.runs)}" if len(made.runs) > 1 else "the best run"
        each = mean(run["test"]["AP"] for run in runs)
        print(
            f"{arm:20s} {n_images:7d} {len(runs):5d}  {each:.3f}  {best['test']['AP']:.3f}        {ap:.3f} ({kind})",
            flush=True,
        )


if __name__ == "__main__":
    main()
