"""VisDrone-DET: a text `annotations/<stem>.txt` an image of `images/`, seen from a drone.

A row is ``left,top,width,height,score,category,truncation,occlusion`` in pixels counted from 0. A score of 0 takes the
object out of the evaluation; category 0 marks regions to be ignored, and 11 objects of other classes.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.source import Source

CLASSES = (
    *("pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle", "awning-tricycle", "bus", "motor"),
    "others",
)
_BOX = ("left", "top", "width", "height")
_FIELDS = (*_BOX, "considered", "category", "truncation", "occlusion")
_REGION, _OTHERS = 0, 11
_OUTSIDE = {0: 0.0, 1: 0.25}  # the kit says up to a half: this lies in the middle of its words
_HIDDEN = {0: 0.0, 1: 0.25, 2: 0.75}


def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read VisDrone-DET: its ten classes and `others`, which is ignored as in the evaluation (reason ``others``).

    Regions of category 0 are ignored for every class (reason ``ignored region``); objects with a score of 0 are
    ignored too (reason ``not considered``). A folder such as ``VisDrone2019-DET-val`` states the split. `people` are
    persons who sit or ride.

    Args:
        root: The folder with ``annotations/`` and ``images/``, or one with several of these.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://github.com/VisDrone/VisDrone2018-DET-toolkit, readme.
    """
    what = "a folder with annotations/ and images/ of VisDrone-DET"
    source = Source(root, what, by="stem", missing_images=missing_images, on_error=on_error)
    texts = source.files("annotations/*.txt", missing="it holds no annotations/*.txt")
    image_of = {name: _image(name) for name in texts}
    for name, image in image_of.items():
        words = re.split("[-_]", "-".join(PurePosixPath(name).parts[:-2]) or real_path(root).name)
        source.add_image(image, str(root / name), split=split_named(*words))
    rows = source.rows(texts, _FIELDS, Dialect(",", trailing=True), image_of)
    rows = rows.numbers("considered", "category", "truncation", "occlusion", whole=True).numbers(*_BOX)
    rows = rows.between("category", _REGION, _OTHERS, "expected a category from 0 to 11", "CLASS_UNKNOWN")
    rows = rows.between("considered", 0, 1, "expected 0 or 1; other scores are those of detections")
    rows = rows.box(*_BOX, box_format=PIXEL_SIZES)
    category = pl.col("category")
    reasons = {
        "ignored region": category == _REGION,
        "others": category == _OTHERS,
        "not considered": pl.col("considered") == 0,
    }
    rows = rows.ignore(reasons, crowds=["ignored region"]).with_columns(
        category_id=pl.when(category != _REGION).then(category),
        truncated=pl.col("truncation").replace_strict(_OUTSIDE, default=None, return_dtype=pl.Float64),
        occluded=pl.col("occlusion").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64),
    )
    return source.table(rows, CLASSES)


def _image(name: str) -> str:
    path = PurePosixPath(name)
    return (path.parent.parent / "images" / f"{path.stem}.jpg").as_posix()
