"""How often do the intervals of one evaluation hold the AP of all images? Drawn sets with and without rare classes.

Detections are drawn image by image: objects of a hard image are missed together, boxes are more or less exact, false
positives score lower. The AP of 20,000 such images is taken for the truth. A line is one kind of set: that AP, how much
higher the AP of a set is on average, the share of sets whose interval holds the truth, and the mean width of it, for
the intervals of reports, for plain percentiles, and for draws in which a class that is absent counts as on all images.

    python tools/benchmarks/interval_coverage.py [--sets 400] [--draws 300]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from detect_transfer.core.arrays import FloatArray
from detect_transfer.evaluation.coco.bootstrap import draw_weights, mean_of_classes
from detect_transfer.evaluation.coco.intervals import Span, span_of
from detect_transfer.evaluation.coco.threshold_matches import IOU_THRESHOLDS, ThresholdMatches
from detect_transfer.evaluation.coco.weighted import weighted_ap

N_TRUTH = 20_000


@dataclass(frozen=True)
class Kind:
    """One kind of set.

    Args:
        name: In words.
        n_images: Of a set.
        presence: (K,) the chance that an image has the class.
        quality: (K,) how easily an object is found, in standard deviations.
        false_positives: (K,) an image.
    """

    name: str
    n_images: int
    presence: tuple[float, ...]
    quality: tuple[float, ...]
    false_positives: tuple[float, ...]


KINDS = (
    Kind("50 images, 3 classes in 25", 50, (0.5,) * 3, (0.8, 1.0, 1.2), (0.3,) * 3),
    Kind("200 images, 3 classes in 100", 200, (0.5,) * 3, (0.8, 1.0, 1.2), (0.3,) * 3),
    Kind(
        "30 images, 3 of 6 classes in 2, found well", 30, (0.6,) * 3 + (0.07,) * 3, (0.8,) * 3 + (1.5,) * 3, (0.3,) * 6
    ),
    Kind(
        "30 images, 3 of 6 classes in 2, found badly",
        30,
        (0.6,) * 3 + (0.07,) * 3,
        (1.2,) * 3 + (-0.2,) * 3,
        (0.3,) * 6,
    ),
    Kind(
        "60 images, 8 of 10 classes in 3", 60, (0.5, 0.4) + (0.05,) * 8, (1, 1, *np.linspace(-0.3, 1.8, 8)), (0.2,) * 10
    ),
)


def draw_set(kind: Kind, n_images: int, rng: np.random.Generator) -> ThresholdMatches:
    """Return a set of images with its matched detections; every class has an object."""
    n_classes = len(kind.presence)
    objects = np.zeros((n_images, n_classes), np.int64)
    while not objects.any(axis=0).all():
        objects = (rng.random(objects.shape) < kind.presence) * (1 + rng.poisson(0.3, objects.shape))
    image, category = np.nonzero(objects)
    image, category = (np.repeat(ids, objects[objects > 0]) for ids in (image, category))
    found = np.asarray(kind.quality)[category] + 0.7 * rng.normal(size=n_images)[image] + rng.normal(size=len(image))
    n_right = np.clip(found * 5 + rng.normal(size=len(found)), 1, len(IOU_THRESHOLDS)).astype(int)
    score = np.minimum(0.999, 0.3 + 0.2 * found + 0.1 * rng.normal(size=len(found)))
    extra = rng.poisson(kind.false_positives, objects.shape)
    extra_image, extra_category = (np.repeat(ids, extra[extra > 0]) for ids in np.nonzero(extra))
    seen = found > 0
    image, category = np.append(image[seen], extra_image), np.append(category[seen], extra_category)
    score = np.append(score[seen], rng.beta(1.5, 4, len(extra_image)))
    n_right = np.append(n_right[seen], np.zeros(len(extra_image), int))
    order = np.lexsort((image, -score, category))
    tp = np.arange(len(IOU_THRESHOLDS))[:, None] < n_right[order]
    image = image[order]
    return ThresholdMatches(image, category[order], image, score[order], tp, np.ones_like(tp), objects)


def _filled(ap: FloatArray) -> FloatArray:
    return mean_of_classes(np.where(np.isnan(ap), ap[:1], ap))


METHODS: dict[str, Callable[[FloatArray], Span | None]] = {
    "reports": lambda ap: span_of(mean_of_classes(ap)),
    "plain": lambda ap: span_of(mean_of_classes(ap), corrected=False),
    "absent as on all": lambda ap: span_of(_filled(ap)),
}


def measure(kind: Kind, n_sets: int, n_draws: int) -> Iterator[str]:
    """Yield the columns of a kind."""
    rng = np.random.default_rng(1)
    truth = _ap(draw_set(kind, N_TRUTH, rng), np.empty((0, N_TRUTH), np.uint16))[0].mean()
    too_high, spans = [], {name: [] for name in METHODS}  # type: ignore[var-annotated]
    for seed in range(n_sets):
        ap = _ap(draw_set(kind, kind.n_images, rng), draw_weights(kind.n_images, n_draws=n_draws, seed=seed))
        too_high.append(ap[0].mean() - truth)
        for name, method in METHODS.items():
            spans[name].append(method(ap) or (np.nan, np.nan))
    yield f"{truth:.3f}"
    yield f"{np.mean(too_high):+.3f}"
    for ends in (np.array(values) for values in spans.values()):
        held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        yield f"{held.mean():.3f} of width {np.nanmean(ends[:, 1] - ends[:, 0]):.3f}"


def _ap(matches: ThresholdMatches, weights: np.ndarray) -> FloatArray:
    """Return AP (1 + B, K) on the images as they are, and on each draw."""
    ones = np.ones((1, len(matches.objects)), np.uint16)
    return weighted_ap(matches, np.concatenate([ones, weights])).mean(axis=2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--draws", type=int, default=300)
    args = parser.parse_args()
    print(f"| {args.sets} sets each | AP of all | too high by |", " | ".join(METHODS), "|")
    print("|---|---|---|" + "---|" * len(METHODS))
    for kind in KINDS:
        print(f"| {kind.name} |", " | ".join(measure(kind, args.sets, args.draws)), "|", flush=True)


if __name__ == "__main__":
    main()
