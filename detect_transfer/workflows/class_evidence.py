"""Asking the source which of its classes the target classes are: one pass over some training images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from detect_transfer.config import Evaluate
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.run_data import RunData
from detect_transfer.models import Detector, load_detector
from detect_transfer.models.class_evidence import SCORE_FLOOR, ClassEvidence, match_classes
from detect_transfer.models.predict import predict, read_images
from detect_transfer.models.source_weights import SourceWeights

if TYPE_CHECKING:
    import torch

MOST_IMAGES = 500
ENOUGH_BOXES = 100  # of a class: the mean score then has a standard error of .05 at most
_ALL_SAID = 12  # of more classes, those that match something are said
_SEED = 0  # which images are looked at does not hang on the seed of the run


def ask_source(
    source: SourceWeights,
    data: RunData,
    *,
    imgsz: int | InputSize,
    device: torch.device,
    on_stage: Callable[[str], None] = lambda _: None,
) -> ClassEvidence:
    """Run the source over some training images, and match its classes with the target classes.

    Args:
        source: The pretrained model.
        data: The training images and boxes are looked at, no others.
        imgsz: What images are scaled into.
        device: Where the source runs.
        on_stage: Called with what begins, and with what came of it.

    Returns:
        The table; without rows, and with the reason, where the source detects nothing by itself.
    """
    evidence = _without_detections(source) or _look(source, data, imgsz, device, on_stage)
    on_stage(evidence.sentence)
    for match in evidence.matches:
        if match.sources or len(evidence.matches) <= _ALL_SAID:
            on_stage(f"  {match.target}: {match.sentence}")
    return evidence


def choose_images(train: AnnotationTable) -> list[int]:
    """Return the ids of the images to look at: until each class has `ENOUGH_BOXES`, and `MOST_IMAGES` at most.

    The classes take turns, the rarest first, each with the next of its images in a fixed random order, so that a rare
    class is seen however many images another has.
    """
    boxes = train.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd")).select("image_id", "category_id")
    counts = boxes.group_by("category_id", "image_id").len().sort("category_id", "image_id")
    shuffled = counts.sample(fraction=1.0, shuffle=True, seed=_SEED)
    waiting = {key[0]: list(rows.select("image_id", "len").rows()) for key, rows in shuffled.group_by("category_id")}
    of_image: dict[int, list[tuple[int, int]]] = {}
    for category_id, image_id, n in counts.rows():
        of_image.setdefault(image_id, []).append((category_id, n))
    seen, chosen = dict.fromkeys(waiting, 0), dict[int, None]()
    while len(chosen) < MOST_IMAGES:
        lacking = [key for key, rows in waiting.items() if rows and seen[key] < ENOUGH_BOXES]
        if not lacking:
            break
        image_id, _ = waiting[min(lacking, key=lambda key: (seen[key], key))].pop()
        if image_id not in chosen:
            chosen[image_id] = None
            for category_id, n in of_image[image_id]:
                seen[category_id] += n
    return sorted(chosen)


def detect_own_classes(detector: Detector, data: RunData, ids: Sequence[int], *, imgsz: int | InputSize) -> Detections:
    """Return what a source detects in these images, with the index of its class as `category_id`."""
    images = read_images([(i, data.paths[i]) for i in ids], imgsz, data.intake)
    settings = Evaluate(score_floor=SCORE_FLOOR)
    return predict(detector, images, settings=settings, category_ids=range(len(detector.class_names)))


def _without_detections(source: SourceWeights) -> ClassEvidence | None:
    """Return why a source has nothing to say; None where it may have."""
    if source.class_names:
        return None
    return ClassEvidence(note=f"{source.path.name} is no detector and has no class of its own")


def _look(
    source: SourceWeights, data: RunData, imgsz: int | InputSize, device: torch.device, on_stage: Callable[[str], None]
) -> ClassEvidence:
    from torch import channels_last

    began = time.monotonic()
    try:
        detector = load_detector(source)
    except InputError as error:  # training can start from parts
        return ClassEvidence(note=f"{source.path.name} is no whole detector ({error.code})")
    detector.module.to(device).to(memory_format=channels_last)
    train, ids = data.train, choose_images(data.train)
    on_stage(f"running the source over {len(ids)} training images, to see which of its classes are meant")
    detections = detect_own_classes(detector, data, ids, imgsz=imgsz)
    matches = match_classes(train.select_images(ids), detections, train.class_names, source.class_names)
    return ClassEvidence(matches, len(ids), train.images.height, InputSize.of(imgsz).plain, time.monotonic() - began)
