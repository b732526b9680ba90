"""What the report of a study says in words: how it was done, what was not tested, and a paragraph for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import detect_transfer
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.counted import counted
from detect_transfer.evaluation.study.answers import StudyAnswers
from detect_transfer.evaluation.study.power import FEWEST_SEEDS
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.runs import FailedRun, FinishedRun


@dataclass(frozen=True)
class EndedRuns:
    """How the runs of a plan ended.

    Args:
        finished: Those with a result.
        failed: Those that ended without one.
        missing: Those that have not ended.
    """

    finished: tuple[FinishedRun, ...]
    failed: tuple[FailedRun, ...]
    missing: tuple[PlannedRun, ...]


def facts_of(plan: StudyPlan, ended: EndedRuns) -> dict[str, str]:
    """Return names and values for the end of the page, such as versions and the hash of the data."""
    config, data = plan.config, plan.data
    sizes = ", ".join(f"{data.n_images(p)} ({p:g} %)" for p in sorted(config.study.sizes))
    machines = {str(run.facts["machine"]) for run in ended.finished}
    names = data.splits[0].val.class_names
    return {
        "Runs": f"{len(ended.finished)} finished, {len(ended.failed)} failed, {len(ended.missing)} not ended, "
        f"of {len(plan.runs)}",
        "Training images": sizes,
        "Best epoch chosen on": f"{data.n_val} validation images",
        "Verdict about": f"{data.n_test} test images, which nothing was chosen by",
        **({"Folds": str(len(data.splits))} if data.overlap else {}),
        "Classes": ", ".join(names[:20]) + (" ..." if len(names) > 20 else ""),
        "Seeds": ", ".join(map(str, config.study.seeds)),
        "Budget": _budget(plan),
        **({"Equal time": f"{config.study.seconds:g} s a run"} if config.study.seconds is not None else {}),
        "Starts from": ", ".join(dict.fromkeys(run.model.weights for run in plan.configs.values())),
        "Input": f"{_sides(plan)} px, batch {_batches(plan)}",
        "Data sha256": data.fingerprint,
        "Code sha256": code_sha256(),
        "Versions": ", ".join(f"{name} {version}" for name, version in _versions(ended.finished).items()),
        "Machines": "; ".join(sorted(machines)),
        **({"Data": "; ".join(data.notes)} if data.notes else {}),
    }


def _budget(plan: StudyPlan) -> str:
    """Return what every arm may see at a size, in words."""
    config = plan.config
    words = counted(config.train.epochs, "epoch")
    if config.study.budget == "images":
        words = f"as many images at every size as {words} of all of them"
    return words if config.transfer.budget is None else f"{words}, and at most {config.transfer.budget:g} minutes"


def _images_seen(plan: StudyPlan) -> str:
    """Say whether all arms may see equally many images; a plan of phases may not fill the budget."""
    seen = {pair: plan.images_seen(*pair) for pair in plan.configs if pair[0] in plan.config.study.arms}
    most: dict[float, int] = {}
    for (_, percent), images in seen.items():
        most[percent] = max(most.get(percent, 0), images)
    shares: dict[str, float] = {}
    for (arm, percent), images in seen.items():
        share = images / most[percent] if most[percent] else 1.0
        shares[arm] = min(share, shares.get(arm, 1.0))
    fewer = [f"{arm} {share:.0%}" for arm, share in shares.items() if share < 1]
    if not fewer:
        return "Every arm could see equally many images."
    return f"Some arms cannot fill the budget and see as little of it as: {', '.join(fewer)}."


def _sides(plan: StudyPlan) -> str:
    """Return the sides of the input of all arms."""
    return " or ".join(str(side) for side in sorted({run.train.imgsz for run in plan.configs.values()}))


def _batches(plan: StudyPlan) -> str:
    """Return the images a step of all arms."""
    return " or ".join(str(batch) for batch in sorted({run.train.batch for run in plan.configs.values()}))


def _versions(finished: Sequence[FinishedRun]) -> dict[str, str]:
    versions = {"detect_transfer": detect_transfer.__version__}
    for run in finished:
        versions |= run.facts["versions"] or {}
    return versions


def not_tested(plan: StudyPlan, ended: EndedRuns) -> list[str]:
    """Return what the study does not say, a sentence each."""
    study = plan.config.study
    sentences = [
        _searched(plan),
        _held_for(plan),
        _images_seen(plan) + ("" if study.seconds is not None else _NO_EQUAL_TIME),
    ]
    if len(study.seeds) < FEWEST_SEEDS and not plan.data.overlap:
        sentences.append(f"{counted(len(study.seeds), 'seed')} of the {FEWEST_SEEDS} that a verdict needs at least.")
    if ended.missing:
        sentences.append(f"{len(ended.missing)} of {len(plan.runs)} planned runs have not ended.")
    if ended.failed:
        sentences.append(
            f"{counted(len(ended.failed), 'run')} failed and took part in no number: those arms have fewer seeds."
        )
    untrained = [
        run.plan.arm
        for run in ended.finished
        if run.plan.epochs and not any(row["epoch"] for row in run.facts["epochs"])
    ]
    if untrained:
        arms = ", ".join(dict.fromkeys(untrained))
        sentences.append(f"{counted(len(untrained), 'run')} trained no epoch, as their time was over before: {arms}.")
    if len(study.sizes) < 3:
        sentences.append("Fewer than three sizes: no learning curve was fitted, and no number of images is given.")
    return sentences


def paragraph_of(plan: StudyPlan, ended: EndedRuns, answers: StudyAnswers) -> str:
    """Return what a paper would say of the study: how it was done, with what, and what came of it."""
    config, data, versions = plan.config, plan.data, ended.finished[0].facts["versions"] or {}
    sizes = ", ".join(str(data.n_images(p)) for p in sorted(config.study.sizes))
    software = ", ".join(f"{name} {versions[name]}" for name in ("detect_transfer", "torch") if name in versions)
    results = [
        f"{row.comparison.second} against {row.comparison.first}: {_result(row.comparison.overall)}"
        for row in answers.against
    ]
    lost = f" {counted(len(ended.failed), 'run')} failed and took part in no number." if ended.failed else ""
    return (
        f"We trained {len(plan.config.study.arms)} arms ({', '.join(config.study.arms)}) on nested, class-stratified "
        f"subsets of {sizes} images with {len(config.study.seeds)} seeds each ({len(ended.finished)} runs), every arm "
        f"with the same budget ({_budget(plan)}). {_images_seen(plan)} The input was {_sides(plan)} px. The best "
        f"epoch was chosen on {data.n_val} validation images; all numbers are COCO AP on {_tested_on(plan)}.{lost} "
        f"Over all sizes, {'; '.join(results) or 'no arm could be compared'}. "
        f"Software: {software}; data sha256 {data.fingerprint[:12]}, code sha256 {code_sha256()[:12]}."
    )


_NO_EQUAL_TIME = (
    " What an arm reached in equal time is in the curves over time, for rates that were planned for the whole run; "
    "study.seconds trains every arm for equal time."
)


def _searched(plan: StudyPlan) -> str:
    """Say which rates were searched."""
    search = plan.config.study.search
    if search is None or not plan.searched:
        return "Rates and other settings were fixed, not searched: an arm might do better with its own."
    return (
        f"{', '.join(search.rates)} of {', '.join(plan.searched)} came from {search.trials} trials each, on "
        f"{plan.data.n_images(search.percent)} images; other settings were fixed, and more trials might find more."
    )


def _held_for(plan: StudyPlan) -> str:
    """Say what the intervals hold for."""
    if plan.data.overlap:
        return "One set of data: the intervals hold for other seeds and other images like these."
    return "One set of data, and one split of it: the intervals hold for other seeds and other test images like these."


def _tested_on(plan: StudyPlan) -> str:
    """Return what the numbers of a paper were measured on, and how the intervals were computed."""
    data = plan.data
    if not data.overlap:
        return (
            f"{data.n_test} separate test images, with 95 % intervals over seeds and test images (Student's t, paired "
            "by seed; Holm-corrected p)"
        )
    return (
        f"the test images of {len(data.splits)} folds ({data.n_test} images, each tested once; training on all other "
        "folds but the one of validation), with 95 % intervals by the corrected t-test over folds (Nadeau and Bengio "
        "2003), paired by fold and seed; Holm-corrected p"
    )


def _result(verdict: Any) -> str:
    if verdict.difference is None or verdict.interval is None:
        return str(verdict.words)
    low, high = verdict.interval
    return f"{verdict.difference:+.3f} AP [{low:+.3f}, {high:+.3f}], {verdict.words}"
