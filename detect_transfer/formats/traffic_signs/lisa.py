"""LISA traffic signs (US): `allAnnotations.csv`, or a `frameAnnotations.csv` in each folder.

A row is a sign, with integer corners counted from 0. Whether the lower right one is the last pixel is not documented;
it is read as the edge after it unless `inclusive` says otherwise.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.rows import linked
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.traffic_signs.lisa_rows import read_rows

_WHOLE = "allAnnotations.csv"
_PART = "frameAnnotations.csv"
_IGNORE = ("none", "other-road", "unreadable", "both")
_GROUPS = {"file": "origin_file", "track": "origin_track"}


def read(
    root: Path,
    *,
    ignore: str = "none",
    group_by: str = "file",
    inclusive: bool = False,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read LISA traffic signs: a class a tag, in sorted order.

    The file of the whole set is read where it is there, else those of the folders. Images below `negatives` show no
    sign; other images that no row names are left out, which the ledger counts. There is no official split.

    Args:
        root: The folder with ``allAnnotations.csv``, or with folders that hold a ``frameAnnotations.csv`` each.
        ignore: Which signs are neither target nor background: ``none``, ``other-road`` (they stand on another road),
            ``unreadable`` (tags that end in ``Urdbl``), or ``both``.
        group_by: What no split may cut: ``file``, the video; or ``track``, the stretch of it in which one sign
            comes nearer. Every sign of an image has the track of its image, so it is no `track_id`.
        inclusive: Whether the lower right corner is the last pixel that belongs to the sign.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Mogelmose, Trivedi, Moeslund, Vision-Based Traffic Sign Detection and Analysis, IEEE T-ITS 2012; readme of
        the data.
    """
    native.check_choice("ignore", ignore, _IGNORE)
    native.check_choice("group_by", group_by, _GROUPS)
    what = f"a folder with {_WHOLE}, or with folders that hold {_PART}"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    rows = read_rows(source, _annotations(source), flags=True, inclusive=inclusive)
    source.name_images(rows)
    unnamed = set(source.image_files()) - source.images.keys() - source.errors.skipped_images.keys()
    negatives = {name for name in unnamed if "negatives" in PurePosixPath(name).parts[:-1]}
    source.add_images(sorted(negatives))
    others = tuple(sorted(unnamed - negatives))
    source.errors.note("image without a row, not in negatives", len(others), others, kind="image")
    reasons = {
        "on another road": pl.lit(ignore in ("other-road", "both")) & pl.col("on_another_road"),
        "unreadable": pl.lit(ignore in ("unreadable", "both")) & pl.col("label").str.ends_with("Urdbl"),
    }
    return source.table(rows.ignore(reasons), group=linked(rows.data, _GROUPS[group_by]))


def _annotations(source: Source) -> dict[str, str | None]:
    """Return the annotation files with the folder that their images are named relative to."""
    if (source.root / _WHOLE).exists():
        return {_WHOLE: None}
    missing, remedy = f"neither {_WHOLE} nor any {_PART} is there", "give the folder of LISA"
    parts = source.files(_PART, missing=missing, remedy=remedy)
    return {name: name.rpartition("/")[0] or None for name in parts}
