"""Whether scores mean what they say: calibration error, its reliability curve, and a temperature that fixes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.evaluation.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet

SCORE_FLOOR = 0.3
_BINS = 10
_BINS_BY_PLACE = 5
_LEAST_IN_BIN = 8
_LEAST_SCORED = 10
_CLOSEST = 1e-6  # how near to 0 and 1 a score may lie under the logarithm
_TEMPERATURES = (0.05, 20.0)
_BY_PLACE, _SHARE_BY_PLACE = "D_ECE_by_place", "D_ECE_by_place_share_of_detections"
_OF_TEMPERATURE = ("temperature", "D_ECE_held_out_before", "D_ECE_held_out_after")
_NAMES = ("D_ECE", _BY_PLACE, _SHARE_BY_PLACE, *_OF_TEMPERATURE)


@dataclass(frozen=True)
class Reliability:
    """Detections sorted into equal bins of the score.

    Args:
        error: D-ECE, the mean over the detections of |precision - mean score| of their bin.
        score: Mean score (B,) of the bins that hold any.
        precision: Share (B,) of hits in them.
        count: How many (B,) they hold.
    """

    error: float
    score: FloatArray
    precision: FloatArray
    count: IntArray


def reliability(score: FloatArray, hit: BoolArray, *, n_bins: int = _BINS) -> Reliability:
    """Compare scores (D,) with hits (D,); there must be one detection at least.

    Source:
        Kueppers et al., Multivariate Confidence Calibration for Object Detection, CVPR workshops 2020 (D-ECE).
    """
    return _binned(_bin(score, n_bins), score, hit)


def place_error(score: FloatArray, hit: BoolArray, place: FloatArray) -> tuple[float | None, float]:
    """Return D-ECE over bins of score, centre and size together, and the share of detections in bins that hold enough.

    It is None where no bin does.

    Args:
        score: (D,) scores.
        hit: (D,) which are hits.
        place: (D, 4) centre and size as shares of the image.

    Source:
        As `reliability`. Its code, netcal 1.4.0, divides by all detections, as if those in the other bins were well
        calibrated; its number is this error times the share.
    """
    digits = np.column_stack([_bin(column, _BINS_BY_PLACE) for column in (score, *place.T)])
    cell = digits @ _BINS_BY_PLACE ** np.arange(digits.shape[1])
    _, inverse, count = np.unique(cell, return_inverse=True, return_counts=True)
    enough = count[inverse] >= _LEAST_IN_BIN
    error = _binned(cell[enough], score[enough], hit[enough]).error if enough.any() else None
    return error, float(enough.mean())


def fit_temperature(score: FloatArray, hit: BoolArray) -> float:
    """Return the T for which sigmoid(logit(score) / T) has the least log loss, in [0.05, 20]; 1 changes nothing."""
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    logit = _logit(score)
    sign = np.where(hit, -1.0, 1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, sign * logit / np.exp(log_temperature)).mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def apply_temperature(score: FloatArray, temperature: float) -> FloatArray:
    """Return the fixed scores (D,)."""
    return np.asarray(1 / (1 + np.exp(-_logit(score) / temperature)))


def calibration(case: Case, *, score_floor: float = SCORE_FLOOR) -> MetricResult:
    """Measure D-ECE at IoU .5, all classes together, and what a temperature fitted on other images makes of it.

    Excused detections are left out, and objects that were missed do not count: it is about precision. For the
    temperature every second group of images (video, sequence; else every second image) is the one that it is fitted on,
    and D-ECE before and after is told for the others.

    Args:
        case: What is scored.
        score_floor: Detections below it are left out, as most detectors give very many.
    """
    rows = case.matches.detections
    use = ((rows["status"] != "ignored") & (rows["score"] >= score_floor)).to_numpy()
    score, hit = rows["score"].to_numpy()[use], (rows["status"] == "hit").to_numpy()[use]
    sheet, curves = Sheet(), {}
    lacking = None
    if not case.known.is_object.any():
        lacking = "the truth has no object that must be found"
    elif len(score) < _LEAST_SCORED:
        lacking = f"fewer than {_LEAST_SCORED} detections have a score of {score_floor:g} or more"
    if lacking:
        for name in _NAMES:
            sheet.put(name, None, lacking)
    else:
        whole = reliability(score, hit)
        sheet.put("D_ECE", whole.error, "")
        curves["reliability"] = {
            "score": whole.score.tolist(),
            "precision": whole.precision.tolist(),
            "count": whole.count.astype(float).tolist(),
        }
        _put_place(sheet, case, score, hit, use)
        _put_temperature(sheet, score, hit, _every_second_group(case.truth, rows["image_id"])[use])
    bounds = {
        "overlap": ">= 0.5",
        "score_floor": score_floor,
        "bins": _BINS,
        "bins_by_place": f"{_BINS_BY_PLACE} of score, centre and size each, with {_LEAST_IN_BIN} detections or more",
    }
    return sheet.result("calibration", bounds, curves)


def _put_place(sheet: Sheet, case: Case, score: FloatArray, hit: BoolArray, use: BoolArray) -> None:
    place = _places(case)
    error, share = (None, None) if place is None else place_error(score, hit, place[use])
    unknown = "the sizes of the images are not known"
    sheet.put(_BY_PLACE, error, unknown if place is None else f"no bin holds {_LEAST_IN_BIN} detections")
    sheet.put(_SHARE_BY_PLACE, share, unknown)


def _put_temperature(sheet: Sheet, score: FloatArray, hit: BoolArray, fit: BoolArray) -> None:
    least = min(int(part.sum()) for part in (fit, ~fit))
    if least < _LEAST_SCORED or len(np.unique(hit[fit])) < 2:
        for name in _OF_TEMPERATURE:
            sheet.put(
                name, None, f"a half has fewer than {_LEAST_SCORED} detections, or only hits or only false alarms"
            )
        return
    temperature = fit_temperature(score[fit], hit[fit])
    before = reliability(score[~fit], hit[~fit]).error
    after = reliability(apply_temperature(score[~fit], temperature), hit[~fit]).error
    for name, value in zip(_OF_TEMPERATURE, (temperature, before, after), strict=True):
        sheet.put(name, value, "")


def _every_second_group(truth: AnnotationTable, image_id: pl.Series) -> BoolArray:
    """Tell (D,) whether a detection lies in an image of the half that the temperature is fitted on."""
    groups = truth.images.select(
        "image_id", half=pl.coalesce("group", text_of("image {}", "image_id")).rank("dense") % 2 == 1
    )
    return image_id.to_frame().join(groups, on="image_id", how="left", maintain_order="left")["half"].to_numpy()


def _places(case: Case) -> FloatArray | None:
    """Return (D, 4) centre and size as shares of the image; None where a size is not known."""
    sizes = case.truth.images.sort("image_id").select("width", "height")
    if sizes.null_count().sum_horizontal().item():
        return None
    scale = sizes.to_numpy()[case.found.image].astype(float)
    xywh = case.found.xywh
    return np.concatenate([(xywh[:, :2] + xywh[:, 2:] / 2) / scale, xywh[:, 2:] / scale], axis=1)


def _bin(share: FloatArray, n_bins: int) -> IntArray:
    return np.clip((share * n_bins).astype(np.int64), 0, n_bins - 1)


def _binned(cell: IntArray, score: FloatArray, hit: BoolArray) -> Reliability:
    _, inverse, count = np.unique(cell, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, score) / count
    precision = np.bincount(inverse, hit.astype(float)) / count
    return Reliability(float((count * np.abs(precision - mean)).sum() / len(score)), mean, precision, count)


def _logit(score: FloatArray) -> FloatArray:
    inside = np.clip(score, _CLOSEST, 1 - _CLOSEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))
