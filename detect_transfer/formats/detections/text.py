"""Detections in text: a CSV with a header, or a text an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.boxes import cxcywh_norm_to_xyxy, xywh_to_xyxy
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.names import KnownNames, class_manners, image_manners, resolve
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.files import Sample
from detect_transfer.formats.yolo.rows import FIELDS, read_rows

_IMAGE = ("file_name", "filename", "image", "image_name", "image_path", "path", "image_id")
_CLASS = ("class", "class_name", "category", "category_name", "label", "name", "category_id", "class_id")
_SCORE = ("score", "confidence", "conf", "probability")
_CORNERS = (("x1", "xmin", "x_min"), ("y1", "ymin", "y_min"), ("x2", "xmax", "x_max"), ("y2", "ymax", "y_max"))
_SIZED = (("x", "x1", "xmin", "left"), ("y", "y1", "ymin", "top"), ("w", "width"), ("h", "height"))
_TEXT_FIELDS = ("category", "score", *XYXY)
_CLASS_LIST = "classes.txt"  # written beside the labels by tools of annotation
_REMEDY = "fix or remove the row"


def read_csv(path: Path, named: KnownNames) -> pl.DataFrame:
    """Read a CSV whose header names image, class, score, and either two corners or a corner and a size in pixels.

    Raises:
        InputError: The header lacks a column, or rows are at fault; up to twenty at once, with their lines.
    """
    separator, held = _header(path)
    image, category, score = (_chosen(held, names) for names in (_IMAGE, _CLASS, _SCORE))
    corners = [_chosen(held, names) for names in _CORNERS]
    sized = [_chosen(held, names) for names in _SIZED]
    box = corners if all(corners) else sized
    columns = {"image": image, "category": category, **dict(zip(XYXY, box, strict=True)), "score": score}
    lacking = [name for name, column in columns.items() if column is None]
    if lacking:
        raise InputError(
            *("CSV_HEADER", f"the header tells no {', '.join(lacking)}; it says {', '.join(held)}"),
            where=f"{path}:1",
            remedy="name the columns file_name or image_id, class, x1, y1, x2, y2 (or x, y, w, h) and score",
        )
    fields = {str(column): name for name, column in columns.items()}
    problems = ErrorCollector()
    dialect = Dialect(separator, header=True, quoted=True)
    rows = read_delimited(path.parent, {path.name: None}, list(fields), dialect, problems)
    rows = rows.select("file", "line", *(pl.col(column).alias(name) for column, name in fields.items()))
    rows = _checked(rows, path.parent, problems, sized=not all(corners))
    problems.raise_any()
    return resolved(rows, named, path.parent, ids_first=str(category).endswith("_id"))


def read_texts(folder: Path, named: KnownNames) -> pl.DataFrame:
    """Read ``class score x1 y1 x2 y2`` in pixels, a text an image, named after it.

    Raises:
        InputError: A text belongs to no image, or rows are at fault; up to twenty at once, with their lines.
    """
    keys = _keys(folder)
    ids = _images_of(keys, named, folder)
    problems = ErrorCollector()
    rows = read_delimited(folder, dict(keys), _TEXT_FIELDS, Dialect(" "), problems)
    rows = _checked(rows, folder, problems)
    problems.raise_any()
    rows = rows.with_columns(image=rows["file"].replace_strict(list(keys), ids, return_dtype=pl.Int64).cast(pl.String))
    return resolved(rows, replace(named, image_ids=True), folder, ids_first=False)


def read_yolo(folder: Path, named: KnownNames) -> pl.DataFrame:
    """Read ``index cx cy width height score`` in shares of the image, a text an image, named after it.

    The index counts from 0 the names in ``classes.txt`` beside the texts, or without it the classes of the truth in
    order of their ids.

    Raises:
        InputError: A text belongs to no image, the size of an image or the order of the classes is not known, or rows
            are at fault; up to twenty at once, with their lines.
    """
    keys = _keys(folder)
    class_names = _classes_in_order(folder, named)
    of_text = pl.DataFrame({"image_id": _images_of(keys, named, folder)}, schema={"image_id": pl.Int64})
    sizes = of_text.join(named.truth.images, on="image_id", how="left", maintain_order="left")
    unknown = sizes.filter(pl.col("width").is_null() | pl.col("height").is_null())
    if not unknown.is_empty():
        raise InputError(
            *("IMAGE_SIZE_UNKNOWN", "shares of an image are no boxes without its size, which the truth does not tell"),
            where=folder,
            field="file_name",
            value=unknown["file_name"][0],
            remedy="give a truth with width and height, or boxes in pixels",
        )
    samples = [Sample(image, name, "") for name, image in keys.items()]
    problems = ErrorCollector()
    rows = read_rows(folder, samples, n_classes=len(class_names), scores=True, problems=problems)
    rows = rows.with_columns(image=pl.lit(""), file_index="file", file=pl.Series(list(keys)).gather(rows["file"]))
    told = ("LABEL_COLUMNS", "found no score: class cx cy width height score was expected", "score")
    rows = check_rows(rows, pl.col("score").is_not_null(), folder, problems, told=told, remedy="save scores as well")
    problems.raise_any()
    size_wh = sizes.select("width", "height").to_numpy().astype(np.float64)[rows["file_index"].to_numpy()]
    corners = cxcywh_norm_to_xyxy(rows.select(FIELDS[1:]).to_numpy(), size_wh)
    names, sources = pl.Series(class_names, dtype=pl.String).gather(rows["class"]), text_of("{}:{}", "file", "line")
    by_name = class_manners(replace(named, class_ids=False), ids_first=False)
    return rows.select(
        image_id=sizes["image_id"].gather(rows["file_index"]),
        category_id=resolve(names, by_name, rows.select(sources).to_series(), what="class", root=folder),
        **{name: pl.Series(corners[:, i]) for i, name in enumerate(XYXY)},
        score="score",
    )


def resolved(rows: pl.DataFrame, named: KnownNames, root: Path, *, ids_first: bool) -> pl.DataFrame:
    """Put the ids of the truth to rows that name `image` and `category`; `source` tells where each stands."""
    if "source" not in rows.columns:
        rows = rows.with_columns(source=text_of("{}:{}", "file", "line"))
    sources, images, classes = rows["source"], image_manners(named), class_manners(named, ids_first=ids_first)
    image = resolve(rows["image"], images, sources, what="image", root=root, numbered=named.image_ids)
    category = resolve(rows["category"], classes, sources, what="class", root=root, numbered=named.class_ids)
    return rows.select(*XYXY, "score", image_id=image, category_id=category)


def _checked(rows: pl.DataFrame, root: Path, problems: ErrorCollector, *, sized: bool = False) -> pl.DataFrame:
    """Turn text into numbers, and corner and size into two corners; rows at fault are reported."""
    rows = to_numbers(rows.with_columns(source=text_of("{}:{}", "file", "line")), (*XYXY, "score"), root, problems)
    if sized:
        told = ("BOX_INVALID", "a size must not be negative", "x2")
        rows = check_rows(rows, (pl.col("x2") >= 0) & (pl.col("y2") >= 0), root, problems, told=told)
        corners = xywh_to_xyxy(rows.select(XYXY).to_numpy())
        rows = rows.with_columns(**{name: pl.Series(corners[:, i]) for i, name in enumerate(XYXY)})
    ordered = (pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))
    rows = check_rows(
        rows, ordered, root, problems, told=("BOX_INVALID", "x2 and y2 must not be below x1 and y1", "x2")
    )
    told = ("SCORE_RANGE", "expected a score in [0, 1]", "score")
    return check_rows(rows, pl.col("score").is_between(0, 1), root, problems, told=told)


def _keys(folder: Path) -> dict[str, str]:
    """Map each text to the name of its image without suffix."""
    names = [name for name in io.list_files(folder, (".txt",)) if name != _CLASS_LIST]
    if not names:
        raise InputError(
            *("RESULTS_MISSING", "no .txt file is there"),
            where=folder,
            remedy="give the folder that holds a text for each image",
        )
    return {name: native.stem_of(name) for name in names}


def _classes_in_order(folder: Path, named: KnownNames) -> list[str]:
    """Return the names that the indices of YOLO texts count."""
    path, classes = folder / _CLASS_LIST, named.truth.class_names
    if path.is_file():
        return [line.strip() for line in io.read_text(path).rstrip().splitlines()]
    if named.class_order or len(classes) < 2:
        return classes
    raise InputError(
        *("CLASS_ORDER_UNKNOWN", "the texts count classes, but the files of the truth tell no order of them"),
        where=path,
        field="--detections",
        remedy=f"write the names there in the order of the detector, a line each: {', '.join(classes)}",
    )


def _images_of(keys: Mapping[str, str], named: KnownNames, folder: Path) -> list[int]:
    names, stems = (pl.Series(list(part), dtype=pl.String) for part in (keys, keys.values()))
    by_name = [manner for manner in image_manners(named) if manner.by != "id"]
    return resolve(stems, by_name, names, what="image", root=folder).to_list()


def _header(path: Path) -> tuple[str, list[str]]:
    """Return what divides the columns, and their names in lower case."""
    lines = (line for line in native.lines_of(io.read_text(path)) if line.strip())
    first = next(lines, "")
    separator = max((",", ";", "\t"), key=first.count)
    return separator, [part.strip().strip('"').casefold() for part in first.split(separator)]


def _chosen(held: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in held), None)
