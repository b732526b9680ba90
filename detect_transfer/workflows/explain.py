"""Why two mAPs differ, for the files of an evaluation."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import list_files, require_dir
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.seen_images import read_scored
from detect_transfer.evaluation.explain import Explanation, explain
from detect_transfer.formats.detections.reader import read_results
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.workflows.comparison_inputs import truth_of_run


def explain_files(
    truth: GroundTruth, detections: Path, options: DetectionOptions | None = None, *, labels: Path | None = None
) -> Explanation:
    """Split the gap between the two mAPs of a file of detections.

    Args:
        truth: The truth.
        detections: Detections of any layout; in COCO results, class ids that are unknown are part of the gap, where the
            truth numbers its classes.
        options: What is known of the file, as for `read_detections`.
        labels: The folder of YOLO labels that ultralytics validated with, to see which files are missing.

    Raises:
        InputError: A file is missing or wrong, or ids do not meet.
    """
    try:
        truth, read = read_scored(truth, detections, options)
    except InputError as error:
        by_ids = truth.numbers_all and detections.suffix == ".json"
        if (error.code, error.field) != ("DETECTION_UNKNOWN_ID", "class") or not by_ids:
            raise
        read = read_results(detections)
    return _explain(truth.table, read, labels)


def explain_run(run: Path, detections: Path, *, labels: Path | None = None) -> Explanation:
    """Do the same for a run and the COCO results that `evaluate` wrote for it.

    Raises:
        InputError: The run or its data are missing or changed.
    """
    return _explain(truth_of_run(run), read_results(detections), labels)


def without_label(table: AnnotationTable, labels: Path) -> list[int]:
    """Return the image_id of images that have no text file of their name, with or without their folder.

    Raises:
        InputError: There is no such folder, or no image has one.
    """
    labelled = set(list_files(require_dir(labels, what="a folder of YOLO labels"), (".txt",)))
    missing = []
    for image_id, file_name in table.images.select("image_id", "file_name").iter_rows():
        name = PurePosixPath(file_name).with_suffix(".txt")
        if str(name) not in labelled and name.name not in labelled:
            missing.append(image_id)
    if len(missing) == table.images.height:
        raise InputError(
            "LABELS_MISSING",
            "no image has a label file there",
            where=labels,
            field="--labels",
            remedy="give the folder labels/<split> that belongs to the images",
        )
    return missing


def _explain(table: AnnotationTable, detections: Detections, labels: Path | None) -> Explanation:
    return explain(table, detections, without_label=without_label(table, labels) if labels else ())
