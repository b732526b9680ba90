"""From which number the pixels of Pascal VOC files are counted, by the evidence of a whole data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.voc.xml import VocFile

LABEL_MAP = "labelmap.txt"  # CVAT writes it beside its export, and so do we


@dataclass(frozen=True)
class Origin:
    """From where pixels are counted: from 1, the last one of a box included, or from 0; and why."""

    is_one: bool
    reason: str

    @property
    def words(self) -> str:
        """The choice and its reason in words."""
        return f"pixels are counted from {int(self.is_one)}: {self.reason}"


def find_origin(root: Path, files: Sequence[VocFile], numbers: pl.DataFrame, *, is_devkit: bool) -> Origin:
    """Tell from where pixels are counted; the first of these decides.

    Most files are of our writer: from 1. A corner below 1: from 0. ``<database>`` names VOC in most files, or they are
    of supervision: from 1. Most files are of tools, by ``<path>``, by a ``<database>`` ``Unknown`` or of Roboflow, or
    by ``labelmap.txt``; or most boxes have a fraction: from 0. Some corner is 1 and some reaches the width or height of
    its image: from 1. Else the devkit layout (``JPEGImages/``) counts from 1 and any other from 0.

    Args:
        root: The folder of the data set.
        files: What its files say.
        numbers: The corners as they stand, with `width` and `height` of the image.
        is_devkit: Whether its folders are those of the devkit.
    """
    n_ours, n_official, n_supervision, n_tool = (
        sum(file.maker == maker for file in files) for maker in ("ours", "voc", "supervision", "tool")
    )
    low = pl.min_horizontal("x1", "y1").min()
    touches = ((pl.col("x2") == pl.col("width")) | (pl.col("y2") == pl.col("height"))).any()
    fraction = pl.any_horizontal(pl.col(XYXY) % 1 != 0).mean()
    lowest, is_touching, fractions = numbers.select(low.alias("a"), touches.alias("b"), fraction.alias("c")).row(0)
    if n_ours * 2 > len(files):
        return Origin(True, "<database> is of this tool, which counts as the devkit")
    if lowest is not None and lowest < 1:
        return Origin(False, "a corner lies below 1")
    if n_official * 2 > len(files):
        return Origin(True, "<database> names VOC, whose devkit counts so")
    if n_supervision * 2 > len(files):
        return Origin(True, "<folder> and <database> are those of supervision, which counts so")
    if (root / LABEL_MAP).is_file():
        return Origin(False, f"{LABEL_MAP} is of CVAT, which counts so")
    if n_tool * 2 > len(files):
        return Origin(False, "<path> or <database> is of an annotation tool, as which count so")
    if fractions is not None and fractions > 0.5:
        return Origin(False, "most boxes have fractions, which are of a tool")
    if lowest == 1 and is_touching:
        return Origin(True, "corners reach from 1 to the size of the image")
    return Origin(is_devkit, "no corner decides, so the layout does")
