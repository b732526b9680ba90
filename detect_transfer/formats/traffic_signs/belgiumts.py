"""BelgiumTS detection: `BTSD_training_GT.txt` and its kin, rows that name images.

A row is ``camera/image;x1;y1;x2;y2;class;superclass;`` and, in the files without ``clear``, ``pole;number on
pole;camera;frame;class label;`` besides. Whether pixels count from 0 or from 1 is not documented: the corners are taken
as edges counted from 0 unless `one_based` says otherwise.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import linked
from detect_transfer.formats.parsing.source import Source, listed

_FILE = re.compile(r"BTSD_(training|testing)_GT(clear)?\.txt")
_SPLITS = {"training": "train", "testing": "test"}
_LABELS = ("full", "clear")
_FURTHER = ("pole", "number_on_pole", "camera", "frame", "class_label")
_FIELDS = ("file_name", *XYXY, "class", "superclass", *_FURTHER)
_UNDEFINED = -1
_SUPERCLASSES = listed(
    """other, triangles, redcircles, bluecircles, redbluecircles, diamonds, revtriangle, stop, forbidden, squares,
    rectanglesup, rectanglesdown"""
)


def read(
    root: Path,
    *,
    labels: str | None = None,
    one_based: bool = False,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
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
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Timofte, Zimmermann and Van Gool, Multi-view traffic sign detection, recognition, and 3D localisation, 2014.
    """
    if labels is not None:
        native.check_choice("labels", labels, _LABELS)
    what = "a folder with BTSD_training_GT.txt"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error)
    texts = _texts(root, labels)
    rows = source.rows(texts, _FIELDS, Dialect(";", trailing=True, optional=5, image_field="file_name"))
    source.name_images(rows)
    splits = rows.by_image(pl.col("file").replace_strict(texts))
    n_further = pl.sum_horizontal(pl.col(_FURTHER).is_not_null())
    what = f"expected 7 or 12 fields: {';'.join(_FIELDS)}"
    rows = rows.check(n_further.is_in([0, len(_FURTHER)]), "ROW_COLUMNS", what, "file_name")
    rows = rows.numbers(*XYXY).numbers("class", "superclass", whole=True)
    last = len(_SUPERCLASSES) - 1
    rows = rows.between("superclass", _UNDEFINED, last, f"expected a superclass from -1 to {last}")
    rows = rows.box(*XYXY, one_based=one_based, inclusive=one_based)
    rows = rows.ignore({"undefined superclass": pl.col("superclass") == _UNDEFINED})
    rows = rows.attributes(*_FURTHER, where=pl.col("frame").is_not_null())
    rows = rows.with_columns(category_id=pl.col("class").rank("dense").cast(pl.Int64))
    poles = rows.data.with_columns(pole=pl.when(~pl.col("pole").is_in(["", str(_UNDEFINED)])).then("pole"))
    return source.table(rows, _categories(rows.data), split=splits, group=linked(poles, "pole"))


def _texts(root: Path, labels: str | None) -> dict[str, str]:
    """Return the texts to read with their splits."""
    texts = {n: m for n in io.list_files(root, (".txt",)) if (m := _FILE.fullmatch(PurePosixPath(n).name))}
    full = {n: _SPLITS[m[1]] for n, m in texts.items() if not m[2]}
    clear = {n: _SPLITS[m[1]] for n, m in texts.items() if m[2]}
    chosen = clear if labels == "clear" or (labels is None and not full) else full
    if not chosen:
        what = "it holds neither BTSD_training_GT.txt nor BTSD_testing_GT.txt, nor their clear kin"
        remedy = "give the folder of BelgiumTSD_annotations" + (f", or read without labels={labels}" if texts else "")
        raise InputError("BTSD_MISSING", what, where=root, remedy=remedy)
    return chosen


def _categories(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Number the classes that occur in their native order; the superclass is the one that most rows tell."""
    classes = rows.group_by("class").agg(pl.col("superclass").mode().min()).sort("class")
    number = pl.col("class")
    name = pl.when(number == _UNDEFINED).then(pl.lit("undefined")).otherwise(text_of("class {}", number))
    groups = dict(enumerate(_SUPERCLASSES))
    return {
        "category_id": pl.int_range(1, len(classes) + 1, eager=True),
        "name": classes.select(name).to_series(),
        "supercategory": classes["superclass"].replace_strict(groups, default=None, return_dtype=pl.String),
    }
