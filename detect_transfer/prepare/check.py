"""Data-set checks: what is wrong, doubtful or worth knowing before any training, told all at once.

Rank 3: imports only `table` and its own room. Nothing is changed and nothing is raised for
what the data hold: a finding says where, how often, and shows the first few.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from detect_transfer.prepare.pictures import Inspection, Progress, find_leaks, inspect_pictures
from detect_transfer.table import XYXY, AnnotationTable

Level = Literal["error", "warning", "note"]
TINY_PX = 4.0  # below this side, a box says little more than a point
IMBALANCE = 100  # the largest class has this many times the boxes of the smallest
_MOST_EXAMPLES = 5
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One kind of thing that was found.

    Args:
        level: `error` makes results wrong, `warning` may, `note` is worth knowing.
        code: Upper-case word that scripts can test for.
        count: How many images, boxes, classes or pairs.
        message: One line in words.
        examples: The places of the first few.
    """

    level: Level
    code: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """All findings, errors first, with the size of what was checked."""

    n_images: int
    n_boxes: int
    n_classes: int
    pictures_read: bool
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.level == "error" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-ready dict."""
        return {"ok": self.ok, **asdict(self)}


def check(
    table: AnnotationTable, *, read_pictures: bool, follow_links: bool = False, progress: Progress | None = None
) -> CheckReport:
    """Check a table and, if asked, its pictures.

    Args:
        table: As a reader gave it, or a data folder.
        read_pictures: Decode and hash every picture; without, only the annotations are looked at.
        follow_links: As for `inspect_pictures`.
        progress: As for `inspect_pictures`.

    Raises:
        InputError: Pictures are to be read, but the table has no `image_root`.
        ResourceError: A picture cannot be read for a reason of the machine.
    """
    findings: list[Finding] = []
    if read_pictures:
        findings += _pictures(table, inspect_pictures(table, follow_links=follow_links, progress=progress))
    findings += [*_boxes(table), *_classes(table), *_splits(table), *_images(table)]
    ordered = sorted((f for f in findings if f.count), key=lambda f: _LEVELS.index(f.level))
    return CheckReport(len(table.images), len(table.boxes), len(table.categories), read_pictures, tuple(ordered))


def _finding(level: Level, code: str, message: str, examples: Iterable[object], count: int | None = None) -> Finding:
    places = [str(e) for e in examples]
    return Finding(level, code, len(places) if count is None else count, message, tuple(places[:_MOST_EXAMPLES]))


def _pictures(table: AnnotationTable, inspection: Inspection) -> list[Finding]:
    by_code: dict[str, list[str]] = defaultdict(list)
    for problem in inspection.problems:
        by_code[problem.code].append(f"{problem.where or problem.value}: {problem.what}")
    findings = [
        _finding("error", code, "pictures that cannot be used as annotated", places) for code, places in by_code.items()
    ]
    leaks = find_leaks(table, inspection)
    findings.append(
        _finding("error", "SPLIT_LEAK", "byte-identical pictures in two splits", [f"{a} = {b}" for a, b in leaks])
    )
    named = table.images.join(inspection.pictures.select("image_id", "sha256"), on="image_id")
    copies = named.filter(~pl.col("sha256").is_first_distinct())
    findings.append(
        _finding("warning", "IMAGE_DUPLICATE", "pictures that equal another, byte for byte", copies["file_name"])
    )
    return findings


def _boxes(table: AnnotationTable) -> list[Finding]:
    sizes = table.images.select("image_id", "width", "height")
    boxes = table.boxes.join(sizes, on="image_id", how="left", maintain_order="left")
    x1, y1, x2, y2 = (pl.col(c) for c in XYXY)
    empty = (x2 <= x1) | (y2 <= y1)
    outside = ((x2 <= 0) | (y2 <= 0) | (x1 >= pl.col("width")) | (y1 >= pl.col("height"))) & ~empty
    over = pl.max_horizontal(-x1, -y1, x2 - pl.col("width"), y2 - pl.col("height"))
    side = pl.min_horizontal(x2 - x1, y2 - y1)
    same = pl.struct("image_id", *XYXY)
    same_class = pl.struct("image_id", "category_id", *XYXY, "iscrowd", "ignore")
    counts = ~pl.col("ignore") & ~pl.col("iscrowd")
    rules: tuple[tuple[Level, str, str, pl.Expr], ...] = (
        ("error", "BOX_EMPTY", "boxes without width or height", empty),
        ("error", "BOX_OUTSIDE", "boxes that do not touch their image", outside),
        ("warning", "BOX_OVER_EDGE", "boxes that reach past the image by > 1 px", (over > 1) & ~outside & ~empty),
        ("note", "BOX_ON_EDGE", "boxes that reach past the image by <= 1 px", (over > 0) & (over <= 1) & ~empty),
        ("warning", "BOX_DUPLICATE", "exact duplicates of a row before them", ~same_class.is_first_distinct()),
        (
            "warning",
            "BOX_TWO_CLASSES",
            "boxes that an earlier row gives another class",
            counts & ~same.is_first_distinct() & same_class.is_first_distinct(),
        ),
        ("warning", "BOX_TINY", f"boxes with a side below {TINY_PX:g} px", (side < TINY_PX) & ~empty),
    )
    return [
        _finding(level, code, message, boxes.filter(rule.fill_null(False))["source"])
        for level, code, message, rule in rules
    ]


def _classes(table: AnnotationTable) -> list[Finding]:
    positive = _positives(table)
    per_class = dict(positive.group_by("category_id").len().rows())
    names = table.categories.sort("category_id").select("category_id", "name").rows()
    unused = [name for i, name in names if i not in per_class]
    findings = [_finding("warning", "CLASS_EMPTY", "classes without a box that counts", unused)]
    for split in table.splits:
        held = set(positive.filter(pl.col("split") == split)["category_id"].to_list())
        absent = [f"{split}: {name}" for i, name in names if i in per_class and i not in held]
        findings.append(_finding("note", "CLASS_ABSENT", f"classes that '{split}' has no box of", absent))
    if per_class and max(per_class.values()) > IMBALANCE * min(per_class.values()):
        ranked = sorted((n, name) for i, name in names if (n := per_class.get(i)))
        few = [f"{name}: {n}" for n, name in ranked if n * IMBALANCE < ranked[-1][0]]
        largest = f"{ranked[-1][1]}: {ranked[-1][0]}"
        message = f"classes with less than 1/{IMBALANCE} of the boxes of the largest ({largest})"
        findings.append(_finding("warning", "CLASS_IMBALANCE", message, few))
    return findings


def _splits(table: AnnotationTable) -> list[Finding]:
    held = _positives(table)["split"].unique().to_list()
    without = [split for split in table.splits if split not in held]
    cut = (
        table.images.filter(pl.col("group").is_not_null())
        .group_by("group")
        .agg(pl.col("split").drop_nulls().unique().sort())
        .filter(pl.col("split").list.len() > 1)
        .sort("group")
    )
    cut_groups = [f"{group}: {', '.join(splits)}" for group, splits in cut.rows()]
    return [
        _finding(
            "error", "SPLIT_NO_POSITIVES", "splits without a box that counts", [s for s in without if s != "test"]
        ),
        _finding("note", "SPLIT_NO_POSITIVES", "splits without a box that counts", [s for s in without if s == "test"]),
        _finding("error", "SPLIT_CUTS_GROUP", "groups that lie in two splits", cut_groups),
    ]


def _images(table: AnnotationTable) -> list[Finding]:
    images = table.images
    bare = images.join(table.boxes, on="image_id", how="anti", maintain_order="left")
    unsized = images.filter(pl.col("width").is_null() | pl.col("height").is_null())
    twice = images.filter(~pl.col("file_name").is_first_distinct())
    share = len(bare) / len(images) if len(images) else 0.0
    return [
        _finding("error", "FILE_NAME_DUPLICATE", "images that name the file of an earlier one", twice["file_name"]),
        _finding(
            "warning", "IMAGE_NO_SIZE", "images of unknown size, whose boxes cannot be clipped", unsized["file_name"]
        ),
        _finding("note", "IMAGE_NO_BOXES", f"images without any box, {share:.1%} of all", bare["file_name"]),
    ]


def _positives(table: AnnotationTable) -> pl.DataFrame:
    counts = ~pl.col("ignore") & ~pl.col("iscrowd") & pl.col("category_id").is_not_null()
    splits = table.images.select("image_id", "split")
    return table.boxes.filter(counts).select("image_id", "category_id").join(splits, on="image_id", how="left")
