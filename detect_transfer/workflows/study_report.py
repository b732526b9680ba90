"""The report of a study: answers for people and programs, of what has ended so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

import detect_transfer
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic, write_json
from detect_transfer.evaluation.study.answers import StudyAnswers, study_answers
from detect_transfer.evaluation.study.histories import History
from detect_transfer.evaluation.study.runs import StudyRun
from detect_transfer.report.study_page import FailedRun as ShownFailure
from detect_transfer.report.study_page import StudyPage, write_study_page
from detect_transfer.workflows.study_plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study_runs import FailedRun, FinishedRun, epochs_frame, read_runs, runs_frame

_FEWEST_SEEDS = 3


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
    """

    answers: StudyAnswers
    finished: tuple[FinishedRun, ...]
    failed: tuple[FailedRun, ...]
    missing: tuple[PlannedRun, ...]
    paragraph: str
    page: Path


def report_study(plan: StudyPlan) -> StudyReport:
    """Read all runs that have ended, and write `study.json`, the tables and `study.html`.

    Raises:
        InputError: No run has finished.
        ResourceError: The disk is full or does not let us write.
    """
    finished, failed = read_runs(plan)
    if not finished:
        raise InputError(
            "STUDY_EMPTY",
            f"none of {len(plan.runs)} runs has finished" + (f"; {len(failed)} failed" if failed else ""),
            where=plan.folder.path,
            remedy=f"run the study first; what runs printed is in {plan.folder.path / 'logs'}",
        )
    answers = answers_of(plan, finished)
    ended = {run.plan.key for run in finished} | {run.plan.key for run in failed}
    missing = tuple(run for run in plan.runs if run.key not in ended)
    paragraph = _paragraph(plan, finished, failed, answers)
    report = StudyReport(answers, tuple(finished), tuple(failed), missing, paragraph, plan.folder.report)
    _write(plan, report)
    return report


def answers_of(plan: StudyPlan, finished: Sequence[FinishedRun]) -> StudyAnswers:
    """Return all that the finished runs of a study say."""
    study = plan.config.study
    return study_answers(
        [_study_run(run) for run in finished],
        arms=list(study.arms),
        baseline=study.compared_with,
        margin=study.margin,
        targets=study.targets,
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
        )
    return StudyRun(
        run.plan.arm,
        run.plan.n_images,
        run.plan.seed,
        run.facts["test"]["AP"],
        run.draws,
        history,
        f"runs/{run.plan.key}/report.html",
        run.facts["cost"],
    )


def _write(plan: StudyPlan, report: StudyReport) -> None:
    folder, facts = plan.folder, _facts(plan, report)
    content = {
        **report.answers.as_dict(),
        "facts": facts,
        "paragraph": report.paragraph,
        "not_tested": _not_tested(plan, report),
        "runs": [
            {**asdict(run.plan), **{k: run.facts[k] for k in ("val", "test", "best_epoch", "cost")}}
            for run in report.finished
        ],
        "failed": [{**asdict(run.plan), "message": run.message} for run in report.failed],
        "not_ended": [asdict(run) for run in report.missing],
    }
    for frame, path in (
        (runs_frame(list(report.finished), list(report.failed)), folder.runs_table),
        (epochs_frame(list(report.finished)), folder.epochs_table),
    ):
        stream = BytesIO()
        frame.write_parquet(stream)
        write_atomic(path, stream.getvalue())
    page = StudyPage(
        title=f"What the transfer is worth: {folder.path.name}",
        answers=report.answers,
        failed=[_shown(plan, run) for run in report.failed],
        n_planned=len(plan.runs),
        facts=facts,
        paragraph=report.paragraph,
        not_tested=_not_tested(plan, report),
    )
    write_study_page(folder.report, page)
    write_json(folder.answers, content)


def _shown(plan: StudyPlan, run: FailedRun) -> ShownFailure:
    log = plan.folder.output(run.plan.key)
    link = log.relative_to(plan.folder.path).as_posix() if log.is_file() else ""
    return ShownFailure(run.plan.arm, run.plan.n_images, run.plan.seed, run.message, link)


def _facts(plan: StudyPlan, report: StudyReport) -> dict[str, str]:
    config, data = plan.config, plan.data
    sizes = ", ".join(f"{len(data.parts[p])} ({p:g} %)" for p in sorted(data.parts))
    machines = {str(run.facts["machine"]) for run in report.finished}
    return {
        "Runs": f"{len(report.finished)} finished, {len(report.failed)} failed, {len(report.missing)} not ended, "
        f"of {len(plan.runs)}",
        "Training images": sizes,
        "Best epoch chosen on": f"{data.val.images.height} validation images",
        "Verdict about": f"{data.test.images.height} test images, which nothing was chosen by",
        "Classes": ", ".join(data.val.class_names[:20]) + (" ..." if len(data.val.class_names) > 20 else ""),
        "Seeds": ", ".join(map(str, config.study.seeds)),
        "Budget": _budget(plan),
        "Starts from": config.model.weights,
        "Input": f"{config.train.imgsz} px, batch {config.train.batch}",
        "Data sha256": data.fingerprint,
        "Code sha256": code_sha256(),
        "Versions": ", ".join(f"{name} {version}" for name, version in _versions(report).items()),
        "Machines": "; ".join(sorted(machines)),
        **({"Data": "; ".join(data.notes)} if data.notes else {}),
    }


def _budget(plan: StudyPlan) -> str:
    """Return what every arm may see at a size, in words."""
    config = plan.config
    words = f"{config.train.epochs} epochs"
    if config.study.budget == "images":
        words = f"as many images at every size as {config.train.epochs} epochs of all of them"
    return words if config.transfer.budget is None else f"{words}, and at most {config.transfer.budget:g} minutes"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _versions(report: StudyReport) -> dict[str, str]:
    versions = {"detect_transfer": detect_transfer.__version__}
    for run in report.finished:
        versions |= run.facts["versions"] or {}
    return versions


def _not_tested(plan: StudyPlan, report: StudyReport) -> list[str]:
    study = plan.config.study
    sentences = [
        "Rates and other settings were fixed, not searched: an arm might do better with its own.",
        "One set of data, and one split of it: the intervals hold for other seeds and other test images like these.",
        "Every arm had equally many images; what it reached in equal time is in the curves over time, for rates that "
        "were planned for the whole run.",
    ]
    if len(study.seeds) < _FEWEST_SEEDS:
        sentences.append(f"{_counted(len(study.seeds), 'seed')} of the {_FEWEST_SEEDS} that a verdict needs at least.")
    if report.missing:
        sentences.append(f"{len(report.missing)} of {len(plan.runs)} planned runs have not ended.")
    if report.failed:
        sentences.append(
            f"{_counted(len(report.failed), 'run')} failed and took part in no number: those arms have fewer seeds."
        )
    if len(study.sizes) < 3:
        sentences.append("Fewer than three sizes: no learning curve was fitted, and no number of images is told.")
    return sentences


def _paragraph(
    plan: StudyPlan, finished: Sequence[FinishedRun], failed: Sequence[FailedRun], answers: StudyAnswers
) -> str:
    """Return what a paper would say of the study: how it was done, with what, and what came of it."""
    config, data, versions = plan.config, plan.data, finished[0].facts["versions"] or {}
    sizes = ", ".join(str(len(data.parts[p])) for p in sorted(data.parts))
    software = ", ".join(f"{name} {versions[name]}" for name in ("detect_transfer", "torch") if name in versions)
    results = [
        f"{row.comparison.second} against {row.comparison.first}: {_result(row.comparison.overall)}"
        for row in answers.against
    ]
    lost = f" {_counted(len(failed), 'run')} failed and took part in no number." if failed else ""
    return (
        f"We trained {len(plan.config.study.arms)} arms ({', '.join(config.study.arms)}) on nested, class-stratified "
        f"subsets of {sizes} images with {len(config.study.seeds)} seeds each ({len(finished)} runs), every arm with "
        f"the same budget ({_budget(plan)}) at {config.train.imgsz} px. The best "
        f"epoch was chosen on {data.val.images.height} validation images; all numbers are COCO AP on "
        f"{data.test.images.height} separate test images, with 95 % intervals over seeds and test images (Student's t, "
        f"paired by seed; Holm-corrected p).{lost} Over all sizes, {'; '.join(results) or 'no arm could be compared'}. "
        f"Software: {software}; data sha256 {data.fingerprint[:12]}, code sha256 {code_sha256()[:12]}."
    )


def _result(verdict: Any) -> str:
    if verdict.difference is None or verdict.interval is None:
        return str(verdict.words)
    low, high = verdict.interval
    return f"{verdict.difference:+.3f} AP [{low:+.3f}, {high:+.3f}], {verdict.words}"
