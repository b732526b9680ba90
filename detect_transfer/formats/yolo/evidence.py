"""Whether rows of points are what they were taken for."""

from __future__ import annotations

import polars as pl

from detect_transfer.formats.yolo.parse import CHOICES, RowRules


class Evidence:
    """Whether rows that would be polygons may be poses or tracks as well: all of one length, and of their numbers.

    Polygons of a data set differ in length, so the first two lengths end the question.

    Args:
        rules: What rows may be; the question is open only where their kind is not stated.
    """

    def __init__(self, rules: RowRules) -> None:
        self.rules = rules
        self.lengths: set[int] = set()
        self.may_be_poses = self.may_be_tracks = rules.kind is None
        self.first = (0, 0)
        self.n_rows = 0

    @property
    def is_open(self) -> bool:
        """Whether the user must say what the rows are."""
        return len(self.lengths) == 1 and (self.may_be_poses or self.may_be_tracks)

    @property
    def question(self) -> tuple[str, str]:
        """What is open, and what to answer."""
        (length,) = self.lengths
        other = "boxes with confidence and track id" if self.may_be_tracks else "poses (a box, then keypoints)"
        what = f"all {self.n_rows:,} rows of points have {length} columns, and their numbers may be {other} as well"
        return what, f"say what they are by {CHOICES}"

    def look(self, shapes: pl.DataFrame) -> None:
        """Look at more rows."""
        if shapes.is_empty() or not (self.may_be_poses or self.may_be_tracks):
            return
        if not self.lengths:
            self.first = shapes.select("file", "line").row(0)
        self.lengths |= set(shapes["n"].unique())
        self.n_rows += len(shapes)
        if len(self.lengths) > 1:
            self.may_be_poses = self.may_be_tracks = False
            return
        texts = shapes["text"].str.split(" ")
        numbers = texts.list.slice(1).cast(pl.List(pl.Float64), strict=False)
        self.may_be_tracks &= self.lengths == {7} and _may_be_tracks(texts, numbers)
        self.may_be_poses &= any(_may_be_poses(numbers, n) for n in (2, 3))


def _may_be_tracks(texts: pl.Series, numbers: pl.Series) -> bool:
    """Tell whether all rows end in a score and a whole number that is no coordinate."""
    is_whole = texts.list.last().str.contains(r"^[0-9]+$").all()
    return bool(is_whole and numbers.list.get(4).is_between(0, 1).all())


def _may_be_poses(numbers: pl.Series, n_of_point: int) -> bool:
    """Tell whether in all rows the numbers behind the first four are keypoints inside the box that these are."""
    values = pl.DataFrame({"v": numbers}).select(
        **{name: pl.col("v").list.get(i) for i, name in enumerate("abcd")}, rest=pl.col("v").list.slice(4)
    )
    if values.select((pl.col("rest").list.len() % n_of_point != 0).any()).item():
        return False
    x, y = (pl.col("rest").list.gather_every(n_of_point, i) for i in (0, 1))
    flat = values.select(*"abcd", x=x, y=y).explode("x", "y")
    near = [
        ((pl.col(p) - pl.col(c)).abs() <= pl.col(s) * 0.55 + 0.01) for p, c, s in (("x", "a", "c"), ("y", "b", "d"))
    ]
    is_inside = (near[0] & near[1]) | ((pl.col("x") == 0) & (pl.col("y") == 0))
    if not flat.select((is_inside & (pl.col("c") > 0) & (pl.col("d") > 0)).fill_null(False).all()).item():
        return False
    seen = values.select(v=pl.col("rest").list.gather_every(3, 2)).explode("v")
    return n_of_point == 2 or bool(seen.select(pl.col("v").is_in([0.0, 1.0, 2.0]).all()).item())
