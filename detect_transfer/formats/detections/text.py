"""Detections in text: a CSV with a header, or a text an image."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.columns import text_of
from detect_transfer.core.csv_cells import as_meant
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.layout import CLASS_LIST, find_layout, images_of, texts_of
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.resolve import DetectionOptions, StatedDetections
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.rows import Rows

_IMAGE_NAMES = ("file_name", "filename", "image", "image_name", "image_path", "path")
_CLASS_NAMES = ("class", "class_name", "category", "category_name", "label", "name")
_CLASS_IDS = ("category_id", "class_id")
_SCORE = ("score", "confidence", "conf", "probability")
_CORNERS = (("x1", "xmin", "x_min"), ("y1", "ymin", "y_min"), ("x2", "xmax", "x_max"), ("y2", "ymax", "y_max"))
_SIZED = (("x", "x1", "xmin", "left"), ("y", "y1", "ymin", "top"), ("w", "width"), ("h", "height"))


def read_csv(path: Path, truth: KnownNames, options: DetectionOptions) -> StatedDetections:
    """Read a CSV whose header names image, class, score, and either two corners or a corner and a size.

    Raises:
        InputError: The header lacks a column, or rows are at fault; up to twenty at once, with their lines.
    """
    separator, header = _header(path)
    image_name, class_name, score = (_chosen(header, names) for names in (_IMAGE_NAMES, _CLASS_NAMES, _SCORE))
    image_id, class_id = _chosen(header, ("image_id",)), _chosen(header, _CLASS_IDS)
    corners, sized = ([_chosen(header, names) for names in form] for form in (_CORNERS, _SIZED))
    box = corners if all(corners) else sized
    columns = {"image": image_name or image_id, "category": class_name or class_id}
    columns |= {**dict(zip(XYXY, box, strict=True)), "score": score}
    lacking = [name for name, column in columns.items() if column is None]
    if lacking:
        raise InputError(
            *("CSV_HEADER", f"the header tells no {', '.join(lacking)}; it says {', '.join(header)}"),
            where=f"{path}:1",
            remedy="name the columns file_name or image_id, class, x1, y1, x2, y2 (or x, y, w, h) and score",
        )
    if image_name and image_id:
        columns |= {"image": image_id, "image_name": image_name}
    if class_name and class_id:
        columns |= {"category": class_id, "category_name": class_name}
    fields = {str(column): name for name, column in columns.items()}
    errors = ErrorCollector()
    dialect = Dialect(separator, header=True, quoted=True)
    data = read_delimited(path.parent, {path.name: None}, list(fields), dialect, errors)
    data = data.select("file", "line", *(pl.col(column).alias(name) for column, name in fields.items()))
    names = ("image", "image_name", "category", "category_name")
    data = data.with_columns(as_meant(pl.col(name)) for name in names if name in data.columns)
    form = BoxForm.XYXY if all(corners) else BoxForm.XYWH
    rows = _checked(Rows(data, path.parent, errors), options.boxes or form).data
    errors.raise_any()
    return StatedDetections(path, rows, form, ids_first=class_name is None)


def read_texts(folder: Path, truth: KnownNames, options: DetectionOptions) -> StatedDetections:
    """Read texts of a class, a score and a box, one for each image and named after it.

    The usual layout is ``class score x1 y1 x2 y2`` in pixels; others are recognized by `find_layout`.

    Raises:
        InputError: A text belongs to no image, or rows are at fault; up to twenty at once, with their lines.
    """
    layout = find_layout(folder, truth, options)
    names = list(texts_of(folder))
    ids = images_of(names, truth, folder)
    errors = ErrorCollector()
    images: dict[str, str | None] = {name: native.stem_of(name) for name in names}
    data = read_delimited(folder, images, layout.columns, Dialect(" "), errors)
    rows = _checked(Rows(data, folder, errors), options.boxes or layout.form).data
    errors.raise_any()
    rows = rows.with_columns(image_id=rows["file"].replace_strict(names, ids, return_dtype=pl.Int64)).drop("image")
    return StatedDetections(folder, rows, layout.form, reading=(layout.reading,))


def read_yolo(folder: Path, truth: KnownNames, options: DetectionOptions) -> StatedDetections:
    """Read ``index cx cy width height score`` in shares of the image, one for each image and named after it.

    The index counts from 0 the names in ``classes.txt`` beside the texts, or without it the classes of the truth in
    order of their ids. The score may also stand before the box, which `find_layout` sees.

    Raises:
        InputError: A text belongs to no image, the order of the classes is not known, or rows are at fault; up to
            twenty at once, with their lines.
    """
    layout = find_layout(folder, truth, options)
    names = list(texts_of(folder))
    class_names = _classes_in_order(folder, truth)
    ids = pl.Series(images_of(names, truth, folder), dtype=pl.Int64)
    errors = ErrorCollector()
    data = read_delimited(folder, dict.fromkeys(names), layout.columns, Dialect(" "), errors)
    checked = _checked(Rows(data, folder, errors), options.boxes or layout.form)
    last = len(class_names) - 1
    is_class = pl.col("category").cast(pl.Int64, strict=False).is_between(0, last).fill_null(False)
    rows = checked.check(is_class, "LABEL_CLASS", f"expected a class from 0 to {last}", "category").data
    image_id = rows["file"].replace_strict(names, ids.to_list(), return_dtype=pl.Int64)
    errors.raise_any()
    category = pl.Series(class_names, dtype=pl.String).gather(rows["category"].cast(pl.Int64))
    rows = rows.with_columns(image_id=image_id, category=category, source=text_of("{}:{}", "file", "line"))
    return StatedDetections(
        folder, rows.drop("image", strict=False), layout.form, classes_by_name=True, reading=(layout.reading,)
    )


def _checked(rows: Rows, form: BoxForm) -> Rows:
    """Turn text into numbers; rows at fault are reported."""
    rows = rows.with_columns(source=text_of("{}:{}", "file", "line")).numbers(*XYXY, "score")
    good = (pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))
    what = "x2 and y2 must not be below x1 and y1"
    if not form.value.startswith(("xyxy", "yxyx")):
        good, what = (pl.col("x2") >= 0) & (pl.col("y2") >= 0), "a size must not be negative"
    remedy = "fix or remove the row; if all are so, say what the numbers are with --box-form"
    rows = rows.check(good, "BOX_INVALID", what, "x2", remedy)
    return rows.between("score", 0, 1, "expected a score in [0, 1]", "SCORE_RANGE")


def _classes_in_order(folder: Path, truth: KnownNames) -> list[str]:
    """Return the names that the indices of YOLO texts count."""
    path, classes = folder / CLASS_LIST, truth.truth.class_names
    if path.is_file():
        return [line.strip() for line in io.read_text(path).rstrip().splitlines()]
    if truth.class_order or len(classes) < 2:
        return classes
    raise InputError(
        *("CLASS_ORDER_UNKNOWN", "the texts count classes, but the files of the truth tell no order of them"),
        where=path,
        field="--detections",
        remedy=f"write the names there in the order of the detector, a line each: {', '.join(classes)}",
    )


def _header(path: Path) -> tuple[str, list[str]]:
    """Return what divides the columns, and their names in lower case."""
    lines = (line for line in native.lines_of(io.read_text(path)) if line.strip())
    first = next(lines, "")
    separator = max((",", ";", "\t"), key=first.count)
    return separator, [part.strip().strip('"').casefold() for part in first.split(separator)]


def _chosen(header: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in header), None)
