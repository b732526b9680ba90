"""The runs of a study on the disk: which are done, which failed, and what the report needs of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import orjson
import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import read_json, write_json
from detect_transfer.core.sealed import read_kept, write_sealed
from detect_transfer.evaluation import Case, parse_ignore_policy
from detect_transfer.evaluation.coco.bootstrap import draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds, units_of
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.trials_file import read_trials

State = Literal["done", "failed", "begun", "planned"]
_N_DRAWS, _DRAW_SEED = 400, 0  # of the test images: enough for a variance, and small on the disk
_VERSION = 3
_SCORES = ("AP", "AP50", "AP75", "AR100")
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class FinishedRun:
    """What the report needs of a finished run.

    Args:
        plan: What was planned.
        facts: Its scores, epochs, cost and versions.
        draws: (1 + B,) AP on the test images as they are, then on B draws of them.
    """

    plan: PlannedRun
    facts: dict[str, Any]
    draws: FloatArray


@dataclass(frozen=True)
class FailedRun:
    """A run that ended without a result.

    Args:
        plan: What was planned.
        message: What it said.
        exit_code: Of its process, negative where a signal ended it; None where that is not known.
    """

    plan: PlannedRun
    message: str
    exit_code: int | None = None

    @property
    def is_of_the_machine(self) -> bool:
        """Whether the machine failed: disk, memory, or what the system killed."""
        return isinstance(self.exit_code, int) and (self.exit_code == ResourceError.exit_code or self.exit_code < 0)


def state_of(folder: StudyFolder, key: str) -> State:
    """Return how far a run is; a failed one stands as failed until it is tried again."""
    run = folder.run(key)
    if run.manifest.is_file():
        return "done"
    if folder.failure(key).is_file():
        return "failed"
    return "begun" if run.path.is_dir() else "planned"


def finished_seconds(plan: StudyPlan) -> dict[str, float]:
    """Return the seconds that each finished run of a plan trained and scored, by its key."""
    begun = {path.name for path in plan.folder.runs.iterdir()} if plan.folder.runs.is_dir() else set()
    done = [run.key for run in plan.runs if run.key in begun and state_of(plan.folder, run.key) == "done"]
    return {key: sum(row.get("epoch_seconds", 0.0) for row in plan.folder.run(key).read_history()) for key in done}


def n_of_others(plan: StudyPlan) -> int:
    """Return how many run folders lie in the store that are of no run of the plan."""
    there = plan.folder.runs.iterdir() if plan.folder.runs.is_dir() else ()
    trials = {trial.key for path in plan.folder.searches() for trial in read_trials(path)[1]}
    return sum(path.name not in plan.by_key and path.name not in trials for path in there)


def note_failure(folder: StudyFolder, key: str, message: str, exit_code: int) -> None:
    """Let a run stand as failed, with what it said and how it ended."""
    write_json(folder.failure(key), {"key": key, "message": message, "exit_code": exit_code})


def read_runs(plan: StudyPlan) -> tuple[list[FinishedRun], list[FailedRun]]:
    """Read all runs of a plan that have ended; what the report needs of a run is worked out once and kept.

    Raises:
        InputError: A file of a run is damaged.
    """
    finished, failed = [], []
    for run in plan.runs:
        state = state_of(plan.folder, run.key)
        if state == "done":
            try:
                finished.append(digest_run(plan, run))
            except InputError as error:
                failed.append(FailedRun(run, str(error)))
        elif state == "failed":
            said = read_json(plan.folder.failure(run.key))
            said = said if isinstance(said, dict) else {}
            failed.append(FailedRun(run, str(said.get("message", "")), said.get("exit_code")))
    return finished, failed


def digest_run(plan: StudyPlan, run: PlannedRun) -> FinishedRun:
    """Return what the report needs of a finished run, and keep it beside the runs.

    Raises:
        InputError: A file of the run is missing or damaged, or its scores are not those of the test images.
    """
    path = plan.folder.digest(run.key)
    manifest = plan.folder.run(run.key).manifest.stat()
    mark = [_VERSION, manifest.st_size, manifest.st_mtime_ns]
    content = read_kept(path)
    if content.get("of") == mark:
        return FinishedRun(run, content["facts"], np.array(content["draws"], float))
    _refuse_other_code(plan, run)
    finished = work_out(plan, run)
    write_sealed(path, {"of": mark, "facts": finished.facts, "draws": finished.draws})
    return finished


def _refuse_other_code(plan: StudyPlan, run: PlannedRun) -> None:
    """Refuse a run of code that was changed after the study was planned, while its runs were under way."""
    folder = plan.folder.run(run.key)
    if folder.read_manifest().get("code_sha256", code_sha256()) != code_sha256():
        raise InputError(
            "STUDY_CODE",
            "it was trained by other code than the study was planned with",
            where=folder.manifest,
            remedy="remove the run folder and run the study again, with code that does not change meanwhile",
        )


def work_out(plan: StudyPlan, run: PlannedRun) -> FinishedRun:
    """Return what the report needs of a finished run, from its folder alone.

    Raises:
        InputError: A file of the run is missing or damaged, or its scores are not those of the test images.
    """
    facts = _facts(plan, run)
    return FinishedRun(run, facts, _draws(plan, run, facts["test"]["AP"]))


def _facts(plan: StudyPlan, run: PlannedRun) -> dict[str, Any]:
    folder = plan.folder.run(run.key)
    metrics, test, manifest = folder.read_metrics(), folder.test.read_metrics(), folder.read_manifest()
    history, evidence = folder.read_history(), folder.read_transfer().get("class_evidence", [])
    trained = [row for row in history if row["epoch"] > 0]
    speeds = [row["images_per_second"] for row in trained if row.get("images_per_second")]
    return {
        "val": {name: metrics.get(name) for name in _SCORES},
        "test": {name: test.get(name) for name in _SCORES},
        "class_ap": {row["name"]: row.get("AP") for row in test.get("per_class", [])},
        "class_evidence": {row["target"]: row["score"] or 0.0 for row in evidence},
        "best_epoch": metrics.get("best_epoch"),
        "epochs": [
            {
                "epoch": row["epoch"],
                "AP": row.get("AP"),
                "train_AP": row.get("train_AP"),
                "seconds": row.get("epoch_seconds"),
                "images_seen": int(images),
            }
            for row, images in zip(history, _images_seen(history, run.n_images), strict=True)
        ],
        "cost": {
            "seconds": sum(row.get("epoch_seconds", 0.0) for row in history) + _seconds_of_averages(folder),
            "images_per_second": sum(speeds) / len(speeds) if speeds else None,
            "peak_memory_mb": manifest.get("peak_memory_mb"),
            "energy_joules": manifest.get("energy_joules"),
            "parameters_trained": _parameters_trained(folder),
        },
        "machine": manifest.get("machine"),
        "versions": manifest.get("versions"),
    }


def _images_seen(history: Sequence[Mapping[str, Any]], n_images: int) -> IntArray:
    """Return how many images training has seen by the end of each epoch (E,): time may cut one short.

    Args:
        history: The rows of the epochs.
        n_images: Those of an epoch, where a row does not say how many it saw.
    """
    return np.cumsum([row.get("images", n_images) if row["epoch"] else 0 for row in history], dtype=np.int64)


def _seconds_of_averages(folder: RunFolder) -> float:
    """Return what scoring averages of weights took after training."""
    rows = [orjson.loads(line) for line in folder.history.read_bytes().splitlines()]
    return float(sum(row.get("score_seconds", 0.0) for row in rows if "mix" in row))


def _parameters_trained(folder: RunFolder) -> int:
    stages = folder.read_transfer()["stages"]
    return sum(stage["parameters"] for stage in stages if any(rate is not None for rate in stage["rates"]))


def drawn_ap(truth: AnnotationTable, detections: Detections, ignore_policy: str) -> FloatArray:
    """Return AP (1 + B,) on the images as they are and on B draws, which are the same for all detections of a truth."""
    matches = match_at_thresholds(Case(truth, detections, parse_ignore_policy(ignore_policy)))
    weights = draw_weights(units_of(truth)[1], n_draws=_N_DRAWS, seed=_DRAW_SEED)
    return sample(matches, weights).metrics["AP"]


def _draws(plan: StudyPlan, run: PlannedRun, stored_ap: float | None) -> FloatArray:
    """Score the detections of a run on the test images of the study, as they are and drawn."""
    truth = plan.data.split_of(run.fold).test
    rows = plan.folder.run(run.key).test.read_detections().rows
    of_truth = rows.join(truth.categories.select("category_id"), on="category_id", how="semi")
    strangers = rows.join(truth.images.select("image_id"), on="image_id", how="anti")
    ap = np.array([np.nan])
    if strangers.is_empty():
        ap = drawn_ap(truth, Detections(of_truth), plan.config.evaluate.ignore_policy)
    if stored_ap is None or not abs(float(ap[0]) - stored_ap) < _TOLERANCE:
        raise InputError(
            "STUDY_SCORES",
            f"its test AP of {stored_ap} is not that of its detections on the test images of the study, {ap[0]:.6f}",
            where=plan.folder.run(run.key).test.metrics,
            remedy="remove the run folder and run the study again",
        )
    return np.asarray(ap)


def runs_frame(finished: list[FinishedRun], failed: list[FailedRun]) -> pl.DataFrame:
    """Return a row a run that has ended, in the order of the plan."""
    rows = [
        {**asdict(run.plan), "state": "done", "message": None}
        | {f"test_{name}": run.facts["test"][name] for name in _SCORES}
        | {f"val_{name}": run.facts["val"][name] for name in _SCORES}
        | {"best_epoch": run.facts["best_epoch"], **run.facts["cost"]}
        for run in finished
    ]
    lost = [{**asdict(run.plan), "state": "failed", "message": run.message} for run in failed]
    return pl.DataFrame([*rows, *lost], infer_schema_length=None)


def epochs_frame(finished: list[FinishedRun]) -> pl.DataFrame:
    """Return a row an epoch of each finished run."""
    names = ("key", "arm", "percent", "n_images", "seed")
    rows = [{**{n: getattr(run.plan, n) for n in names}, **row} for run in finished for row in run.facts["epochs"]]
    return pl.DataFrame(rows, infer_schema_length=None)
