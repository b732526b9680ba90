"""Native annotations, once read, become a data folder: the whole story from top to bottom.

    clean -> class map -> split -> ignored regions -> pictures -> COCO -> YOLO -> ledger.json -> manifest.json

Rank 6: imports `prepare`, `exports` and lower ranks. Everything is checked before anything is written; the folder is
built beside its place and renamed, so a killed conversion leaves nothing under its name; the source is only read.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy
import orjson
import PIL
import polars as pl

import detect_transfer
from detect_transfer.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.exports.coco import write_coco
from detect_transfer.exports.ignore import IGNORE_POLICIES, IgnorePlan, plan_ignored
from detect_transfer.exports.pictures import plan_pictures, write_pictures
from detect_transfer.exports.yolo import write_labels
from detect_transfer.files import new_folder, require_new, sha256_file, write_json
from detect_transfer.ledger import Ledger
from detect_transfer.prepare.classes import ClassMap, apply_class_map
from detect_transfer.prepare.clean import clean
from detect_transfer.prepare.pictures import Inspection, Progress, fill_sizes, find_leaks, inspect_pictures
from detect_transfer.prepare.split import check_positives, check_ratios, split_by_ratio, split_from_source
from detect_transfer.table import AnnotationTable

MANIFEST_VERSION = 1
_OURS = "data_folder"
_IMAGE_MODES = ("copy", "link")
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class ConvertOptions:
    """What a conversion does.

    Args:
        format: The name of the native format, for the manifest.
        source: The name of what was read, for the manifest; never a path.
        split: The share of each split, or `source` to take the splits that the reader found.
        class_map: Which source class becomes which class; None keeps the classes as they are.
        ignore_policy: What becomes of ignored regions in the YOLO labels.
        max_ignored_share: Share of a training image in [0, 1] that `drop-image` tolerates.
        images: `copy` the pictures or `link` to them.
        seed: Of the split.
        min_size: Boxes with a shorter side, in pixels, are dropped.
    """

    format: str
    source: str = ""
    split: Mapping[str, float] | Literal["source"] = field(default_factory=lambda: {"train": 0.8, "val": 0.2})
    class_map: ClassMap | None = None
    ignore_policy: str = "drop"
    max_ignored_share: float = 0.0
    images: str = "copy"
    seed: int = 0
    min_size: float = 0.0


@dataclass(frozen=True)
class ConvertResult:
    """What a conversion made.

    Args:
        out: The data folder.
        table: What it holds; `file_name` is relative to its `images/`.
        counts: For each split `images`, `boxes`, `ignored`, `label_rows` and `classes` (boxes that count, by name).
        ledger: What every step took in and gave out.
    """

    out: Path
    table: AnnotationTable
    counts: dict[str, dict[str, Any]]
    ledger: Ledger


def convert(
    table: AnnotationTable, out: Path, *, plan: ConvertOptions, progress: Progress | None = None
) -> ConvertResult:
    """Write a data folder with pictures, COCO files, YOLO labels, ledger and manifest.

    Args:
        table: What a reader gave, with its `image_root`.
        out: The folder to make; it is absent or empty.
        plan: What to do.
        progress: Called with what is going on, how much is done, and of how much.

    Raises:
        InputError: An option, a picture, a class or a split is wrong, or `out` holds something; nothing was written.
        ResourceError: The machine failed; nothing is left under `out`.
    """
    _check_options(plan)
    require_new(out)
    ledger = Ledger()
    ours = plan.format == _OURS  # its pictures may be links, and its manifest vouches for them
    inspection = inspect_pictures(table, follow_links=ours, progress=progress)
    _refuse_pictures(inspection)

    table = fill_sizes(table, inspection)
    table = clean(table, ledger, min_size=plan.min_size)
    if plan.class_map is not None:
        table = apply_class_map(table, plan.class_map, ledger)
    table = _split(table, plan, inspection)
    ignored = plan_ignored(table, plan.ignore_policy, max_ignored_share=plan.max_ignored_share, ledger=ledger)
    _check_splits_kept(table, ignored.table)
    pictures = plan_pictures(ignored, link=plan.images == "link", ledger=ledger, follow_links=ours)
    ignored = pictures.ignored
    counts = _counts(ignored)

    with new_folder(out) as building:
        write_pictures(pictures, building, progress=progress)
        for split in ignored.table.splits:
            path = building / "annotations" / f"instances_{split}.json"
            write_coco(ignored.table.split_of(split), path, ledger=ledger)
        write_labels(ignored, building, ledger=ledger)
        write_json(building / "ledger.json", ledger.as_dict())
        os.sync()  # one flush for all files, before the manifest vouches for them
        write_json(building / "manifest.json", _manifest(building, plan, counts))
    table = AnnotationTable(ignored.table.images, ignored.table.boxes, table.categories, out / "images")
    return ConvertResult(out, table, counts, ledger)


def _check_options(plan: ConvertOptions) -> None:
    for name, value, choices in (
        ("ignore_policy", plan.ignore_policy, IGNORE_POLICIES),
        ("images", plan.images, _IMAGE_MODES),
    ):
        if value not in choices:
            raise InputError(
                "OPTION", "there is no such choice", field=name, value=value, remedy=did_you_mean(value, choices)
            )
    if not 0 <= plan.max_ignored_share <= 1 or not plan.min_size >= 0:
        raise InputError(
            "OPTION",
            "max_ignored_share is a share in [0, 1], min_size is in pixels and not negative",
            field="max_ignored_share, min_size",
            value=(plan.max_ignored_share, plan.min_size),
            remedy="correct them",
        )
    if not isinstance(plan.split, str):
        check_ratios(plan.split)
    elif plan.split != "source":
        raise InputError(
            "OPTION", "shares or 'source' were expected", field="split", value=plan.split, remedy="train=0.8,val=0.2"
        )


def _refuse_pictures(inspection: Inspection) -> None:
    """Raise what is wrong with the pictures, as many as one can read, and how many more there are."""
    problems: list[DetectTransferError] = list(inspection.problems[:_MOST_PROBLEMS])
    more = len(inspection.problems) - len(problems)
    if more > 0:
        problems.append(
            InputError("IMAGE_PROBLEMS", f"{more} more pictures are wrong", remedy="run check for the whole list")
        )
    raise_problems(problems)


def _split(table: AnnotationTable, plan: ConvertOptions, inspection: Inspection) -> AnnotationTable:
    if not isinstance(plan.split, str):
        hashes = dict(inspection.pictures.select("image_id", "sha256").rows())
        return split_by_ratio(table, plan.split, seed=plan.seed, hashes=hashes)
    table = split_from_source(table)
    leaks: Sequence[tuple[str, str]] = find_leaks(table, inspection)
    if leaks:
        pairs = ", ".join(f"{a} = {b}" for a, b in leaks[:5])
        raise InputError(
            "SPLIT_LEAK",
            f"{len(leaks)} pictures lie in two splits, byte for byte: {pairs}",
            field="split",
            remedy="remove one of each pair, or split by ratio, which keeps copies together",
        )
    return table


def _check_splits_kept(before: AnnotationTable, after: AnnotationTable) -> None:
    """Check that no split lost everything to the ignore policy."""
    for split in before.splits:
        if split not in after.splits:
            raise InputError(
                "SPLIT_EMPTY",
                "every image in it was dropped for its ignored regions",
                field="split",
                value=split,
                remedy="tolerate a larger ignored share, or choose another ignore policy",
            )
    check_positives(after)


def _counts(ignored: IgnorePlan) -> dict[str, dict[str, Any]]:
    counts = {}
    for split in ignored.table.splits:
        part = ignored.table.split_of(split)
        region = part.boxes["ignore"] | part.boxes["iscrowd"]
        per_class = dict(part.boxes.filter(~region).group_by("category_id").len().rows())
        label_rows = ignored.rows.join(part.images, on="image_id", how="semi")
        counts[split] = {
            "images": len(part.images),
            "boxes": len(part.boxes),
            "ignored": int(region.sum()),
            "label_rows": len(label_rows),
            "classes": {name: per_class.get(i, 0) for i, name in _classes(part)},
        }
    return counts


def _classes(table: AnnotationTable) -> list[tuple[int, str]]:
    return table.categories.sort("category_id").select("category_id", "name").rows()


def _manifest(folder: Path, plan: ConvertOptions, counts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Say what the folder is and vouch for every file in it; no absolute path, no date."""
    options = {
        "split": plan.split if isinstance(plan.split, str) else dict(plan.split),
        "class_map": None if plan.class_map is None else plan.class_map.as_dict(),
        **{name: getattr(plan, name) for name in ("ignore_policy", "max_ignored_share", "images", "min_size")},
    }
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "manifest_version": MANIFEST_VERSION,
        "format": plan.format,
        "source": Path(plan.source).name,
        "options": options,
        "seed": plan.seed,
        "versions": {
            "detect_transfer": detect_transfer.__version__,
            "python": platform.python_version(),
            "polars": pl.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
            "orjson": orjson.__version__,
        },
        "counts": counts,
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
            for path in files
        },
    }
