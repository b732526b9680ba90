"""Which detection matches which object: true and false positives, false negatives, and what regions excuse."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.arrays import IntArray
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation.arrays import IgnorePolicy
from detect_transfer.evaluation.assignment import Pairs, best_of_each, in_turn, match_in_turn
from detect_transfer.evaluation.case import LEAST_NEAR, LEAST_OVERLAP, Case, near_pairs, overlaps_of

STATUS = ("fp", "tp", "ignored", "fn")
_FP, _TP, _IGNORED, _FN = range(4)


@dataclass(frozen=True)
class Matches:
    """Every detection and every truth box with its status.

    Args:
        detections: The detections with `score >= score_threshold` in their order, and further columns: `status` (`tp`,
            `fp` or `ignored`), `annotation_id` of the truth box that was matched or that excuses it (else null) and
            `iou` with it (intersection over the area of the detection where it is excused).
        truth: All truth boxes in their order, and further columns: `status` (`tp`, `fn` or `ignored`) and the `score`
            of the detection that matched it (else null).
        n_images: How many images were scored, empty ones among them.
        iou_threshold: The overlap that makes a true positive.
        score_threshold: Detections below it are left out.
        ignore_policy: `region` or `strict`, see `arrays`.
    """

    detections: pl.DataFrame
    truth: pl.DataFrame
    n_images: int
    iou_threshold: float
    score_threshold: float
    ignore_policy: IgnorePolicy = "region"

    def above(self, score_threshold: float) -> Matches:
        """Return the matching of the detections with at least this score, without matching again.

        The greedy order makes it a part of the matching of all, so this equals `match` with the higher threshold.
        """
        included = pl.col("score") >= score_threshold
        lost = (pl.col("status") == "tp") & ~included
        return replace(
            self,
            detections=self.detections.filter(included),
            truth=self.truth.with_columns(
                pl.when(lost).then(pl.lit("fn")).otherwise(pl.col("status")).alias("status"),
                pl.when(lost).then(None).otherwise(pl.col("score")).alias("score"),
            ),
            score_threshold=max(self.score_threshold, score_threshold),
        )

    def of_class(self, category_id: int) -> Matches:
        """Return the matching of one class alone."""
        detections, truth = (
            rows.filter(pl.col("category_id") == category_id) for rows in (self.detections, self.truth)
        )
        return replace(self, detections=detections, truth=truth)

    @property
    def counts(self) -> dict[str, int]:
        """How many `tp`, `fp`, `ignored` (detections) and `fn` there are."""
        counts = {status: int((self.detections["status"] == status).sum()) for status in STATUS[:3]}
        return {**counts, "fn": int((self.truth["status"] == "fn").sum())}

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP); None where nothing was detected outside ignored regions."""
        counts = self.counts
        return counts["tp"] / (counts["tp"] + counts["fp"]) if counts["tp"] + counts["fp"] else None

    @property
    def recall(self) -> float | None:
        """TP / (TP + FN); None where there is no object."""
        counts = self.counts
        return counts["tp"] / (counts["tp"] + counts["fn"]) if counts["tp"] + counts["fn"] else None

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where there is no object."""
        tp, fp, fn = (self.counts[name] for name in ("tp", "fp", "fn"))
        return 2 * tp / (2 * tp + fp + fn) if tp + fn else None

    @property
    def fp_per_image(self) -> float | None:
        """False positives / images, images without objects included."""
        return self.counts["fp"] / self.n_images if self.n_images else None


@dataclass(frozen=True)
class Confusion:
    """Which class was detected as which.

    Args:
        counts: (K + 1, K + 1); row: the true class, column: the predicted one; the last of each is the background, so
            the last column counts false negatives and the last row false positives.
        category_ids: The K ids in order.
        names: The K names in order.
        iou_threshold: The overlap that makes a pair.
        score_threshold: Detections below it are left out.
    """

    counts: IntArray
    category_ids: tuple[int, ...]
    names: tuple[str, ...]
    iou_threshold: float
    score_threshold: float


def match(
    truth: AnnotationTable,
    detections: Detections,
    *,
    iou_threshold: float = 0.5,
    score_threshold: float = 0.0,
    ignore_policy: IgnorePolicy = "region",
) -> Matches:
    """Match detections to objects per image and class, greedily in order of score as COCO does.

    A detection takes the free object with the largest IoU, if that reaches `iou_threshold`. One that gets none is
    excused when its intersection with an ignored region, over its own area, reaches the same threshold. There is no cap
    on the number of detections. The matching above a score is a part of the matching of all, so one call with
    `score_threshold=0` serves every operating point.

    Raises:
        InputError: The truth has no image, a detection names an unknown id, or a threshold is outside [0, 1].

    Source:
        pycocotools 2.0.11, `COCOeval.evaluateImg` for the area range `all`.
    """
    _check_thresholds(iou_threshold, score_threshold)
    return match_case(Case(truth, detections, ignore_policy), iou_threshold).above(score_threshold)


def match_case(case: Case, iou_threshold: float = 0.5) -> Matches:
    """Do what `match` does for all scores of a case, once for each IoU threshold."""
    return case.shared(("matches", iou_threshold), lambda: _match(case, iou_threshold))


def _match(case: Case, iou_threshold: float) -> Matches:
    gt, dt = case.gt, case.dt
    shared = iou_threshold >= LEAST_OVERLAP
    pairs = case.overlaps if shared else overlaps_of(case, dt.xywh, gt.xywh, iou_threshold)
    least = min(iou_threshold, 1 - 1e-10)
    iou = pairs.iou.take(gt.is_object[pairs.iou.gt] & (pairs.iou.overlap >= least))
    matched = match_in_turn(iou, case.rank, len(gt.image))
    excused = _excused(case, pairs.ioa.take(pairs.ioa.overlap >= least), matched)
    status = np.full(len(dt.score), _FP)
    partner = np.full(len(status), -1, np.int64)
    overlap = np.full(len(status), np.nan)
    for code, part in ((_TP, matched), (_IGNORED, excused)):
        status[part.dt], partner[part.dt], overlap[part.dt] = code, part.gt, part.overlap
    gt_status = np.where(gt.is_object, _FN, _IGNORED)
    gt_status[matched.gt] = _TP
    score = np.full(len(gt_status), np.nan)
    score[matched.gt] = dt.score[matched.dt]
    ids = case.truth.boxes["annotation_id"].gather(pl.Series(partner).replace(-1, None))
    return Matches(
        detections=case.detections.rows.with_columns(
            _in_words(status), ids.alias("annotation_id"), pl.Series("iou", overlap).fill_nan(None)
        ),
        truth=case.truth.boxes.with_columns(_in_words(gt_status), pl.Series("score", score).fill_nan(None)),
        n_images=case.n_images,
        iou_threshold=iou_threshold,
        score_threshold=0.0,
        ignore_policy=case.ignore_policy,
    )


def confusion(case: Case, *, iou_threshold: float = 0.5, score_threshold: float = 0.25) -> Confusion:
    """Count which class was detected as which, matching without regard to the class.

    This is no part of COCO. Per image, detections with `score >= score_threshold` in order of score each take the free
    object of *any* class with the largest IoU, if that reaches `iou_threshold`; of equal IoUs the object of its own
    class. A detection that gets none is excused when it lies in a region that is ignored for its class or for every
    class, else it counts in the background row. An object that no detection took counts in the background column.

    Raises:
        InputError: As for `match`.
    """
    _check_thresholds(iou_threshold, score_threshold)
    gt, dt = case.gt, case.dt
    least = min(iou_threshold, 1 - 1e-10)
    included = dt.score >= score_threshold
    near = case.near if iou_threshold >= LEAST_NEAR else near_pairs(case, iou_threshold)
    near = near.take((near.overlap >= least) & included[near.dt])
    same = gt.category[near.gt] == dt.category[near.dt]
    matched = match_in_turn(in_turn(near, case.rank, prefer=same), case.rank, len(gt.image))
    shared = iou_threshold >= LEAST_OVERLAP
    ioa = (case.overlaps if shared else overlaps_of(case, dt.xywh, gt.xywh, iou_threshold)).ioa
    excused = _excused(case, ioa.take(ioa.overlap >= least), matched)
    fn = np.setdiff1d(np.flatnonzero(gt.is_object), matched.gt)
    fp = np.setdiff1d(np.flatnonzero(included), np.concatenate([matched.dt, excused.dt]))
    n = len(gt.category_ids)
    counts = np.zeros((n + 1, n + 1), np.int64)
    np.add.at(counts, (gt.category[matched.gt], dt.category[matched.dt]), 1)
    np.add.at(counts[:, n], gt.category[fn], 1)
    np.add.at(counts[n], dt.category[fp], 1)
    return Confusion(counts, tuple(gt.category_ids.tolist()), tuple(case.names), iou_threshold, score_threshold)


def _check_thresholds(iou_threshold: float, score_threshold: float) -> None:
    for field, value, low in (("iou_threshold", iou_threshold, 1e-9), ("score_threshold", score_threshold, 0.0)):
        if not low <= value <= 1:
            raise InputError(
                "THRESHOLD_RANGE",
                "a threshold must be in [0, 1], and an overlap above 0",
                field=field,
                value=value,
                remedy="give a share such as 0.5, not percent",
            )


def _excused(case: Case, shares: Pairs, matched: Pairs) -> Pairs:
    """Return for each detection that is not matched the region that covers most of it."""
    is_free = np.ones(len(case.rank), bool)
    is_free[matched.dt] = False
    return best_of_each(shares.take(case.gt.is_region[shares.gt] & is_free[shares.dt]))


def _in_words(status: IntArray) -> pl.Series:
    return pl.Series("status", STATUS).gather(status)
