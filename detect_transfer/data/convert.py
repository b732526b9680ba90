"""Native annotations, once read, become a data folder: the whole story from top to bottom.

    read -> clean -> class map -> split -> ignored regions -> images -> target formats -> ledger.json -> manifest.json

Everything is checked before anything is written; the
folder is built beside its place and renamed, so a killed conversion leaves nothing under its name; the source is only
read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.class_map import ClassMap, apply_class_map
from detect_transfer.data.clean import clean
from detect_transfer.data.image_checks import (
    Inspection,
    Progress,
    fill_sizes,
    inspect_images,
    no_inspection,
    skip_images,
)
from detect_transfer.data.image_plan import plan_images, plan_names
from detect_transfer.data.image_writing import write_images
from detect_transfer.data.manifest import count_splits, write_manifest
from detect_transfer.data.round_trip import RoundTrip, round_trip
from detect_transfer.data.split import check_positives
from detect_transfer.data.split_choice import Split, check_split, choose_split, split_document
from detect_transfer.formats.writing import WRITERS, choose_targets, write_targets
from detect_transfer.formats.writing.ignored_regions import IGNORE_POLICIES, plan_ignored

_OURS = "data_folder"
_IMAGE_MODES = ("copy", "link", "none")
_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class ConvertOptions:
    """What a conversion does.

    Args:
        format: The name of the native format, for the manifest.
        source: The name of what was read, for the manifest; never a path.
        split: The share of each split, `source`, a file of an earlier conversion, or `auto`; see `choose_split`. For
            annotations alone, `auto` takes any split of the source that every image has.
        class_map: Which source class becomes which class; None keeps the classes as they are.
        ignore_policy: What becomes of ignored regions in the YOLO labels.
        max_ignored_share: Share of a training image in [0, 1] that `drop-image` tolerates.
        images: `copy` the images, `link` to them, or write `none` and look at none: annotations alone.
        seed: Of the split.
        min_size: Boxes with a shorter side, in pixels, are dropped.
        targets: The formats to write, keys of `WRITERS`; None writes COCO, and YOLO where all sizes are known.
        check: Send the annotations through COCO and YOLO and back, and write no folder where something differs.
        skip_images: Leave out images at fault, with their boxes, and list them in the ledger.

    Raises:
        InputError: There is no such choice.
    """

    format: str
    source: str = ""
    split: Split = "auto"
    class_map: ClassMap | None = None
    ignore_policy: str = "drop"
    max_ignored_share: float = 0.0
    images: str = "copy"
    seed: int = 0
    min_size: float = 0.0
    targets: tuple[str, ...] | None = None
    check: bool = False
    skip_images: bool = False

    def __post_init__(self) -> None:
        """Check the choices before anything is read."""
        _check_options(self)


@dataclass(frozen=True)
class ConvertResult:
    """What a conversion made.

    Args:
        out: The data folder.
        table: What it holds; `file_name` is relative to its `images/`, which is not there without images.
        counts: For each split `images`, `boxes`, `ignored`, `label_rows` and `classes` (boxes that count, by name).
        ledger: What every step took in and gave out.
        split: Which split was taken, in words.
        round_trip: What came back from COCO and YOLO; None where it was not asked for.
    """

    out: Path
    table: AnnotationTable
    counts: dict[str, dict[str, Any]]
    ledger: Ledger
    split: str
    round_trip: RoundTrip | None = None


def convert(
    table: AnnotationTable, out: Path, *, plan: ConvertOptions, progress: Progress | None = None
) -> ConvertResult:
    """Write a data folder with images, annotations in the target formats, splits, ledger and manifest.

    Args:
        table: What a reader gave, with its `image_root` unless no images are wanted.
        out: The folder to make; it is absent or empty.
        plan: What to do.
        progress: Called with what is going on, how much is done, and of how much.

    Raises:
        InputError: An image, a class or a split is wrong, a field did not come back from the round trip, or
            `out` holds something; nothing was written.
        ResourceError: The machine failed; nothing is left under `out`.
    """
    require_new(out)
    if table.images.is_empty():
        raise InputError("IMAGES_NONE", "the source names no image", remedy="give one that does")
    ledger = Ledger()
    _enter_reading(table, ledger)
    ours = plan.format == _OURS  # its images may be links, and its manifest vouches for them
    alone = plan.images == "none"
    inspection = no_inspection() if alone else inspect_images(table, follow_links=ours, progress=progress)
    if plan.skip_images and inspection.problems:
        table = skip_images(table, inspection, ledger)
    else:
        _refuse_images(inspection)

    table = fill_sizes(table, inspection)
    trip = round_trip(table) if plan.check else None
    if trip is not None:
        trip.raise_differences()
    table = clean(table, ledger, min_size=plan.min_size)
    if plan.class_map is not None:
        table = apply_class_map(table, plan.class_map, ledger)
    # what is not there cannot be trained on, so the part of a benchmark stays one part
    whole = alone and plan.split == "auto" and not table.images["split"].has_nulls()
    chosen = choose_split(table, "source" if whole else plan.split, seed=plan.seed, inspection=inspection)
    ignored = plan_ignored(chosen.table, plan.ignore_policy, max_ignored_share=plan.max_ignored_share, ledger=ledger)
    _check_splits_kept(chosen.table, ignored.table)
    targets = choose_targets(plan.targets, ignored.table.images, ledger)
    if alone:
        images = plan_names(ignored, ledger=ledger)
    else:
        images = plan_images(ignored, link=plan.images == "link", ledger=ledger, follow_links=ours)
    ignored = images.ignored
    counts = count_splits(ignored)

    with new_folder(out) as building:
        write_images(images, building, progress=progress)
        write_targets(ignored, targets, building, ledger)
        write_json(building / "splits.json", split_document(chosen))
        write_json(building / "ledger.json", ledger.as_dict())
        if trip is not None:
            write_json(building / "round_trip.json", trip.as_dict())
        os.sync()  # one flush for all files, before the manifest vouches for them
        write_manifest(building, _facts(replace(plan, targets=targets), chosen.rule, counts))
    table = replace(ignored.table, image_root=None if alone else out / "images")
    return ConvertResult(out, table, counts, ledger, chosen.told, trip)


def _check_options(plan: ConvertOptions) -> None:
    for name, value, choices in (
        ("ignore_policy", plan.ignore_policy, IGNORE_POLICIES),
        ("images", plan.images, _IMAGE_MODES),
        *(("targets", target, tuple(WRITERS)) for target in plan.targets or ()),
    ):
        if value not in choices:
            raise InputError(
                "OPTION", "there is no such choice", field=name, value=value, remedy=did_you_mean(value, choices)
            )
    if plan.images == "none" and plan.ignore_policy == "mask":
        raise InputError(
            *("OPTION", "regions are painted in images, and none are written"),
            field="ignore_policy",
            value=plan.ignore_policy,
            remedy="choose another ignore policy, or --images copy",
        )
    if not 0 <= plan.max_ignored_share <= 1 or not plan.min_size >= 0:
        raise InputError(
            "OPTION",
            "max_ignored_share is a share in [0, 1], min_size is in pixels and not negative",
            field="max_ignored_share, min_size",
            value=(plan.max_ignored_share, plan.min_size),
            remedy="correct them",
        )
    check_split(plan.split)


def _enter_reading(table: AnnotationTable, ledger: Ledger) -> None:
    """Begin the ledger with what the reader left out because it was asked to."""
    left_out = [line for line in table.reading if line.action == "dropped"]
    skipped = {kind: sum(line.count for line in left_out if line.kind == kind) for kind in ("image", "box")}
    images, boxes = len(table.images), len(table.boxes)
    step = ledger.open("read", images=images + skipped["image"], boxes=boxes + skipped["box"])
    step.lines.extend(table.reading)
    step.close(images_out=images, boxes_out=boxes)


def _refuse_images(inspection: Inspection) -> None:
    """Raise what is wrong with the images, as many as one can read, and how many more there are."""
    problems: list[DetectTransferError] = [_with_way_out(problem) for problem in inspection.problems[:_MOST_PROBLEMS]]
    more = len(inspection.problems) - len(problems)
    if more > 0:
        problems.append(
            InputError("IMAGE_PROBLEMS", f"{more} more images are wrong", remedy="run check for the whole list")
        )
    raise_problems(problems)


def _with_way_out(problem: InputError) -> InputError:
    """Add to the remedy for an image that is not there that one can do without."""
    if problem.code != "IMAGE_MISSING":
        return problem
    remedy = f"{problem.remedy}, or convert without images: --images none"
    return InputError(problem.code, problem.what, where=problem.where, remedy=remedy)


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


def _facts(plan: ConvertOptions, rule: Mapping[str, Any], counts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Say what the folder is; no absolute path."""
    plain = ("ignore_policy", "max_ignored_share", "images", "min_size")
    options = {
        "split": dict(rule),
        "class_map": None if plan.class_map is None else plan.class_map.as_dict(),
        "targets": list(plan.targets or ()),
        **{name: getattr(plan, name) for name in plain},
    }
    return {
        "format": plan.format,
        "source": Path(plan.source).name,
        "options": options,
        "seed": plan.seed,
        "counts": counts,
    }
