"""The run config of each arm of a study at each size, and what an arm cannot be run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detect_transfer.config import RunConfig, StudyConfig, absolute_paths, make_config
from detect_transfer.config.study import with_keys
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.models.hub import architecture_of
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.mirroring import choose_mirroring
from detect_transfer.training.pseudo_labels import with_keep_from
from detect_transfer.training.strategies import SourceClasses, choose_strategy, phases_of
from detect_transfer.workflows.evaluate import data_set_of, has_own_classes
from detect_transfer.workflows.study.data import StudyData

_MOST_TIMES = 20  # as many epochs as other arms have, where seconds end a run


def run_config(config: StudyConfig, data: StudyData, arm: str, percent: float, rates: Mapping[str, float]) -> RunConfig:
    """Return the config of the runs of an arm at a size, with the first seed.

    Args:
        config: The study.
        data: Its data.
        arm: The arm.
        percent: The size.
        rates: Keys that a search found, which go before those of the arm.

    Raises:
        InputError: The arm cannot use the budget, or a key is wrong.
    """
    keys = with_keys(config.keys_of(arm), rates)
    keys["data"] = data.data.model_dump(mode="json")
    keys["train"] |= {"seed": config.study.seeds[0]}
    run = make_config(keys, where=f"study.arms.{arm}")
    budget = _budget(config, data, percent, arm, run.train.class_balance)
    if arm in config.study.timed:
        budget *= _MOST_TIMES  # the seconds end it, not the epochs
    run = run.model_copy(update={"train": run.train.model_copy(update={"epochs": budget})})
    return absolute_paths(run.model_copy(update=_within(run, budget, arm)))


def _budget(config: StudyConfig, data: StudyData, percent: float, arm: str, balance: str) -> int:
    """Return how many epochs of a part a run may see; fewer where an epoch repeats images of rare classes."""
    epochs, n_images, n_shown = config.train.epochs, data.n_images(percent), data.n_shown(percent, balance)
    if config.study.budget == "images":
        epochs = max(1, round(epochs * data.n_train / n_images))
    if epochs * n_images < n_shown:
        raise _unusable(arm, epochs, f"an epoch shows {n_shown} images where one of the others shows {n_images}")
    return epochs if n_shown == n_images else epochs * n_images // n_shown


def _within(run: RunConfig, budget: int, arm: str) -> dict[str, Any]:
    """Return the parts of a config that make a run see as many images as the budget allows, and not more."""
    if run.transfer.phases is not None:
        if len(run.transfer.phases) > budget:
            raise _unusable(arm, budget, f"it has {len(run.transfer.phases)} phases")
        shares = _shared_out(budget, [phase.epochs for phase in run.transfer.phases])
        phases = [p.model_copy(update={"epochs": n}) for p, n in zip(run.transfer.phases, shares, strict=True)]
        return {"transfer": run.transfer.model_copy(update={"phases": phases})}
    for epochs in range(budget, 0, -1):
        train = run.train.model_copy(update={"epochs": epochs})
        if planned_epochs(run.model_copy(update={"train": train})) <= budget:
            return {"train": train}
    raise _unusable(arm, budget, "its plan has more at least")


def planned_epochs(run: RunConfig) -> int:
    """Return how many epochs a config trains at most."""
    if run.transfer.phases is not None:
        return sum(phase.epochs for phase in run.transfer.phases)
    model, transfer = run.model, run.transfer
    source_classes: SourceClasses = "no source" if model.weights == "scratch" else "some"
    if transfer.keep_source_classes:
        transfer = with_keep_from(transfer, model.arch or architecture_of(model.weights) or "")
    name = choose_strategy(transfer, source_classes)
    return sum(phase.epochs for phase in phases_of(name, transfer, run.train, source_classes))


def _unusable(arm: str, budget: int, why: str) -> InputError:
    return InputError(
        "STUDY_BUDGET",
        f"the arm '{arm}' cannot use a budget of {counted(budget, 'epoch')}: {why}",
        field=f"study.arms.{arm}",
        remedy="raise train.epochs, which all arms share",
    )


def _shared_out(total: int, weights: list[int]) -> list[int]:
    """Share out a number of epochs in these proportions, at least one each (largest remainder)."""
    free = total - len(weights)
    exact = [free * weight / sum(weights) for weight in weights]
    parts = [int(value) for value in exact]
    for i in sorted(range(len(exact)), key=lambda i: parts[i] - exact[i])[: free - sum(parts)]:
        parts[i] += 1
    return [1 + part for part in parts]


def wrong_sources(
    configs: Mapping[tuple[str, float], RunConfig], class_names: Sequence[str]
) -> list[DetectTransferError]:
    """Return what is wrong with the weights that arms start from, and with the classes that arms take of them.

    What an arm takes of several sources is known when one of them is chosen, and is not looked at.
    """
    from detect_transfer.models.families import check_class_names, check_source
    from detect_transfer.workflows.start_source import load_source

    problems: dict[str, list[DetectTransferError]] = {}
    for (arm, _), config in configs.items():
        transfer = config.transfer
        taken = (
            transfer.class_map,
            transfer.keep_source_classes,
            transfer.pull_to_source,
            transfer.strategy == "scratch",
        )
        key = repr((config.model, taken))
        if key in problems or config.model.sources:
            continue
        problems[key] = []
        try:
            source = load_source(config)
            if source is not None:
                check_source(config.model, source)
                check_class_names(transfer, class_names, source)
        except InputError as error:
            problems[key] += error.problems
            for problem in error.problems:
                problem.where = f"study.arms.{arm}" + (f" ({problem.where})" if problem.where else "")
    return [problem for of_key in problems.values() for problem in of_key]


def wrong_augmentations(configs: Mapping[tuple[str, float], RunConfig], class_names: Sequence[str]) -> list[InputError]:
    """Return what is wrong with the augmentations of arms and with what they mirror, each of which is tried once."""
    problems: dict[str, InputError | None] = {}
    for (arm, _), config in configs.items():
        key = repr((config.augment, config.mirror, config.train.imgsz))
        if key in problems:
            continue
        problems[key] = None
        try:
            path = config.data.path
            data_set, own_classes = data_set_of(path, config.data.format), has_own_classes(path)
            mirroring = choose_mirroring(config.mirror, class_names, data_set=data_set, own_classes=own_classes)
            Augmenter(config.augment, imgsz=config.train.imgsz, mirroring=mirroring)
        except InputError as error:
            error.where = f"study.arms.{arm}"
            problems[key] = error
    return [error for error in problems.values() if error is not None]
