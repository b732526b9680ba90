"""What several commands share: the truth, and how a file of detections is read, as the command line gives them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detect_transfer.cli.console import print_lines, print_reading
from detect_transfer.core.choices import BoxForm, ClassNumbers, DetectionLayout, UnseenImages
from detect_transfer.core.errors import InputError

if TYPE_CHECKING:
    from detect_transfer.data.load import GroundTruth
    from detect_transfer.formats.detections.resolve import DetectionOptions


def detection_options(
    layout: DetectionLayout | None, boxes: BoxForm | None, classes: ClassNumbers | None, unseen: UnseenImages
) -> DetectionOptions:
    """Return what is said of a file of detections."""
    from detect_transfer.formats.detections.resolve import DetectionOptions

    return DetectionOptions(None if layout is None else layout.value, boxes, classes, unseen)


def truth_or_runs(
    path: Path | None,
    format: str | None,
    split: str | None,
    images: Path | None,
    words: list[str] | None,
    *,
    flag: str = "--truth",
) -> GroundTruth | None:
    """Read the truth that is given with a flag, if any; runs have their own, of which nothing need be given."""
    if path is not None:
        try:
            return read_truth(path, format, split, images, words)
        except InputError as error:
            error.field = flag if error.field == "--truth" else error.field
            raise
    given = {"--truth-format": format, "--split": split, "--images": images, "--option": words}
    needless = [name for name, value in given.items() if value]
    if needless:
        raise InputError(
            *("USAGE", "it is of a truth or of data, and none is given"),
            field=needless[0],
            remedy="give --truth, or --data with weights, or leave it out",
        )
    return None


def read_truth(
    path: Path, format: str | None, split: str | None, images: Path | None, words: list[str] | None
) -> GroundTruth:
    """Read the truth and tell what was taken."""
    from detect_transfer.data.native import read_scored_data

    truth = read_scored_data(path, format=format, split=split, images=images, options=words or [])
    print_reading(truth.table.reading)
    print_lines([f"truth: {truth.facts}", *([f"warning: {truth.warning}"] if truth.warning else [])])
    return truth
