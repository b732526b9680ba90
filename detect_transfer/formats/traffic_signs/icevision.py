"""IceVision: a TSV of signs for each annotated frame of winter drives in Russia.

The header names ``class xtl ytl xbr ybr temporary occluded data``, and in some files ``manual``. Pixels count from 0
and xbr and ybr are edges: they reach the size of the image. A file without rows is of a frame without signs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_FIELDS = ("class", *_CORNERS, "temporary", "occluded", "data", "manual")
_UNREADABLE = "NA"
_KINDS = {  # the first number of a code, by the Russian rules of the road
    **{"1": "warning", "2": "priority", "3": "prohibitory", "4": "mandatory", "5": "special regulation"},
    **{"6": "information", "7": "service", "8": "plate"},
}
_CAMERAS = ("_left", "_right")


def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read IceVision: a class a code of the Russian rules of the road, such as ``5.19.1``; ``8`` is any plate.

    Signs of the class ``NA`` (not official, or unreadable) are ignored with the reason ``unreadable``. `occluded` is 0
    or 1; `temporary`, `data` (the text of the sign) and `manual` go to `attributes`. Frames without a TSV are not
    annotated and are not read. The `group` is the drive, whose left and right camera see the same signs.

    Args:
        root: The folder of the drives (folders of ``NNNNNN.tsv``), or of one; images are found by drive and number.
        missing_images: As for `ImageLookup`.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Pavlov et al., IceVisionSet: Lossless Video Dataset Collected on Russian Winter Roads, ICRA 2019.
    """
    problems, media = ErrorCollector(on_error), ImageLookup(by="tail", missing_images=missing_images)
    io.require_dir(root, what="a folder of drives, folders of TSV files")
    texts = io.list_files(root, (".tsv",))
    if not texts:
        raise InputError(
            "ICEVISION_MISSING", "it holds no TSV file", where=root, remedy="give the folder of the drives"
        )
    image_of = {text: PurePosixPath(*PurePosixPath(text).parts[-2:]).with_suffix(".jpg").as_posix() for text in texts}
    named = _named(root, image_of, problems)
    rows = _rows(root, image_of, problems)
    images = find_images(root, named, media, problems)
    codes = sorted(rows["class"].unique(), key=_natural)
    return finish_rows(
        problems,
        rows=_columns(rows, {code: i for i, code in enumerate(codes, start=1)}),
        found=images,
        categories={
            "category_id": pl.Series(range(1, len(codes) + 1), dtype=pl.Int64),
            "name": pl.Series(codes, dtype=pl.String),
            "supercategory": pl.Series([_KINDS.get(code.partition(".")[0]) for code in codes], dtype=pl.String),
        },
        image_root=root,
        facts=pl.DataFrame(
            [(name, split_of_path(text), _drive(root, text)) for text, name in image_of.items()],
            schema={"image": pl.String, "split": pl.String, "group": pl.String},
            orient="row",
        ).unique("image", keep="first"),
    )


def _named(root: Path, image_of: Mapping[str, str], problems: ErrorCollector) -> dict[str, ImageRef]:
    """Return the frames; report those that several files are of."""
    named: dict[str, ImageRef] = {}
    for text, name in image_of.items():
        if name in named:
            problems.add(
                "ANNOTATION_TWICE",
                f"{named[name].where} is of the same frame",
                where=root / text,
                image=name,
                remedy="remove one of them",
            )
        named.setdefault(name, ImageRef(str(root / text)))
    return named


def _natural(code: str) -> list[tuple[bool, int, str]]:
    """Return a key by which 2.4 comes before 2.10."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in code.split(".")]


def _drive(root: Path, text: str) -> str:
    name = PurePosixPath(text).parent.name or root.resolve().name
    return next((name.removesuffix(camera) for camera in _CAMERAS if name.endswith(camera)), name)


def _rows(root: Path, image_of: Mapping[str, str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows that are not at fault."""
    # the text of a sign stands last and may be empty: with the blanks at the end of a line its tab goes as well
    data = read_delimited(root, image_of, _FIELDS, Dialect("\t", header=None, optional=2), problems)
    told = ("ROW_VALUE", "the row has no class", "class")
    data = check_rows(data, pl.col("class") != "", root, problems, told=told)
    data = to_numbers(data, _CORNERS, root, problems)
    for flag in ("temporary", "occluded", "manual"):
        told = ("ROW_VALUE", "expected true or false", flag)
        data = check_rows(data, pl.col(flag).str.to_lowercase().is_in(["true", "false"]), root, problems, told=told)
    return check_corners(data, root, problems, _CORNERS)


def _columns(rows: pl.DataFrame, ids: dict[str, int]) -> pl.DataFrame:
    """Return the columns of the table."""
    unreadable = pl.col("class") == _UNREADABLE
    true = {flag: pl.col(flag).str.to_lowercase() == "true" for flag in ("temporary", "occluded", "manual")}
    facts = pl.struct(temporary=true["temporary"], data=pl.col("data").fill_null(""), manual=true["manual"])
    plain = pl.struct(temporary=true["temporary"], data=pl.col("data").fill_null(""))
    return rows.select(
        *("file", "line", "image"),
        category_id=pl.col("class").replace_strict(ids, return_dtype=pl.Int64),
        **{new: pl.col(old) for new, old in zip(("x1", "y1", "x2", "y2"), _CORNERS, strict=True)},
        ignore=unreadable,
        ignore_reason=pl.when(unreadable).then(pl.lit("unreadable")),
        occluded=true["occluded"].cast(pl.Float64),
        attributes=pl.when(pl.col("manual").is_null())
        .then(plain.struct.json_encode())
        .otherwise(facts.struct.json_encode()),
    )
