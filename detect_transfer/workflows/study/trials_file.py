"""The file of the trials of an arm: the rates that its runs take stand there, so it is sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from detect_transfer.core.errors import InputError
from detect_transfer.core.sealed import read_sealed, write_sealed
from detect_transfer.evaluation.study.trials import ArmTrials, Trial

_TRIALS = TypeAdapter(tuple[Trial, ...])


def write_trials(path: Path, question: str, done: ArmTrials) -> None:
    """Write the trials of an arm, the best of them, and the hash of what the search was about.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    content = {"question": question, "best": dict(done.best.keys)}
    write_sealed(path, {**content, "trials": [trial.as_dict() for trial in done.trials]})


def read_trials(path: Path) -> tuple[str, tuple[Trial, ...]]:
    """Return what a search was about, and its trials; earlier versions wrote no hash, but the best of them too.

    Raises:
        InputError: It is missing, or is not what was written.
    """
    remedy = f"remove it, then: detect-transfer study resume {path.parent.parent.parent}, which writes it again"
    content = read_sealed(path, remedy=remedy, seal=False)
    try:
        return _checked(content)
    except (KeyError, ValueError) as error:
        what = "the trials of an arm were expected, and the best of them"
        raise InputError("FILE_CHANGED", what, where=path, remedy=remedy) from error


def _checked(content: dict[str, Any]) -> tuple[str, tuple[Trial, ...]]:
    try:
        trials = _TRIALS.validate_json(orjson.dumps(content["trials"]), strict=True)
    except ValidationError as error:
        raise ValueError(str(error)) from error
    if content.keys() != {"question", "best", "trials"} or not trials:
        raise ValueError("other keys were expected")
    if dict(ArmTrials("", trials).best.keys) != content["best"]:
        raise ValueError("another trial is the best")
    return str(content["question"]), trials
