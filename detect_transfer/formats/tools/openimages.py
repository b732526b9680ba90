"""Open Images: `<split>-annotations-bbox.csv`, class descriptions and images.

A row has ``ImageID, LabelName, XMin, XMax, YMin, YMax`` (X before Y) and flags. The coordinates are shares of the
image, so x1 is XMin times its width, and nothing can be read without the images.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.opening import open_regular
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, SHARE_CORNERS, BoxFormat, Form, Units
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools import oidv4
from detect_transfer.formats.tools.shared import (
    report_unannotated,
    splits_by_file,
)

_BOXES = re.compile(r"(.*(annotations|detection)-bbox.*|detections)\.csv", re.IGNORECASE)
_CLASSES = re.compile(r".*class-descriptions.*\.csv|classes\.csv", re.IGNORECASE)
_CORNERS = ("XMin", "YMin", "XMax", "YMax")
_FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_FURTHER = ("Source", "Confidence", *_FLAGS)  # may be absent or empty
_MASKS = "masks"  # the folder of segmentations, which are PNG files
_DEPICTIONS = ("keep", "ignore")


def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    images: Path | None = None,
    missing_images: str = "error",
    allow_missing: bool = False,
    depictions: str = "keep",
    box_format: Form | None = None,
    units: Units | None = None,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Open Images: classes by the names of their descriptions, in sorted order; those without by their code.

    A group (``IsGroupOf``) is a crowd and ignored. ``IsOccluded`` and ``IsTruncated`` are flags: `occluded` and
    `truncated` are 1, 0, or null for -1. All flags, the source and the confidence are in `attributes`.

    Args:
        root: A folder with the CSV files (``<split>-annotations-bbox.csv``, else any with this header) and, anywhere in
            it, the images, named by their ``ImageID``; or one CSV file, in the folder of its images; or one of the
            layout of OIDv4_ToolKit.
        images: See `Source`.
        missing_images: ``error``, or ``skip`` to leave out rows whose image is not there. ``keep`` is an error as
            well: without the image nobody knows where a share of it lies.
        allow_missing: Whether images without a row show no object. They are an error otherwise, for most images of
            Open Images were never annotated with boxes.
        depictions: ``keep``, or ``ignore`` to ignore drawings and the like (``IsDepiction``).
        box_format: What the four numbers are, ``xyxy`` here; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image, as here.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://storage.googleapis.com/openimages/web/factsfigures_v7.html
    """
    native.check_choice("depictions", depictions, _DEPICTIONS)
    what = "a folder with <split>-annotations-bbox.csv and the images"
    source = Source(
        root, what, by="tail", missing_images=missing_images, on_error=on_error, or_file=True, image_folder=images
    )
    if source.file is None and (labels := oidv4.label_files(source)):
        form = PIXEL_CORNERS.with_options(box_format, units)
        return oidv4.read_labels(replace(source, by="stem"), labels, form, allow_missing=allow_missing)
    source.lookup = replace(source.lookup, need_sizes=units != "pixels")
    given = _rows(source)
    source.name_images(given)
    in_rows = {*source.images, *source.errors.skipped_images}
    files = [name for name in source.image_files() if _MASKS not in PurePosixPath(name).parts]
    unnamed = [n for n in files if PurePosixPath(native.stem_of(n)).name not in in_rows]
    remedy = "remove it, or read with --option allow_missing=true if such images show no object"
    report_unannotated(source, () if allow_missing else unnamed, "no row names this image", remedy)
    source.add_images(unnamed)
    rows = _checked(given, SHARE_CORNERS.with_options(box_format, units))
    splits = {name: split_of_path(image.file_name) for name, image in source.find_images().items()}
    rows = _boxes(_with_names(source, rows), depictions=depictions)
    return source.table(rows, split=splits | splits_by_file(rows, "ImageID"))


def _rows(source: Source) -> Rows:
    """Return the rows that name an image, all fields as strings; what is empty and need not be there is null."""
    files = io.list_files(source.root, (".csv",))
    names = [source.file] if source.file else [n for n in files if _BOXES.fullmatch(PurePosixPath(n).name)]
    names = names or [name for name in files if is_head(_first_line(source.root, name))]
    if not names:
        what, remedy = "there is no <split>-annotations-bbox.csv", "give the folder that holds it, or the file itself"
        raise InputError("OPENIMAGES_MISSING", what, where=source.root, remedy=remedy)
    fields = ("ImageID", "LabelName", *_CORNERS, *_FURTHER)
    parts = [source.rows([name], fields, _dialect(source.root, name)) for name in names]
    rows = replace(parts[0], data=pl.concat([part.data for part in parts]))
    rows = rows.filled("ImageID", what="expected the name of an image", code="ROW_FIELD")
    return rows.with_columns(pl.col(_FURTHER).replace("", None), image=_without_suffix())


def _without_suffix() -> pl.Expr:
    """Return the ids of images without the suffix that exports of others give them."""
    suffixes = "|".join(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES)
    return pl.col("image").str.replace(rf"(?i)\.({suffixes})$", "")


def is_head(line: bytes) -> bool:
    """Tell whether a line is the header of a file of boxes, whatever the name of the file."""
    words = {word.strip(b' "') for word in line.removeprefix(b"\xef\xbb\xbf").strip().replace(b";", b",").split(b",")}
    return {b"ImageID", b"LabelName", *(corner.encode() for corner in _CORNERS)} <= words


def _first_line(root: Path, name: str) -> bytes:
    native.require_regular(root, root / name)
    with open_regular(root / name) as stream:
        return stream.readline(10_000)


def _dialect(root: Path, name: str) -> Dialect:
    """Return how a file is divided: spreadsheets of some languages write semicolons and decimal commas."""
    first = _first_line(root, name)
    separator = ";" if first.count(b";") > first.count(b",") else ","
    return Dialect(separator, header=True, quoted=True, optional=len(_FURTHER), image_field="ImageID")


def _checked(rows: Rows, box_format: BoxFormat) -> Rows:
    """Return the rows with the corners as numbers and the flags as 0, 1 or -1."""
    numbers = (*_CORNERS, "Confidence")
    has_comma = pl.any_horizontal(pl.col(numbers).str.contains(r"^[+-]?[0-9]*,[0-9]+$"))
    if count := rows.data.select(has_comma.sum()).item():
        rows.errors.remark("decimal commas read as points", count, kind="box")
        rows = rows.with_columns(pl.col(numbers).str.replace(",", ".", literal=True))
    rows = rows.filled("LabelName", what="expected the code of a class", code="ROW_FIELD").numbers(*numbers)
    for flag in _FLAGS:
        is_flag = pl.col(flag).is_in(["0", "1", "-1"])
        rows = rows.check(is_flag, "ROW_FLAG", "expected 0, 1, or -1 for unknown", flag)
    return rows.with_columns(pl.col(_FLAGS).cast(pl.Int8)).box(*_CORNERS, box_format=box_format)


def _with_names(source: Source, rows: Rows) -> Rows:
    """Add `label`: what the description of a class says; two classes of one name keep their codes with it."""
    names = [name for name in io.list_files(source.root, (".csv",)) if _CLASSES.fullmatch(PurePosixPath(name).name)]
    fields, errors = ("LabelName", "DisplayName"), ErrorCollector()  # a class at fault is no box to be left out
    dialect = Dialect(",", header=None, quoted=True)
    described = read_delimited(source.root, dict.fromkeys(names), fields, dialect, errors)
    source.errors.absorb(errors)
    described = described.filter(pl.col("DisplayName") != "").unique("LabelName", keep="first", maintain_order=True)
    code = text_of("{} ({})", "DisplayName", "LabelName")
    label = pl.when(pl.col("DisplayName").is_duplicated()).then(code).otherwise("DisplayName")
    labels = described.select("LabelName", label=label)
    data = rows.data.join(labels, on="LabelName", how="left", maintain_order="left")
    return replace(rows, data=data.with_columns(pl.col("label").fill_null(pl.col("LabelName"))))


def _boxes(rows: Rows, *, depictions: str) -> Rows:
    """Put the flags into columns of the table."""
    is_group = (pl.col("IsGroupOf") == 1).fill_null(False)
    is_ignored_depiction = (pl.col("IsDepiction") == 1).fill_null(False) & pl.lit(depictions == "ignore")
    stated = [name for name in _FURTHER if rows.data[name].count()]
    return rows.with_columns(
        iscrowd=is_group,
        ignore=is_group | is_ignored_depiction,
        ignore_reason=pl.when(is_group).then(pl.lit("group")).when(is_ignored_depiction).then(pl.lit("depiction")),
        occluded=_share("IsOccluded"),
        truncated=_share("IsTruncated"),
        attributes=pl.struct(stated).struct.json_encode() if stated else pl.lit(None, dtype=pl.String),
    )


def _share(flag: str) -> pl.Expr:
    """Return a flag as a share: 1 or 0; null where the flag is -1, for unknown."""
    return pl.when(pl.col(flag) >= 0).then(pl.col(flag).cast(pl.Float64))
