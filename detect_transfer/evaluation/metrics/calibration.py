"""Whether scores mean what they say: calibration error, its reliability curve, and a temperature that fixes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import BoolArray, FloatArray, IntArray
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.threshold_matches import units_of
from detect_transfer.evaluation.matching import match_case
from detect_transfer.evaluation.metric_result import MetricResult, Sheet

SCORE_FLOOR = 0.3
_BINS = 10
_BINS_BY_POSITION = 5
_LEAST_IN_BIN = 8
_LEAST_SCORED = 10
_CLOSEST = 1e-6  # how near to 0 and 1 a score may lie under the logarithm
_TEMPERATURES = (0.05, 20.0)
_BY_POSITION, _SHARE_BY_POSITION = "D_ECE_by_position", "D_ECE_by_position_share_of_detections"
_OF_TEMPERATURE = ("temperature", "D_ECE_held_out_before", "D_ECE_held_out_after")
_NAMES = ("D_ECE", _BY_POSITION, _SHARE_BY_POSITION, *_OF_TEMPERATURE)


@dataclass(frozen=True)
class Reliability:
    """Detections sorted into equal bins of the score.

    Args:
        error: D-ECE, the mean over the detections of |precision - mean score| of their bin.
        score: Mean score (B,) of the bins that hold any.
        precision: Share (B,) of true positives in them.
        count: How many (B,) they hold.
    """

    error: float
    score: FloatArray
    precision: FloatArray
    count: IntArray


def reliability(score: FloatArray, tp: BoolArray, *, n_bins: int = _BINS) -> Reliability:
    """Compare scores (D,) with true positives (D,); there must be one detection at least.

    Source:
        Kueppers et al., Multivariate Confidence Calibration for Object Detection, CVPR workshops 2020 (D-ECE).
    """
    return _binned(_bin(score, n_bins), score, tp)


def position_error(score: FloatArray, tp: BoolArray, position: FloatArray) -> tuple[float | None, float]:
    """Return D-ECE over bins of score, centre and size together, and the share of detections in bins that hold enough.

    It is None where no bin does.

    Args:
        score: (D,) scores.
        tp: (D,) which are true positives.
        position: (D, 4) centre and size as shares of the image.

    Source:
        As `reliability`. Its code, netcal 1.4.0, divides by all detections, as if those in the other bins were well
        calibrated; its number is this error times the share.
    """
    digits = np.column_stack([_bin(column, _BINS_BY_POSITION) for column in (score, *position.T)])
    cell = digits @ _BINS_BY_POSITION ** np.arange(digits.shape[1])
    _, inverse, count = np.unique(cell, return_inverse=True, return_counts=True)
    enough = count[inverse] >= _LEAST_IN_BIN
    error = _binned(cell[enough], score[enough], tp[enough]).error if enough.any() else None
    return error, float(enough.mean())


def fit_temperature(score: FloatArray, tp: BoolArray) -> float:
    """Return the T for which sigmoid(logit(score) / T) has the least log loss, in [0.05, 20]; 1 changes nothing."""
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    logit = _logit(score)
    sign = np.where(tp, -1.0, 1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, sign * logit / np.exp(log_temperature)).mean())

    low, high = np.log(_TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def apply_temperature(score: FloatArray, temperature: float) -> FloatArray:
    """Return the fixed scores (D,)."""
    return np.asarray(1 / (1 + np.exp(-_logit(score) / temperature)))


def calibration(case: Case, *, score_floor: float = SCORE_FLOOR) -> MetricResult:
    """Measure D-ECE at IoU .5, all classes together, and what a temperature fitted on other images makes of it.

    Excused detections are left out, and false negatives do not count: it is about precision. The temperature is fitted
    on every second group of images (video, sequence; else every second image), and D-ECE before and after is that of
    the others.

    Args:
        case: What is scored.
        score_floor: Detections below it are left out, as most detectors give very many.
    """
    rows = match_case(case).detections
    use = ((rows["status"] != "ignored") & (rows["score"] >= score_floor)).to_numpy()
    score, tp = rows["score"].to_numpy()[use], (rows["status"] == "tp").to_numpy()[use]
    sheet, curves = Sheet(), {}
    lacking = None
    if not case.gt.is_object.any():
        lacking = "the truth has no object"
    elif len(score) < _LEAST_SCORED:
        lacking = f"fewer than {_LEAST_SCORED} detections have a score of {score_floor:g} or more"
    if lacking:
        for name in _NAMES:
            sheet.put(name, None, lacking)
    else:
        whole = reliability(score, tp)
        sheet.put("D_ECE", whole.error, "")
        curves["reliability"] = {
            "score": whole.score.tolist(),
            "precision": whole.precision.tolist(),
            "count": whole.count.astype(float).tolist(),
        }
        _put_position(sheet, case, score, tp, use)
        _put_temperature(sheet, score, tp, units_of(case.truth)[0][case.dt.image[use]] % 2 == 0)
    bounds = {
        "overlap": ">= 0.5",
        "score_floor": score_floor,
        "bins": _BINS,
        "bins_by_position": f"{_BINS_BY_POSITION} of score, centre and size each, {_LEAST_IN_BIN} detections at least",
    }
    return sheet.result("calibration", bounds, curves)


def _put_position(sheet: Sheet, case: Case, score: FloatArray, tp: BoolArray, use: BoolArray) -> None:
    position = _positions(case)
    error, share = (None, None) if position is None else position_error(score, tp, position[use])
    unknown = "the sizes of the images are not known"
    sheet.put(_BY_POSITION, error, unknown if position is None else f"no bin holds {_LEAST_IN_BIN} detections")
    sheet.put(_SHARE_BY_POSITION, share, unknown)


def _put_temperature(sheet: Sheet, score: FloatArray, tp: BoolArray, fit: BoolArray) -> None:
    least = min(int(part.sum()) for part in (fit, ~fit))
    if least < _LEAST_SCORED or len(np.unique(tp[fit])) < 2:
        reason = f"a half has fewer than {_LEAST_SCORED} detections, or only true or only false positives"
        for name in _OF_TEMPERATURE:
            sheet.put(name, None, reason)
        return
    temperature = fit_temperature(score[fit], tp[fit])
    before = reliability(score[~fit], tp[~fit]).error
    after = reliability(apply_temperature(score[~fit], temperature), tp[~fit]).error
    for name, value in zip(_OF_TEMPERATURE, (temperature, before, after), strict=True):
        sheet.put(name, value, "")


def _positions(case: Case) -> FloatArray | None:
    """Return (D, 4) centre and size as shares of the image; None where a size is not known."""
    sizes = case.truth.images.sort("image_id").select("width", "height")
    if sizes.null_count().sum_horizontal().item():
        return None
    scale = sizes.to_numpy()[case.dt.image].astype(float)
    xywh = case.dt.xywh
    return np.concatenate([(xywh[:, :2] + xywh[:, 2:] / 2) / scale, xywh[:, 2:] / scale], axis=1)


def _bin(share: FloatArray, n_bins: int) -> IntArray:
    return np.clip((share * n_bins).astype(np.int64), 0, n_bins - 1)


def _binned(cell: IntArray, score: FloatArray, tp: BoolArray) -> Reliability:
    _, inverse, count = np.unique(cell, return_inverse=True, return_counts=True)
    mean = np.bincount(inverse, score) / count
    precision = np.bincount(inverse, tp.astype(float)) / count
    return Reliability(float((count * np.abs(precision - mean)).sum() / len(score)), mean, precision, count)


def _logit(score: FloatArray) -> FloatArray:
    inside = np.clip(score, _CLOSEST, 1 - _CLOSEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))
