"""How the rows of texts with detections are laid out, as their numbers and the objects of the truth tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.choices import BoxForm
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.box_evidence import corners_in_pixels, fits_image
from detect_transfer.formats.detections.names import KnownNames, image_manners, resolve
from detect_transfer.formats.detections.overlaps import on_an_object
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number

_MOST_TEXTS = 200  # whose rows show the layout of a folder
_BOX_AND_SCORE = 5
_LEAST_ON_OBJECTS, _TIMES_BETTER = 5, 4  # so many boxes on objects tell where the score stands
CLASS_LIST = "classes.txt"  # written beside the labels by tools of annotation


@dataclass(frozen=True)
class TextLayout:
    """How the rows of texts are laid out.

    Args:
        indexed: All classes are whole numbers.
        score_last: The score stands behind the box, not before it.
        form: What the four numbers of the box are.
    """

    indexed: bool = True
    score_last: bool = True
    form: BoxForm = BoxForm.CXCYWH_NORM

    @property
    def columns(self) -> tuple[str, ...]:
        """The fields of a row in order."""
        return ("category", *XYXY, "score") if self.score_last else ("category", "score", *XYXY)

    @property
    def reading(self) -> str:
        """The layout in words."""
        words = {"xyxy": XYXY, "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h")}
        kind, _, norm = self.form.value.partition("-")
        names = dict(zip(XYXY, words[kind], strict=True)) | {"category": "class"}
        unit = "shares of the image" if norm else "pixels"
        return f"texts read as {' '.join(names.get(column, column) for column in self.columns)}, in {unit}"


def find_layout(folder: Path, truth: KnownNames, options: DetectionOptions) -> TextLayout:
    """Tell the layout of the texts of a folder by their first rows: which column is a score, which are shares.

    A score is in [0, 1] where boxes in pixels are not; shares of the image make boxes that lie in it. Where the score
    may stand before the box and behind it, the objects of the truth decide, else the layout that the user names.

    Raises:
        InputError: Neither says where the score stands.
    """
    words, numbers, names = _first_rows(folder)
    indexed = all(parse_integer(word) is not None for word in words)
    if not len(numbers):
        return TextLayout(indexed)  # nothing to see, or a fault that its reader tells best
    first_share, last_share = (_is_score(numbers[:, column]) for column in (0, -1))
    if numbers.max() > 2 or numbers.min() < -1:  # boxes in shares may reach out a little
        return TextLayout(indexed, last_share and not first_share, BoxForm.XYXY)
    usual = indexed if options.layout is None else options.layout == "yolo"
    fitting: dict[bool, BoxForm] = {}
    for form in (BoxForm.CXCYWH_NORM, BoxForm.XYXY_NORM):
        for score_last, is_score in ((False, first_share), (True, last_share)):
            if is_score and fits_image(_boxes(numbers, score_last), form):
                fitting.setdefault(score_last, form)
    if len(fitting) < 2:
        return TextLayout(indexed, *next(iter(fitting.items()), (usual, BoxForm.CXCYWH_NORM)))
    seen_last = _score_on_objects(folder, numbers, names, fitting, truth)
    if seen_last is None and options.layout is None:
        raise InputError(
            *("DETECTIONS_FORMAT", "the score may stand before the box or behind it: both make boxes in the image"),
            where=folder,
            field="--detections-format",
            remedy="give --detections-format yolo for class, box, score, or text for class, score, box",
        )
    last = usual if seen_last is None else seen_last
    return TextLayout(indexed, last, fitting[last])


def _boxes(numbers: FloatArray, score_last: bool) -> FloatArray:
    """Return the boxes (N, 4) of rows (N, 5) of a box and a score."""
    return numbers[:, :-1] if score_last else numbers[:, 1:]


def _score_on_objects(
    folder: Path, numbers: FloatArray, names: Sequence[str], fitting: Mapping[bool, BoxForm], truth: KnownNames
) -> bool | None:
    """Tell whether boxes lie on objects of the truth with the score behind them or before; None where neither."""
    different = list(dict.fromkeys(names))
    ids = dict(zip(different, images_of(different, truth, folder), strict=True))
    image_id = pl.Series("image_id", [ids[name] for name in names], dtype=pl.Int64)
    images = image_id.to_frame().join(truth.truth.images, on="image_id", how="left", maintain_order="left")
    sizes_wh = images.select(pl.col("width", "height").cast(pl.Float64)).to_numpy()
    before, behind = (
        int(
            on_an_object(image_id, corners_in_pixels(_boxes(numbers, last), fitting[last], sizes_wh), truth.truth).sum()
        )
        for last in (False, True)
    )
    if max(before, behind) < _LEAST_ON_OBJECTS or min(before, behind) > max(before, behind) / _TIMES_BETTER:
        return None
    return behind > before


def _first_rows(folder: Path) -> tuple[list[str], FloatArray, list[str]]:
    """Return class words, numbers (N, 5) and file names of the rows that have a class, a box and a score."""
    words, numbers, names = [], [], []
    for name in islice(texts_of(folder), _MOST_TEXTS):
        for line in native.lines_of(native.read_text(folder, folder / name)):
            word, *rest = line.split() or [""]
            values = [parse_number(part) for part in rest]
            if len(values) == _BOX_AND_SCORE and None not in values:
                words.append(word)
                numbers.append(values)
                names.append(name)
            elif len(values) == _BOX_AND_SCORE - 1 and None not in values:
                return [word], np.empty((0, _BOX_AND_SCORE)), []  # labels without scores, which no layout has
    return words, np.array(numbers, np.float64).reshape(-1, _BOX_AND_SCORE), names


def _is_score(column: FloatArray) -> bool:
    return bool(((column >= 0) & (column <= 1)).all())


def texts_of(folder: Path) -> list[str]:
    """Return the texts of a folder.

    Raises:
        InputError: There is none.
    """
    names = [name for name in io.list_files(folder, (".txt",)) if name != CLASS_LIST]
    if not names:
        raise InputError(
            *("RESULTS_MISSING", "no .txt file is there"),
            where=folder,
            remedy="give the folder that holds a text for each image",
        )
    return names


def images_of(names: Sequence[str], truth: KnownNames, folder: Path) -> list[int]:
    """Return the image that each text is named after."""
    stems = pl.Series([native.stem_of(name) for name in names], dtype=pl.String)
    by_name = [manner for manner in image_manners(truth) if manner.by != "id"]
    return resolve(stems, by_name, pl.Series(list(names), dtype=pl.String), what="image", root=folder).to_list()
