"""What the four numbers of a box are: corners or sizes, in pixels or in shares of the image.

A single odd box is the user's to judge. What is refused here is a data set whose boxes together cannot be meant as they
were read, with the option that reads them right where the reader has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from detect_transfer.core.annotations import VISIBLE_XYXY, XYXY
from detect_transfer.core.columns import AnyFrame, collected, joined, n_rows
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector

Form = Literal["xyxy", "xywh", "cxcywh"]
Units = Literal["pixels", "shares"]
FORMS: tuple[Form, ...] = get_args(Form)
UNITS: tuple[Units, ...] = get_args(Units)
SHARES_CODE = "BOX_FORMAT"

_FEWEST = 3
_SMALLEST_IMAGE = 8
_SHOWN = {"xyxy": "x1, y1, x2, y2", "xywh": "x, y, width, height", "cxcywh": "centre, width, height"}
_OF_FIXED = "write the numbers that the format asks for first"


@dataclass(frozen=True)
class BoxFormat:
    """What four numbers of a box are.

    Args:
        form: ``xyxy`` for corners, ``xywh`` for the top-left corner and the size, ``cxcywh`` for centre and size.
        units: ``pixels``, or ``shares`` of the width and height of the image.
        has_options: Whether the reader has the options `box_format` and `units`.
        stated: Those of these options that the user gave, which are not doubted.

    Raises:
        InputError: There is no such form or unit.
    """

    form: str = "xyxy"
    units: str = "pixels"
    has_options: bool = False
    stated: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check the choices."""
        for option, value, choices in (("box_format", self.form, FORMS), ("units", self.units, UNITS)):
            if value not in choices:
                remedy = "give one of: " + ", ".join(choices)
                raise InputError("OPTION_VALUE", "no such choice", field=option, value=value, remedy=remedy)

    def with_options(self, box_format: str | None, units: str | None) -> BoxFormat:
        """Return the form that the options of a reader name, None where it is as the format says."""
        given = {name for name, value in (("box_format", box_format), ("units", units)) if value is not None}
        return BoxFormat(box_format or self.form, units or self.units, True, frozenset(given))

    @property
    def is_sized(self) -> bool:
        """Whether the last two numbers are a width and a height."""
        return self.form != "xyxy"

    def corners(self, *fields: str) -> tuple[pl.Expr, pl.Expr, pl.Expr, pl.Expr]:
        """Return the left, top, right and bottom edge that four columns mean, in the units that they have."""
        a, b, c, d = (pl.col(field).cast(pl.Float64) for field in fields)
        if self.form == "xyxy":
            return a, b, c, d
        return (a, b, a + c, b + d) if self.form == "xywh" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)

    def numbers(self) -> tuple[pl.Expr, pl.Expr, pl.Expr, pl.Expr]:
        """Return the four numbers that corners in the columns `XYXY` were read from, in pixels."""
        x1, y1, x2, y2 = (pl.col(name) for name in XYXY)
        if self.form == "xyxy":
            return x1, y1, x2, y2
        size = x2 - x1, y2 - y1
        return (x1, y1, *size) if self.form == "xywh" else ((x1 + x2) / 2, (y1 + y2) / 2, *size)

    @property
    def fewest(self) -> int:
        """How many boxes make evidence against a format; one does where the user can answer by an option."""
        return 1 if self.has_options else _FEWEST

    def remedy(self, **options: str) -> str:
        """Return what to do about numbers that these values of the options would read right."""
        if not self.has_options:
            return _OF_FIXED
        own = {"box_format": self.form, "units": self.units}
        right = " ".join(f"--option {name}={value}" for name, value in options.items())
        kept = " ".join(f"--option {name}={own[name]}" for name in options)
        return f"read with {right}; if the numbers are right as they stand, with {kept}"


PIXEL_CORNERS = BoxFormat()
PIXEL_SIZES = BoxFormat("xywh")
SHARE_CORNERS = BoxFormat(units="shares")


def in_pixels(boxes: AnyFrame, images: pl.DataFrame) -> AnyFrame:
    """Return boxes whose corners, in shares of their images, are multiplied by the sizes of these."""
    sizes = images.select("image_id", image_width="width", image_height="height").unique("image_id", keep="first")
    names = boxes.collect_schema().names()
    columns = [name for name in (*XYXY, *VISIBLE_XYXY) if name in names]
    sized = joined(boxes, sizes, on="image_id", how="left").with_columns(
        pl.col(name) * pl.col("image_width" if "x" in name else "image_height") for name in columns
    )
    return sized.select(names)


def check_faults(errors: ErrorCollector, n_boxes: int, box_format: BoxFormat = PIXEL_CORNERS) -> None:
    """Refuse a data set with at least as many boxes that no such numbers can be as good ones.

    Args:
        errors: The faults so far.
        n_boxes: How many boxes are not at fault.
        box_format: What the boxes were read as.

    Raises:
        InputError: They end before they begin, as x, y, width, height would, or are no shares of an image.
    """
    if box_format.units == "shares" and errors.codes[SHARES_CODE] >= max(_FEWEST, n_boxes):
        n_wrong, code = errors.codes[SHARES_CODE], SHARES_CODE
        what, remedy = "are no shares of an image: they look like pixels", box_format.remedy(units="pixels")
    elif not box_format.is_sized and errors.codes["BOX_INVALID"] >= max(_FEWEST, n_boxes):
        n_wrong, code = errors.codes["BOX_INVALID"], "BOX_INVALID"
        what, remedy = (
            "end before they begin, as x, y, width, height would",
            box_format.remedy(box_format="xywh (cxcywh for centres)"),
        )
        if not box_format.has_options:
            remedy = f"write the edges that the format asks for: x2 = x + width, y2 = y + height; {_OF_FIXED}"
    else:
        return
    faults = (*errors.shown, *errors.skipped_rows, *errors.skipped_images.values())
    where = next((error.where for error in faults if error.code == code), None)
    what = f"{n_wrong:,} of {n_wrong + n_boxes:,} boxes {what}"
    raise InputError("BOX_FORMAT", what, where=where, field="box", remedy=remedy)


def check_boxes(images: pl.DataFrame, boxes: AnyFrame, box_format: BoxFormat = PIXEL_CORNERS) -> None:
    """Refuse boxes that together cannot be meant as they were read.

    Args:
        images: `image_id`, `width`, `height`.
        boxes: `image_id` and corners in pixels.
        box_format: What they were read as.

    Raises:
        InputError: They look like shares of the image and were read as pixels; or most of them leave their images, and
            none would if the numbers were of another form (`BOX_FORMAT`).
    """
    if n_rows(boxes) < box_format.fewest:
        return
    where = collected(boxes.select("source").head(1)).item() if "source" in boxes.collect_schema() else None
    what, remedy = "", ""
    if box_format.units == "pixels" and "units" not in box_format.stated and _look_like_shares(images, boxes):
        what = "all boxes lie within two pixels of the corner of their images, so the numbers look like shares"
        form = _fitting_form(boxes.with_columns(w=1.0, h=1.0), box_format, margin=0.02)
        remedy = box_format.remedy(units="shares", **({"box_format": form} if form else {}))
        if not box_format.has_options:
            remedy = f"write pixels: x times the width, y times the height of the image; {_OF_FIXED}"
    elif box_format.is_sized and "box_format" not in box_format.stated:
        sizes = images.select("image_id", w=pl.col("width").cast(pl.Float64), h=pl.col("height").cast(pl.Float64))
        form = _fitting_form(
            joined(boxes.select("image_id", *XYXY), sizes, on="image_id", how="left"), box_format, margin=1.0
        )
        if form is None:
            return
        what = f"most boxes leave their images, and none would if the numbers were {_SHOWN[form]}"
        remedy = box_format.remedy(box_format=form)
        if not box_format.has_options:
            remedy = f"write x, y, width, height: width = x2 - x1, height = y2 - y1; {_OF_FIXED}"
    if what:
        raise InputError("BOX_FORMAT", what, where=where, field="box", remedy=remedy)


def _look_like_shares(images: pl.DataFrame, boxes: AnyFrame) -> bool:
    """Tell whether all corners lie within two pixels, some at a fraction, in images that are larger than that."""
    if not collected(boxes.select(pl.max_horizontal(pl.col(XYXY).abs().max()) <= 2)).item():
        return False
    is_large = ((pl.col("width") > _SMALLEST_IMAGE) & (pl.col("height") > _SMALLEST_IMAGE)).fill_null(True)
    has_fraction = pl.any_horizontal((pl.col(XYXY) % 1 != 0).any())
    return bool(images.select(is_large.all()).item() and collected(boxes.select(has_fraction)).item())


def _fitting_form(boxes: AnyFrame, box_format: BoxFormat, *, margin: float) -> Form | None:
    """Return another form by which all boxes lie in their images, of size `w` x `h`, where most do not by their own."""
    numbers = boxes.select("w", "h", **dict(zip("abcd", box_format.numbers(), strict=True)))

    def is_inside(form: str) -> pl.Expr:
        x1, y1, x2, y2 = BoxFormat(form).corners(*"abcd")
        within = (x1 >= -margin) & (y1 >= -margin) & (x2 <= pl.col("w") + margin) & (y2 <= pl.col("h") + margin)
        return within & (x2 >= x1) & (y2 >= y1)

    if collected(numbers.select(is_inside(box_format.form).fill_null(True).mean() >= 0.5)).item():
        return None
    others = [form for form in FORMS if form != box_format.form]
    return next((f for f in others if collected(numbers.select(is_inside(f).fill_null(False).all())).item()), None)
