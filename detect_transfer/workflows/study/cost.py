"""What a study will cost: seconds and bytes, from finished runs of the same kind, else from a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from detect_transfer.config import RunConfig
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.search import search_of, trial_run

# seconds an image at 320 px on two cores of a server: training, scoring. Rough: a factor of three either way
_SECONDS = {"yolo": (0.05, 0.02), "torchvision": (0.35, 0.12)}
_OF_START = 25.0  # imports, reading, the report
_MB_OF_FILES, _MB_OF_WEIGHTS, _MB_OF_STATE = 6, {"yolo": 11, "torchvision": 80}, 4  # state: so many times the weights


@dataclass(frozen=True)
class Cost:
    """What the runs that are not done yet will take.

    Args:
        seconds: On this machine, all runs one after the other.
        megabytes: On the disk.
        measured: For how many of the runs the time is that of finished ones of their arm and size.
    """

    seconds: float
    megabytes: float
    measured: int


def cost_of(plan: StudyPlan, runs: Sequence[PlannedRun], seconds_of: Mapping[str, float]) -> Cost:
    """Estimate what runs will cost.

    Args:
        plan: The study.
        runs: Those that are to be done.
        seconds_of: The seconds that each finished run trained and scored, by its key.
    """
    finished: dict[tuple[str, float], list[float]] = {}
    for key, seconds in seconds_of.items():
        if key in plan.by_key:
            run = plan.by_key[key]
            finished.setdefault((run.arm, run.percent), []).append(seconds)
    guessed = {pair: _seconds(plan, plan.configs[pair]) for pair in plan.configs}
    total, megabytes, measured = 0.0, 0.0, 0
    for run in runs:
        pair = (run.arm, run.percent)
        measured += pair in finished
        total += _OF_START + median(finished[pair]) if pair in finished else guessed[pair](run)
        megabytes += _megabytes(plan, plan.configs[pair])
    return Cost(total, megabytes, measured)


def cost_of_search(plan: StudyPlan) -> Cost:
    """Estimate what the trials will cost of the arms whose rates are to be searched."""
    seconds, megabytes = 0.0, 0.0
    for arm in plan.to_search:
        search = search_of(plan)
        run, config = trial_run(plan, arm, {key: low for key, (low, _) in search.rates.items()})
        seconds += search.trials * _seconds(plan, config)(run)
        megabytes += search.trials * _megabytes(plan, config)
    return Cost(seconds, megabytes, 0)


def _megabytes(plan: StudyPlan, config: RunConfig) -> float:
    weights = _MB_OF_WEIGHTS.get(config.model.family, 80)
    return _MB_OF_FILES + weights * (2 + (_MB_OF_STATE if plan.config.study.keep_state else 0))


def _seconds(plan: StudyPlan, config: RunConfig) -> Callable[[PlannedRun], float]:
    train, score = _SECONDS.get(config.model.family, _SECONDS["torchvision"])
    scale = config.train.imgsz.area / 320**2
    scored = plan.data.n_val + config.evaluate.train_images

    def of_run(run: PlannedRun) -> float:
        epochs = 0 if config.transfer.budget is not None else run.epochs
        trained = run.n_images * epochs * train
        tested = 2 * plan.data.n_test / len(plan.data.splits) + scored * (epochs + 1)
        if config.transfer.budget is not None and run.epochs:
            return _OF_START + 60 * config.transfer.budget + scale * tested * score
        return _OF_START + scale * (trained + tested * score)

    return of_run
