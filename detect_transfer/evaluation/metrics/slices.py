"""AP of a part of the truth at a time: by size, visibility, occlusion, class group, properties of images and objects.

What lies outside a slice is ignored, neither target nor background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import polars as pl

from detect_transfer.core.annotations import IMAGE_SCHEMA
from detect_transfer.core.arrays import BoolArray, IntArray
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.evaluation.assignment import Pairs, match_in_turn
from detect_transfer.evaluation.attributes import Span, attribute_values, truth_attributes
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.threshold_matches import IOU_THRESHOLDS
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import average_precision_101

MIN_POSITIVES = 10
_MAX_DETECTIONS = 100
_MOST_VALUES = 12  # an image column or an attribute with more is no property to slice by
_OF_OBJECTS = "attribute"  # what the names of slices by attributes of objects begin with
_HEIGHTS = (Span(0, 20, below=True), Span(20, 50, below=True), Span(50, 100, below=True), Span(100, inf))
_SHARES = {
    "visible": (Span(0, 0.2, below=True), Span(0.2, 0.65, below=True), Span(0.65, 1)),
    "occluded": (Span(0, 0), Span(0, 0.4, below=True, above=True), Span(0.4, 0.8, below=True), Span(0.8, 1)),
    "truncated": (Span(0, 0), Span(0, 0.5, below=True, above=True), Span(0.5, 1)),
}
_OTHER_WORDS = {"visibility": "visible", "occlusion": "occluded", "truncation": "truncated", "class": "group"}
KINDS = ("height", *_OTHER_WORDS)  # what every truth may be sliced by


@dataclass(frozen=True)
class Slice:
    """A part of the truth.

    Args:
        name: Such as ``height [50, 100)``.
        objects: (N,) truth boxes in it.
        images: (I,) images that are scored, by position.
        classes: (K,) classes that are scored.
        out_of_range: (D,) detections that are ignored if they match nothing, as their own size is outside.
    """

    name: str
    objects: BoolArray
    images: BoolArray
    classes: BoolArray
    out_of_range: BoolArray


@dataclass(frozen=True)
class SliceScore:
    """The numbers of a slice: None with a `reason` where it has too few objects."""

    name: str
    n_positives: int
    ap: float | None
    ap50: float | None
    recall: float | None
    reason: str | None


def slices(case: Case, *, min_positives: int = MIN_POSITIVES) -> MetricResult:
    """Score all slices that the table has enough objects of; `n_positives` is given for each, however few.

    `recall` is that at IoU .5 of all detections that count. A slice ``attribute colour red`` has the objects whose
    `attributes` say so; objects of another colour, and those without a stated colour, cost nothing.
    """
    sheet = Sheet()
    for part in all_slices(case):
        row = score_slice(case, part, min_positives=min_positives)
        reason = row.reason or ""
        for column, value in (("AP", row.ap), ("AP50", row.ap50), ("recall", row.recall)):
            sheet.put(f"{column}/{row.name}", value, reason)
        sheet.put(f"n_positives/{row.name}", row.n_positives, "")
    bounds = {
        "min_positives": min_positives,
        "max_detections": _MAX_DETECTIONS,
        "outside": "an object outside excuses one detection by IoU, as COCO does with sizes",
    }
    return sheet.result("slices", bounds)


def score_slice(case: Case, part: Slice, *, min_positives: int = MIN_POSITIVES) -> SliceScore:
    """Return the COCO AP of one slice, the mean over its classes with objects.

    Source:
        pycocotools 2.0.11, `COCOeval`: what it does for a range of areas is done for any slice.
    """
    objects = case.gt.is_object & part.objects & part.images[case.gt.image]
    objects &= _of_classes(case, part)
    n = int(objects.sum())
    if n < min_positives:
        count = "no object" if n == 0 else "1 object" if n == 1 else f"{n} objects"
        reason = f"{count} in it, fewer than {min_positives}"
        return SliceScore(part.name, n, None, None, None, reason)
    included = (case.rank_in_class < _MAX_DETECTIONS) & part.images[case.dt.image] & part.classes[case.dt.category]
    n_objects = np.bincount(case.gt.category[objects], minlength=len(case.names))
    ap, recall = [], 0.0
    pairs = case.excusing.take(included[case.excusing.dt])
    for threshold in IOU_THRESHOLDS:
        pairs = pairs.take(pairs.overlap >= threshold)
        matched, counted = _match_slice(case, part, objects, included, pairs)
        ap.append(_mean_ap(case, matched, counted, n_objects))
        if threshold == IOU_THRESHOLDS[0]:
            n_tp = np.bincount(case.gt.category[matched.gt], minlength=len(n_objects))
            recall = float((n_tp[n_objects > 0] / n_objects[n_objects > 0]).mean())
    return SliceScore(part.name, n, float(np.mean(ap)), ap[0], recall, None)


def _match_slice(
    case: Case, part: Slice, objects: BoolArray, included: BoolArray, pairs: Pairs
) -> tuple[Pairs, BoolArray]:
    """Return the matched pairs, and which detections (D,) count: an object outside excuses one, a region any number."""
    wanted = objects[pairs.gt]
    matched = match_in_turn(pairs.take(wanted), case.rank, len(objects))
    counted = included & ~part.out_of_range
    free = np.ones(len(included), bool)
    free[matched.dt] = False
    others = pairs.take(~wanted & free[pairs.dt])
    counted[match_in_turn(others, case.rank, len(objects), unlimited=case.gt.is_region).dt] = False
    counted[matched.dt] = True
    return matched, counted


def _mean_ap(case: Case, matched: Pairs, counted: BoolArray, n_objects: IntArray) -> float:
    """Return the mean over the classes with objects."""
    before = np.append(0, np.cumsum(counted[case.by_class]))  # counted detections, class after class
    rows = np.sort(case.position_by_class[matched.dt])
    first = case.class_bounds
    bounds = np.searchsorted(rows, first)
    values = [
        average_precision_101(before[rows[bounds[k] : bounds[k + 1]]] - before[first[k]], n_objects[k])
        for k in np.flatnonzero(n_objects).tolist()
    ]
    return float(np.mean(values))


def all_slices(case: Case) -> Iterator[Slice]:
    """Yield every slice that the table says something about."""
    yield _whole(case, "all")
    attributes = truth_attributes(case.truth)
    for span in _HEIGHTS:
        yield by_height(case, span)
    for column, spans in _SHARES.items():
        stated = attributes[f"stated_{column}"]
        if np.isfinite(stated[case.gt.is_object]).any():
            for span in spans:
                yield _whole(case, f"{column} {span}", objects=span.holds(stated))
    yield from _class_groups(case)
    yield from _image_values(case)
    for key, value, which in attribute_values(case.truth, case.gt.is_object, most=_MOST_VALUES):
        yield _whole(case, f"{_OF_OBJECTS} {key} {value}", objects=which)


def by_height(case: Case, span: Span) -> Slice:
    """Return the slice of objects with a height in pixels; detections of another height cost nothing."""
    height = truth_attributes(case.truth)["height"]
    return _whole(case, f"height {span}", objects=span.holds(height), out_of_range=~span.holds(case.dt.xywh[:, 3]))


def _whole(case: Case, name: str, *, objects: BoolArray | None = None, out_of_range: BoolArray | None = None) -> Slice:
    return Slice(
        name,
        np.ones(len(case.gt.image), bool) if objects is None else objects,
        np.ones(case.n_images, bool),
        np.ones(len(case.names), bool),
        np.zeros(len(case.dt.image), bool) if out_of_range is None else out_of_range,
    )


def _class_groups(case: Case) -> Iterator[Slice]:
    """Yield a slice for each supercategory, if there are two at least."""
    groups = case.truth.categories.sort("category_id")["supercategory"]
    names = groups.drop_nulls().unique(maintain_order=True).to_list()
    for name in names if len(names) > 1 else []:
        yield replace(_whole(case, f"group {name}"), classes=(groups == name).fill_null(False).to_numpy())


def _image_values(case: Case) -> Iterator[Slice]:
    """Yield a slice for each value of each column of the images that the data set adds, such as the weather."""
    images = case.truth.images.sort("image_id")
    for column in images.columns:
        if column in IMAGE_SCHEMA or images[column].dtype not in (pl.String, pl.Boolean, pl.Categorical):
            continue
        values = images[column].cast(pl.String)
        occurring = values.drop_nulls().unique().sort().to_list()
        for value in occurring if 2 <= len(occurring) <= _MOST_VALUES else []:
            yield replace(_whole(case, f"{column} {value}"), images=(values == value).fill_null(False).to_numpy())


def _of_classes(case: Case, part: Slice) -> BoolArray:
    return np.append(part.classes, False)[case.gt.category]  # the last for a region of every class


def slice_rows(result: MetricResult) -> list[Mapping[str, float | str | None]]:
    """Return the rows of a table: `slice`, its numbers, and the `reason` where they are None."""
    names = [key.removeprefix("n_positives/") for key in result.values if key.startswith("n_positives/")]
    columns = ("n_positives", "AP", "AP50", "recall")
    return [
        {
            "slice": name,
            **{c: result.values[f"{c}/{name}"] for c in columns},
            "reason": result.reasons.get(f"AP/{name}"),
        }
        for name in names
    ]


def choose_slices(result: MetricResult, words: Sequence[str]) -> MetricResult:
    """Keep the slices by these properties or of these names, and the whole to compare with.

    Args:
        result: That of `slices`.
        words: Such as ``height``, ``weather rain``, ``attribute colour`` or, shorter, ``colour``.

    Raises:
        InputError: No slice has that name.
    """
    names = list(dict.fromkeys(key.partition("/")[2] for key in result.values))
    wanted = {"all"}
    for word in words:
        starts = (word, _OTHER_WORDS.get(word, word), f"{_OF_OBJECTS} {word}")
        chosen = {name for name in names if any(f"{name} ".startswith(f"{start} ") for start in starts)}
        if not chosen:
            kinds = {name.removeprefix(f"{_OF_OBJECTS} ").partition(" ")[0] for name in names} - {"all"}
            raise InputError(
                "SLICE_UNKNOWN",
                "the truth has nothing to slice by under this name",
                field="slices",
                value=word,
                remedy=did_you_mean(word, sorted(kinds)),
            )
        wanted |= chosen
    values = {key: value for key, value in result.values.items() if key.partition("/")[2] in wanted}
    return replace(result, values=values, reasons={key: why for key, why in result.reasons.items() if key in values})
