"""`Scores`: the numbers of one evaluation as a typed value that saves itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detect_transfer.core.io import write_json
from detect_transfer.evaluation.arrays import IgnorePolicy
from detect_transfer.evaluation.coco.intervals import Intervals

EQUAL = "AP, equal to pycocotools"
EXCUSED = "AP, detections in ignored boxes excused"
EQUAL_STRICT = "AP, equal to pycocotools: ignored boxes that are no crowd are objects"
_NO_REGIONS = ", regions ignored for every class left out"  # a COCO file has them once a class, as so many objects
SIZES = {  # least and largest area in square pixels, both in
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, float("inf")),
}


@dataclass(frozen=True)
class ClassScores:
    """One class: how much there is of it, and how well it is detected; None where it has no object.

    Args:
        category_id: The id of the class.
        name: Its name.
        n_images: Images with an object of the class.
        n_boxes: Objects.
        n_ignored: Truth boxes of the class that are ignored.
        n_detections: Detections of the class.
        AP: Mean AP over IoU .50 to .95; `AP50` and `AP75` at one IoU; `AR100` the mean recall.
        score_threshold: The score with the best F1 at IoU .5; None also without a true positive.
        precision: At that threshold, IoU .5; so are `recall` and `f1`.
    """

    category_id: int
    name: str
    n_images: int
    n_boxes: int
    n_ignored: int
    n_detections: int
    AP: float | None
    AP50: float | None
    AP75: float | None
    AR100: float | None
    score_threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Curve:
    """Precision (101,) at recall 0, 0.01, ... 1 and IoU .5, with the score (101,) there; 0 where it is not reached."""

    precision: tuple[float, ...]
    score: tuple[float, ...]


@dataclass(frozen=True)
class Scores:
    """The COCO numbers of one set of detections.

    Args:
        metrics: The twelve of `METRIC_NAMES`, in [0, 1]; None where there is nothing to score.
        reasons: For each None in `metrics`, why.
        ignore_policy: What the numbers were made under; see `arrays`.
        strict: The twelve under `strict` where `ignore_policy` is `region` and they differ, else None.
        per_class: A row a class, in order of `category_id`.
        curves: Precision against recall for each class with objects.
        counts: `images`, `images_without_objects`, `boxes`, `objects`, `ignored`, `ignored_for_every_class`,
            `detections`, `classes`, `classes_without_objects`, and the objects of each size: `small`, `medium` and
            `large`, one at a limit in both.
        max_detections: How many detections of a class count in an image, best first.
        interval: Of AP and AP50, of the whole and of each class; None where none were computed.
    """

    metrics: dict[str, float | None]
    reasons: dict[str, str]
    ignore_policy: IgnorePolicy
    strict: dict[str, float | None] | None
    per_class: tuple[ClassScores, ...]
    curves: dict[int, Curve]
    counts: dict[str, int]
    max_detections: int = 100
    interval: Intervals | None = None

    @property
    def classes_without_objects(self) -> list[str]:
        """The names of the classes that no metric counts, as the truth has no object of theirs."""
        return [row.name for row in self.per_class if row.n_boxes == 0]

    @property
    def headline(self) -> list[tuple[str, float | None]]:
        """AP with the words for it; where ignored boxes change it, ours and that of pycocotools beside each other."""
        left_out = _NO_REGIONS if self.counts["ignored_for_every_class"] else ""
        if self.strict is None:
            return [(EQUAL + (left_out if self.ignore_policy == "strict" else ""), self.metrics["AP"])]
        return [(EXCUSED, self.metrics["AP"]), (EQUAL_STRICT + left_out, self.strict["AP"])]

    @property
    def sizes_note(self) -> str:
        """Why the objects of the three sizes are more than all objects; "" where they are not."""
        twice = sum(self.counts[size] for size in SIZES) - self.counts["objects"]
        if twice <= 0:
            return ""
        return (
            f"{twice} of exactly 32² or 96² px are in two sizes, as in pycocotools, which makes more than all objects"
        )

    def as_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """Return what `metrics.json` holds: the twelve at the top level, then the rest; curves on request."""
        value: dict[str, Any] = {
            **self.metrics,
            "reasons": dict(self.reasons),
            "interval": None if self.interval is None else self.interval.as_dict(),
            "ignore_policy": self.ignore_policy,
            "strict": None if self.strict is None else dict(self.strict),
            "max_detections": self.max_detections,
            "headline": [{"words": words, "AP": value} for words, value in self.headline],
            "counts": dict(self.counts),
            "sizes_note": self.sizes_note,
            "classes_without_objects": self.classes_without_objects,
            "per_class": [asdict(row) for row in self.per_class],
        }
        if curves:
            value["curves"] = {str(i): asdict(curve) for i, curve in self.curves.items()}
        return value

    def save(self, path: Path) -> None:
        """Write `as_dict()` as JSON.

        Raises:
            ResourceError: The disk is full or does not let us write.
        """
        write_json(path, self.as_dict())
