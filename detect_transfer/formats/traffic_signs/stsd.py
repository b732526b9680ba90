"""Swedish Traffic Signs: one `annotations.txt` a set, a line an image.

A line is ``name.jpg:`` and then signs, each ended by ``;``: ``VISIBILITY, right, bottom, left, top, TYPE, NAME``, the
lower right corner first, or ``MISC_SIGNS`` for further signs without box. Whether pixels count from 0 or from 1 is not
documented: the corners are taken as edges counted from 0 unless `one_based` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, find_images
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in, number_classes

_ANNOTATIONS = "annotations.txt"
_FIELDS = ("visibility", "right", "bottom", "left", "top", "type", "name")
_LINE = ("file_name", "signs")
_VISIBILITIES = ("VISIBLE", "BLURRED", "OCCLUDED", "SIDE_ROAD")
_HIDDEN = {"VISIBLE": 0.0, "OCCLUDED": 1.0}
_TYPES = ("PROHIBITORY", "MANDATORY", "WARNING", "INFORMATION", "OTHER")
_MISC = "MISC_SIGNS"
_IGNORED = {"URDBL": "unreadable", "OTHER": "other sign"}
_SPLITS = {"set1": "train", "set2": "test"}


def read(
    root: Path, *, one_based: bool = False, ignore_visibility: Sequence[str] = (), missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read STSD: a class a sign name, its type as `supercategory` where it has but one.

    Signs named URDBL and OTHER are ignored (reasons ``unreadable`` and ``other sign``). Visibility and type go to
    `attributes`; `occluded` is 1 for OCCLUDED and 0 for VISIBLE signs. The images column `misc_signs` tells that there
    are further signs without box. Images that no line names are not annotated and are not read. The `group` is the
    recording, the name up to ``Image``.

    Args:
        root: The folder with ``annotations.txt``, or with the folders ``Set1`` (train) and ``Set2`` (test) of such.
        one_based: Whether the first pixel is 1 and the last one is included.
        ignore_visibility: Visibilities to be ignored too, such as ``[BLURRED, SIDE_ROAD]``.
        missing_images: As for `ImageLookup`; images are found by name in any folder.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Larsson and Felsberg, Using Fourier Descriptors and Spatial Models for Traffic Sign Recognition, SCIA 2011.
    """
    problems, media = ErrorCollector(on_error), ImageLookup(by="basename", missing_images=missing_images)
    ignored = {ignore_visibility} if isinstance(ignore_visibility, str) else set(ignore_visibility)
    for one in sorted(ignored):
        native.check_choice("ignore_visibility", one, _VISIBILITIES)
    io.require_dir(root, what=f"a folder with {_ANNOTATIONS}")
    texts = [name for name in io.list_files(root, (".txt",)) if PurePosixPath(name).name == _ANNOTATIONS]
    if not texts:
        raise InputError("STSD_MISSING", f"it holds no {_ANNOTATIONS}", where=root, remedy="give the folder of the set")
    lines = read_delimited(root, dict.fromkeys(texts), _LINE, Dialect(":", image_field="file_name"), problems)
    told = ("ROW_VALUE", "expected the name of an image before the colon", "file_name")
    lines = check_rows(lines, pl.col("file_name") != "", root, problems, told=told)
    images = find_images(root, named_in(lines, root), media, problems)
    signs = lines.with_columns(sign=pl.col("signs").str.split(";")).explode("sign")
    signs = signs.with_columns(pl.col("sign").str.strip_chars()).filter(pl.col("sign") != "")
    misc = signs.filter(pl.col("sign") == _MISC)["image"]
    rows = _check(signs.filter(pl.col("sign") != _MISC), root, problems)
    rows, categories = number_classes(rows, "name")
    types = rows.group_by("name").agg(
        supercategory=pl.when(pl.col("type").n_unique() == 1).then(pl.col("type").first())
    )
    return finish_rows(
        problems,
        rows=_columns(rows, ignored, one_based=one_based),
        found=images,
        categories=categories.join(types, on="name", how="left", maintain_order="left"),
        image_root=root,
        facts=lines.select(
            "image",
            split=pl.col("file").replace_strict({text: _split(text) for text in texts}, return_dtype=pl.String),
            group=pl.col("image").str.extract(r"^(.+?)_*Image"),
            misc_signs=pl.col("image").is_in(misc.implode()),
        ).unique("image", keep="first"),
    )


def _split(text: str) -> str | None:
    folders = [folder.casefold()[:4] for folder in PurePosixPath(text).parts[:-1]]
    return next((_SPLITS[folder] for folder in folders if folder in _SPLITS), None)


def _check(signs: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    """Divide the signs and return those that are not at fault."""
    told = ("ROW_COLUMNS", f"expected {len(_FIELDS)} fields: {', '.join(_FIELDS)}", "sign")
    full = pl.col("sign").str.count_matches(",", literal=True) == len(_FIELDS) - 1
    signs = check_rows(signs, full, root, problems, told=told)
    parts = signs["sign"].str.split_exact(",", len(_FIELDS) - 1).struct.rename_fields(_FIELDS).struct.unnest()
    data = signs.select("file", "line", "image").hstack(parts.with_columns(pl.all().str.strip_chars()))
    data = to_numbers(data, _FIELDS[1:5], root, problems)
    for column, choices in (("visibility", _VISIBILITIES), ("type", _TYPES)):
        told = ("ROW_VALUE", "expected one of " + ", ".join(choices), column)
        data = check_rows(data, pl.col(column).is_in(choices), root, problems, told=told)
    told = ("ROW_VALUE", "the sign has no name", "name")
    data = check_rows(data, pl.col("name") != "", root, problems, told=told)
    return check_corners(data, root, problems)


def _columns(rows: pl.DataFrame, ignored: set[str], *, one_based: bool) -> pl.DataFrame:
    """Return the columns of the table."""
    reason = pl.col("name").replace_strict(_IGNORED, default=None, return_dtype=pl.String)
    seen = pl.when(pl.col("visibility").is_in(list(ignored))).then(pl.col("visibility").str.to_lowercase())
    shift = int(one_based)
    return rows.select(
        *("file", "line", "image", "category_id"),
        x1=pl.col("left") - shift,
        y1=pl.col("top") - shift,
        x2="right",
        y2="bottom",
        ignore=pl.coalesce(reason, seen).is_not_null(),
        ignore_reason=pl.coalesce(reason, seen),
        occluded=pl.col("visibility").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64),
        attributes=pl.struct("visibility", "type").struct.json_encode(),
    )
