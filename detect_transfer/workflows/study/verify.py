"""Is what the report of a study says still so? Every run is verified, and the answers are worked out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.io import read_json, require_file, sha256_file
from detect_transfer.workflows.study.elsewhere import Elsewhere, score_elsewhere
from detect_transfer.workflows.study.folder import StudyFolder, load_study
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan, make_study_plan
from detect_transfer.workflows.study.report import answers_of, study_content
from detect_transfer.workflows.study.runs import FailedRun, FinishedRun, state_of, work_out
from detect_transfer.workflows.study.words import EndedRuns
from detect_transfer.workflows.verify import Check, verify_run

_LISTS = ("runs", "failed", "not_ended")


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
    planned = {name: [_planned(row, folder) for row in _rows(stated, name, folder)] for name in _LISTS}
    plan = make_study_plan(config, folder, on_stage=on_stage)
    checks = [*_files(folder, stated), *_left_out(plan, planned)]
    finished: list[FinishedRun] = []
    for run in planned["runs"]:
        name = run.words
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
    if len(finished) < len(planned["runs"]):
        return [*checks, Check("report", "not checked", None, None, "not every run is there")]
    if not finished:
        return [*checks, Check("report", "denied", None, None, "it names no run")]
    messages = [str(row.get("message")) for row in stated["failed"]]
    failed = tuple(FailedRun(run, words) for run, words in zip(planned["failed"], messages, strict=True))
    ended = EndedRuns(tuple(finished), failed, tuple(planned["not_ended"]))
    elsewhere = score_elsewhere(plan, finished, again=predict, on_stage=on_stage)
    checks += _report(plan, stated, ended, elsewhere)
    if not predict and (elsewhere.forgetting or elsewhere.matrix):
        checks.append(Check("scores on other data", "not checked", None, None, "it was not asked for"))
    return checks


def _rows(stated: Mapping[str, Any], name: str, folder: StudyFolder) -> list[Any]:
    rows = stated.get(name) if isinstance(stated, dict) else None
    if isinstance(rows, list):
        return rows
    raise _damaged(folder, f"a list `{name}` was expected")


def _planned(row: Any, folder: StudyFolder) -> PlannedRun:
    """Return the run that a row of the report is about."""
    names = [field.name for field in fields(PlannedRun)]
    needed = [field.name for field in fields(PlannedRun) if field.default is MISSING]
    if not isinstance(row, dict) or not set(needed) <= row.keys():
        raise _damaged(folder, f"a run has {', '.join(needed)}")
    return PlannedRun(**{name: row[name] for name in names if name in row})


def _damaged(folder: StudyFolder, what: str) -> InputError:
    remedy = f"write it again with: detect-transfer study report {folder.path}"
    return InputError("STUDY_REPORT", what, where=folder.answers, remedy=remedy)


def _files(folder: StudyFolder, stated: Mapping[str, Any]) -> Iterator[Check]:
    """Hash the page and the tables."""
    for name, digest in stated.get("files", {}).items():
        path = folder.path / name
        now = sha256_file(path) if path.is_file() else None
        yield Check(
            name, "confirmed" if now == digest else "denied", digest, now, _why(now == digest, "it was changed")
        )


def _left_out(plan: StudyPlan, planned: Mapping[str, list[PlannedRun]]) -> Iterator[Check]:
    """Look for runs of the study that ended and that the report does not count as it should."""
    ends = {"done": "runs", "failed": "failed"}
    listed = {(run.key, name) for name, runs in planned.items() for run in runs}
    for run in plan.runs:
        name = ends.get(state_of(plan.folder, run.key))
        if name is not None and (run.key, name) not in listed and (run.key, "failed") not in listed:
            yield Check(
                f"{run.words}: counted in the report",
                "denied",
                None,
                run.key,
                "it has ended, and the report leaves it out",
            )


def _report(plan: StudyPlan, stated: Mapping[str, Any], ended: EndedRuns, elsewhere: Elsewhere) -> Iterator[Check]:
    """Compare each part of the report with what the runs say."""
    content = study_content(plan, ended, answers_of(plan, ended.finished), elsewhere)
    measured = orjson.loads(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))
    for name, value in measured.items():
        same = stated.get(name) == value
        yield Check(f"report: {name}", "confirmed" if same else "denied", reason=_why(same, "the runs say otherwise"))
    for before, now in zip(stated["runs"], measured["runs"], strict=True):
        for name, value in now.items():
            if before.get(name) != value:
                words = _planned(now, plan.folder).words
                yield Check(f"{words}: {name} of the report", "denied", before.get(name), value)


def _why(same: bool, wrong: str) -> str:
    return "" if same else wrong
