"""Russian Traffic Sign Dataset: `full-gt.csv`, or the detection subsets d1 to d3.

A row is ``filename,x_from,y_from,width,height,sign_class[,sign_id]``, in pixels counted from 0: our own convention. The
frames of a set are listed from its folders: those that no row names show no sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import Rows, linked
from detect_transfer.formats.parsing.source import Source, numbered

_WHOLE = "full-gt.csv"
_LISTS = re.compile(r"(?:^|.*/)rtsd-d[0-9]+-gt/(?P<type>[^/]+)/(?P<split>train|test)_gt\.csv")
_LIST_NAME = "rtsd-d*-gt/<type>/<split>_gt.csv"
_FRAMES = re.compile(r"(?:^|.*/)rtsd-frames/(?P<name>.+)")
_SET_FRAMES = re.compile(r"(?:^|.*/)rtsd-d[0-9]+-frames/(?P<name>(?:train|test)/.+)")
_SET_OF = re.compile(r"(?P<set>(?:.*/)?rtsd-d[0-9]+)-frames/(?P<split>train|test)/.+")
_FIELDS = ("filename", "x_from", "y_from", "width", "height", "sign_class", "sign_id")
_BOX = ("x_from", "y_from", "width", "height")
_DATE = re.compile("autosave([0-9]{2}_[0-9]{2}_[0-9]{4})_")
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
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Shakhuro, Konushin, Russian traffic sign images dataset, Computer Optics 2016.
    """
    native.check_choice("layout", layout, _LAYOUTS)
    native.check_choice("group_by", group_by, _GROUPS)
    what = f"a folder with {_WHOLE} or rtsd-d1-gt"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    lists = _lists(root, layout)
    is_whole = None in lists.values()
    rows = _rows(source, lists)
    if not is_whole:
        _report_missing(source, lists)
    frames = _frames(source, _FRAMES if is_whole else _SET_FRAMES)
    source.errors.rename_skipped(lambda name: [frames.get(name, name)])
    path = pl.col("image").replace_strict(frames, default=pl.col("image"), return_dtype=pl.String)
    rows = rows.with_columns(image=path)
    source.name_images(rows)
    source.add_images(frames.values())
    if len(lists) > 1:
        rows = _once(rows)
    group = linked(rows.data, "track_id") if group_by == "track" else _day
    if is_whole:
        return source.table(rows, group=group)
    return source.table(rows, _with_types(rows.data), group=group, split=_split)


def _day(name: str) -> str | None:
    match = _DATE.search(name)
    return match[1] if match else None


def _split(name: str) -> str | None:
    match = _SET_FRAMES.fullmatch(name)
    folder = (match["name"] if match else name).partition("/")[0]
    return folder if folder in ("train", "test") else None


def _lists(root: Path, layout: str) -> dict[str, str | None]:
    """Return the lists to read, each with its split; the list of the whole set has none."""
    names = io.list_files(root, (".csv",))
    full: dict[str, str | None] = {name: None for name in names if PurePosixPath(name).name == _WHOLE}
    parts: dict[str, str | None] = {name: match["split"] for name in names if (match := _LISTS.fullmatch(name))}
    if layout == "auto" and full and parts:
        what = f"both {_WHOLE} and the lists of the detection subsets are there"
        remedy = "choose layout=full or layout=detection"
        raise InputError("OPTION_NEEDED", what, where=root, field="layout", value=layout, remedy=remedy)
    chosen = parts if layout == "detection" or not (full or layout == "full") else full
    if len(chosen) == 0 or (chosen is full and len(full) > 1):
        wanted = {"full": _WHOLE, "detection": _LIST_NAME}.get(layout, f"{_WHOLE} or {_LIST_NAME}")
        what = f"expected {wanted}, found {len(chosen)} such files"
        raise InputError("FILE_MISSING", what, where=root, remedy="give the folder of RTSD that holds what you want")
    return chosen


def _report_missing(source: Source, lists: Mapping[str, str | None]) -> None:
    """Report each list that is not there, of a type of a subset and a split with frames: its signs would be lost."""
    framed = {(match["set"], match["split"]) for name in source.image_files() if (match := _SET_OF.fullmatch(name))}
    folders = {str(PurePosixPath(name).parent) for name in lists}
    for subset, split in sorted(framed):
        for folder in sorted(each for each in folders if each.startswith(f"{subset}-gt/")):
            if f"{folder}/{split}_gt.csv" not in lists:
                what = f"the signs of this type in {subset}-frames/{split} would be taken for background"
                remedy = f"restore it, or move the folder {folder} away to leave the type out"
                source.errors.add("FILE_MISSING", what, where=source.root / f"{folder}/{split}_gt.csv", remedy=remedy)


def _rows(source: Source, lists: dict[str, str | None]) -> Rows:
    n_optional = int(None not in lists.values())  # the subsets tell no tracks
    dialect = Dialect(",", header=True, quoted=True, optional=n_optional, image_field="filename")
    rows = source.rows(lists, _FIELDS, dialect, lists).filled("filename", "sign_class")
    kind = pl.col("file").str.extract(_LISTS.pattern, 1)
    rows = rows.numbers(*_BOX).box(*_BOX, box_format=PIXEL_SIZES).with_columns(type=kind, label="sign_class")
    rows = rows.with_columns(track_id=pl.when(pl.col("sign_id") != "").then("sign_id"))
    return rows.attributes("type", where=kind.is_not_null())


def _frames(source: Source, pattern: re.Pattern[str]) -> dict[str, str]:
    """Map the name of every frame, as rows give it, to its first path in the folders of frames."""
    frames: dict[str, str] = {}
    for path in source.image_files():
        if match := pattern.fullmatch(path):
            frames.setdefault(match["name"], path)
    return frames


def _once(rows: Rows) -> Rows:
    """Leave out the signs that an earlier list has already."""
    first = pl.col("file").first().over("image", *XYXY, "label")
    repeated = rows.filter(pl.col("file") != first).sources()
    rows.errors.note("another list has the same sign", len(repeated), repeated, kind="box")
    return rows.filter(pl.col("file") == first)


def _with_types(rows: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the classes, each with its type as the super-class where it has one alone."""
    types = rows.group_by("label").agg(type=pl.when(pl.col("type").n_unique() == 1).then(pl.col("type").first()))
    return numbered(*types.sort("label"))
