"""Swedish Traffic Signs: one `annotations.txt` a set, a line an image.

A line is ``name.jpg:`` and then signs, each ended by ``;``: ``VISIBILITY, right, bottom, left, top, TYPE, NAME``, the
lower right corner first, or ``MISC_SIGNS`` for further signs without box. Whether pixels count from 0 or from 1 is not
documented: the corners are taken as edges counted from 0 unless `one_based` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, numbered

_ANNOTATIONS = "annotations.txt"
_FIELDS = ("visibility", "right", "bottom", "left", "top", "type", "name")
_VISIBILITIES = ("VISIBLE", "BLURRED", "OCCLUDED", "SIDE_ROAD")
_HIDDEN = {"VISIBLE": 0.0, "OCCLUDED": 1.0}
_TYPES = ("PROHIBITORY", "MANDATORY", "WARNING", "INFORMATION", "OTHER", "UNREADABLE")
_MISC = "MISC_SIGNS"
_IGNORED = {"URDBL": "unreadable", "OTHER": "other sign"}
_SPLITS = {"set1": "train", "set2": "test"}


def read(
    root: Path,
    *,
    one_based: bool = False,
    ignore_visibility: Sequence[str] = (),
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read STSD: a class a sign name, its type as `supercategory` where it has but one.

    Signs named URDBL and OTHER are ignored (reasons ``unreadable`` and ``other sign``). Visibility and type go to
    `attributes`; `occluded` is 1 for OCCLUDED and 0 for VISIBLE signs. The images column `misc_signs` tells that there
    are further signs without box. Images that no line names are not annotated and are not read. The `group` is the
    recording, the name up to ``Image``.

    Args:
        root: The folder with ``annotations.txt``, or with the folders ``Set1`` (train) and ``Set2`` (test) of such.
        one_based: Whether the first pixel is 1 and the last one is included.
        ignore_visibility: Visibilities to be ignored too, such as ``[BLURRED, SIDE_ROAD]``.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Larsson and Felsberg, Using Fourier Descriptors and Spatial Models for Traffic Sign Recognition, SCIA 2011.
    """
    ignored = [ignore_visibility] if isinstance(ignore_visibility, str) else sorted(ignore_visibility)
    for visibility in ignored:
        native.check_choice("ignore_visibility", visibility, _VISIBILITIES)
    what = f"a folder with {_ANNOTATIONS}"
    source = Source(root, what, by="basename", missing_images=missing_images, on_error=on_error)
    texts = source.files(_ANNOTATIONS, code="STSD_MISSING", remedy="give the folder of the set")
    lines = source.rows(texts, ("file_name", "signs"), Dialect(":", image_field="file_name"))
    lines = lines.filled("file_name", what="expected the name of an image before the colon", code="ROW_VALUE")
    source.name_images(lines)
    signs = _divide(lines)
    misc = signs.data.filter(sign=_MISC)["image"].implode()
    rows = _check(signs.filter(pl.col("sign") != _MISC)).box(
        "left", "top", "right", "bottom", one_based=one_based, inclusive=one_based
    )
    rows = rows.ignore(
        {reason: pl.col("name") == name for name, reason in _IGNORED.items()}
        | {visibility.lower(): pl.col("visibility") == visibility for visibility in ignored}
    ).attributes("visibility", "type")
    hidden = pl.col("visibility").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64)
    rows = rows.with_columns(occluded=hidden, label="name")
    classes = rows.data.group_by("name").agg(
        supercategory=pl.when(pl.col("type").n_unique() == 1).then(pl.col("type").first())
    )
    return source.table(
        rows,
        numbered(*classes.sort("name")),
        split=lines.by_image(pl.col("file").replace_strict({text: _split(text) for text in texts})),
        group=lines.by_image(pl.col("image").str.extract(r"^(.+?)_*Image")),
        misc_signs=lines.by_image(pl.col("image").is_in(misc)),
    )


def _split(text: str) -> str | None:
    folders = [folder.casefold()[:4] for folder in PurePosixPath(text).parts[:-1]]
    return next((_SPLITS[folder] for folder in folders if folder in _SPLITS), None)


def _divide(lines: Rows) -> Rows:
    """Return a row a sign."""
    signs = lines.with_columns(sign=pl.col("signs").str.split(";"))
    return (
        replace(signs, data=signs.data.explode("sign"))
        .with_columns(pl.col("sign").str.strip_chars())
        .filter(pl.col("sign") != "")
    )


def _check(signs: Rows) -> Rows:
    """Divide the signs into fields and check these."""
    what = f"expected {len(_FIELDS)} fields: {', '.join(_FIELDS)}"
    is_whole = pl.col("sign").str.count_matches(",", literal=True) == len(_FIELDS) - 1
    signs = signs.check(is_whole, "ROW_COLUMNS", what, "sign")
    fields = pl.col("sign").str.split_exact(",", len(_FIELDS) - 1).struct.rename_fields(_FIELDS)
    rows = signs.with_columns(fields.struct.unnest()).with_columns(pl.col(_FIELDS).str.strip_chars())
    rows = rows.numbers("right", "bottom", "left", "top")
    rows = rows.filled("type", what="the sign has no type", code="ROW_VALUE")
    rows = rows.filled("name", what="the sign has no name", code="ROW_VALUE")
    for field, words in (("visibility", _VISIBILITIES), ("type", _TYPES)):
        other = rows.filter(~pl.col(field).is_in(words)).sources()
        rows.errors.remark(f"their {field} is none of the published ones, kept as it is", len(other), other, kind="box")
    return rows
