"""The report of a study: answers for people and programs, of what has ended so far."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.io import sha256_file, write_atomic, write_json
from detect_transfer.evaluation.study.answers import StudyAnswers, study_answers
from detect_transfer.evaluation.study.histories import History
from detect_transfer.evaluation.study.runs import StudyRun
from detect_transfer.report.study_page import FailedRun as ShownFailure
from detect_transfer.report.study_page import StudyPage, write_study_page
from detect_transfer.workflows.study.elsewhere import Elsewhere, score_elsewhere
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.prediction import predictions
from detect_transfer.workflows.study.runs import (
    FailedRun,
    FinishedRun,
    epochs_frame,
    n_of_others,
    read_runs,
    runs_frame,
)
from detect_transfer.workflows.study.search import trials_of
from detect_transfer.workflows.study.words import EndedRuns, facts_of, not_tested, paragraph_of


@dataclass(frozen=True)
class StudyReport:
    """What was reported.

    Args:
        answers: All answers.
        finished: The runs that they are read from.
        failed: Runs that ended without a result.
        missing: Runs that have not ended.
        paragraph: A paragraph for a paper.
        page: The page.
        elsewhere: What the runs scored on other data.
        timed: The answers of the runs with equal seconds; None where there are none.
    """

    answers: StudyAnswers
    finished: tuple[FinishedRun, ...]
    failed: tuple[FailedRun, ...]
    missing: tuple[PlannedRun, ...]
    paragraph: str
    page: Path
    elsewhere: Elsewhere
    timed: StudyAnswers | None = None


def report_study(plan: StudyPlan, *, on_stage: Callable[[str], None] = lambda _: None) -> StudyReport:
    """Read all runs that have ended, and write `study.json`, the tables and `study.html`.

    Args:
        plan: The study.
        on_stage: Called with what begins now, in words, where runs are scored on other data.

    Raises:
        InputError: No run has finished, or other data that the study names are wrong.
        ResourceError: The disk is full or does not let us write.
    """
    finished, failed = read_runs(plan)
    if not finished:
        raise _empty(plan, failed)
    answers = answers_of(plan, finished)
    ended = {run.plan.key for run in finished} | {run.plan.key for run in failed}
    missing = tuple(run for run in plan.runs if run.key not in ended)
    runs = EndedRuns(tuple(finished), tuple(failed), missing)
    elsewhere = score_elsewhere(plan, finished, on_stage=on_stage)
    timed = answers_of(plan, finished, timed=True) if plan.config.study.timed else None
    content = study_content(plan, runs, answers, elsewhere)
    _write(plan, runs, answers, content, (elsewhere, timed))
    return StudyReport(
        answers, runs.finished, runs.failed, runs.missing, content["paragraph"], plan.folder.report, elsewhere, timed
    )


def _empty(plan: StudyPlan, failed: Sequence[FailedRun]) -> InputError | ResourceError:
    """Return the error for a study of which nothing has finished; the machine failed where it failed every run."""
    what, logs = f"none of {len(plan.runs)} runs has finished", plan.folder.path / "logs"
    remedy = f"run the study first; what runs printed is in {logs}"
    if failed:
        what += f"; {len(failed)} failed, the first with: {failed[0].message}"
        again = f"detect-transfer study resume {shlex.quote(str(plan.folder.path))} --retry-failed"
        remedy = f"see what it was in {logs}, put it right, then: {again}"
    is_of_machine = bool(failed) and all(run.is_of_the_machine for run in failed)
    kind = ResourceError if is_of_machine else InputError
    return kind("STUDY_EMPTY", what + _others(plan), where=plan.folder.path, remedy=remedy)


def _others(plan: StudyPlan) -> str:
    """Say how many runs are there that count as others, as after another version was installed."""
    n = n_of_others(plan)
    return f"; {counted(n, 'run')} there of another config, other data, weights or code" if n else ""


def answers_of(plan: StudyPlan, finished: Sequence[FinishedRun], *, timed: bool = False) -> StudyAnswers:
    """Return all that the finished runs of a study say: of those with equal images, or of those with equal seconds."""
    study = plan.config.study
    timed_as = {arm: name for name, arm in study.timed.items()}
    return study_answers(
        [_study_run(run) for run in finished],
        arms=list(study.timed if timed else study.arms),
        baseline=timed_as[study.compared_with] if timed else study.compared_with,
        margin=study.margin,
        targets=study.targets,
        overlap=plan.data.overlap,
    )


def _study_run(run: FinishedRun) -> StudyRun:
    rows = run.facts["epochs"]
    scored = [row for row in rows if row["AP"] is not None]
    passed = np.cumsum([row["seconds"] or 0.0 for row in rows])
    history = None
    if scored:
        learnt = [math.nan if row["train_AP"] is None else row["train_AP"] for row in scored]
        history = History(
            run.plan.seed,
            np.array([at for at, row in zip(passed, rows, strict=True) if row["AP"] is not None]),
            np.array([row["images_seen"] for row in scored], float),
            np.array([row["AP"] for row in scored]),
            None if all(math.isnan(value) for value in learnt) else np.array(learnt),
            run.plan.fold or 0,
        )
    return StudyRun(
        run.plan.arm,
        run.plan.n_images,
        run.plan.seed,
        run.facts["test"]["AP"],
        run.draws if run.plan.fold is None else None,
        history,
        f"runs/{run.plan.key}/report.html",
        run.facts["cost"],
        run.plan.fold,
    )


def study_content(plan: StudyPlan, runs: EndedRuns, answers: StudyAnswers, elsewhere: Elsewhere) -> dict[str, Any]:
    """Return what `study.json` holds, without the hashes of the files beside it."""
    return {
        **answers.as_dict(),
        "facts": facts_of(plan, runs),
        "paragraph": paragraph_of(plan, runs, answers),
        "trials": [trials.as_dict() for trials in trials_of(plan)],
        "not_tested": [*not_tested(plan, runs), *elsewhere.notes],
        **elsewhere.as_dict(),
        **({"equal_seconds": answers_of(plan, runs.finished, timed=True).as_dict()} if plan.config.study.timed else {}),
        "predictions": [{"arm": arm, **agreed.as_dict()} for arm, agreed in predictions(plan, runs.finished)],
        "runs": [
            {**asdict(run.plan), **{k: run.facts[k] for k in ("val", "test", "best_epoch", "cost")}}
            for run in runs.finished
        ],
        "failed": [{**asdict(run.plan), "message": run.message} for run in runs.failed],
        "not_ended": [asdict(run) for run in runs.missing],
    }


def _write(
    plan: StudyPlan,
    runs: EndedRuns,
    answers: StudyAnswers,
    content: dict[str, Any],
    besides: tuple[Elsewhere, StudyAnswers | None],
) -> None:
    elsewhere, timed = besides
    folder = plan.folder
    for frame, path in (
        (runs_frame(list(runs.finished), list(runs.failed)), folder.runs_table),
        (epochs_frame(list(runs.finished)), folder.epochs_table),
    ):
        stream = BytesIO()
        frame.write_parquet(stream)
        write_atomic(path, stream.getvalue())
    page = StudyPage(
        title=f"What the transfer is worth: {folder.path.name}",
        answers=answers,
        failed=[_shown(plan, run) for run in runs.failed],
        n_planned=len(plan.runs),
        facts=content["facts"],
        paragraph=content["paragraph"],
        not_tested=content["not_tested"],
        trials=trials_of(plan),
        timed=timed,
        forgetting=elsewhere.forgetting,
        matrix=elsewhere.matrix,
        agreement=predictions(plan, runs.finished),
    )
    write_study_page(folder.report, page)
    files = {path.name: sha256_file(path) for path in (folder.report, folder.runs_table, folder.epochs_table)}
    write_json(folder.answers, {**content, "files": files})


def _shown(plan: StudyPlan, run: FailedRun) -> ShownFailure:
    log = plan.folder.output(run.plan.key)
    link = log.relative_to(plan.folder.path).as_posix() if log.is_file() else ""
    return ShownFailure(run.plan.arm, run.plan.n_images, run.plan.seed, run.message, link, run.plan.fold)
