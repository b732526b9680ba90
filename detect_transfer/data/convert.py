"""Native annotations, once read, become a data folder: the whole story from top to bottom.

    inspect images -> clean -> class map -> split -> tiles -> ignored regions -> images -> target formats ->
    ledger.json -> manifest.json

The folder is built beside its place and renamed when it is whole, so a conversion that fails or is killed leaves
nothing under its name; the source is only read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import Annotations, AnnotationTable, Table
from detect_transfer.core.choices import ImageMode, OnError
from detect_transfer.core.columns import collected
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import new_folder, write_json
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.bad_boxes import refuses_bad_boxes, treat_bad_boxes
from detect_transfer.data.checked_images import remember_images
from detect_transfer.data.class_map import apply_class_map
from detect_transfer.data.clean import clean
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.image_checks import (
    Inspection,
    Progress,
    fill_sizes,
    inspect_images,
    no_inspection,
    note_images,
    skip_images,
)
from detect_transfer.data.image_plan import ImagePlan, plan_images, plan_names
from detect_transfer.data.image_writing import ImageStage, write_images
from detect_transfer.data.leaks import near_findings
from detect_transfer.data.manifest import count_splits, write_manifest
from detect_transfer.data.published import dropped_boxes, write_dropped
from detect_transfer.data.round_trip import RoundTrip
from detect_transfer.data.split import check_positives
from detect_transfer.data.split_choice import SplitChoice, choose_split, split_document
from detect_transfer.data.tiles import cut_into_tiles
from detect_transfer.data.written_check import check_written
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.writing.ignored_regions import IgnorePlan, plan_ignored
from detect_transfer.formats.writing.targets import HAVE_FILE_A_STEM, choose_targets, write_targets

_OURS = "data_folder"
_CLOCK_NS = 2 * 10**9  # the coarsest clock of a file system: two changes within it may bear one time


@dataclass(frozen=True)
class ConvertResult:
    """What a conversion made.

    Args:
        out: The data folder.
        annotations: What it holds; `file_name` is relative to its `images/`, which is not there without images.
        counts: For each split `images`, `boxes`, `ignored`, `label_rows` and `classes` (boxes that count, by name).
        ledger: What every step took in and gave out.
        split: The split and where it comes from, in words.
        warnings: What to be warned of, in words.
        format: The format of the source, with what shows it where it was recognised.
        round_trip: What came back from each target; None without the check.
    """

    out: Path
    annotations: Annotations
    counts: dict[str, dict[str, Any]]
    ledger: Ledger
    split: str
    warnings: tuple[str, ...] = ()
    format: str = ""
    round_trip: RoundTrip | None = None

    @property
    def table(self) -> AnnotationTable:
        """What it holds, with the boxes in memory."""
        return self.annotations.in_memory()


def convert(
    table: Annotations, out: Path, *, options: ConvertOptions, progress: Progress | None = None
) -> ConvertResult:
    """Write a data folder with images, annotations in the target formats, splits, ledger and manifest.

    Args:
        table: What a reader gave, with its `image_root` unless no images are wanted.
        out: The folder to make; it is absent or empty.
        options: What to do.
        progress: Called with what is going on, how much is done, and of how much.

    Raises:
        InputError: An image, a class or a split is wrong, a field did not come back from the round trip, or
            `out` holds something; nothing was written.
        ResourceError: The machine failed; nothing is left under `out`.
    """
    if table.images.is_empty():
        raise InputError("IMAGES_NONE", "the source names no image", remedy="give one that does")
    ledger, began_ns = Ledger(), time.time_ns()
    _enter_reading(table, ledger)
    with new_folder(out) as building:
        stage = ImageStage(building / ".staged", link=options.image_mode == ImageMode.LINK)
        table, inspection = _inspect(table, stage, options=options, ledger=ledger, progress=progress)
        chosen, ignored = _select(table, inspection, options=options, ledger=ledger)
        targets = choose_targets(options.targets, ignored.table.images, ledger)
        images = _plan_images(ignored, stage, targets, options=options, ledger=ledger)
        counts = count_splits(images.ignored)
        image_facts = write_images(images, building, stage=stage, progress=progress)
        write_targets(images.ignored, targets, building, ledger)
        trip = _check_written(images.ignored, targets, building, options=options)
        write_json(building / "splits.json", split_document(chosen))
        write_json(building / "ledger.json", ledger.as_dict())
        if hasattr(os, "sync"):  # not on Windows
            os.sync()  # one flush for all files, before the manifest vouches for them
        facts = _facts(replace(options, targets=targets), chosen.rule, counts)
        facts["reading"] = [line.reason for line in ledger.steps[0].lines if line.action == "noted"]
        write_manifest(building, facts, image_facts)
        # a source that is linked to may have changed while it was converted; copies are our own
        read_ns = began_ns if options.image_mode == ImageMode.LINK else time.time_ns()
        if not options.without_images:
            remember_images(building, images.ignored.table.images, image_facts, before_ns=read_ns - _CLOCK_NS)
    made = images.ignored.table.with_fields(image_root=None if options.without_images else out / "images")
    return ConvertResult(out, made, counts, ledger, chosen.description, _warnings(chosen), options.format, trip)


def _inspect(
    table: Table,
    stage: ImageStage,
    *,
    options: ConvertOptions,
    ledger: Ledger,
    progress: Progress | None,
) -> tuple[Table, Inspection]:
    """Read every image once, and return the table with the sizes that they have."""
    if options.without_images:
        return table, no_inspection()
    stage.check_room(table)
    inspection = inspect_images(table, follow_links=options.format == _OURS, on_image=stage.add, progress=progress)
    if options.on_error == OnError.SKIP_IMAGE and inspection.problems:
        table = skip_images(table, inspection, ledger)
    else:
        _refuse_images(inspection)
    note_images(table, inspection, ledger)
    return fill_sizes(table, inspection), inspection


def _warnings(chosen: SplitChoice) -> tuple[str, ...]:
    return (chosen.warning,) if chosen.warning else ()


def _check_written(
    plan: IgnorePlan, targets: Sequence[str], building: Path, *, options: ConvertOptions
) -> RoundTrip | None:
    """Read back what was written, where that is wanted; a difference ends the conversion."""
    if not options.check:
        return None
    trip = check_written(plan, targets, building, has_images=options.image_mode == ImageMode.COPY)
    trip.raise_differences()
    write_json(building / "round_trip.json", trip.as_dict())
    return trip


def _select(
    table: Annotations, inspection: Inspection, *, options: ConvertOptions, ledger: Ledger
) -> tuple[SplitChoice, IgnorePlan]:
    """Clean the boxes, map the classes, split the images, and decide on ignored regions."""
    if refuses_bad_boxes(options.bad_boxes, options.format):
        table = treat_bad_boxes(table, ledger, on_error=options.on_error, option=options.bad_boxes_option)
    table = clean(table, ledger, min_size=options.min_size)
    if options.class_map is not None:
        not_trained = apply_class_map(table.with_boxes(dropped_boxes(table)), options.class_map, Ledger()).boxes
        table = write_dropped(apply_class_map(table, options.class_map, ledger), collected(not_trained))
    # annotations alone cannot be trained on, so the part of a benchmark stays one part
    whole = options.without_images and options.split == "auto" and not table.images["split"].has_nulls()
    chosen = choose_split(
        table,
        "source" if whole else options.split,
        seed=options.seed,
        inspection=inspection,
        val_from_train=options.val_from_train,
    )
    _note_near_leaks(chosen.table, inspection, ledger)
    whole_or_tiles = chosen.table
    if options.tiling is not None:
        whole_or_tiles = cut_into_tiles(
            chosen.table.in_memory(), options.tiling, ledger, least_share=options.tile_share
        )
    ignored = plan_ignored(
        whole_or_tiles, options.ignored_regions, max_ignored_share=options.max_ignored_share, ledger=ledger
    )
    _check_splits_kept(chosen.table, ignored.table)
    return chosen, ignored


def _note_near_leaks(table: Annotations, inspection: Inspection, ledger: Ledger) -> None:
    """Write into the ledger which images of two splits look alike; without images nothing is known of it."""
    if inspection.images.is_empty():
        return
    images, boxes = len(table.images), table.n_boxes
    finding, _ = near_findings(table.images, inspection.images)
    step = ledger.open("split", images=images, boxes=boxes)
    step.add("image", "noted", f"{finding.code}: {finding.message}", finding.count, finding.examples)
    step.close(images_out=images, boxes_out=boxes)


def _plan_images(
    ignored: IgnorePlan, stage: ImageStage, targets: Sequence[str], *, options: ConvertOptions, ledger: Ledger
) -> ImagePlan:
    by_stem = not HAVE_FILE_A_STEM.isdisjoint(targets)
    if options.without_images:
        return plan_names(ignored, ledger=ledger, by_stem=by_stem)
    return plan_images(
        ignored,
        transcoded=stage.transcoded,
        link=stage.link,
        ledger=ledger,
        by_stem=by_stem,
        follow_links=options.format == _OURS,  # its images may be links, and its manifest vouches for them
    )


def _enter_reading(table: Annotations, ledger: Ledger) -> None:
    """Begin the ledger with what the reader left out because it was asked to."""
    left_out = [line for line in table.reading if line.action == "dropped"]
    skipped = {kind: sum(line.count for line in left_out if line.kind == kind) for kind in ("image", "box")}
    images, boxes = len(table.images), table.n_boxes
    step = ledger.open("read", images=images + skipped["image"], boxes=boxes + skipped["box"])
    step.lines.extend(table.reading)
    step.close(images_out=images, boxes_out=boxes)


def _refuse_images(inspection: Inspection) -> None:
    """Raise what is wrong with the images; what is the same in many of them is one line."""
    errors = ErrorCollector()
    for problem in inspection.problems:
        errors.put(_with_remedy(problem))
    errors.raise_any()


def _with_remedy(problem: InputError) -> InputError:
    """Add to the remedy for a missing image that a conversion can do without."""
    if problem.code != "IMAGE_MISSING":
        return problem
    remedy = f"{problem.remedy}, or convert without images: --image-mode none"
    return InputError(problem.code, problem.what, where=problem.where, remedy=remedy)


def _check_splits_kept(before: Annotations, after: Annotations) -> None:
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


def _facts(options: ConvertOptions, rule: Mapping[str, Any], counts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Say what the folder is; no absolute path."""
    names = ("ignored_regions", "max_ignored_share", "image_mode", "min_size", "on_error", "bad_boxes")
    return {
        "format": options.format,
        "source": Path(options.source).name,
        "options": {
            "reader": {k: v.name if isinstance(v, Path) else v for k, v in options.reader_options.items()},
            "split": dict(rule),
            "class_map": None if options.class_map is None else options.class_map.as_dict(),
            "targets": list(options.targets or ()),
            **({} if options.tiling is None else {"tiling": asdict(options.tiling), "tile_share": options.tile_share}),
            **{name: getattr(options, name) for name in names},
        },
        "seed": options.seed,
        "counts": counts,
    }
