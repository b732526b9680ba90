"""What does a detector forget of the classes that it is to keep, with each way of keeping them?

A study of your data: every arm goes on finding the classes of COCO, of which the annotations know nothing, and is
scored on both tasks at shares of its weights between the source and the tuned ones. For each arm a line a share: AP on
the test images, AP of the kept classes on COCO images, and what both are apart from the source.

    python tools/benchmarks/forgetting.py DATA COCO_JSON --weights yolo11n [--imgsz 256 --epochs 4 --seeds 0 1]
        [--classes person] [--arms pseudo_labels ignore ...] [--out studies/forgetting]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

ARMS: dict[str, dict[str, Any]] = {
    "untouched": {"transfer.keep_from": "untouched"},
    "untouched, pull .01": {"transfer.keep_from": "untouched", "transfer.pull_to_source": 0.01},
    "untouched, norms frozen": {"transfer.keep_from": "untouched", "transfer.batchnorm": "frozen"},
    "untouched, head": {"transfer.keep_from": "untouched", "transfer.strategy": "head_only"},
    "pseudo_labels, head": {"transfer.keep_from": "pseudo_labels", "transfer.strategy": "head_only"},
    "pseudo_labels": {"transfer.keep_from": "pseudo_labels"},
    "pseudo_labels, score .3": {"transfer.keep_from": "pseudo_labels", "transfer.keep_score": 0.3},
    "ignore": {"transfer.keep_from": "ignore"},
    "pseudo_labels, pull .01": {"transfer.keep_from": "pseudo_labels", "transfer.pull_to_source": 0.01},
    "ignore, pull .01": {"transfer.keep_from": "ignore", "transfer.pull_to_source": 0.01},
    "pseudo_labels, lr 1e-4": {"transfer.keep_from": "pseudo_labels", "train.lr": 1e-4},
}


def main() -> None:
    """Run the study, or go on with it, and print a line a share of each arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="native annotations of any format that shows")
    parser.add_argument("coco", type=Path, help="COCO instances of the source task, beside their images")
    parser.add_argument("--weights", required=True, help="a name or a path, with the classes of COCO")
    parser.add_argument("--classes", nargs="+", default=[], help="the classes of the data; without it all")
    parser.add_argument("--imgsz", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--out", type=Path, default=Path("studies/forgetting"))
    options = parser.parse_args()
    from detect_transfer.config import StudyConfig, make_config_of
    from detect_transfer.workflows.study.folder import StudyFolder
    from detect_transfer.workflows.study.plan import make_study_plan
    from detect_transfer.workflows.study.report import report_study
    from detect_transfer.workflows.study.run import Launcher

    config = make_config_of(StudyConfig, content_of(options))
    plan = make_study_plan(config, StudyFolder(options.out))
    Launcher(plan, lambda text: print(text, flush=True)).run()
    report = report_study(plan, on_stage=lambda text: print(text, flush=True))
    print(f"{'arm':26s} {'share':>5s} {'AP new':>7s} {'gained':>7s} {'AP kept':>8s} {'forgotten':>9s}")
    for arm, curve in report.elsewhere.forgetting:
        for p in curve.points:
            numbers = (p.new_ap.value, p.gained.value, p.kept_ap.value, p.forgotten.value)
            new, gained, kept, forgotten = (float("nan") if value is None else value for value in numbers)
            print(f"{arm:26s} {p.coefficient:5g} {new:7.4f} {gained:+7.4f} {kept:8.4f} {forgotten:+9.4f}")
    print(f"{len(options.seeds)} seeds; test images of both tasks, {options.imgsz} px, {options.epochs} epochs")
    print(f"page: {report.page}")


def content_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the config of the study; boxes of classes that are not named leave the data."""
    from detect_transfer import convert, read_dataset
    from detect_transfer.models import find_weights, load_weights

    data = options.out / "target"
    table = read_dataset(options.data)
    names = options.classes or table.class_names
    if not data.exists():
        others = [name for name in table.class_names if name not in names]
        convert(table, data, class_map={**{n: n for n in names}, "__drop__": others}, image_mode="link")
    kept = [name for name in load_weights(find_weights(options.weights)).class_names if name not in names]
    return {
        "data": {"path": str(data)},
        "model": {"weights": options.weights},
        "transfer": {"strategy": "full", "interpolate": "off", "keep_source_classes": kept},
        "train": {"epochs": options.epochs, "imgsz": options.imgsz, "batch": 8},
        "study": {
            "arms": {name: ARMS[name] for name in options.arms},
            "sizes": [100],
            "seeds": options.seeds,
            "forgetting": {"data": {"path": str(options.coco)}, "coefficients": [0.25, 0.5, 0.75, 1.0]},
        },
    }


if __name__ == "__main__":
    main()
