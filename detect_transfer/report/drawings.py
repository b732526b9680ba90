"""Boxes drawn on images, which differ by colour, line and short name. Pure functions on arrays.

The colours are those of Okabe and Ito, which readers with any common colour blindness tell apart; every line has a dark
rim, so that it shows on any ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.core.errors import InternalError
from detect_transfer.core.temporary import private_folder
from detect_transfer.report.labels import leaders, place_tags
from detect_transfer.report.text import short_name

Rgb = tuple[int, int, int]

_RIM: Rgb = (18, 18, 18)  # of lines, and the letters of tags
_PAPER: Rgb = (250, 250, 250)
_CLOSE = 12  # a tag that is no further from its box needs no line to it
_MANY = 40  # from so many boxes on, tags hold no names
_MOST_TAGGED = 120  # beyond it there are none: they would hide the image, and finding places for 500 takes minutes
SHOWN_SIDE = 900  # smaller images are drawn larger, so that tags can be read


@dataclass(frozen=True)
class Kind:
    """How one kind of box looks: its short and long name, colour, line width and dashes (drawn, left out) in pixels."""

    short: str
    word: str
    rgb: Rgb
    width: int
    dashes: tuple[int, ...] = ()


KINDS: dict[str, Kind] = {
    "truth": Kind("T", "truth", (86, 180, 233), 2, (4, 4)),
    "detection": Kind("D", "detection", (230, 159, 0), 2),
    "tp": Kind("TP", "true positive", (0, 158, 115), 2),
    "fn": Kind("FN", "false negative", (240, 228, 66), 3, (10, 6)),
    "fp": Kind("FP", "false positive", (213, 94, 0), 2, (14, 4, 3, 4)),
    "ignored": Kind("I", "ignored", (204, 204, 204), 2, (2, 6)),
}


@dataclass(frozen=True)
class Mark:
    """A box to draw: corners in pixels of the image, a key of `KINDS`, and the words of its tag ("" for none)."""

    xyxy: tuple[float, float, float, float]
    kind: str
    label: str = ""


def marks_of(truth_rows: pl.DataFrame, detection_rows: pl.DataFrame, class_names: Mapping[int, str]) -> list[Mark]:
    """Turn rows of truth and detections into marks; a matched object is drawn without a tag of its own."""
    marks = []
    for row in truth_rows.iter_rows(named=True):
        status = row.get("status", "truth")
        kind = "truth" if status == "tp" else status
        name = class_names.get(row["category_id"], "every class")
        marks.append(Mark(_corners(row), kind, "" if status == "tp" else short_name(name, longest=22)))
    for row in detection_rows.iter_rows(named=True):
        name = short_name(class_names.get(row["category_id"], "?"), longest=22)
        marks.append(Mark(_corners(row), row.get("status", "detection"), f"{name} {row['score']:.2f}"))
    return marks


def _corners(row: Mapping[str, Any]) -> tuple[float, float, float, float]:
    return float(row["x1"]), float(row["y1"]), float(row["x2"]), float(row["y2"])


def draw_marks(
    image_rgb: RgbArray, marks: Sequence[Mark], *, legend: bool = True, shown_side: int = SHOWN_SIDE
) -> RgbArray:
    """Draw marks on a copy of an image, enlarged by a whole factor until its longer side reaches `shown_side`.

    Returns:
        An image (H', W', 3); with `legend` a strip is added below.
    """
    unknown = {m.kind for m in marks} - set(KINDS)
    if unknown:
        raise InternalError("DRAWING_KIND", f"unknown kinds {sorted(unknown)}", remedy="please report this")
    height, width = image_rgb.shape[:2]
    scale = max(1, min(8, math.ceil(shown_side / max(height, width))))
    canvas: RgbArray = np.array(image_rgb)
    if scale > 1:
        canvas = np.asarray(cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
    order = sorted(marks, key=lambda m: list(KINDS).index(m.kind) if m.kind != "ignored" else -1)
    xyxy = np.array([m.xyxy for m in order], dtype=np.float64).reshape(-1, 4) * scale
    for mark, box in zip(order, xyxy, strict=True):
        _draw_box(canvas, box, KINDS[mark.kind])
    words = [_tag_words(m, many=len(marks) > _MANY) if len(marks) <= _MOST_TAGGED else "" for m in order]
    canvas = _draw_tags(canvas, [KINDS[m.kind] for m in order], xyxy, words)
    return np.vstack([canvas, legend_strip([m.kind for m in marks], canvas.shape[1])]) if legend else canvas


def _tag_words(mark: Mark, *, many: bool) -> str:
    if not mark.label or (many and mark.kind in ("ignored", "truth")):
        return ""
    return KINDS[mark.kind].short if many else f"{KINDS[mark.kind].short} {mark.label}"


def _draw_box(canvas: RgbArray, box: FloatArray, kind: Kind) -> None:
    """Draw the outline just outside the box, so that the pixels of a tiny object stay visible."""
    away = (kind.width + 3) // 2  # half of the line with its rim
    low, high = np.floor(box[:2]).astype(int) - away - 1, np.ceil(box[2:]).astype(int) + away
    limit = np.array([canvas.shape[1], canvas.shape[0]])
    low, high = np.clip(low, 0, limit - 1), np.clip(high, 0, limit - 1)
    (left, top), (right, bottom) = low.tolist(), high.tolist()
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    for rgb, width in ((_RIM, kind.width + 2), (kind.rgb, kind.width)):
        for start, end in pairwise(corners):
            _line(canvas, start, end, rgb, width, kind.dashes)


def _line(
    canvas: RgbArray, start: tuple[int, int], end: tuple[int, int], rgb: Rgb, width: int, dashes: tuple[int, ...]
) -> None:
    (x, y), (right, down) = start, (end[0] - start[0], end[1] - start[1])
    length = math.hypot(right, down)
    for stroke in _strokes(length, dashes):
        p, q = ((round(x + right * t), round(y + down * t)) for t in (at / max(length, 1e-9) for at in stroke))
        cv2.line(canvas, p, q, rgb, width)


def _strokes(length: float, dashes: tuple[int, ...]) -> Iterator[tuple[float, float]]:
    if not dashes:
        yield 0.0, length
        return
    at, i = 0.0, 0
    while at < length:
        if i % 2 == 0:
            yield at, min(at + dashes[i], length)
        at += dashes[i]
        i = (i + 1) % len(dashes)


def _draw_tags(canvas: RgbArray, kinds: Sequence[Kind], xyxy: FloatArray, words: Sequence[str]) -> RgbArray:
    font = _font(13)
    sizes = [(math.ceil(font.getlength(w)) + 8, 18) if w else (0, 0) for w in words]
    tags = place_tags(xyxy, sizes, (canvas.shape[1], canvas.shape[0]))
    image = Image.fromarray(canvas)
    pen = ImageDraw.Draw(image)
    shown = [i for i, text in enumerate(words) if text]
    for i, line in zip(shown, leaders(xyxy[shown], tags[shown]).tolist(), strict=True):
        if max(abs(line[0] - line[2]), abs(line[1] - line[3])) > _CLOSE:
            pen.line(line, fill=_RIM, width=3)
            pen.line(line, fill=kinds[i].rgb, width=1)
    for i in shown:  # after all the lines, so that none crosses a name
        left, top, right, bottom = tags[i].tolist()
        pen.rectangle([left, top, right - 1, bottom - 1], fill=kinds[i].rgb, outline=_RIM)
        pen.text((left + 4, top + 9), words[i], font=font, fill=_RIM, anchor="lm")
    return np.asarray(image).copy()


def legend_strip(kinds: Sequence[str], width: int, *, counted: bool = True) -> RgbArray:
    """Make a strip (h, width, 3) with a sample line, a letter, a word and maybe a count for each kind that occurs."""
    font = _font(13)
    words = {k: f"{KINDS[k].short} {KINDS[k].word}" + (f" {kinds.count(k)}" if counted else "") for k in kinds}
    items = [(KINDS[k], words[k]) for k in KINDS if k in words]
    cells = [(kind, text, 44 + math.ceil(font.getlength(text)) + 14) for kind, text in items]
    positions, x, y = [], 8, 0
    for kind, text, cell_width in cells:
        if x > 8 and x + cell_width > width:
            x, y = 8, y + 22
        positions.append((kind, text, x, y))
        x += cell_width
    strip = np.full((y + 26, width, 3), 38, np.uint8)
    for kind, _, left, top in positions:
        _line(strip, (left, top + 13), (left + 34, top + 13), kind.rgb, kind.width, kind.dashes)
    image = Image.fromarray(strip)
    pen = ImageDraw.Draw(image)
    for _, text, left, top in positions:
        pen.text((left + 42, top + 13), text, font=font, fill=_PAPER, anchor="lm")
    return np.asarray(image).copy()


def contact_sheet(images: Sequence[RgbArray], columns: int, *, cell_wh: tuple[int, int] = (480, 360)) -> RgbArray:
    """Lay images out in rows, each shrunk to fit its cell and never enlarged.

    Args:
        images: Images (H, W, 3) of any sizes; none gives one empty cell.
        columns: How many stand beside each other.
        cell_wh: Width and height of a cell.
    """
    gap, (cell_w, cell_h) = 6, cell_wh
    columns = max(1, min(columns, max(len(images), 1)))
    rows = max(1, math.ceil(len(images) / columns))
    sheet = np.full((rows * (cell_h + gap) + gap, columns * (cell_w + gap) + gap, 3), 38, np.uint8)
    for i, image in enumerate(images):
        scale = min(1.0, cell_w / image.shape[1], cell_h / image.shape[0])
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        top = gap + (i // columns) * (cell_h + gap) + (cell_h - size[1]) // 2
        left = gap + (i % columns) * (cell_w + gap) + (cell_w - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Load the DejaVu font that matplotlib carries, so that drawings are the same on every machine."""
    private_folder()
    import matplotlib  # here, so that importing the package stays quick

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
