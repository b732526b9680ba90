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
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.evaluation.arrays import BoolArray, IntArray
from detect_transfer.evaluation.assignment import Pairs, take_turns
from detect_transfer.evaluation.attributes import Span, attribute_values, truth_attributes
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet
from detect_transfer.evaluation.outcomes import average_precision_101

MIN_POSITIVES = 10
IOU_THRESHOLDS = tuple(float(t) for t in np.linspace(0.5, 0.95, 10))
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


@dataclass(frozen=True)
class Slice:
    """A part of the truth.

    Args:
        name: Such as ``height [50, 100)``.
        objects: (N,) truth boxes in it.
        images: (I,) images that are scored, by position.
        classes: (K,) classes that are scored.
        out_of_range: (D,) detections that are ignored if they find nothing, as their own size is outside.
    """

    name: str
    objects: BoolArray
    images: BoolArray
    classes: BoolArray
    out_of_range: BoolArray


@dataclass(frozen=True)
class SliceScore:
    """The numbers of a slice: None with a `reason` where it has fewer objects than are asked for."""

    name: str
    n_positives: int
    ap: float | None
    ap50: float | None
    recall: float | None
    reason: str | None


def slices(case: Case, *, min_positives: int = MIN_POSITIVES) -> MetricResult:
    """Score all slices that the table tells enough for; `n_positives` is given for each, however few.

    `recall` is that at IoU .5 of all detections that count. A slice ``attribute colour red`` has the objects whose
    `attributes` say so; objects of another colour, and those of which no colour is told, cost nothing.
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
    objects = case.known.is_object & part.objects & part.images[case.known.image]
    objects &= _of_classes(case, part)
    n = int(objects.sum())
    if n < min_positives:
        told = "no object" if n == 0 else "1 object" if n == 1 else f"{n} objects"
        reason = f"{told} in it, fewer than {min_positives}"
        return SliceScore(part.name, n, None, None, None, reason)
    kept = (case.place_in_class < _MAX_DETECTIONS) & part.images[case.found.image] & part.classes[case.found.category]
    n_objects = np.bincount(case.known.category[objects], minlength=len(case.names))
    ap, recall = [], 0.0
    pairs = case.excusing.take(kept[case.excusing.found])
    for threshold in IOU_THRESHOLDS:
        pairs = pairs.take(pairs.overlap >= threshold)
        hits, counted = _settle(case, part, objects, kept, pairs)
        ap.append(_mean_ap(case, hits, counted, n_objects))
        if threshold == IOU_THRESHOLDS[0]:
            found = np.bincount(case.known.category[hits.truth], minlength=len(n_objects))
            recall = float((found[n_objects > 0] / n_objects[n_objects > 0]).mean())
    return SliceScore(part.name, n, float(np.mean(ap)), ap[0], recall, None)


def _settle(case: Case, part: Slice, objects: BoolArray, kept: BoolArray, pairs: Pairs) -> tuple[Pairs, BoolArray]:
    """Return the hits, and which detections (D,) count: an object outside excuses one, a region any number."""
    wanted = objects[pairs.truth]
    hits = take_turns(pairs.take(wanted), case.rank, len(objects))
    counted = kept & ~part.out_of_range
    free = np.ones(len(kept), bool)
    free[hits.found] = False
    others = pairs.take(~wanted & free[pairs.found])
    counted[take_turns(others, case.rank, len(objects), unlimited=case.known.is_region).found] = False
    counted[hits.found] = True
    return hits, counted


def _mean_ap(case: Case, hits: Pairs, counted: BoolArray, n_objects: IntArray) -> float:
    """Return the mean over the classes with objects."""
    before = np.append(0, np.cumsum(counted[case.by_class]))  # counted detections, class after class
    rows = np.sort(case.place_by_class[hits.found])
    first = case.class_bounds
    bounds = np.searchsorted(rows, first)
    values = [
        average_precision_101(before[rows[bounds[k] : bounds[k + 1]]] - before[first[k]], n_objects[k])
        for k in np.flatnonzero(n_objects).tolist()
    ]
    return float(np.mean(values))


def all_slices(case: Case) -> Iterator[Slice]:
    """Yield every slice that something is told about."""
    yield _whole(case, "all")
    attributes = truth_attributes(case.truth)
    for span in _HEIGHTS:
        yield by_height(case, span)
    for column, spans in _SHARES.items():
        stated = attributes[f"stated_{column}"]
        if np.isfinite(stated[case.known.is_object]).any():
            for span in spans:
                yield _whole(case, f"{column} {span}", objects=span.holds(stated))
    yield from _class_groups(case)
    yield from _image_values(case)
    for key, value, which in attribute_values(case.truth, case.known.is_object, most=_MOST_VALUES):
        yield _whole(case, f"{_OF_OBJECTS} {key} {value}", objects=which)


def by_height(case: Case, span: Span) -> Slice:
    """Return the slice of objects with a height in pixels; detections of another height cost nothing."""
    height = truth_attributes(case.truth)["height"]
    return _whole(case, f"height {span}", objects=span.holds(height), out_of_range=~span.holds(case.found.xywh[:, 3]))


def _whole(case: Case, name: str, *, objects: BoolArray | None = None, out_of_range: BoolArray | None = None) -> Slice:
    return Slice(
        name,
        np.ones(len(case.known.image), bool) if objects is None else objects,
        np.ones(case.n_images, bool),
        np.ones(len(case.names), bool),
        np.zeros(len(case.found.image), bool) if out_of_range is None else out_of_range,
    )


def _class_groups(case: Case) -> Iterator[Slice]:
    """Yield a slice for each supercategory, if there are two at least."""
    groups = case.truth.categories.sort("category_id")["supercategory"]
    names = groups.drop_nulls().unique(maintain_order=True).to_list()
    plain = _whole(case, "")
    for name in names if len(names) > 1 else []:
        classes = (groups == name).fill_null(False).to_numpy()
        yield Slice(f"group {name}", plain.objects, plain.images, classes, plain.out_of_range)


def _image_values(case: Case) -> Iterator[Slice]:
    """Yield a slice for each value of each column of the images that the data set adds, such as the weather."""
    images = case.truth.images.sort("image_id")
    plain = _whole(case, "")
    for column in images.columns:
        if column in IMAGE_SCHEMA or images[column].dtype not in (pl.String, pl.Boolean, pl.Categorical):
            continue
        values = images[column].cast(pl.String)
        there = values.drop_nulls().unique().sort().to_list()
        for value in there if 2 <= len(there) <= _MOST_VALUES else []:
            which = (values == value).fill_null(False).to_numpy()
            yield Slice(f"{column} {value}", plain.objects, which, plain.classes, plain.out_of_range)


def _of_classes(case: Case, part: Slice) -> BoolArray:
    return np.append(part.classes, False)[case.known.category]  # the last for a region of every class


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
        found = {name for name in names if any(f"{name} ".startswith(f"{start} ") for start in starts)}
        if not found:
            kinds = {name.removeprefix(f"{_OF_OBJECTS} ").partition(" ")[0] for name in names} - {"all"}
            raise InputError(
                *("SLICE_UNKNOWN", "the truth tells nothing to slice by under this name"),
                field="slices",
                value=word,
                remedy=did_you_mean(word, sorted(kinds)),
            )
        wanted |= found
    values = {key: value for key, value in result.values.items() if key.partition("/")[2] in wanted}
    return replace(result, values=values, reasons={key: why for key, why in result.reasons.items() if key in values})
