"""What is compared: the detections of run folders or of files, in groups, all of the same truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.config import RunConfig
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import require_dir
from detect_transfer.core.opening import real_path
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.run_data import load_run_data, with_kept_classes
from detect_transfer.data.seen_images import read_scored
from detect_transfer.evaluation.same_truth import in_ids_of, what_differs
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.workflows.run_folder import RunFolder

AGAINST = "vs"  # between the groups on the command line


@dataclass(frozen=True)
class Run:
    """One set of detections.

    Args:
        name: What it is called, such as the name of the run folder.
        truth: The images that were predicted on.
        detections: The detections.
        config: Of a run: its config.
        history: Of a run: a row an epoch.
        transfer: Of a run: what was copied from the source and what trained.
    """

    name: str
    truth: AnnotationTable
    detections: Detections
    config: RunConfig | None = None
    history: Sequence[dict[str, Any]] = ()
    transfer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunGroup:
    """One training, or several of the same plan."""

    name: str
    runs: tuple[Run, ...]


def groups_of_runs(words: Sequence[str]) -> list[RunGroup]:
    """Read run folders and make groups of them.

    Args:
        words: Run folders, with `vs` between the groups. Without it, runs whose configs differ in nothing but seed and
            folder make one group; if that leaves one group alone, each run is one.

    Raises:
        InputError: A folder is no finished run, its data are gone or changed, or the runs were scored on other images.
    """
    groups: list[list[str]] = [[]]
    for word in words:
        if word == AGAINST:
            groups.append([])
        else:
            groups[-1].append(word)
    if len(words) < 2 or not all(groups):
        raise InputError(
            "USAGE",
            "two run folders or more were expected, or A1 A2 vs B1 B2",
            field="arguments",
            value=" ".join(words),
            remedy="detect-transfer compare RUN_A RUN_B --out DIR",
        )
    read: dict[str, AnnotationTable] = {}
    runs = [[_read_run(Path(word), read) for word in group] for group in groups]
    if len(runs) == 1:
        runs = _by_plan(runs[0])
    return _with_one_truth([_group(group) for group in runs])


def groups_of_files(
    truth: GroundTruth, detections: Sequence[Path], options: DetectionOptions | None = None
) -> list[RunGroup]:
    """Read several files of detections of one truth, each a group.

    Args:
        truth: The truth of all.
        detections: The files or folders.
        options: What is known of all of them, as for `read_detections`.

    Raises:
        InputError: A file is missing or wrong, or there are less than two.
    """
    if len(detections) < 2:
        raise InputError(
            "USAGE", "two --detections or more were expected", field="--detections", remedy="give the flag twice"
        )
    read = [(path.name, *read_scored(truth, path, options)) for path in detections]
    return [_group([Run(name, scored.table, predicted)]) for name, scored, predicted in read]


def truth_of_run(run: Path) -> AnnotationTable:
    """Return the validation split that a run was scored on.

    Raises:
        InputError: The run has no config, or its data are gone or changed.
    """
    folder = RunFolder(run)
    config = folder.read_config()
    data = load_run_data(config.data, drawn=folder.drawn_data, for_training=False)
    manifest = folder.read_manifest()
    if manifest.get("data_sha256") != data.fingerprint:
        raise InputError(
            "RUN_DATA_CHANGED",
            "the data are not those that the run was trained and scored on",
            where=run,
            field="data",
            remedy="put the data back, or evaluate the run again and compare the files with --truth",
        )
    return with_kept_classes(data, config.transfer.keep_source_classes).val


def _read_run(run: Path, read: dict[str, AnnotationTable]) -> Run:
    """Read one run folder; data on the disk that several runs share are read once."""
    require_dir(run, what="a run folder")
    folder = RunFolder(run)
    if not folder.config.is_file() and folder.detections.is_file():
        what = "it has detections of a truth, and is no run folder: it has no config.yaml"
        remedy = f"detect-transfer compare --truth TRUTH --detections {folder.detections} --detections OTHER --out DIR"
        raise InputError("RUN_MISSING", what, where=run, remedy=remedy)
    config = folder.read_config()
    key = f"{folder.read_manifest().get('data_sha256', run)}{config.data}{config.transfer}"
    if key not in read:
        read[key] = truth_of_run(run)
    return Run(
        real_path(run).name,
        read[key],
        folder.read_detections(),
        config,
        folder.read_history(),
        folder.read_transfer(),
    )


def _by_plan(runs: Sequence[Run]) -> list[list[Run]]:
    """Put runs together whose configs differ in nothing but seed and folder."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        assert run.config is not None
        plan = run.config.model_dump(mode="json")
        plan["train"].pop("seed")
        plan.pop("out")
        groups.setdefault(orjson.dumps(plan, option=orjson.OPT_SORT_KEYS).decode(), []).append(run)
    return list(groups.values()) if len(groups) > 1 else [[run] for run in runs]


def _group(runs: Sequence[Run]) -> RunGroup:
    first = runs[0].name
    return RunGroup(first if len(runs) == 1 else f"{first} and {len(runs) - 1} more", tuple(runs))


def _with_one_truth(groups: list[RunGroup]) -> list[RunGroup]:
    """Give all groups the truth and the ids of the first; refuse those whose truths differ, and say in what."""
    first = groups[0].runs[0]
    return [replace(group, runs=tuple(_with_truth_of(first, run) for run in group.runs)) for group in groups]


def _with_truth_of(first: Run, run: Run) -> Run:
    if run.truth is first.truth:
        return run
    difference = what_differs(first.truth, run.truth)
    if difference is not None:
        raise InputError(
            "COMPARE_DATA",
            f"it was scored on other data than {first.name}: {difference}",
            where=run.name,
            remedy="compare runs of one validation split; score both on the same files with evaluate first",
        )
    return replace(run, truth=first.truth, detections=in_ids_of(first.truth, run.truth, run.detections))
