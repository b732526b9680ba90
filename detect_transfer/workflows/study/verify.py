"""Is what the report of a study says still so? Every run is verified, and the answers are worked out again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.io import read_json, require_file, sha256_file
from detect_transfer.workflows.study.elsewhere import Elsewhere, score_elsewhere
from detect_transfer.workflows.study.folder import StudyFolder, load_study
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan, make_study_plan
from detect_transfer.workflows.study.report import answers_of, study_content
from detect_transfer.workflows.study.runs import FailedRun, FinishedRun, state_of, work_out
from detect_transfer.workflows.study.words import EndedRuns
from detect_transfer.workflows.verify import Check, verify_run

_LISTS = {"done": "runs", "failed": "failed"}  # of the report, by the state of a run; others stand in the last
_NOT_ENDED = "not_ended"
_ROW = TypeAdapter(PlannedRun)


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
    listed = {name: [_planned(row, folder) for row in _rows(stated, name, folder)] for name in _names_of_lists()}
    plan = make_study_plan(config, folder, on_stage=on_stage)
    checks = [_config(folder), *_files(folder, stated), *_listed_otherwise(plan, listed)]
    planned = {name: [_of_plan(plan, run) for run in runs] for name, runs in listed.items()}
    finished: list[FinishedRun] = []
    for row, run in zip(listed["runs"], planned["runs"], strict=True):
        name = row.words
        on_stage(name)
        if row.key not in plan.by_key:
            why = "config, data, weights or code are others now"
            checks.append(Check(f"{name}: key", "denied", row.key, None, why))
        if run is None:
            continue
        try:
            of_run = verify_run(folder.run(run.key).path, data=plan.config_of(run).data, predict=predict)
            finished.append(work_out(plan, run))
        except DetectTransferError as error:
            checks.append(Check(name, "denied", run.key, None, str(error)))
            continue
        checks += [replace(check, name=f"{name}: {check.name}") for check in of_run]
    if len(finished) < len(planned["runs"]):
        return [*checks, Check("report", "not checked", None, None, "not every run is there")]
    if not finished:
        return [*checks, Check("report", "denied", None, None, "it names no run")]
    whole = {name: [run or row for row, run in zip(listed[name], planned[name], strict=True)] for name in listed}
    messages = [str(row.get("message")) for row in stated["failed"]]
    failed = tuple(FailedRun(run, words) for run, words in zip(whole["failed"], messages, strict=True))
    ended = EndedRuns(tuple(finished), failed, tuple(whole[_NOT_ENDED]))
    try:
        elsewhere = score_elsewhere(plan, finished, again=predict, on_stage=on_stage)
    except DetectTransferError as error:
        return [*checks, Check("scores on other data", "denied", None, None, str(error))]
    checks += _report(plan, stated, ended, elsewhere)
    if not predict and (elsewhere.forgetting or elsewhere.matrix):
        checks.append(Check("scores on other data", "not checked", None, None, "it was not asked for"))
    return checks


def _rows(stated: Mapping[str, Any], name: str, folder: StudyFolder) -> list[Any]:
    rows = stated.get(name) if isinstance(stated, dict) else None
    if isinstance(rows, list):
        return rows
    raise _damaged(folder, f"a list `{name}` was expected")


def _names_of_lists() -> tuple[str, ...]:
    return (*_LISTS.values(), _NOT_ENDED)


def _planned(row: Any, folder: StudyFolder) -> PlannedRun:
    """Return the run that a row of the report is about, as it says."""
    own = {key: row[key] for key in PlannedRun.__dataclass_fields__ if key in row} if isinstance(row, dict) else row
    try:
        run = _ROW.validate_json(orjson.dumps(own), strict=True)
    except ValidationError as error:
        detail = error.errors()[0]
        what = f"a run has {', '.join(PlannedRun.__dataclass_fields__)}: {'.'.join(map(str, detail['loc']))}"
        raise _damaged(folder, f"{what}: {detail['msg']}") from error
    if re.fullmatch("[0-9a-f]+", run.key) is None:
        raise _damaged(folder, "the key of a run is a hash")
    return run


def _of_plan(plan: StudyPlan, run: PlannedRun) -> PlannedRun | None:
    """Return a run of the report as the study has it; None where it has no such run.

    One of another version has another key, and is known by its arm, size, seed and fold.
    """
    if run.key in plan.by_key:
        return plan.by_key[run.key]
    alike = (other for other in plan.runs if replace(other, key=run.key) == run)
    return run if any(alike) else None


def _damaged(folder: StudyFolder, what: str) -> InputError:
    remedy = f"write it again with: detect-transfer study report {folder.path}"
    return InputError("STUDY_REPORT", what, where=folder.answers, remedy=remedy)


def _config(folder: StudyFolder) -> Check:
    changed = folder.config_warning
    return Check(folder.config.name, "denied" if changed else "confirmed", reason=changed)


def _files(folder: StudyFolder, stated: Mapping[str, Any]) -> Iterator[Check]:
    """Hash the page and the tables."""
    digests = stated.get("files")
    for path in (folder.report, folder.runs_table, folder.epochs_table):
        digest = digests.get(path.name) if isinstance(digests, dict) else None
        now = sha256_file(path) if path.is_file() else None
        wrong = "the report has no hash of it" if digest is None else "it was changed"
        same = digest is not None and now == digest
        yield Check(path.name, "confirmed" if same else "denied", digest, now, _why(same, wrong))


def _listed_otherwise(plan: StudyPlan, listed: Mapping[str, list[PlannedRun]]) -> Iterator[Check]:
    """Look for runs of the study that the report does not count as it should, or of which it says something else."""
    where: dict[str, list[str]] = {}
    for name, runs in listed.items():
        for run in runs:
            where.setdefault(run.key, []).append(name)
            known = plan.by_key.get(run.key, run)
            for key, value in asdict(known).items():
                if getattr(run, key) != value:
                    yield Check(f"{known.words}: {key} of the report", "denied", getattr(run, key), value)
    rows = {replace(run, key="") for runs in listed.values() for run in runs}
    for run in plan.runs:
        if run.key not in where and replace(run, key="") in rows:
            continue  # of another version, which its key tells
        name, names = _LISTS.get(state_of(plan.folder, run.key), _NOT_ENDED), where.get(run.key, [])
        # a finished run whose files are damaged counts as failed
        if names != [name] and not (name == "runs" and names == ["failed"]):
            what = "it has ended, and" if name != _NOT_ENDED else "it has not ended, and"
            how = "leaves it out" if not names else f"has it as {' and as '.join(names)}"
            yield Check(f"{run.words}: counted in the report", "denied", None, run.key, f"{what} the report {how}")


def _report(plan: StudyPlan, stated: Mapping[str, Any], ended: EndedRuns, elsewhere: Elsewhere) -> Iterator[Check]:
    """Compare each part of the report with what the runs say."""
    content = study_content(plan, ended, answers_of(plan, ended.finished), elsewhere)
    measured = orjson.loads(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))
    for name, value in measured.items():
        same = stated.get(name) == value
        yield Check(f"report: {name}", "confirmed" if same else "denied", reason=_why(same, "the runs say otherwise"))
    for before, now in zip(stated["runs"], measured["runs"], strict=True):
        for name, value in now.items():
            if name not in PlannedRun.__dataclass_fields__ and before.get(name) != value:
                words = _planned(now, plan.folder).words
                yield Check(f"{words}: {name} of the report", "denied", before.get(name), value)


def _why(same: bool, wrong: str) -> str:
    return "" if same else wrong
