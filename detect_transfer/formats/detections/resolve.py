"""Detections as a file states them, and what they become on a truth: its ids, corners in pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core.annotations import DETECTION_SCHEMA, XYXY, Detections
from detect_transfer.core.choices import BoxForm, ClassNumbers, UnseenImages
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.box_evidence import (
    check_box_form,
    corners_in_pixels,
    count_on_objects,
    warn_of_boxes,
)
from detect_transfer.formats.detections.evidence import class_readings, meaning_of, number_classes
from detect_transfer.formats.detections.names import KnownNames, Manner, class_manners, image_manners, resolve

_PAIRS = (("image", "image_name"), ("category", "category_name"))


@dataclass(frozen=True)
class DetectionOptions:
    """What a user says of a file of detections; None recognises it.

    Args:
        layout: A key of `DETECTION_FORMATS`.
        boxes: What the four numbers of a box are.
        classes: What the numbers of classes are.
        unseen: What becomes of images of the truth that `predict` did not see.
    """

    layout: str | None = None
    boxes: BoxForm | None = None
    classes: ClassNumbers | None = None
    unseen: UnseenImages = UnseenImages.ERROR


@dataclass(frozen=True)
class StatedDetections:
    """Detections as a file states them.

    Args:
        path: The file or folder.
        rows: A row a detection: `image` or else `image_id` of the truth, `category`, where the file has them
            `image_name` and `category_name`, the four numbers of the box as `XYXY`, `score` and `source`.
        form: What the four numbers are.
        classes_by_name: `category` holds names alone.
        ids_first: `category` holds ids rather than names where both are possible.
        from_1: The tool that wrote the file counts classes from 1 where they have no ids of COCO.
        reading: How the layout was understood.
    """

    path: Path
    rows: pl.DataFrame
    form: BoxForm
    classes_by_name: bool = False
    ids_first: bool = False
    from_1: bool = False
    reading: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The folder that `source` is relative to."""
        return self.path if self.path.is_dir() else self.path.parent


def to_detections(stated: StatedDetections, truth: KnownNames, options: DetectionOptions) -> Detections:
    """Return detections with the ids of the truth and corners in pixels.

    Names decide wherever the file has them; numbers are looked up else.

    Raises:
        InputError: An image or a class is not of the truth, ids and names contradict each other, or the boxes are not
            of the form that the layout says.
    """
    rows, reading = stated.rows, list(stated.reading)
    if rows.is_empty():
        return Detections(pl.DataFrame(schema=DETECTION_SCHEMA), tuple(reading))
    for number, name in _PAIRS:
        if name in rows.columns and number in rows.columns:
            _check_pairs(rows, number, name, stated.root)
    if "image_id" not in rows.columns:
        rows = rows.with_columns(image_id=_image_ids(rows, truth, stated.root))
    rows, warnings = _with_corners(rows, stated, truth, options.boxes)
    reading += warnings
    stated = replace(stated, rows=rows)
    category_id, numbers = _category_ids(stated, truth, options.classes)
    if numbers is not None and numbers != ClassNumbers.IDS:
        reading.append(f"class numbers read as {meaning_of(numbers)}")
    return Detections.from_columns(rows.select("image_id", *XYXY, "score", category_id=category_id)).with_reading(
        reading
    )


def _check_pairs(rows: pl.DataFrame, number: str, name: str, root: Path) -> None:
    """Refuse a file in which one id goes with two names, or one name with two ids."""
    pairs = rows.select(number, name, "source").unique([number, name], keep="first", maintain_order=True)
    for column, other in ((number, name), (name, number)):
        twice = pairs.filter(pl.col(column).is_duplicated())
        if twice.is_empty():
            continue
        same = twice.filter(pl.col(column) == twice[column][0])
        raise InputError(
            "DETECTION_NAMES",
            f"{column.replace('_', ' ')} '{same[column][0]}' goes with the {other.replace('_', ' ')} "
            f"'{same[other][0]}' and with '{same[other][1]}', so ids and names contradict each other",
            where=root / str(same["source"][1]),
            field=column,
            value=same[column][0],
            remedy="give each image and class one id and one name, or leave the names out to go by the ids",
        )


def _image_ids(rows: pl.DataFrame, truth: KnownNames, root: Path) -> pl.Series:
    manners = image_manners(truth)
    if "image_name" in rows.columns:
        manners = [manner for manner in manners if manner.by != "id"]
    names = rows["image_name" if "image_name" in rows.columns else "image"]
    return resolve(names, manners, rows["source"], what="image", root=root, numbered=truth.image_ids is not None)


def _with_corners(
    rows: pl.DataFrame, stated: StatedDetections, truth: KnownNames, given: BoxForm | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return the rows with corners in pixels, whatever form their boxes have, and warnings."""
    form = given or stated.form
    sizes = rows.select("image_id").join(truth.truth.images, on="image_id", how="left", maintain_order="left")
    sizes_wh = sizes.select(pl.col("width", "height").cast(pl.Float64)).to_numpy()
    unknown = sizes.filter(pl.col("width").is_null() | pl.col("height").is_null())
    if form.value.endswith("-norm") and not unknown.is_empty():
        raise InputError(
            *("IMAGE_SIZE_UNKNOWN", "shares of an image are no boxes without its size, which the truth does not tell"),
            where=stated.path,
            field="file_name",
            value=unknown["file_name"][0],
            remedy="give a truth with width and height, or boxes in pixels",
        )
    numbers = rows.select(XYXY).to_numpy()
    counted = count_on_objects(rows, form, sizes_wh, truth.truth)
    if given is None:
        check_box_form(numbers, form, sizes_wh, counted, stated.path)
    corners = corners_in_pixels(numbers, form, sizes_wh)
    wrong = rows.filter(pl.lit(pl.Series((corners[:, 2:] < corners[:, :2]).any(axis=1))))
    if not wrong.is_empty():
        raise InputError(
            "BOX_INVALID",
            f"{len(wrong):,} boxes end before they begin if read as {form.value}",
            where=stated.root / str(wrong["source"][0]),
            field="--box-form",
            value=form.value,
            remedy=f"fix them, or give another form: {', '.join(BoxForm)}",
        )
    columns = {name: pl.Series(np.ascontiguousarray(corners[:, i])) for i, name in enumerate(XYXY)}
    return rows.with_columns(**columns), warn_of_boxes(counted)


def _category_ids(
    stated: StatedDetections, truth: KnownNames, given: ClassNumbers | None
) -> tuple[pl.Series, ClassNumbers | None]:
    """Return the category_id of each row, and how class numbers were read; None where classes have names."""
    rows = stated.rows
    by_name = stated.classes_by_name or "category_name" in rows.columns
    names = rows["category_name" if "category_name" in rows.columns else "category"]
    manners = class_manners(truth, ids_first=stated.ids_first)
    if by_name:
        manners = [manner for manner in manners if manner.by != "id"]
    elif names.str.contains(r"^\d{1,9}$").all() and (given or not _all_are_names(names, manners)):
        numbered = rows.with_columns(number=names.cast(pl.Int64))
        reading = _given_numbers(numbered, truth, given, stated) if given else None
        reading = reading or number_classes(numbered, truth, from_1_first=stated.from_1, where=stated.path)
        if reading is not None:
            ids = numbered["number"].replace_strict(dict(reading[0]), return_dtype=pl.Int64)
            return ids, reading[1]
        _refuse_places(numbered, truth, stated.root)
    numbered_classes = truth.class_ids is not None
    return (
        resolve(names, manners, rows["source"], what="class", root=stated.root, numbered=numbered_classes),
        None,
    )


def _refuse_places(rows: pl.DataFrame, truth: KnownNames, root: Path) -> None:
    """Refuse class numbers that are no ids but may be places in the list of classes."""
    used = set(rows["number"])
    possible = [kind for kind, ids in class_readings(truth).items() if used <= ids.keys()]
    if possible:
        outside = rows.filter(~pl.col("number").is_in(list(truth.class_ids or ())))
        raise InputError(
            "DETECTION_UNKNOWN_ID",
            f"{len(outside):,} detections have class numbers that are no category ids of the truth",
            where=root / str(outside["source"][0]),
            field="class",
            value=outside["number"][0],
            remedy=f"if they are {' or '.join(map(meaning_of, possible))}, give --class-numbers "
            f"{' or '.join(possible)}",
        )


def _all_are_names(names: pl.Series, manners: list[Manner]) -> bool:
    """Tell whether classes of the truth are called by these numbers, in a file that gives names."""
    return manners[0].by != "id" and all(manners[0].form(name) in manners[0].ids for name in names.unique())


def _given_numbers(
    rows: pl.DataFrame, truth: KnownNames, given: ClassNumbers, stated: StatedDetections
) -> tuple[Mapping[int, int], ClassNumbers]:
    """Return what class numbers mean by the word of the user.

    Raises:
        InputError: A number is none of that kind.
    """
    ids = class_readings(truth).get(given, {})
    outside = rows.filter(~pl.col("number").is_in(list(ids)))
    if not outside.is_empty():
        raise InputError(
            "DETECTION_UNKNOWN_ID",
            f"{len(outside):,} detections have class numbers that are no {meaning_of(given)}",
            where=stated.root / str(outside["source"][0]),
            field="class",
            value=outside["number"][0],
            remedy=f"there are {', '.join(map(str, sorted(ids)[:10])) or 'none'}; give --class-numbers another value",
        )
    return ids, given
