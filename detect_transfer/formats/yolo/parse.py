"""What a row of a YOLO label says, by what the data set states of its rows.

A row is ``class cx cy width height``. Longer ones are polygons, oriented boxes, poses or tracks, which share counts of
columns: what is stated decides (`kpt_shape`, the option `rows`), and where nothing does and the numbers fit two kinds,
the user is asked. A row that is not as it must be is looked at by itself, for a message that says what it looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from detect_transfer.core.annotations import XYXY
from detect_transfer.formats.parsing.box_format import SHARES_CODE, BoxFormat
from detect_transfer.formats.parsing.numbers import NUMBER_PATTERN, parse_integer, parse_number

RowKind = Literal["polygon", "pose", "track", "obb"]
ROW_KINDS: tuple[RowKind, ...] = get_args(RowKind)
SHARE_CENTRES = BoxFormat("cxcywh", "shares")

Look = Callable[[pl.DataFrame], None]

_CLASS = r"^[0-9]{1,9}(?:\.0+)?"  # some tools write all columns as floats
_NUMERIC_ROW = _CLASS + rf"(?: {NUMBER_PATTERN}){{4,}}$"
_N_BOX = 5  # columns: the class and four numbers
_NAMES = {"cxcywh": ("cx", "cy", "width", "height"), "xywh": ("x", "y", "width", "height"), "xyxy": XYXY}
CHOICES = "--option rows=polygon, rows=obb (four corners), rows=pose (keypoints) or rows=track (confidence, track id)"
_FIX = "fix or remove the row"


@dataclass(frozen=True)
class RowRules:
    """What rows may be.

    Args:
        n_classes: How many classes there are.
        kind: What rows of more than 5 columns are; None where it is not stated: polygons, unless another kind fits.
        keypoints: How many keypoints of how many numbers (2 or 3) a pose has; None where it is not stated.
        scores: Whether a row may end in the score of a prediction.
        box_format: What the four numbers of a box are.
    """

    n_classes: int
    kind: RowKind | None = None
    keypoints: tuple[int, int] | None = None
    scores: bool = False
    box_format: BoxFormat = SHARE_CENTRES

    def is_box(self, n: pl.Expr) -> pl.Expr:
        """Tell for counts of columns whether the first four numbers are the box."""
        is_box = n == _N_BOX
        if self.kind == "track":
            return is_box | n.is_in([_N_BOX + 1, _N_BOX + 2])
        if self.kind == "pose":
            return is_box | (n == self._n_pose if self._n_pose else n > _N_BOX + 1)
        return is_box | (n == _N_BOX + 1) if self.scores else is_box

    def is_shape(self, n: pl.Expr) -> pl.Expr:
        """Tell for counts of columns whether the numbers are points around the object."""
        if self.kind in ("track", "pose"):
            return pl.lit(False)
        n = n - (n % 2 == 0).cast(pl.Int64) if self.scores else n
        return n == 9 if self.kind == "obb" else (n % 2 == 1) & (n >= 7)

    @property
    def _n_pose(self) -> int:
        return _N_BOX + self.keypoints[0] * self.keypoints[1] if self.keypoints else 0

    @property
    def expected(self) -> str:
        """The columns that a row may have, in words."""
        of_kind = {
            "pose": f"or {self._n_pose}, as kpt_shape says" if self._n_pose else "and those of the keypoints",
            "track": "and a confidence, a track id or both",
            "obb": "or a class and four points",
        }
        further = of_kind.get(self.kind or "", "or a class and at least 3 points")
        return f"expected {_N_BOX} columns (class {' '.join(_NAMES[self.box_format.form])}) {further}"

    def explain(self, text: str) -> tuple[str, str, str, str, str]:
        """Return code, what, field, value and remedy for a row that is not as it must be."""
        parts = text.split(" ")
        if "," in text or ";" in text:
            return "LABEL_COLUMNS", "fields are separated by blanks, not by commas or semicolons", "row", text, _FIX
        counts = pl.select(n=pl.lit(len(parts)))
        is_box, is_shape = counts.select(a=self.is_box(pl.col("n")), b=self.is_shape(pl.col("n"))).row(0)
        if not (is_box or is_shape):
            return (
                "LABEL_COLUMNS",
                f"found {len(parts)} columns, {self.expected}",
                "row",
                text,
                self._columns_remedy(parts),
            )
        allowed = f"expected a class from 0 to {self.n_classes - 1}"
        whole, _, fraction = parts[0].partition(".")
        number = parse_integer(whole)
        if number is None or fraction.strip("0") or not 0 <= number < self.n_classes:
            what = allowed if number is not None and not fraction.strip("0") else f"{allowed}, as an integer"
            return "LABEL_CLASS", what, "class", parts[0], _FIX
        names = _NAMES[self.box_format.form] if is_box else [f"{'xy'[i % 2]}{i // 2 + 1}" for i in range(len(parts))]
        for i, part in enumerate(parts[1:]):
            name = names[i] if i < len(names) else "score"
            is_geometry = i < len(_NAMES["xyxy"]) if is_box else True
            if (fault := self._fault(name, part, is_geometry=is_geometry)) is not None:
                return fault
        if self.box_format.form == "xyxy" and is_box:
            return "BOX_INVALID", "the second corner must not be before the first", "row", text, _FIX
        return "LABEL_NUMBER", "the extent of these points is more than the image", "row", text, _FIX

    def _fault(self, name: str, part: str, *, is_geometry: bool) -> tuple[str, str, str, str, str] | None:
        value, is_share = parse_number(part), self.box_format.units == "shares"
        if value is None:
            what = "expected a finite number" + " from 0 to 1" * is_share + ", of the digits 0-9"
            return "LABEL_NUMBER", what, name, part, _FIX
        if name in ("width", "height") and value < 0:
            return "BOX_INVALID", "expected a size that is not negative", name, part, _FIX
        if name == "score" and self.scores and not 0 <= value <= 1:
            return "LABEL_SCORE", "expected a score from 0 to 1", name, part, _FIX
        if is_share and is_geometry and not -1 <= value <= 2:
            what = "expected a share of the image from 0 to 1; it looks like pixels"
            return SHARES_CODE, what, name, part, self.box_format.remedy(units="pixels")
        return None

    def _columns_remedy(self, parts: list[str]) -> str:
        if len(parts) == _N_BOX + 1:
            return "predictions=keep-score or drop-score reads scores, rows=track reads track ids"
        return f"fix the row, or say what rows are by {CHOICES}" if len(parts) > _N_BOX else _FIX


def parse_rows(lines: pl.DataFrame, rules: RowRules, look: Look) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn lines into numbers.

    Args:
        lines: `file`, `line` and `text`, with one blank between fields.
        rules: What rows may be.
        look: Called with the lines that are taken for points.

    Returns:
        Good rows: `file`, `line`, `class`, `kind` (box, shape, pose), `score` and `track_id` (null: none), and the
        corners in the units of the rules; and the lines that are no good row.
    """
    text = pl.col("text")
    counted = lines.with_columns(n=text.str.count_matches(" ", literal=True).cast(pl.Int64) + 1)
    numeric = counted.select(text.str.contains(_NUMERIC_ROW)).to_series()
    counted = counted.with_columns(
        is_box=rules.is_box(pl.col("n")) & numeric, is_shape=rules.is_shape(pl.col("n")) & numeric
    )
    shapes = counted.filter("is_shape")
    look(shapes)
    rows = pl.concat([_boxes(counted.filter("is_box"), rules), _shapes(shapes)])
    if not shapes.is_empty():
        rows = rows.sort("file", "line")
    fits = (pl.col("class") < rules.n_classes) & pl.all_horizontal(pl.col(XYXY).is_finite().fill_null(False))
    fits &= (pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))
    fits &= pl.col("score").is_null() | pl.col("score").is_between(0, 1)
    fits &= pl.col("inside") if rules.box_format.units == "shares" else True
    is_good = rows.select(fits.fill_null(False)).to_series()
    misfits = rows.filter(~is_good).select("file", "line")
    wrong = counted.filter(~(pl.col("is_box") | pl.col("is_shape")))
    if len(misfits):
        wrong = pl.concat([wrong, counted.join(misfits, on=["file", "line"], how="semi")]).sort("file", "line")
    return rows.filter(is_good).drop("inside"), wrong.select("file", "line", "text")


def _class() -> pl.Expr:
    return pl.col("class").cast(pl.Float64).cast(pl.Int64)


def _boxes(lines: pl.DataFrame, rules: RowRules) -> pl.DataFrame:
    """Return the rows whose first four numbers are a box."""
    parts = lines["text"].str.split_exact(" ", 6).struct.unnest()
    parts.columns = ["class", *"abcd", "first", "second"]
    data = pl.concat([lines.select("file", "line", "n"), parts], how="horizontal")
    data = data.with_columns(pl.col(*"abcd").cast(pl.Float64, strict=False))
    score, track = pl.lit(None, dtype=pl.Float64), pl.lit(None, dtype=pl.String)
    if rules.kind == "track":
        has_both = pl.col("n") == _N_BOX + 2
        score = pl.when(has_both).then(pl.col("first").cast(pl.Float64, strict=False))
        track = pl.when(has_both).then("second").when(pl.col("n") == _N_BOX + 1).then("first")
        track = track.str.replace(r"\.0+$", "")
    elif rules.kind != "pose":
        score = pl.col("first").cast(pl.Float64, strict=False)
    is_pose = (pl.col("n") > _N_BOX) & pl.lit(rules.kind == "pose")
    return data.select(
        "file",
        "line",
        _class(),
        kind=pl.when(is_pose).then(pl.lit("pose")).otherwise(pl.lit("box")),
        score=score,
        track_id=track,
        **dict(zip(XYXY, rules.box_format.corners(*"abcd"), strict=True)),
        inside=pl.all_horizontal(pl.col(*"abcd").is_between(-1, 2)),
    )


def _shapes(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the extent of the points of each row as a box."""
    numbers = pl.col("text").str.split(" ").list.slice(1).cast(pl.List(pl.Float64), strict=False)
    data = lines.select("file", "line", "n", "text", numbers=numbers)
    is_scored = pl.col("n") % 2 == 0
    points = pl.col("numbers").list.head(pl.col("n") - 1 - is_scored.cast(pl.Int64))
    data = data.with_columns(points=points, score=pl.when(is_scored).then(pl.col("numbers").list.last()))
    x, y = pl.col("points").list.gather_every(2, 0), pl.col("points").list.gather_every(2, 1)
    finite = pl.col("points").list.eval(pl.element().is_finite().fill_null(False)).list.all()
    edges = (x.list.min(), y.list.min(), x.list.max(), y.list.max())
    return data.with_columns(pl.col("text").str.split(" ").list.first().alias("class")).select(
        "file",
        "line",
        _class(),
        pl.lit("shape").alias("kind"),
        "score",
        pl.lit(None, dtype=pl.String).alias("track_id"),
        *[pl.when(finite).then(edge).alias(name) for name, edge in zip(XYXY, edges, strict=True)],
        (pl.col("points").list.min() >= -1).and_(pl.col("points").list.max() <= 2).alias("inside"),
    )
