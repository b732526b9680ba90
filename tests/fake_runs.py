"""Run folders as training would leave them, made without training: detections that are better with more images."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import orjson
import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.io import write_atomic, write_json
from detect_transfer.data.split import is_positive
from detect_transfer.evaluation import coco_metrics
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan

_GAIN = {"scratch": 0.0, "epoch0": 0.1}  # of the share of objects that is found; every other arm has a third more


def write_run(plan: StudyPlan, run: PlannedRun) -> None:
    """Write the folder of a run whose arm finds so many of the objects that it is better than `scratch`."""
    folder, truth = plan.folder.run(run.key), plan.data.split_of(run.fold).test
    rng = np.random.default_rng(zlib.crc32(f"{run.arm} {run.percent} {run.seed}".encode()))
    share = 0.35 + 0.1 * np.log10(run.percent) + _GAIN.get(run.arm.partition(",")[0], 0.3)
    boxes = truth.boxes.filter(is_positive())
    rows = boxes.filter(pl.Series(rng.random(boxes.height) < share)).select(
        "image_id", "category_id", "x1", "y1", "x2", "y2", score=pl.lit(0.9)
    )
    detections = Detections(rows)
    write_results(detections, truth, folder.test.detections)
    scores = coco_metrics(truth, detections)
    write_json(folder.test.metrics, scores)
    write_json(folder.metrics, {**scores, "best_epoch": run.epochs})
    epochs = [
        {"epoch": i, "AP": scores["AP"] * i / max(run.epochs, 1), "train_AP": 0.1 * i} for i in range(run.epochs + 1)
    ]
    rows_of = [{**row, "epoch_seconds": 1.0 + i} for i, row in enumerate(epochs)]
    write_atomic(folder.history, b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows_of))
    phase = {"first_epoch": 1, "epochs": 1, "rates": {}}
    stages = [{"stage": "head", "tensors": 1, "parameters": 10, "rates": [0.001]}]
    write_json(folder.transfer, {"phases": [phase], "stages": stages})
    write_atomic(folder.report, "<title>a run</title>")
    write_json(folder.manifest, {"machine": "m", "versions": {"torch": "2"}, "peak_memory_mb": 5, "files": {}})


def fake_command(plan: StudyPlan):
    """Return what stands for the command of a run: it writes the folder here, and runs nothing."""

    def command(_: StudyFolder, key: str) -> list[str]:
        write_run(plan, plan.by_key[key])
        return [sys.executable, "-c", "pass"]

    return command


def plan_of(path: Path, study: dict, folder: Path, **train: int) -> StudyPlan:
    """Plan a study of a data folder from the embedded weights."""
    from detect_transfer.config import StudyConfig, make_config_of
    from detect_transfer.workflows.study.plan import make_study_plan

    study = {"arms": ["scratch", "full"], "sizes": [50, 100], "held_out": 0.3, "budget": "epochs", "jobs": 1, **study}
    content = {"data": {"path": str(path)}, "model": {"weights": "embedded"}, "train": {"epochs": 2, **train}}
    return make_study_plan(make_config_of(StudyConfig, {**content, "study": study}), StudyFolder(folder))
