"""Data-set checks: what is wrong, doubtful or worth knowing before a training, all at once.

Nothing is changed and nothing is raised for what the data hold: a finding says where, how often, and shows the first
few.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.class_names import alike
from detect_transfer.core.image_notes import NOTES
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.box_checks import check_boxes
from detect_transfer.data.findings import LEVELS, CheckReport, Finding, make_finding
from detect_transfer.data.image_checks import Inspection, Progress, inspect_images
from detect_transfer.data.leaks import find_leaks, near_findings
from detect_transfer.data.split import cut_groups, is_positive

IMBALANCE = 100  # the largest class has this many times the boxes of the smallest


def check(
    table: AnnotationTable,
    *,
    read_images: bool,
    imgsz: int | InputSize | None = None,
    refuse_bad_boxes: bool = False,
    follow_links: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a table and, if asked, its images.

    Args:
        table: As a reader gave it, or a data folder.
        read_images: Decode and hash every image; without, only the annotations are looked at.
        imgsz: What images will be scaled into in training, to tell what will be tiny then.
        refuse_bad_boxes: Whether objects that reach past their image or have no pixel are errors.
        follow_links: As for `inspect_images`.
        progress: As for `inspect_images`.

    Raises:
        InputError: Images are to be read, but the table has no `image_root`.
        ResourceError: An image cannot be read for a reason of the machine.
    """
    findings: list[Finding] = []
    if read_images:
        inspection = inspect_images(table, follow_links=follow_links, progress=progress)
        findings += [*_damaged(table, inspection), *near_findings(table.images, inspection.images)]
    findings += [*_reading(table), *check_boxes(table, imgsz=imgsz, refuse_bad=refuse_bad_boxes)]
    findings += [*_classes(table), *_splits(table), *_images(table)]
    ordered = sorted((f for f in findings if f.count), key=lambda f: LEVELS.index(f.level))
    return CheckReport(len(table.images), len(table.boxes), len(table.categories), read_images, tuple(ordered))


def _reading(table: AnnotationTable) -> list[Finding]:
    """Return what the reader left out because it was asked to, and what it read otherwise than the format says."""
    findings = []
    for line in table.reading:
        if line.action == "noted":
            finding = make_finding("note", "READ_NOTED", f"{line.kind} rows: {line.reason}", line.examples)
        else:
            action = "left out" if line.action == "dropped" else line.action
            message = f"{line.kind} rows {action} by the reader, {line.reason}"
            finding = make_finding("warning", "READ_SKIPPED", message, line.examples)
        findings.append(replace(finding, count=line.count))
    return findings


def _damaged(table: AnnotationTable, inspection: Inspection) -> list[Finding]:
    by_code: dict[str, list[str]] = defaultdict(list)
    for problem in inspection.problems:
        by_code[problem.code].append(f"{problem.where or problem.value}: {problem.what}")
    findings = [
        make_finding("error", code, "images that cannot be used as annotated", places)
        for code, places in by_code.items()
    ]
    findings += [make_finding("note", code, NOTES[code], names) for code, names in inspection.notes.items()]
    leaks = find_leaks(table.images, inspection.images)
    findings.append(
        make_finding("error", "SPLIT_LEAK", "byte-identical images in two splits", [f"{a} = {b}" for a, b in leaks])
    )
    hashed = table.images.join(inspection.images.select("image_id", "sha256"), on="image_id")
    copies = hashed.filter(~pl.col("sha256").is_first_distinct())
    findings.append(
        make_finding("warning", "IMAGE_DUPLICATE", "images that equal another, byte for byte", copies["file_name"])
    )
    return findings


def _classes(table: AnnotationTable) -> list[Finding]:
    positive = _positives(table)
    per_class = dict(positive.group_by("category_id").len().rows())
    names = table.categories.sort("category_id").select("category_id", "name").rows()
    unused = [name for i, name in names if i not in per_class]
    same = [" = ".join(group) for group in alike(name for _, name in names)]
    findings = [
        make_finding("warning", "CLASS_EMPTY", "classes without a box that counts", unused),
        make_finding("warning", "CLASS_ALIKE", "classes whose names differ in case or in separators alone", same),
    ]
    for split in table.splits:
        present = set(positive.filter(pl.col("split") == split)["category_id"].to_list())
        absent = [f"{split}: {name}" for i, name in names if i in per_class and i not in present]
        findings.append(make_finding("note", "CLASS_ABSENT", f"classes that '{split}' has no box of", absent))
    if per_class and max(per_class.values()) > IMBALANCE * min(per_class.values()):
        ranked = sorted((n, name) for i, name in names if (n := per_class.get(i)))
        few = [f"{name}: {n}" for n, name in ranked if n * IMBALANCE < ranked[-1][0]]
        largest = f"{ranked[-1][1]}: {ranked[-1][0]}"
        message = f"classes with less than 1/{IMBALANCE} of the boxes of the largest ({largest})"
        findings.append(make_finding("warning", "CLASS_IMBALANCE", message, few))
    return findings


def _splits(table: AnnotationTable) -> list[Finding]:
    with_positives = _positives(table)["split"].unique().to_list()
    without = [split for split in table.splits if split not in with_positives]
    cut = [f"{group}: {', '.join(splits)}" for group, splits in cut_groups(table.images).items()]
    return [
        make_finding(
            "error", "SPLIT_NO_POSITIVES", "splits without a box that counts", [s for s in without if s != "test"]
        ),
        make_finding(
            "note", "SPLIT_NO_POSITIVES", "splits without a box that counts", [s for s in without if s == "test"]
        ),
        make_finding("error", "SPLIT_CUTS_GROUP", "groups that lie in two splits", cut),
    ]


def _images(table: AnnotationTable) -> list[Finding]:
    images = table.images
    bare = images.join(table.boxes, on="image_id", how="anti", maintain_order="left")
    unsized = images.filter(pl.col("width").is_null() | pl.col("height").is_null())
    twice = images.filter(~pl.col("file_name").is_first_distinct())
    share = len(bare) / len(images) if len(images) else 0.0
    return [
        make_finding("error", "FILE_NAME_DUPLICATE", "images that name the file of an earlier one", twice["file_name"]),
        make_finding(
            "warning", "IMAGE_NO_SIZE", "images of unknown size, whose boxes cannot be clipped", unsized["file_name"]
        ),
        make_finding("note", "IMAGE_NO_BOXES", f"images without any box, {share:.1%} of all", bare["file_name"]),
    ]


def _positives(table: AnnotationTable) -> pl.DataFrame:
    splits = table.images.select("image_id", "split")
    return table.boxes.filter(is_positive()).select("image_id", "category_id").join(splits, on="image_id", how="left")
