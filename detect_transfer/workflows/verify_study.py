"""Is what the report of a study says still so? Every run is verified, and the answers are worked out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.io import read_json, require_file
from detect_transfer.workflows.study_folder import StudyFolder, load_study
from detect_transfer.workflows.study_plan import PlannedRun, StudyPlan, make_study_plan
from detect_transfer.workflows.study_report import answers_of
from detect_transfer.workflows.study_runs import FinishedRun, work_out
from detect_transfer.workflows.verify import Check, verify_run


def is_study(path: Path) -> bool:
    """Return whether a folder is that of a study."""
    return StudyFolder(path).config.is_file()


def verify_study(path: Path, *, predict: bool = True, on_stage: Callable[[str], None] = lambda _: None) -> list[Check]:
    """Verify every run that the report of a study names, and work its answers out again.

    Args:
        path: The folder of the study.
        predict: Run the best weights on the images again; else scores are those of the stored detections.
        on_stage: Called with what begins now, in words.

    Raises:
        InputError: There is no report, or the data cannot be read.
    """
    config, folder = load_study(path)
    stated = read_json(require_file(folder.answers, what="the report of a study"))
    plan = make_study_plan(config, folder, on_stage=on_stage)
    checks: list[Check] = []
    finished: list[FinishedRun] = []
    for row in stated["runs"]:
        run = PlannedRun(**{name: row[name] for name in PlannedRun.__dataclass_fields__})
        name = f"{run.arm}, {run.n_images} images, seed {run.seed}"
        on_stage(name)
        if run.key not in plan.by_key:
            why = "config, data, weights or code are others now"
            checks.append(Check(f"{name}: key", "denied", run.key, None, why))
        try:
            of_run = verify_run(folder.run(run.key).path, predict=predict)
            finished.append(work_out(plan, run))
        except DetectTransferError as error:
            checks.append(Check(name, "denied", run.key, None, str(error)))
            continue
        checks += [replace(check, name=f"{name}: {check.name}") for check in of_run]
        now = finished[-1].facts["test"]["AP"]
        same = row["test"]["AP"] == now
        checks.append(
            Check(f"{name}: test AP of the report", "confirmed" if same else "denied", row["test"]["AP"], now)
        )
    if len(finished) < len(stated["runs"]):
        return [*checks, Check("answers", "not checked", None, None, "not every run is there")]
    return [*checks, *_answers(plan, stated, finished)]


def _answers(plan: StudyPlan, stated: Mapping[str, Any], finished: list[FinishedRun]) -> list[Check]:
    """Compare each part of the answers with what the runs say."""
    measured = orjson.loads(orjson.dumps(answers_of(plan, finished).as_dict(), option=orjson.OPT_SERIALIZE_NUMPY))
    return [
        Check(
            f"answers: {name}",
            "confirmed" if stated.get(name) == value else "denied",
            reason="" if stated.get(name) == value else "the runs say otherwise",
        )
        for name, value in measured.items()
    ]
