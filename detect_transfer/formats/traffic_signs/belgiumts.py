"""BelgiumTS detection: `BTSD_training_GT.txt` and its kin, rows that name images.

A row is ``camera/image;x1;y1;x2;y2;class;superclass;`` and, in the files without ``clear``, ``pole;number on
pole;camera;frame;class label;`` besides. Whether pixels count from 0 or from 1 is not documented: the corners are taken
as edges counted from 0 unless `one_based` says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, find_images
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows
from detect_transfer.formats.parsing.rows import linked, named_in

_FILE = re.compile(r"BTSD_(training|testing)_GT(clear)?\.txt")
_SPLITS = {"training": "train", "testing": "test"}
_LABELS = ("full", "clear")
_CORNERS = ("x1", "y1", "x2", "y2")
_FURTHER = ("pole", "number_on_pole", "camera", "frame", "class_label")
_FIELDS = ("file_name", *_CORNERS, "class", "superclass", *_FURTHER)
_UNDEFINED = -1
_SUPERCLASSES = {
    **{0: "other", 1: "triangles", 2: "redcircles", 3: "bluecircles", 4: "redbluecircles", 5: "diamonds"},
    **{6: "revtriangle", 7: "stop", 8: "forbidden", 9: "squares", 10: "rectanglesup", 11: "rectanglesdown"},
}


def read(
    root: Path, *, labels: str | None = None, one_based: bool = False, missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read BelgiumTS: a class ``class <number>`` for each native class that occurs, its superclass beside it.

    Signs without superclass (-1) are ignored (reason ``undefined superclass``). The `group` holds images that show
    the same poles, directly or by way of others, where the rows tell poles; these, the number on the pole, the camera,
    the frame and the label of the class go to `attributes`.

    Args:
        root: The folder that holds the texts and the images, at any depth; images are found by camera and name,
            whatever their suffix.
        labels: ``full`` or ``clear`` to choose between ``_GT.txt`` and ``_GTclear.txt``; None takes the full ones where
            they are there.
        one_based: Whether the first pixel is 1 and the last one is included.
        missing_images: As for `ImageLookup`.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Timofte, Zimmermann and Van Gool, Multi-view traffic sign detection, recognition, and 3D localisation, 2014.
    """
    if labels is not None:
        native.check_choice("labels", labels, _LABELS)
    problems, media = ErrorCollector(on_error), ImageLookup(by="tail", missing_images=missing_images)
    io.require_dir(root, what="a folder with BTSD_training_GT.txt")
    texts = _texts(root, labels)
    data = read_delimited(
        root, dict.fromkeys(texts), _FIELDS, Dialect(";", trailing=True, optional=5, image_field="file_name"), problems
    )
    images = find_images(root, named_in(data, root), media, problems)
    splits = data.unique("image", keep="first").select("image", split=pl.col("file").replace_strict(texts))
    data = _check(data, root, problems)
    groups = linked(data, "pole")
    return finish_rows(
        problems,
        rows=_columns(data, one_based=one_based),
        found=images,
        categories=_categories(data),
        image_root=root,
        facts=splits.with_columns(group=pl.col("image").replace_strict(groups, default=None, return_dtype=pl.String)),
    )


def _texts(root: Path, labels: str | None) -> dict[str, str]:
    """Return the texts to read with their splits."""
    held = {n: m for n in io.list_files(root, (".txt",)) if (m := _FILE.fullmatch(PurePosixPath(n).name))}
    full = {n: _SPLITS[m[1]] for n, m in held.items() if not m[2]}
    clear = {n: _SPLITS[m[1]] for n, m in held.items() if m[2]}
    found = clear if labels == "clear" or (labels is None and not full) else full
    if not found:
        raise InputError(
            *("BTSD_MISSING", "it holds neither BTSD_training_GT.txt nor BTSD_testing_GT.txt, nor their clear kin"),
            where=root,
            remedy="give the folder of BelgiumTSD_annotations" + (f", or read without labels={labels}" if held else ""),
        )
    return found


def _check(data: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows that are not at fault; `pole` is null where there is none."""
    whole = data.select(
        pl.all_horizontal(pl.col(_FURTHER).is_null()) | pl.all_horizontal(pl.col(_FURTHER).is_not_null())
    )
    told = ("ROW_COLUMNS", f"expected 7 or 12 fields: {';'.join(_FIELDS)}", "file_name")
    data = check_rows(data, pl.lit(whole.to_series()), root, problems, told=told)
    data = to_numbers(data, _CORNERS, root, problems)
    data = to_numbers(data, ["class", "superclass"], root, problems, whole=True)
    known = pl.col("superclass").is_in([_UNDEFINED, *_SUPERCLASSES])
    told = ("ROW_NUMBER", f"expected a superclass from -1 to {max(_SUPERCLASSES)}", "superclass")
    data = check_rows(data, known, root, problems, told=told)
    data = check_corners(data, root, problems, _CORNERS)
    return data.with_columns(pole=pl.when(~pl.col("pole").is_in(["", str(_UNDEFINED)])).then("pole"))


def _name() -> pl.Expr:
    return pl.when(pl.col("class") == _UNDEFINED).then(pl.lit("undefined")).otherwise(text_of("class {}", "class"))


def _categories(data: pl.DataFrame) -> Mapping[str, pl.Series]:
    """Number the classes that occur in their native order; the superclass is the one that most rows tell."""
    found = data.group_by("class").agg(pl.col("superclass").mode().min()).sort("class")
    return {
        "category_id": pl.int_range(1, len(found) + 1, eager=True),
        "name": found.select(_name()).to_series(),
        "supercategory": found["superclass"].replace_strict(_SUPERCLASSES, default=None, return_dtype=pl.String),
    }


def _columns(data: pl.DataFrame, *, one_based: bool) -> pl.DataFrame:
    """Return the columns of the table."""
    undefined = pl.col("superclass") == _UNDEFINED
    return data.select(
        *("file", "line", "image"),
        category_id=pl.col("class").rank("dense").cast(pl.Int64),
        x1=pl.col("x1") - int(one_based),
        y1=pl.col("y1") - int(one_based),
        x2="x2",
        y2="y2",
        ignore=undefined,
        ignore_reason=pl.when(undefined).then(pl.lit("undefined superclass")),
        attributes=pl.when(pl.col("frame").is_not_null()).then(pl.struct(_FURTHER).struct.json_encode()),
    )
