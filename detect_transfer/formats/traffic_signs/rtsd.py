"""Russian Traffic Sign Dataset: `full-gt.csv`, or the detection subsets d1 to d3.

A row is ``filename,x_from,y_from,width,height,sign_class[,sign_id]``, in pixels counted from 0: our own convention. The
frames of a set are listed from its folders: those that no row names show no sign.
"""

from __future__ import annotations

import re
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
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import linked, named_in, number_classes

_WHOLE = "full-gt.csv"
_LISTS = re.compile(r"(?:^|.*/)rtsd-d[0-9]+-gt/(?P<type>[^/]+)/(?P<split>train|test)_gt\.csv")
_LIST_NAME = "rtsd-d*-gt/<type>/<split>_gt.csv"
_FRAMES = re.compile(r"(?:^|.*/)rtsd-frames/(?P<name>.+)")
_SET_FRAMES = re.compile(r"(?:^|.*/)rtsd-d[0-9]+-frames/(?P<name>(?:train|test)/.+)")
_FIELDS = ("filename", "x_from", "y_from", "width", "height", "sign_class", "sign_id")
_BOX = ("x_from", "y_from", "width", "height")
_DATE = r"autosave([0-9]{2}_[0-9]{2}_[0-9]{4})_"
_LAYOUTS = ("auto", "full", "detection")
_GROUPS = ("track", "date")


def read(
    root: Path, *, layout: str = "auto", group_by: str = "track", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read RTSD: a class a code such as ``3_24_n40``, in sorted order.

    The detection subsets are joined: a frame of several counts once, and so does a sign that several lists repeat,
    which the ledger counts. Their types (``danger``, ``mandatory``, ...) become super-classes, and their splits splits.

    Args:
        root: The folder that holds ``full-gt.csv`` or ``rtsd-d1-gt`` and the frames, wherever below it.
        layout: ``full`` or ``detection`` where both are there.
        group_by: What no split may cut: ``track``, the frames that show one physical sign, which only the full set
            tells; or ``date``, the day of the recording.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves rows of absent images out.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Shakhuro, Konushin, Russian traffic sign images dataset, Computer Optics 2016.
    """
    native.check_choice("layout", layout, _LAYOUTS)
    native.check_choice("group_by", group_by, _GROUPS)
    media, problems = ImageLookup(missing_images=missing_images), ErrorCollector(on_error)
    lists = _lists(root, layout)
    rows = _rows(root, lists, problems)
    whole = None in lists.values()
    frames = _frames(root, _FRAMES if whole else _SET_FRAMES)
    named = {frames.get(name, name): told for name, told in named_in(rows, root).items()}
    named |= {path: ImageRef(str(root / path)) for path in frames.values() if path not in named}
    found = find_images(root, named, media, problems)
    name_of = {path: name for name, path in frames.items()}
    images = {name_of.get(path, path): image for path, image in found.items()}
    if len(lists) > 1 and len(rows):
        rows = _once(rows, problems)
    rows, classes = number_classes(rows, "sign_class")
    return finish_rows(
        problems,
        rows=rows.select("image", "file", "line", "category_id", "x1", "y1", "x2", "y2", "attributes", "track_id"),
        found=images,
        categories=classes if whole else _with_types(classes, rows),
        image_root=root,
        facts=_facts(rows, list(images), group_by=group_by, whole=whole),
    )


def _lists(root: Path, layout: str) -> dict[str, str | None]:
    """Return the lists to read, each with its split; the list of the whole set has none."""
    io.require_dir(root, what=f"a folder with {_WHOLE} or rtsd-d1-gt")
    names = io.list_files(root, (".csv",))
    full: dict[str, str | None] = {name: None for name in names if PurePosixPath(name).name == _WHOLE}
    parts: dict[str, str | None] = {name: match["split"] for name in names if (match := _LISTS.fullmatch(name))}
    if layout == "auto" and full and parts:
        raise InputError(
            *("OPTION_NEEDED", f"both {_WHOLE} and the lists of the detection subsets are there"),
            where=root,
            field="layout",
            value=layout,
            remedy="choose layout=full or layout=detection",
        )
    found = parts if layout == "detection" or not (full or layout == "full") else full
    if len(found) == 0 or (found is full and len(full) > 1):
        wanted = {"full": _WHOLE, "detection": _LIST_NAME}.get(layout, f"{_WHOLE} or {_LIST_NAME}")
        what = f"expected {wanted}, found {len(found)} such files"
        raise InputError("FILE_MISSING", what, where=root, remedy="give the folder of RTSD that holds what you want")
    return found


def _rows(root: Path, lists: dict[str, str | None], problems: ErrorCollector) -> pl.DataFrame:
    without_track = int(None not in lists.values())
    dialect = Dialect(",", header=True, quoted=True, optional=without_track, image_field="filename")
    rows = read_delimited(root, lists, _FIELDS, dialect, problems)
    for name in ("filename", "sign_class"):
        rows = check_rows(rows, pl.col(name) != "", root, problems, told=("ROW_EMPTY", "this field is needed", name))
    rows = to_numbers(rows, _BOX, root, problems)
    for name in ("width", "height"):
        rows = check_rows(
            rows, pl.col(name) >= 0, root, problems, told=("BOX_INVALID", "it must not be negative", name)
        )
    kind = pl.col("file").str.extract(_LISTS.pattern, 1)
    return rows.with_columns(
        x1=pl.col("x_from"),
        y1=pl.col("y_from"),
        x2=pl.col("x_from") + pl.col("width"),
        y2=pl.col("y_from") + pl.col("height"),
        track_id=pl.when(pl.col("sign_id") != "").then(pl.col("sign_id")),
        type=kind,
        attributes=pl.when(kind.is_not_null()).then(pl.struct(type=kind).struct.json_encode()),
    )


def _frames(root: Path, place: re.Pattern[str]) -> dict[str, str]:
    """Map the name of every frame, as rows give it, to its first path in the folders of frames."""
    found: dict[str, str] = {}
    for path in io.list_files(root, IMAGE_SUFFIXES):
        if match := place.fullmatch(path):
            found.setdefault(match["name"], path)
    return found


def _once(rows: pl.DataFrame, problems: ErrorCollector) -> pl.DataFrame:
    """Leave out the signs that an earlier list has already."""
    first = pl.col("file").first().over("image", "x1", "y1", "x2", "y2", "sign_class")
    repeated = rows.filter(pl.col("file") != first)
    places = tuple(repeated.select(text_of("{}:{}", "file", "line")).to_series())
    problems.note("another list has the same sign", len(repeated), places, kind="box")
    return rows.filter(pl.col("file") == first)


def _with_types(classes: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the type of each class as its super-class, where it has one alone."""
    types = rows.group_by("category_id").agg(pl.col("type").unique())
    one = types.filter(pl.col("type").list.len() == 1).select("category_id", supercategory=pl.col("type").list.first())
    return classes.join(one, on="category_id", how="left", maintain_order="left")


def _facts(rows: pl.DataFrame, names: list[str], *, group_by: str, whole: bool) -> pl.DataFrame:
    images = pl.DataFrame({"image": names}, schema={"image": pl.String})
    if group_by == "date":
        images = images.with_columns(group=pl.col("image").str.extract(_DATE, 1))
    else:
        groups = linked(rows, "track_id")
        images = images.with_columns(group=pl.col("image").replace_strict(groups, default=None, return_dtype=pl.String))
    return images if whole else images.with_columns(split=pl.col("image").str.extract("^(train|test)/", 1))
