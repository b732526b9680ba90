"""KITTI object detection: `label_2/NNNNNN.txt` beside `image_2/NNNNNN.png`.

A row has 15 fields divided by blanks. The corners count from 0 and the devkit takes `right - left` for the width, so
they are edges as ours are. Rows `DontCare` are regions where objects of any class were not labelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import CORNERS, check_classes, check_corners, finish_rows
from detect_transfer.formats.pedestrians.kitti_drives import read_drives
from detect_transfer.formats.voc.sets import read_lists

_NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
_DONT_CARE = "DontCare"
_OBJECT = ("dim_height", "dim_width", "dim_length", "location_x", "location_y", "location_z", "rotation_y")
_FIELDS = ("type", "truncated", "occluded", "alpha", *CORNERS, *_OBJECT, "score")
# visible, partly, largely occluded; 3 means unknown. The devkit tells no shares: these lie in the middle of its words
_HIDDEN = {0: 0.0, 1: 0.25, 2: 0.75}


def read(
    root: Path, *, missing_images: str = "error", allow_missing: bool = False, on_error: str = "fail"
) -> AnnotationTable:
    """Read KITTI labels: the eight classes of the devkit in its order; what is told in 3D goes to `attributes`.

    `DontCare` becomes a crowd region without class that is ignored (reason ``DontCare``). `occluded` is 0, .25 or .75
    for the levels 0, 1 and 2, null for 3 (unknown); the level itself is `occlusion_level` in `attributes`. Images of
    ``testing/`` are not annotated and are not read. ``ImageSets/train.txt`` and ``val.txt`` name the splits, and
    ``mapping/`` of the devkit the drive, which is the `group`, where they are there.

    Args:
        root: The folder with ``training/``, or with ``image_2/`` and ``label_2/``.
        missing_images: As for `ImageLookup`.
        allow_missing: Whether an image without a label file shows no object; otherwise it is an error.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Geiger et al., Are we ready for Autonomous Driving?, CVPR 2012; devkit_object/readme.txt.
    """
    problems, media = ErrorCollector(on_error), ImageLookup(missing_images=missing_images)
    home, labels = _find_layout(root)
    images_folder = home / "image_2"
    there = native.images_by_stem(images_folder, problems, recursive=False) if images_folder.is_dir() else {}
    texts = {native.stem_of(n): n for n in io.list_files(labels, (".txt",)) if "/" not in n}
    if not allow_missing:
        _check_labels(labels, {stem: name for stem, name in there.items() if stem not in texts}, problems)
    image_of = {stem: there.get(stem, f"{stem}.png") for stem in sorted({*there, *texts})}
    named = {name: ImageRef(str(labels / texts.get(stem, ""))) for stem, name in image_of.items()}
    folder = labels.relative_to(root).as_posix()
    rows = _rows(root, {f"{folder}/{text}": image_of[stem] for stem, text in texts.items()}, problems)
    images = find_images(images_folder, named, media, problems)
    lists = [p for p in (root / "ImageSets" / f"{split}.txt" for split in ("train", "val")) if p.is_file()]
    splits = read_lists(root, lists, set(image_of), problems)
    drives = read_drives(root, problems)
    return finish_rows(
        problems,
        rows=rows,
        found=images,
        categories={"category_id": range(1, len(_NAMES) + 1), "name": _NAMES},
        image_root=images_folder if images_folder.is_dir() else None,
        facts=pl.DataFrame(
            [(image, splits.get(stem), drives.get(stem)) for stem, image in image_of.items()],
            schema={"image": pl.String, "split": pl.String, "group": pl.String},
            orient="row",
        ),
    )


def _check_labels(labels: Path, unlabelled: Mapping[str, str], problems: ErrorCollector) -> None:
    """Report the images, by their stems, that have no label file."""
    for stem, name in unlabelled.items():
        problems.add(
            "ANNOTATION_MISSING",
            f"there is no '{stem}.txt' in {labels}",
            where=labels.parent / "image_2" / name,
            image=name,
            remedy="restore the label, or read with allow_missing=true if the image shows no object",
        )


def _find_layout(root: Path) -> tuple[Path, Path]:
    """Return the folder that holds image_2 and label_2, and label_2."""
    io.require_dir(root, what="a folder with training/label_2 or label_2")
    for home in (root / "training", root):
        if (home / "label_2").is_dir():
            return home, home / "label_2"
    held = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
    raise InputError(
        "KITTI_LAYOUT",
        "it holds neither training/label_2 nor label_2",
        where=root,
        remedy=f"give the folder that holds them; this one holds: {held}",
    )


def _rows(root: Path, texts: Mapping[str, str | None], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows of all label files with the columns of the table; `image` is the image."""
    data = read_delimited(root, texts, _FIELDS, Dialect(" ", optional=1), problems)
    told = ("KITTI_SCORE", "found 16 fields: these are detections, no labels", "score")
    data = check_rows(data, pl.col("score").is_null(), root, problems, told=told, remedy="give the folder of labels")
    data = to_numbers(data, ["occluded"], root, problems, whole=True)
    data = to_numbers(data, ["truncated", "alpha", *CORNERS, *_OBJECT], root, problems)
    told = ("ROW_NUMBER", "expected a share from 0 to 1, or -1", "truncated")
    truncated = pl.col("truncated")
    data = check_rows(data, truncated.is_between(0, 1) | (truncated == -1), root, problems, told=told)
    told = ("ROW_NUMBER", "expected a level from 0 to 3, or -1", "occluded")
    data = check_rows(data, pl.col("occluded").is_between(-1, 3), root, problems, told=told)
    data = check_corners(data, root, problems)
    classes: dict[str, int] = {name: i for i, name in enumerate(_NAMES, start=1)}
    data = check_classes(data, "type", {**classes, _DONT_CARE: 0}, root, problems)
    region = pl.col("type") == _DONT_CARE
    facts = pl.struct(pl.col("occluded").alias("occlusion_level"), "alpha", *_OBJECT)
    return data.select(
        *("file", "line", "image"),
        category_id=pl.when(~region).then("category_id"),
        **{new: pl.col(old) for new, old in zip(("x1", "y1", "x2", "y2"), CORNERS, strict=True)},
        iscrowd=region,
        ignore=region,
        ignore_reason=pl.when(region).then(pl.lit(_DONT_CARE)),
        occluded=pl.col("occluded").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64),
        truncated=pl.when(truncated >= 0).then(truncated),
        attributes=pl.when(~region).then(facts.struct.json_encode()),
    )
