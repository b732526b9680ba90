"""IceVision: a TSV of signs for each annotated frame of winter drives in Russia.

The header names ``class xtl ytl xbr ybr temporary occluded data``, and in some files ``manual``. Pixels count from 0
and xbr and ybr are edges: they reach the size of the image. A file without rows is of a frame without signs.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.source import Source, listed, numbered

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
_FIELDS = ("class", *_CORNERS, "temporary", "occluded", "data", "manual")
_FLAGS = ("temporary", "occluded", "manual")
_FACTS = ("temporary", "data", "manual")
_KINDS = listed(  # of the first number of a code from 1, by the Russian rules of the road
    "warning, priority, prohibitory, mandatory, special regulation, information, service, plate"
)
_CAMERAS = ("_left", "_right")


def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read IceVision: a class a code of the Russian rules of the road, such as ``5.19.1``; ``8`` is any plate.

    Signs of the class ``NA`` (not official, or unreadable) are ignored with the reason ``unreadable``. `occluded` is 0
    or 1; `temporary`, `data` (the text of the sign) and `manual` go to `attributes`. Frames without a TSV are not
    annotated and are not read. The `group` is the drive, whose left and right camera see the same signs.

    Args:
        root: The folder of the drives (folders of ``NNNNNN.tsv``), or of one; images are found by drive and number.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Pavlov et al., IceVisionSet: Lossless Video Dataset Collected on Russian Winter Roads, ICRA 2019.
    """
    what = "a folder of drives, folders of TSV files"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error)
    remedy = "give the folder of the drives"
    texts = source.files("*.tsv", code="ICEVISION_MISSING", missing="it holds no TSV file", remedy=remedy)
    image_of = {text: PurePosixPath(*PurePosixPath(text).parts[-2:]).with_suffix(".jpg").as_posix() for text in texts}
    for text, image in image_of.items():
        if image in source.images:
            what, remedy = f"{source.images[image].where} is of the same frame", "remove one of them"
            source.errors.add("ANNOTATION_TWICE", what, where=root / text, image=image, remedy=remedy)
            continue
        source.add_image(image, str(root / text), split=split_of_path(text), group=_drive(root, text))
    # the text of a sign stands last and may be empty: with the blanks at the end of a line its tab goes as well
    rows = source.rows(texts, _FIELDS, Dialect("\t", header=None, optional=2), image_of)
    rows = rows.filled("class", what="the row has no class", code="ROW_VALUE").numbers(*_CORNERS)
    for flag in _FLAGS:
        is_flag = pl.col(flag).str.to_lowercase().is_in(["true", "false"])
        rows = rows.check(is_flag, "ROW_VALUE", "expected true or false", flag)
    rows = rows.with_columns(pl.col(_FLAGS).str.to_lowercase() == "true", pl.col("data").fill_null(""))
    rows = rows.box(*_CORNERS).ignore({"unreadable": pl.col("class") == "NA"})
    plain, whole = (pl.struct(fields).struct.json_encode() for fields in (_FACTS[:2], _FACTS))
    rows = rows.with_columns(
        label="class",
        occluded=pl.col("occluded").cast(pl.Float64),
        attributes=pl.when(pl.col("manual").is_null()).then(plain).otherwise(whole),
    )
    codes = sorted(rows.data["class"].unique(), key=_natural)
    kinds = {str(number): kind for number, kind in enumerate(_KINDS, start=1)}
    return source.table(rows, numbered(codes, [kinds.get(code.partition(".")[0]) for code in codes]))


def _natural(code: str) -> list[tuple[bool, int, str]]:
    """Return a key by which 2.4 comes before 2.10."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in code.split(".")]


def _drive(root: Path, text: str) -> str:
    name = PurePosixPath(text).parent.name or real_path(root).name
    return next((name.removesuffix(camera) for camera in _CAMERAS if name.endswith(camera)), name)
