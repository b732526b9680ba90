"""Which images of a truth a prediction saw: those that it did not see are no misses of the detector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.choices import UnseenImages
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_json
from detect_transfer.data.load import GroundTruth
from detect_transfer.formats.detections.names import KnownNames, image_manners
from detect_transfer.formats.detections.reader import file_of
from detect_transfer.formats.detections.resolve import DetectionOptions

SEEN_IMAGES = "images.json"
_KEYS = {"image_id", "file_name", "width", "height"}
_OPTION = "--unseen-images"


def read_scored(
    truth: GroundTruth, path: Path, options: DetectionOptions | None = None
) -> tuple[GroundTruth, Detections]:
    """Read detections, and return them with the truth that they are scored on.

    Args:
        truth: The images with their objects.
        path: Detections of any layout, or the folder that they are in; where `predict` wrote them, the list of what
            it saw lies beside them.
        options: What is known of the file, and what becomes of images that were not seen.

    Returns:
        The truth, without the images that are left out, and the detections; their reading counts the images that have
        none and are not known to have been seen.

    Raises:
        InputError: Images of the truth were not seen, or as `read_detections` says.
    """
    options, path = options or DetectionOptions(), file_of(path)
    read = truth.read_detections(path, options)
    all_images, predicted = set(truth.table.images["image_id"]), set(read.rows["image_id"])
    listed = _seen_images(path, truth.table)
    seen = predicted if listed is None else predicted | listed
    n_unseen = len(all_images - seen)
    if not n_unseen:
        return truth, read
    of_all = f"{n_unseen:,} of {len(all_images):,} images"
    if listed is None:
        sentence = f"{of_all} have no detection at all: their objects count as missed"
    elif options.unseen == UnseenImages.SCORE:
        sentence = f"{of_all} were not predicted: their objects count as missed"
    elif options.unseen == UnseenImages.LEAVE_OUT:
        sentence = f"{of_all} were not predicted and are left out"
        truth = replace(truth, table=truth.table.select_images(seen))
    else:
        raise _unseen(truth, seen, path)
    return truth, read.with_reading([*read.reading, sentence])


def _seen_images(path: Path, truth: AnnotationTable) -> set[int] | None:
    """Return the images of a truth that `predict` lists beside its detections; None where there is no such list."""
    listing = path.parent / SEEN_IMAGES
    rows = read_json(listing) if path.is_file() and path != listing and listing.is_file() else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) and row.keys() == _KEYS for row in rows):
        return None
    names = [str(row["file_name"]) for row in rows]
    manners = [manner for manner in image_manners(KnownNames.of(truth)) if manner.by != "id"]
    return max((set(manner.ids_of(names).values()) for manner in manners), key=len)


def _unseen(truth: GroundTruth, seen: set[int], path: Path) -> InputError:
    images = truth.table.images
    splits = images.filter(pl.col("image_id").is_in(list(seen)))["split"].drop_nulls().unique().to_list()
    whole = len(splits) == 1 and images.filter(pl.col("split") == splits[0]).height == len(seen)
    advice = f"give --split {splits[0]}, which is what was predicted, or " if whole and truth.split is None else "give "
    return InputError(
        "IMAGES_UNSEEN",
        f"{images.height - len(seen):,} of {images.height:,} images of the truth are none of those that were "
        f"predicted, so their objects would count as missed",
        where=path.parent / SEEN_IMAGES,
        field=_OPTION,
        remedy=f"{advice}{_OPTION} leave-out to score the others alone, or {_OPTION} score to count them",
    )
