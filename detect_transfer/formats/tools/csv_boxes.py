"""CSV with a header of any names: a row a box, with an image, a class and four numbers, or these in one field.

The columns are recognised by their names (VoTT, Kaggle's ``bbox`` of ``[x, y, w, h]``, ``left,top,width,height``, ...),
or named by an option. An image whose row has no box shows no object.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, PIXEL_SIZES, BoxFormat, Form, Units
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import folder_of, note_unnamed, splits_by_file, with_nearest_images

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {
    "image": "filename file_name image image_name image_path img img_path path imageid image_id img_id frame",
    "class": "class label category class_name classname category_name label_name object_class object",
    "bbox": "bbox box bounding_box boundingbox",
    "x1": "x1 xmin x_min left x_left bbox_x1 bbox_xmin box_xmin x bbox_x box_x xtl",
    "y1": "y1 ymin y_min top y_top bbox_y1 bbox_ymin box_ymin y bbox_y box_y ytl",
    "x2": "x2 xmax x_max right x_right bbox_x2 bbox_xmax box_xmax xbr",
    "y2": "y2 ymax y_max bottom y_bottom bbox_y2 bbox_ymax box_ymax ybr",
    "cx": "cx x_center x_centre center_x centre_x xcenter xc",
    "cy": "cy y_center y_centre center_y centre_y ycenter yc",
    "w": "w bbox_w bbox_width box_w box_width width",
    "h": "h bbox_h bbox_height box_h box_height height",
    "split": "split set subset partition",
}
_SIZE_NAMES = {
    "width": "image_width img_width imagewidth width",
    "height": "image_height img_height imageheight height",
}  # of the image, where the column is not the size of the box
_LOOKED_AT = 20  # rows
_BOX = ("x1", "y1", "x2", "y2")
_SIDES = (("width", "x1", "x2"), ("height", "y1", "y2"))
_REMEDY = (
    "name the columns such as columns=image=photo,class=kind,x1=left,y1=top,x2=right,y2=bottom (or w=, h=, cx=, cy=, "
    "bbox=)"
)


def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    columns: Sequence[str] = (),
    class_name: str | None = None,
    inclusive: bool = False,
    box_format: Form | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read CSV files with a header; classes are those that occur, sorted.

    Columns such as ``width`` and ``height`` that are not of the box state the size of the image. The split is what a
    column ``split`` says, else the name of the file (``train.csv``). Paths of another machine are taken for the image
    below `root` that shares most of their last parts; names without a suffix for the image of that stem. Images that
    no row names are left out, which the ledger counts.

    Args:
        root: A folder with CSV files, or one such file.
        columns: The names of columns in the header, such as ``image=photo,class=kind``; others are recognised.
        class_name: The class of all boxes, where no column tells one.
        inclusive: Whether the right and the bottom edge are the last pixel of the box.
        box_format: What the four numbers are. Without it ``xyxy`` for columns of edges, ``xywh`` for columns of a size
            or for one field, ``cxcywh`` for columns of a centre; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: The header lacks a column, or something is missing or damaged; up to 20 problems at once.

    Source: https://www.kaggle.com/competitions/global-wheat-detection/data (one field), VoTT (edges).
    """
    source = Source(
        root,
        "a folder with CSV files",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        or_file=True,
    )
    rows, stated = _read_files(source, _mapping(columns), class_name)
    form = stated.with_options(box_format, units)
    rows = rows.filled("path", what="expected the name of an image", code="ROW_FIELD")
    if any(PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES for name in rows.data["image"].unique()):
        source.lookup = replace(source.lookup, by="tail")
    else:
        rows = with_nearest_images(rows)
    source.name_images(rows)
    splits = _splits(rows)
    is_empty = pl.all_horizontal(pl.col(*_BOX).fill_null("") == "")
    rows = rows.filter(~is_empty).filled("class", what="expected the name of a class", code="ROW_FIELD")
    rows = rows.filled(*_BOX, what="expected a number", code="ROW_NUMBER").numbers(*_BOX)
    rows = rows.box(*XYXY, box_format=form, inclusive=inclusive)
    source.name_images(_sized(rows), size=("width", "height"))
    note_unnamed(source)
    return source.table(rows.with_columns(label="class"), split=splits)


def _read_files(source: Source, given: Mapping[str, str], class_name: str | None) -> tuple[Rows, BoxFormat]:
    """Return the rows of all files, as `_read_file` does."""
    parts = [_read_file(source, name, given, class_name) for name in source.files("*.csv", code="CSV_MISSING")]
    if len({form for _, form in parts}) > 1:
        what, remedy = "some files state edges and others sizes", "read them one by one"
        raise InputError("CSV_HEADER", what, where=source.root, remedy=remedy)
    rows, form = parts[0]
    return replace(rows, data=pl.concat([part.data for part, _ in parts])), form


def _mapping(columns: Sequence[str]) -> dict[str, str]:
    """Return the names of columns that the user gave, by what they hold."""
    pairs = dict(word.partition("=")[::2] for word in columns)
    unknown = [name for name, column in pairs.items() if name not in _NAMES or not column]
    if unknown:
        what = f"a column holds one of {', '.join(_NAMES)}"
        raise InputError("OPTION_VALUE", what, field="columns", value=unknown[0], remedy=_REMEDY)
    return {name: column.casefold() for name, column in pairs.items()}


def _read_file(source: Source, name: str, given: Mapping[str, str], class_name: str | None) -> tuple[Rows, BoxFormat]:
    """Return the rows of a file, with fields of strings (`path`, `class`, `split`, the numbers), and what these are."""
    separator, header = _header(source, name)
    column = {key: given.get(key) or _recognised(header, words) for key, words in _NAMES.items()}
    has_edges, has_corner = column["x2"] and column["y2"], column["x1"] and column["y1"]
    form = PIXEL_CORNERS if has_edges else PIXEL_SIZES
    keys = _BOX if has_edges else ("x1", "y1", "w", "h")
    if column["cx"] and column["cy"] and not (has_edges or has_corner):
        form, keys = BoxFormat("cxcywh"), ("cx", "cy", "w", "h")
    box = ["bbox"] if column["bbox"] and not (has_edges and has_corner) else list(keys)
    needed = ["image", *box, *([] if class_name else ["class"])]
    lacking = [key for key in needed if column[key] is None or column[key] not in header]
    if lacking:
        what = f"no column is recognised as {', '.join(lacking)}; the header says {', '.join(header)}"
        remedy = f"{_REMEDY}; where all boxes are of one class, give class_name=NAME" if "class" in lacking else _REMEDY
        raise InputError("CSV_HEADER", what, where=f"{source.root / name}:1", remedy=remedy)
    taken = [*needed, *(["split"] if column["split"] else [])]
    fields = {str(column[key]): key for key in taken}
    sizes = {
        side: _recognised([name for name in header if name not in fields], _SIZE_NAMES[side]) for side in _SIZE_NAMES
    }
    fields |= {name: side for side, name in sizes.items() if name is not None}
    dialect = Dialect(separator, header=True, quoted=True, image_field=str(column["image"]))
    rows = source.rows([name], list(fields), dialect, of={name: folder_of(name)})
    data = rows.data.select(
        "file", "line", pl.col("image").alias("image"), **{f"_{key}": pl.col(field) for field, key in fields.items()}
    )
    if box == ["bbox"]:
        numbers = pl.col("_bbox").str.strip_chars("[]() ").str.replace_all(r"[\s,]+", " ").str.split_exact(" ", 3)
        data = data.with_columns(numbers.struct.rename_fields(list(_BOX)).alias("numbers")).unnest("numbers")
        n_numbers = pl.col("_bbox").str.count_matches(r"[^\s,\[\]()]+")
        rows = replace(rows, data=data).check(
            n_numbers.is_in([0, 4]), "ROW_NUMBER", "expected four numbers", "_bbox", "fix or remove the row"
        )
        data = rows.data
    else:
        data = data.rename({f"_{old}": new for old, new in zip(box, _BOX, strict=True)})
    label = pl.col("_class") if class_name is None else pl.lit(class_name)
    split = pl.col("_split") if "_split" in data.columns else pl.lit(None, dtype=pl.String)
    given_sizes = {
        side: pl.lit(None, pl.Int64) if name is None else pl.col(f"_{side}").cast(pl.Int64, strict=False)
        for side, name in sizes.items()
    }
    data = data.select(
        "file", "line", "image", *_BOX, **{"path": pl.col("_image"), "class": label, "split": split}, **given_sizes
    )
    return replace(rows, data=data), PIXEL_SIZES if box == ["bbox"] else form


def _sized(rows: Rows) -> Rows:
    """Return the rows that state the size of their image, one size an image; none where it is that of their boxes."""
    is_of_box = [(pl.col(side) - (pl.col(end) - pl.col(start))).abs() <= 1 for side, start, end in _SIDES]
    if rows.data.select(pl.all_horizontal(is_of_box).all()).item():
        return rows.filter(pl.lit(value=False))
    is_size = [(pl.col(side) >= 1) & (pl.col(side).n_unique().over("image") == 1) for side, _, _ in _SIDES]
    return rows.filter(pl.all_horizontal(is_size).fill_null(value=False))


def _header(source: Source, name: str) -> tuple[str, list[str]]:
    """Return what divides the fields of a file, and the names in its first line, in lower case."""
    lines = native.lines_of(native.read_text(source.root, source.root / name))
    first = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    fields = next(csv.reader([first], delimiter=separator), [])
    return separator, [field.strip().casefold() for field in fields]


def images_of_head(head: str) -> list[str] | None:
    """Return the stems of the images that the first rows of a file name; None where its header is of no boxes."""
    lines = [line for line in head.splitlines() if line.strip()]
    separator = max(_SEPARATORS, key=lines[0].count) if lines else ","
    header, *rows = csv.reader(lines[:_LOOKED_AT], delimiter=separator) if lines else [[]]
    names = [field.strip().casefold() for field in header]
    columns = {key for key, words in _NAMES.items() if _recognised(names, words)}
    if "image" not in columns or not ("bbox" in columns or {"x1", "y1"} <= columns or {"cx", "cy"} <= columns):
        return None
    index = names.index(str(_recognised(names, _NAMES["image"])))
    return [PurePosixPath(row[index].strip().replace("\\", "/")).stem for row in rows if len(row) > index]


def _recognised(header: Sequence[str], words: str) -> str | None:
    return next((word for word in words.split() if word in header), None)


def _splits(rows: Rows) -> dict[str, str | None]:
    """Return the split of each image: what a column says, else the name of the file."""
    stated = rows.by_image("split")
    if any(stated.values()):
        return {image: split_named(word) or word for image, word in stated.items()}
    return splits_by_file(rows, "path")
