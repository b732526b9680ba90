"""A config for a data set: the data are looked at, values chosen for them, and the time is measured by a few steps."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detect_transfer.config import Data, Mirror, RunConfig, explain, make_config, parse_value, schema_text
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import write_atomic
from detect_transfer.core.memory import available_memory
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.data.bad_boxes import refuses_bad_boxes
from detect_transfer.data.checks import check
from detect_transfer.data.findings import CheckReport
from detect_transfer.data.image_checks import Progress, fill_sizes, inspect_images
from detect_transfer.data.native import NativeData, is_trainable, read_native
from detect_transfer.training.mirroring import choose_mirroring
from detect_transfer.workflows.check import finding_lines
from detect_transfer.workflows.evaluate import data_set_of, has_own_classes
from detect_transfer.workflows.init_choices import (
    Choice,
    Shape,
    choose_batch,
    choose_imgsz,
    choose_shapes,
    class_counts,
    mirrored_pairs,
)
from detect_transfer.workflows.init_text import SCHEMA_NAME, as_yaml, config_text
from detect_transfer.workflows.run_clock import duration

_PARTS = ("data", "model", "transfer", "train", "mirror", "evaluate")
_VAL_NAMES = ("val", "valid", "validation")
_MOST_CLASSES, _MOST_FINDINGS = 8, 8


@dataclass(frozen=True)
class Initialised:
    """What `init` made.

    Args:
        path: The config.
        lines: What it says of the data and the time, for the console.
    """

    path: Path
    lines: list[str]


@dataclass(frozen=True)
class _Look:
    """What the data are.

    Args:
        native: What was read.
        table: The same with the sizes of all images.
        report: What a check finds.
        splits: The splits of the config by key, where the data have them.
        n_train: About how many images are trained on.
        path: Where it was read.
    """

    native: NativeData
    table: AnnotationTable
    report: CheckReport
    splits: dict[str, str]
    n_train: int
    path: Path | None


def init_config(
    source: Path,
    out: Path,
    words: Sequence[str] = (),
    *,
    measure: bool = True,
    on_stage: Callable[[str], None] = lambda _: None,
    progress: Progress | None = None,
) -> Initialised:
    """Look at data and write a commented config that trains on them as it is.

    Args:
        source: The folder or file that holds the data.
        out: The config to write; a JSON schema for editors is written beside it.
        words: Values that are given, such as `model.weights=yolo11s` and `data.format=voc`.
        measure: Train a few steps, to say how long the whole takes.
        on_stage: Called with what begins now, in words.
        progress: As for `inspect_images`.

    Raises:
        InputError: The data cannot be read or trained on, a word is wrong, or `out` is there.
        ResourceError: The machine failed.
    """
    if out.exists() or out.is_symlink():
        raise InputError("FILE_EXISTS", "there is a file of this name", where=out, remedy="give another with --out")
    given = make_config({}, [f"data.path={json.dumps(str(source))}", *words], where="command line")
    keys = set(_given_keys(words))
    on_stage("reading the data")
    look = _look_at(given.data, progress)
    choices = _choose(given, keys, look)
    config = _filled(given, choices)
    facts = _facts(look)
    if measure:
        on_stage("training a few steps, to see how long it takes")
        facts.append(_time(config, look))
    text = config_text(choices, facts, source=source, out=out)
    make_config(yaml.safe_load(text), where=out)  # what is written can be read
    write_atomic(out.parent / SCHEMA_NAME, schema_text() + "\n")
    write_atomic(out, text)
    return Initialised(out, [*facts, f"config: {out}", f"train it: detect-transfer train {shlex.quote(str(out))}"])


def _given_keys(words: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the config that words give, as they stand in a file: of a part, or at its top."""
    for word in words:
        key, _, text = word.partition("=")
        value = parse_value(text, key)
        if "." not in key and isinstance(value, Mapping) and key in _PARTS:
            yield from (f"{key}.{name}" for name in value)
        else:
            yield ".".join(key.split(".")[:2])


def _look_at(data: Data, progress: Progress | None) -> _Look:
    native = read_native(data)
    table = native.table
    if table.image_root is None:
        raise InputError(
            "IMAGES_MISSING",
            "the folder of the images cannot be found",
            field="data.images",
            remedy="write data.images=FOLDER, the folder that file_name is relative to",
        )
    links = native.format == "data_folder"
    refuse = refuses_bad_boxes(data.bad_boxes, native.format)
    report = check(table, read_images=True, refuse_bad_boxes=refuse, follow_links=links, progress=progress)
    table = fill_sizes(table, inspect_images(table, follow_links=links)) if _unsized(table) else table
    present = table.splits
    splits = {"val_split": next((name for name in _VAL_NAMES if name in present), "")}
    splits["test_split"] = "test" if "test" in present else ""
    share = 0.8 if not splits["val_split"] or "train" not in present else 1.0
    n_train = table.images.height
    if "train" in present:
        n_train = table.split_of("train").images.height
    return _Look(native, table, report, {k: v for k, v in splits.items() if v}, round(n_train * share), data.path)


def _unsized(table: AnnotationTable) -> bool:
    return table.images["width"].has_nulls() or table.images["height"].has_nulls()


def _choose(given: RunConfig, keys: set[str], look: _Look) -> dict[str, Choice]:
    """Return the value and the reason of each key that stands in the config."""
    shape = Shape.of(look.table)
    choices = {
        "data.format": Choice(look.native.format, "named here, it need not be found again"),
        "model.weights": Choice(given.model.weights, "a small detector that knows the 80 classes of COCO"),
        "transfer.strategy": Choice(
            "auto", "the head alone, then all stages; the best epoch is kept, or the source if nothing is better"
        ),
        "train.imgsz": choose_imgsz(shape),
        "train.epochs": Choice(
            given.train.epochs,
            "half as many for the head, nine tenths for all stages; fewer are quicker, and often enough",
        ),
    }
    imgsz = given.train.imgsz if "train.imgsz" in keys else InputSize.of(choices["train.imgsz"].value)
    shapes, padded = choose_shapes(look.table, imgsz)
    if shapes is not None and "augment" not in keys:  # transforms that are named may need squares
        choices["train.batch_shapes"], imgsz = shapes, padded
    choices["train.batch"] = choose_batch(look.n_train, imgsz, memory_bytes=_free_memory(given.train.device))
    if "auto" in explain("transfer.class_map")[0].values:
        choices["transfer.class_map"] = Choice("auto", "which source class a new class is, is asked of the source")
    choices["mirror.images"] = Choice("auto", _mirror_reason(look))
    if any(finding.code == "IMAGE_DEEP" for finding in look.report.findings):
        choices["data.intake"] = Choice(
            {"window": "percentile"},
            "images have more than 8 bits: of each the 0.5 percentile becomes black and the 99.5 white; per_camera "
            "takes those of all images, where a value means the same in all",
        )
    for key, split in look.splits.items():
        reason = "scored once, at the end" if key == "test_split" else "scored after each epoch"
        if split != getattr(Data(path=Path()), key):
            choices[f"data.{key}"] = Choice(split, reason)
    for key in sorted(keys - {"data.path"}):
        choices[key] = Choice(_value(given, key), "as given")
    if {"transfer.phases", "transfer.strategy"} <= choices.keys():
        del choices["transfer.strategy"]
    return choices


def _mirror_reason(look: _Look) -> str:
    """Return whether images are mirrored and why, with the classes that could be swapped."""
    names = look.table.class_names
    path = look.path
    data_set, own_classes = data_set_of(path, look.native.format), has_own_classes(path)
    mirroring = choose_mirroring(Mirror(), names, data_set=data_set, own_classes=own_classes)
    pairs = mirrored_pairs(names)
    if mirroring.on or not pairs:
        return mirroring.sentence
    return f"not mirrored, for left is not right; where a mirrored sign is a right one, add pairs: {as_yaml(pairs)}"


def _value(config: RunConfig, key: str) -> Any:
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def _filled(given: RunConfig, choices: dict[str, Choice]) -> RunConfig:
    words = [f"{key}={json.dumps(choice.value)}" for key, choice in choices.items()]
    return make_config({"data": {"path": str(given.data.path)}}, words)


def _free_memory(device: str) -> float:
    """Return the bytes that are free: of the accelerator, else of the machine."""
    import torch

    from detect_transfer.models.device import choose_device

    if choose_device(device).type == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    return float(available_memory())


def _facts(look: _Look) -> list[str]:
    """Return what the data are, in lines."""
    table = look.table
    counts = class_counts(table)
    shown = ", ".join(f"{name} {count}" for name, count in counts[:_MOST_CLASSES])
    more = f" and {len(counts) - _MOST_CLASSES} more" if len(counts) > _MOST_CLASSES else ""
    images = table.images.height
    lines = [
        f"{counted(images, 'image')} ({look.native.format}), {counted(sum(count for _, count in counts), 'object')}, "
        f"{counted(len(counts), 'class', 'classes')}: {shown}{more}",
        _split_line(look),
    ]
    findings = finding_lines(finding for finding in look.report.findings if finding.level != "note")
    return [*lines, *findings[:_MOST_FINDINGS]]


def _split_line(look: _Look) -> str:
    table = look.table
    groups = table.images["group"].drop_nulls().n_unique()
    grouped = f", {counted(groups, 'group')} (videos, sequences) kept whole" if groups else ""
    data = Data(path=Path(), val_split=look.splits.get("val_split", "val"))
    if look.native.format == "data_folder" or is_trainable(data, table):
        return "splits: " + ", ".join(f"{s} {table.split_of(s).images.height}" for s in table.splits)
    if "train" in table.splits and len(table.splits) > 1:
        return f"splits: {', '.join(table.splits)}; a fifth of train becomes val{grouped}"
    return f"no split: 0.8 to train on and 0.2 to score on are drawn by class, the same in every run{grouped}"


def _time(config: RunConfig, look: _Look) -> str:
    """Return how long the run takes, in words; where it cannot be measured, why."""
    from detect_transfer.workflows.run_estimate import estimate_seconds

    try:
        with scratch_folder() as scratch:
            estimate = estimate_seconds(config, scratch)
    except DetectTransferError as error:
        if look.report.ok and error.exit_code != 3:
            raise
        return f"time: not measured ({error.code}): {error.remedy}"
    return f"time: about {duration(estimate.seconds)} on this machine ({estimate.machine}), measured on a few images"
