"""The page of a study, as one HTML file: the verdict first, then curves, tables, every run, and what was not tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detect_transfer.evaluation.study.agreement import Agreement
from detect_transfer.evaluation.study.answers import ArmAgainst, StudyAnswers
from detect_transfer.evaluation.study.cross_domain import DomainCell
from detect_transfer.evaluation.study.forgetting import ForgettingCurve
from detect_transfer.evaluation.study.scores import Estimate
from detect_transfer.evaluation.study.trials import ArmTrials
from detect_transfer.report.study_plots import curves_plot, forgetting_plot, gains_plot, overfitting_plot, time_plot
from detect_transfer.report.templates import svg_uri, write_html
from detect_transfer.report.text import short_name


@dataclass(frozen=True)
class FailedRun:
    """A run that failed; it is in no number.

    Args:
        arm: Its arm.
        n_images: Its training images.
        seed: Its seed.
        message: Why.
        link: Where its output is; "" where there is none.
        fold: Its fold; None without folds.
    """

    arm: str
    n_images: int
    seed: int
    message: str
    link: str = ""
    fold: int | None = None


@dataclass(frozen=True)
class StudyPage:
    """Everything that the page shows.

    Args:
        title: The heading.
        answers: What the finished runs say.
        failed: The runs that failed.
        n_planned: How many runs the study has.
        facts: Names and values for the end of the page, such as versions and the hash of the data.
        paragraph: A paragraph for a paper; "" for none.
        not_tested: What the study does not say, a sentence each.
        forgetting: Arms and what they gained and forgot on the way from the source to the tuned weights.
        matrix: Arms, and what they gain on the baseline on other data sets, and on their own.
        timed: What the runs with equal seconds say; None where there are none.
        trials: Arms whose rates were searched, with their trials.
        agreement: Arms, and whether what was predicted of them goes with the measured gain.
    """

    title: str
    answers: StudyAnswers
    failed: Sequence[FailedRun] = ()
    n_planned: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    paragraph: str = ""
    not_tested: Sequence[str] = ()
    forgetting: Sequence[tuple[str, ForgettingCurve]] = ()
    matrix: Sequence[tuple[str, DomainCell]] = ()
    agreement: Sequence[tuple[str, Agreement]] = ()
    trials: Sequence[ArmTrials] = ()
    timed: StudyAnswers | None = None


def write_study_page(path: Path, page: StudyPage) -> None:
    """Write the page as one file with its plots inside.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    answers = page.answers
    costs = list(dict.fromkeys(name for row in answers.at_sizes for name in row.cost))
    values = {
        "page": page,
        "answers": answers,
        "title": short_name(page.title, longest=160),
        "best": best_of(answers),
        "sentences": [sentence_of(answers, row) for row in answers.against],
        "timed_sentences": [sentence_of(page.timed, row) for row in page.timed.against] if page.timed else [],
        "groups": [answers.runs, *([page.timed.runs] if page.timed else [])],
        "missing": missing_runs(answers),
        "costs": costs,
        "seeds": sorted({run.seed for run in answers.runs.runs}),
        "folds": sorted({run.fold for run in answers.runs.runs if run.fold is not None}),
        "curves": svg_uri(curves_plot(answers)),
        "gains": svg_uri(gains_plot(answers)),
        "times": [(label, svg_uri(time_plot(answers, axis))) for axis, label in _AXES.items()],
        "forgetting": svg_uri(forgetting_plot(page.forgetting)),
        "overfitting": [(word, svg_uri(overfitting_plot(answers, word == "largest"))) for word in _ENDS],
    }
    filters: dict[str, Callable[..., str]] = {
        "signed": signed,
        "est": estimate_text,
        "images": images_text,
        "cost": _cost,
    }
    write_html(path, "study_page", values, filters)


_AXES = {"seconds": "wall time", "images_seen": "training images seen"}
_ENDS = ("smallest", "largest")
_MOST_NAMED = 12


def best_of(answers: StudyAnswers) -> ArmAgainst | None:
    """Return the arm that gains most on the baseline over all sizes; None where nothing is compared."""
    rows = [row for row in answers.against if row.comparison.overall.difference is not None]
    return max(rows, key=lambda row: row.comparison.overall.difference or 0.0, default=None)


def sentence_of(answers: StudyAnswers, row: ArmAgainst) -> str:
    """Say in plain words what an arm is worth against the baseline."""
    overall = row.comparison.overall
    size = "at the one size" if len(row.comparison.by_size) == 1 else f"over {len(row.comparison.by_size)} sizes"
    unit = "fold" if answers.runs.overlap else "seed"
    text = f"{size} and {overall.n_pairs} {unit}{'s' * (overall.n_pairs != 1)}: {overall.words}"
    if overall.difference is not None:
        text += f", {signed(overall.difference)} AP"
    if overall.interval is not None:
        text += f" (95 %: {signed(overall.interval[0])} to {signed(overall.interval[1])})"
    text += "."
    given = [(n, worth) for n, worth in row.worth if worth.value is not None and worth.value > 0]
    if given and overall.verdict == "better":
        n, worth = given[0]
        text += f" What it reaches with {n:,} images takes {answers.baseline} about {images_text(worth)}."
    return text


def missing_runs(answers: StudyAnswers) -> list[str]:
    """Name each run without which a run of another arm has no partner; the first twelve, and how many more."""
    folds = bool(answers.runs.overlap)
    finished = {(run.arm, run.n_images, run.unit, *([run.seed] if folds else [])) for run in answers.runs.runs}
    wanted = {
        (arm, *key)
        for row in answers.against
        for key in row.comparison.unpaired
        for arm in (row.comparison.first, row.comparison.second)
    }
    absent = sorted(wanted - finished)
    named = [
        f"{short_name(arm, longest=40)} with {n:,} images and "
        + (f"fold {numbers[0]}, seed {numbers[1]}" if folds else f"seed {numbers[0]}")
        for arm, n, *numbers in absent[:_MOST_NAMED]
    ]
    return named + ([f"and {len(absent) - _MOST_NAMED} more"] if len(absent) > _MOST_NAMED else [])


def signed(value: float | None) -> str:
    """Return a difference with its sign, or an en dash."""
    return "–" if value is None else f"{value:+.3f}"


def estimate_text(estimate: Estimate, form: str = "{:.3f}") -> str:
    """Return a number with its interval, or why there is none."""
    if estimate.value is None:
        return f"– ({estimate.reason})"
    text = form.format(estimate.value)
    if estimate.interval is None:
        return text
    low, high = estimate.interval
    return f"{text} ({form.format(low)} to {form.format(high) if high < float('inf') else 'no bound'})"


def images_text(estimate: Estimate) -> str:
    """Return a number of images with its interval, in two digits or three; else why there is none, and the low end."""
    if estimate.value is None:
        low = estimate.interval[0] if estimate.interval is not None else 0.0
        bound = f"at least {_rounded(low)}: " if 0 < low < float("inf") else ""
        return f"{bound}{estimate.reason}"
    text = f"{_rounded(estimate.value)} images"
    if estimate.interval is None:
        return text
    low, high = estimate.interval
    return f"{text} ({_rounded(low)} to {_rounded(high) if high < float('inf') else 'no bound'})"


def _rounded(n_images: float) -> str:
    """Return a number of images with three digits at most that mean something."""
    if n_images < 1000:
        return f"{n_images:.0f}"
    step = 10 ** (len(f"{n_images:.0f}") - 3)
    return f"{round(n_images / step) * step:,}"


def _cost(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
