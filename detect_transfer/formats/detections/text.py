"""Detections in text: a CSV with a header, or a text an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.box_evidence import corners_in_pixels, fits_image
from detect_transfer.formats.detections.names import KnownNames, image_manners, resolve
from detect_transfer.formats.detections.overlaps import on_an_object
from detect_transfer.formats.detections.resolve import DetectionOptions, StatedDetections
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.yolo.files import Sample
from detect_transfer.formats.yolo.rows import FIELDS, read_rows

_IMAGE_NAMES = ("file_name", "filename", "image", "image_name", "image_path", "path")
_CLASS_NAMES = ("class", "class_name", "category", "category_name", "label", "name")
_CLASS_IDS = ("category_id", "class_id")
_SCORE = ("score", "confidence", "conf", "probability")
_CORNERS = (("x1", "xmin", "x_min"), ("y1", "ymin", "y_min"), ("x2", "xmax", "x_max"), ("y2", "ymax", "y_max"))
_SIZED = (("x", "x1", "xmin", "left"), ("y", "y1", "ymin", "top"), ("w", "width"), ("h", "height"))
_CLASS_LIST = "classes.txt"  # written beside the labels by tools of annotation
_MOST_TEXTS = 200  # whose rows show the layout of a folder
_BOX_AND_SCORE = 5
_LEAST_ON_OBJECTS, _TIMES_BETTER = 5, 4  # so many boxes on objects tell where the score stands


@dataclass(frozen=True)
class TextLayout:
    """How the rows of texts are laid out.

    Args:
        indexed: All classes are whole numbers.
        score_last: The score stands behind the box, not before it.
        form: What the four numbers of the box are.
    """

    indexed: bool = True
    score_last: bool = True
    form: BoxForm = BoxForm.CXCYWH_NORM

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of a row in order."""
        return ("category", *XYXY, "score") if self.score_last else ("category", "score", *XYXY)

    @property
    def reading(self) -> str:
        """The layout in words."""
        words = {"xyxy": XYXY, "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h")}
        kind, _, norm = self.form.value.partition("-")
        names = dict(zip(XYXY, words[kind], strict=True)) | {"category": "class"}
        unit = "shares of the image" if norm else "pixels"
        return f"texts read as {' '.join(names.get(column, column) for column in self.columns)}, in {unit}"


def find_layout(folder: Path, truth: KnownNames, options: DetectionOptions) -> TextLayout:
    """Tell the layout of the texts of a folder by their first rows: which column is a score, which are shares.

    A score is in [0, 1] where boxes in pixels are not; shares of the image make boxes that lie in it. Where the score
    may stand before the box and behind it, the objects of the truth decide, else the layout that the user names.

    Raises:
        InputError: Neither says where the score stands.
    """
    words, numbers, names = _first_rows(folder)
    indexed = all(parse_integer(word) is not None for word in words)
    if not len(numbers):
        return TextLayout(indexed)  # nothing to see, or a fault that its reader tells best
    first_share, last_share = (_is_score(numbers[:, column]) for column in (0, -1))
    if numbers.max() > 2 or numbers.min() < -1:  # boxes in shares may reach out a little
        return TextLayout(indexed, last_share and not first_share, BoxForm.XYXY)
    usual = indexed if options.layout is None else options.layout == "yolo"
    fitting: dict[bool, BoxForm] = {}
    for form in (BoxForm.CXCYWH_NORM, BoxForm.XYXY_NORM):
        for score_last, is_score in ((False, first_share), (True, last_share)):
            if is_score and fits_image(_boxes(numbers, score_last), form):
                fitting.setdefault(score_last, form)
    if len(fitting) < 2:
        return TextLayout(indexed, *next(iter(fitting.items()), (usual, BoxForm.CXCYWH_NORM)))
    seen_last = _score_on_objects(folder, numbers, names, fitting, truth)
    if seen_last is None and options.layout is None:
        raise InputError(
            *("DETECTIONS_FORMAT", "the score may stand before the box or behind it: both make boxes in the image"),
            where=folder,
            field="--detections-format",
            remedy="give --detections-format yolo for class, box, score, or text for class, score, box",
        )
    last = usual if seen_last is None else seen_last
    return TextLayout(indexed, last, fitting[last])


def _boxes(numbers: FloatArray, score_last: bool) -> FloatArray:
    """Return the boxes (N, 4) of rows (N, 5) of a box and a score."""
    return numbers[:, :-1] if score_last else numbers[:, 1:]


def _score_on_objects(
    folder: Path, numbers: FloatArray, names: Sequence[str], fitting: Mapping[bool, BoxForm], truth: KnownNames
) -> bool | None:
    """Tell whether boxes lie on objects of the truth with the score behind them or before; None where neither."""
    different = list(dict.fromkeys(names))
    ids = dict(zip(different, _images_of(different, truth, folder), strict=True))
    image_id = pl.Series("image_id", [ids[name] for name in names], dtype=pl.Int64)
    images = image_id.to_frame().join(truth.truth.images, on="image_id", how="left", maintain_order="left")
    sizes_wh = images.select(pl.col("width", "height").cast(pl.Float64)).to_numpy()
    before, behind = (
        int(
            on_an_object(image_id, corners_in_pixels(_boxes(numbers, last), fitting[last], sizes_wh), truth.truth).sum()
        )
        for last in (False, True)
    )
    if max(before, behind) < _LEAST_ON_OBJECTS or min(before, behind) > max(before, behind) / _TIMES_BETTER:
        return None
    return behind > before


def _first_rows(folder: Path) -> tuple[list[str], FloatArray, list[str]]:
    """Return class words, numbers (N, 5) and file names of the rows that have a class, a box and a score."""
    words, numbers, names = [], [], []
    for name in islice(_texts(folder), _MOST_TEXTS):
        for line in native.lines_of(native.read_text(folder, folder / name)):
            word, *rest = line.split() or [""]
            values = [parse_number(part) for part in rest]
            if len(values) == _BOX_AND_SCORE and None not in values:
                words.append(word)
                numbers.append(values)
                names.append(name)
            elif len(values) == _BOX_AND_SCORE - 1 and None not in values:
                return [word], np.empty((0, _BOX_AND_SCORE)), []  # labels without scores, which no layout has
    return words, np.array(numbers, np.float64).reshape(-1, _BOX_AND_SCORE), names


def _is_score(column: FloatArray) -> bool:
    return bool(((column >= 0) & (column <= 1)).all())


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
    names = list(_texts(folder))
    ids = _images_of(names, truth, folder)
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
    names = list(_texts(folder))
    class_names = _classes_in_order(folder, truth)
    ids = pl.Series(_images_of(names, truth, folder), dtype=pl.Int64)
    errors = ErrorCollector()
    if layout.score_last:
        rows = _label_rows(folder, names, class_names, errors)
        image_id = ids.gather(rows["file_index"])
    else:
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


def _label_rows(folder: Path, names: Sequence[str], class_names: Sequence[str], errors: ErrorCollector) -> pl.DataFrame:
    """Read rows of label files that end in a score."""
    samples = [Sample(native.stem_of(name), name, "") for name in names]
    rows = read_rows(folder, samples, n_classes=len(class_names), scores=True, errors=errors)
    files = pl.Series(list(names), dtype=pl.String).gather(rows["file"])
    rows = rows.with_columns(image=pl.lit(""), file_index="file", file=files, category="class")
    what = "found no score: class cx cy width height score was expected"
    has_score = pl.col("score").is_not_null()
    checked = Rows(rows, folder, errors).check(has_score, "LABEL_COLUMNS", what, "score", "save scores as well")
    return checked.data.rename(dict(zip(FIELDS[1:], XYXY, strict=True)))


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


def _texts(folder: Path) -> list[str]:
    """Return the texts of a folder."""
    names = [name for name in io.list_files(folder, (".txt",)) if name != _CLASS_LIST]
    if not names:
        raise InputError(
            *("RESULTS_MISSING", "no .txt file is there"),
            where=folder,
            remedy="give the folder that holds a text for each image",
        )
    return names


def _classes_in_order(folder: Path, truth: KnownNames) -> list[str]:
    """Return the names that the indices of YOLO texts count."""
    path, classes = folder / _CLASS_LIST, truth.truth.class_names
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


def _images_of(names: Sequence[str], truth: KnownNames, folder: Path) -> list[int]:
    """Return the image that each text is named after."""
    stems = pl.Series([native.stem_of(name) for name in names], dtype=pl.String)
    by_name = [manner for manner in image_manners(truth) if manner.by != "id"]
    return resolve(stems, by_name, pl.Series(list(names), dtype=pl.String), what="image", root=folder).to_list()


def _header(path: Path) -> tuple[str, list[str]]:
    """Return what divides the columns, and their names in lower case."""
    lines = (line for line in native.lines_of(io.read_text(path)) if line.strip())
    first = next(lines, "")
    separator = max((",", ";", "\t"), key=first.count)
    return separator, [part.strip().strip('"').casefold() for part in first.split(separator)]


def _chosen(header: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in header), None)
