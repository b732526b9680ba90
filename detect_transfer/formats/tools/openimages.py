"""Open Images: `<split>-annotations-bbox.csv`, class descriptions and images.

A row has ``ImageID, LabelName, XMin, XMax, YMin, YMax`` (X before Y) and flags. The coordinates are shares of the
image, so x1 is XMin times its width, and nothing can be read without the images.
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
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_named, split_of_path
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in, number_classes

_BOXES = re.compile(r"(.*(annotations|detection)-bbox.*|detections)\.csv", re.IGNORECASE)
_CLASSES = re.compile(r".*class-descriptions.*\.csv|classes\.csv", re.IGNORECASE)
_CORNERS = ("XMin", "YMin", "XMax", "YMax")
_FLAGS = ("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside")
_FIELDS = ("ImageID", "LabelName", *_CORNERS, "Source", "Confidence", *_FLAGS)
_OPTIONAL = 7
_KEPT = ("Source", "Confidence", *_FLAGS)
_DEPICTIONS = ("keep", "ignore")


def read(
    root: Path,
    *,
    missing_images: str = "error",
    allow_missing: bool = False,
    depictions: str = "keep",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Open Images: classes by the names of their descriptions, in sorted order; those without by their code.

    A group (``IsGroupOf``) is a crowd and ignored. ``IsOccluded`` and ``IsTruncated`` are flags: `occluded` and
    `truncated` are 1, 0, or null for -1. All flags, the source and the confidence are in `attributes`.

    Args:
        root: A folder with the CSV files (``<split>-annotations-bbox.csv``) and, anywhere in it, the images, named by
            their ``ImageID``; or one CSV file, in the folder of its images.
        missing_images: ``error``, or ``skip`` to leave out rows whose image is not there. ``keep`` is an error as
            well: without the image nobody knows where a share of it lies.
        allow_missing: Whether images without a row show no object. They are an error otherwise, for most images of
            Open Images were never annotated with boxes.
        depictions: ``keep``, or ``ignore`` to ignore drawings and the like (``IsDepiction``).
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://storage.googleapis.com/openimages/web/factsfigures_v7.html
    """
    native.check_choice("depictions", depictions, _DEPICTIONS)
    media, problems = ImageLookup("tail", missing_images), ErrorCollector(on_error)
    root, names = _csv_files(root)
    given = _given(root, names, problems)
    unnamed = _unnamed(root, {*given["image"].unique(), *problems.skipped_images})
    if not allow_missing:
        _report_unnamed(root, unnamed, problems)
    named = named_in(given, root) | {name: ImageRef(str(root / name)) for name in unnamed}
    rows = _rows(given, root, problems)
    images = find_images(root, named, media, problems)
    _require_sizes(images, named, problems)
    rows, classes = number_classes(_with_names(rows, root, problems), "name")
    splits = {name: split_of_path(image.file_name) for name, image in images.items()} | _splits(rows, problems)
    facts = pl.DataFrame(
        {"image": list(splits), "split": list(splits.values())}, schema={"image": pl.String, "split": pl.String}
    )
    boxes = _boxes(rows, images, depictions=depictions)
    return finish_rows(problems, rows=boxes, found=images, categories=classes, image_root=root, facts=facts)


def _csv_files(root: Path) -> tuple[Path, list[str]]:
    """Return the folder of the data set and its files of boxes."""
    if root.is_file():
        return root.parent, [root.name]
    io.require_dir(root, what="a folder with <split>-annotations-bbox.csv and the images")
    names = [name for name in io.list_files(root, (".csv",)) if _BOXES.fullmatch(PurePosixPath(name).name)]
    if not names:
        raise InputError(
            *("OPENIMAGES_MISSING", "there is no <split>-annotations-bbox.csv"),
            where=root,
            remedy="give the folder that holds it, or the file itself",
        )
    return root, names


def _dialect(root: Path, name: str) -> Dialect:
    """Return how a file is divided: spreadsheets of some languages write semicolons and decimal commas."""
    native.require_regular(root, root / name)
    with (root / name).open("rb") as stream:
        first = stream.readline(10_000)
    mark = ";" if first.count(b";") > first.count(b",") else ","
    return Dialect(mark, header=True, quoted=True, optional=_OPTIONAL, image_field="ImageID")


def _given(root: Path, names: list[str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows that name an image, all fields as strings."""
    parts = [read_delimited(root, {name: None}, _FIELDS, _dialect(root, name), problems) for name in names]
    told = ("ROW_FIELD", "expected the name of an image", "ImageID")
    return check_rows(pl.concat(parts), pl.col("ImageID") != "", root, problems, told=told)


def _rows(data: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows with the corners as numbers."""
    comma = pl.col(*_CORNERS, "Confidence").str.contains(r"^[+-]?[0-9]*,[0-9]+$")
    count = data.select(pl.any_horizontal(comma).sum()).item()
    if count:
        problems.remark("decimal commas read as points", count, kind="box")
        data = data.with_columns(pl.col(*_CORNERS, "Confidence").str.replace(",", ".", literal=True))
    told = ("ROW_FIELD", "expected the code of a class", "LabelName")
    data = check_rows(data, pl.col("LabelName") != "", root, problems, told=told)
    data = to_numbers(data, (*_CORNERS, "Confidence"), root, problems)
    for corner in _CORNERS:
        told = ("ROW_PIXELS", "expected a share of the image from 0 to 1", corner)
        data = check_rows(data, pl.col(corner).is_between(-1, 2), root, problems, told=told)
    for flag in _FLAGS:
        told = ("ROW_FLAG", "expected 0, 1, or -1 for unknown", flag)
        data = check_rows(data, pl.col(flag).is_in(["0", "1", "-1"]), root, problems, told=told)
    data = data.with_columns(pl.col(*_FLAGS).cast(pl.Int8))
    return check_corners(data, root, problems, _CORNERS)


def _unnamed(root: Path, known: set[str]) -> list[str]:
    """Return the images that no row names."""
    return [n for n in io.list_files(root, IMAGE_SUFFIXES) if PurePosixPath(native.stem_of(n)).name not in known]


def _report_unnamed(root: Path, names: list[str], problems: ErrorCollector) -> None:
    for name in names:
        problems.add(
            *("ANNOTATION_MISSING", "no row names this image"),
            where=root / name,
            image=name,
            remedy="remove it, or read with allow_missing=true if such images show no object",
        )


def _require_sizes(images: Mapping[str, FoundImage], named: Mapping[str, ImageRef], problems: ErrorCollector) -> None:
    for name, image in images.items():
        if image.size_wh is None:
            problems.add(
                *(
                    "IMAGE_MISSING",
                    "its boxes are shares of the image, which is not there and whose size is not told",
                ),
                where=named[name].where,
                field="image",
                value=name,
                image=name,
                remedy="restore it, or read with missing_images=skip to leave its rows out",
            )


def _with_names(rows: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    """Add `name`: what the description of a class says; two classes of one name keep their codes with it."""
    found = [name for name in io.list_files(root, (".csv",)) if _CLASSES.fullmatch(PurePosixPath(name).name)]
    fields, faults = ("LabelName", "DisplayName"), ErrorCollector()  # a class at fault is no box that could be left out
    described = read_delimited(root, dict.fromkeys(found), fields, Dialect(",", header=None, quoted=True), faults)
    problems.absorb(faults)
    described = described.filter(pl.col("DisplayName") != "").unique("LabelName", keep="first", maintain_order=True)
    code = text_of("{} ({})", "DisplayName", "LabelName")
    named = described.select(
        "LabelName", name=pl.when(pl.col("DisplayName").is_duplicated()).then(code).otherwise("DisplayName")
    )
    return rows.join(named, on="LabelName", how="left", maintain_order="left").with_columns(
        pl.col("name").fill_null(pl.col("LabelName"))
    )


def _splits(rows: pl.DataFrame, problems: ErrorCollector) -> dict[str, str | None]:
    """Return the split of each image by the name of its file, which may name it in one split alone."""
    found: dict[str, str | None] = {}
    for image, file in rows.select("image", "file").unique(maintain_order=True).rows():
        split = split_named(*re.split(r"[-_./]", file))
        if found.setdefault(image, split) != split:
            what = f"the image is in '{found[image]}' as well"
            problems.add("SPLIT_TWICE", what, where=file, field="ImageID", value=image, remedy="keep it in one of them")
    return found


def _boxes(rows: pl.DataFrame, images: Mapping[str, FoundImage], *, depictions: str) -> pl.DataFrame:
    """Put the rows to pixels, by the size of the image of each."""
    sizes = pl.DataFrame(
        [(name, *(image.size_wh or (None, None))) for name, image in images.items()],
        schema={"image": pl.String, "w": pl.Float64, "h": pl.Float64},
        orient="row",
    )
    group = (pl.col("IsGroupOf") == 1).fill_null(False)
    drawn = (pl.col("IsDepiction") == 1).fill_null(False) & pl.lit(depictions == "ignore")
    kept = [name for name in _KEPT if rows[name].count()]
    return rows.join(sizes, on="image", how="left", maintain_order="left").select(
        *("image", "file", "line", "category_id"),
        x1=pl.col("XMin") * pl.col("w"),
        y1=pl.col("YMin") * pl.col("h"),
        x2=pl.col("XMax") * pl.col("w"),
        y2=pl.col("YMax") * pl.col("h"),
        iscrowd=group,
        ignore=group | drawn,
        ignore_reason=pl.when(group).then(pl.lit("group")).when(drawn).then(pl.lit("depiction")),
        occluded=_share("IsOccluded"),
        truncated=_share("IsTruncated"),
        attributes=pl.struct(kept).struct.json_encode() if kept else pl.lit(None, dtype=pl.String),
    )


def _share(flag: str) -> pl.Expr:
    """Return a flag as a share: 1 or 0; null where the flag is -1, for unknown."""
    return pl.when(pl.col(flag) >= 0).then(pl.col(flag).cast(pl.Float64))
