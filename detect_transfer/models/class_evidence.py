"""Which source class each target class looks like: what the source detects on the annotated boxes, as a table.

The source runs over some training images with its own classes. On every annotated box its best score for each of its
classes is taken, at IoU 0.5 or more; the means of these scores, a row a target class, say which head row a target class
should start from. No name is read here: only what is seen counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.boxes import iou

Match = Literal["clear", "weak", "none"]

SCORE_FLOOR = 0.01  # of the detections of the pass: what lies below moves a mean by less than this
SAME_BOX = 0.5  # IoU from which on a detection is of an annotated box
# The thresholds were chosen on COCO64 and VOC2007 with their names hidden, which say whether a match is right, and on
# road signs and GTSDB; tools/benchmarks/class_map.py prints their tables, and what shuffled labels give.
LEAST_BOXES = 2  # of a class, for a weak match: one box says little
LEAST_HITS = 5  # boxes that the source class of a clear match fires on: two or three rare hits fall together by chance
HIT_SCORE = 0.1  # score from which on it fires on a box
CLEAR_SCORE = 0.2  # mean best score of a clear match; the wrong ones of COCO64 reach .13
CLEAR_Z = 5.0  # standard deviations of a clear match above what shuffled labels give; 26 boxes in all can reach it
WEAK_SCORE = 0.02  # mean best score of a weak match: twice the floor
WEAK_AP50 = 0.02  # AP at IoU 0.5 of a weak match
SHARE = 0.5  # of the first: from it on a second source class starts the row too, and a third makes a match unclear


@dataclass(frozen=True)
class SourceScore:
    """How one source class fires on the boxes of a target class.

    Args:
        source: The source class.
        score: Mean of its best scores on the boxes of the class, in [0, 1].
        elsewhere: The same on the boxes of all other classes; 0 where there are none.
        ap50: Average precision at IoU 0.5 of its detections taken for the class, in [0, 1].
        hits: Boxes of the class on which its score is `HIT_SCORE` or more.
        z: Standard deviations of `score` above its mean under shuffled labels; None where all boxes are of one class.
    """

    source: str
    score: float
    elsewhere: float
    ap50: float
    hits: int
    z: float | None

    @property
    def gain(self) -> float:
        """By how much the score is above that on other classes."""
        return self.score - self.elsewhere


@dataclass(frozen=True)
class ClassMatch:
    """What a target class looks like to the source.

    Args:
        target: The target class.
        boxes: How many boxes of it were seen.
        match: `clear`: the source knows the class. `weak`: its row is a better start than none. `none`: no source class
            fires on it.
        sources: The source classes that match, one or two.
        scores: All source classes, those that match first, then the best first.
    """

    target: str
    boxes: int
    match: Match
    sources: tuple[str, ...]
    scores: tuple[SourceScore, ...]

    @property
    def score(self) -> float | None:
        """The mean best score of the source class that matches best; None where none matches."""
        return max(map(self.score_of, self.sources), default=None)

    @property
    def runner_up(self) -> SourceScore | None:
        """The best source class that does not match; None where none fires."""
        return next((each for each in self.scores if each.source not in self.sources and each.score), None)

    def score_of(self, source: str) -> float:
        """Return the mean best score of a source class."""
        return next((each.score for each in self.scores if each.source == source), 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the row of the table as it stands in `transfer.json`."""
        matched = [each for each in self.scores if each.source in self.sources]
        rest = self.runner_up
        return {
            "target": self.target,
            "boxes": self.boxes,
            "match": self.match,
            "sources": self.sources,
            "score": self.score,
            "ap50": max((each.ap50 for each in matched), default=None),
            "runner_up": None if rest is None else rest.source,
            "runner_up_score": None if rest is None else rest.score,
        }

    @property
    def sentence(self) -> str:
        """The row in words."""
        rest = self.runner_up
        following = "" if rest is None else f"; next {quoted([rest.source])} {rest.score:.3f}"
        if not self.boxes:
            return "no box in the images that were looked at"
        if self.boxes < LEAST_BOXES:
            return f"one box says too little{following}"
        if not self.sources:
            return f"like nothing that the source knows{following} (boxes: {self.boxes})"
        how = "" if self.match == "clear" else "weakly "
        return f"{how}like {quoted(self.sources)}, score {self.score:.3f}{following} (boxes: {self.boxes})"


@dataclass(frozen=True)
class ClassEvidence:
    """The table of target and source classes.

    Args:
        matches: A row a target class; none where the source could not be asked.
        images: How many images were looked at.
        of_images: Of how many.
        imgsz: Their longer side in pixels, or height and width as text.
        seconds: What it took.
        note: Why the source could not be asked.
    """

    matches: tuple[ClassMatch, ...] = ()
    images: int = 0
    of_images: int = 0
    imgsz: int | str = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def class_map(self) -> dict[str, list[str]]:
        """The clear matches, as `transfer.class_map` would name them."""
        return {each.target: list(each.sources) for each in self.matches if each.match == "clear"}

    @property
    def sentence(self) -> str:
        """What was looked at, in words."""
        if self.note:
            return f"the source was not asked which of its classes are meant: {self.note}"
        counts = {kind: sum(each.match == kind for each in self.matches) for kind in ("clear", "weak")}
        return (
            f"the source ran over {self.images} of {self.of_images} training images at {self.imgsz} px in "
            f"{self.seconds:.0f} s: of {len(self.matches)} classes it knows {counts['clear']}, "
            f"and {counts['weak']} start from a weak match"
        )

    def as_record(self) -> dict[str, Any]:
        """Return the table and how it was made, as they stand in `transfer.json`."""
        settings = {"score_floor": SCORE_FLOOR, "iou": SAME_BOX, "clear_score": CLEAR_SCORE, "weak_score": WEAK_SCORE}
        made = {"images": self.images, "of_images": self.of_images, "imgsz": self.imgsz, "seconds": self.seconds}
        return {
            "class_evidence": [each.as_dict() for each in self.matches],
            "class_evidence_made": {"note": self.note} if self.note else {**made, **settings},
        }


def quoted(names: Sequence[str]) -> str:
    """Return class names in quotation marks, joined by `and`."""
    return " and ".join(f"'{name}'" for name in names)


def match_classes(
    truth: AnnotationTable, detections: Detections, class_names: Sequence[str], source_names: Sequence[str]
) -> tuple[ClassMatch, ...]:
    """Match target classes with source classes by what the source detects on their boxes.

    Args:
        truth: Some training images with their boxes; ignored ones and crowds say nothing.
        detections: Of the source in these images; `category_id` is the index of the source class.
        class_names: The target classes in order, a row of the result each.
        source_names: The source classes in order.
    """
    boxes = truth.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd")).join(
        truth.categories.select("category_id", "name"), on="category_id"
    )
    index = {name: i for i, name in enumerate(class_names)}
    labels = np.array([index[name] for name in boxes["name"]], dtype=np.int64)
    best = best_scores(boxes, detections.rows, len(source_names))
    fired = [
        np.sort(detections.rows.filter(pl.col("category_id") == i)["score"].to_numpy())
        for i in range(len(source_names))
    ]
    return tuple(_match(name, labels == i, best, fired, source_names) for i, name in enumerate(class_names))


def best_scores(boxes: pl.DataFrame, detections: pl.DataFrame, n_sources: int) -> FloatArray:
    """Return the best score of each source class on each box, (N, S), 0 where none is near it.

    Args:
        boxes: With `image_id` and corners.
        detections: With `image_id`, corners, `score`, and the index of the source class as `category_id`.
        n_sources: How many source classes there are.
    """
    best = np.zeros((len(boxes), n_sources))
    of_image = {image_id: rows for (image_id,), rows in detections.group_by("image_id")}
    numbered = boxes.select("image_id", *XYXY).with_row_index("row")
    for (image_id,), rows in numbered.group_by("image_id"):
        near = of_image.get(image_id)
        if near is None:
            continue
        row, column = np.nonzero(iou(rows.select(XYXY).to_numpy(), near.select(XYXY).to_numpy()) >= SAME_BOX)
        place = (rows["row"].to_numpy()[row], near["category_id"].to_numpy()[column])
        np.maximum.at(best, place, near["score"].to_numpy()[column])
    return best


def _match(
    target: str, mine: BoolArray, best: FloatArray, fired: Sequence[FloatArray], names: Sequence[str]
) -> ClassMatch:
    """Match one target class, whose boxes are the rows `mine` (N,) of `best` (N, S)."""
    n_boxes = int(mine.sum())
    if not n_boxes:
        return ClassMatch(target, 0, "none", (), ())
    scores = _source_scores(mine, best, fired, names)
    by_score = sorted(scores, key=lambda each: -each.score)
    sources = _clear(sorted(scores, key=lambda each: -each.gain))
    match: Match = "clear" if sources else "none"
    if not sources and n_boxes >= LEAST_BOXES:
        sources = _weak(by_score)
        match = "weak" if sources else "none"
    return ClassMatch(
        target, n_boxes, match, sources, tuple(sorted(by_score, key=lambda each: each.source not in sources))
    )


def _clear(by_gain: Sequence[SourceScore]) -> tuple[str, ...]:
    """Return the one or two source classes that match clearly; none where none does."""
    top, *others = by_gain
    near = [each for each in others if each.gain >= SHARE * top.gain]
    is_clear = (
        top.score >= CLEAR_SCORE and top.hits >= LEAST_HITS and len(near) <= 1 and all(map(_is_specific, [top, *near]))
    )
    return tuple(each.source for each in [top, *near]) if is_clear else ()


def _weak(by_score: Sequence[SourceScore]) -> tuple[str, ...]:
    """Return the one or two source classes that are the best start, by the AP that they have untrained."""
    fair = [each for each in by_score if each.score >= WEAK_SCORE and each.ap50 >= WEAK_AP50]
    by_ap = sorted(fair, key=lambda each: -each.ap50)
    near = [e for e in by_ap if e.ap50 >= SHARE * by_ap[0].ap50 and e.score >= SHARE * by_ap[0].score]
    return tuple(each.source for each in near[:2])


def _is_specific(score: SourceScore) -> bool:
    """Tell whether it is the class, not merely a box, that the source class fires on."""
    return score.z is None or score.z >= CLEAR_Z


def _source_scores(
    mine: BoolArray, best: FloatArray, fired: Sequence[FloatArray], names: Sequence[str]
) -> list[SourceScore]:
    n_all, n_mine = len(mine), int(mine.sum())
    score = best[mine].mean(axis=0)
    elsewhere = best[~mine].mean(axis=0) if n_mine < n_all else np.zeros_like(score)
    z: FloatArray | None = None
    if n_mine < n_all:  # drawing n of N without replacement
        error = best.std(axis=0) * np.sqrt((n_all - n_mine) / (n_mine * max(n_all - 1, 1)))
        z = np.divide(score - best.mean(axis=0), error, out=np.zeros_like(score), where=error > 0)
    return [
        SourceScore(
            name,
            float(score[i]),
            float(elsewhere[i]),
            _ap50(best[mine, i], fired[i]) if score[i] >= WEAK_SCORE else 0.0,
            int((best[mine, i] >= HIT_SCORE).sum()),
            None if z is None else float(z[i]),
        )
        for i, name in enumerate(names)
    ]


def _ap50(best: FloatArray, fired: FloatArray) -> float:
    """Return the average precision of detections with scores `fired`, sorted up, that hit boxes with scores `best`."""
    hits = np.sort(best[best > 0])
    true = len(hits) - np.searchsorted(hits, hits)  # with this score or more
    above = len(fired) - np.searchsorted(fired, hits)
    return float((true / np.maximum(above, true)).sum() / len(best))  # two boxes may share a detection
