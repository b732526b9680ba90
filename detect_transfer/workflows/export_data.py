"""The images that an export is checked on, and those that INT8 is calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.class_map import ClassMap
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.run_data import load_run_data, with_kept_classes
from detect_transfer.workflows.evaluate_weights import image_files, meet_classes
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import TrainedDetector

Files = Sequence[tuple[int, Path]]  # image_id and file


@dataclass(frozen=True)
class ExportData:
    """Images of an export.

    Args:
        truth: The images that the exported model is checked on, with their boxes.
        files: Their files.
        train: Files of training images, which INT8 is calibrated on; none where there are none or none are needed.
        trained: The detector, whose classes count as those of the truth.
    """

    truth: AnnotationTable
    files: Files
    train: Files
    trained: TrainedDetector


def data_of_run(trained: TrainedDetector, *, int8: bool = False) -> ExportData:
    """Return the training and validation images of the run that weights are of; `int8`: it takes both.

    Raises:
        InputError: They are of none, or the data are missing or changed.
    """
    folder = RunFolder.holding(trained.path)
    if folder is None:
        raise InputError(
            "EXPORT_DATA",
            "these weights are of no run, so that there are no "
            + ("training images to calibrate INT8 on" if int8 else "validation images to check the exported model on"),
            field="--data",
            remedy="give --data with a folder that has a training split, or leave --precision int8 out"
            if int8
            else "give --data MY_DATA, or --no-gate to write it unchecked",
        )
    config = folder.read_config()
    data = load_run_data(config.data, drawn=folder.drawn_data, for_training=False)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    paths = data.paths
    val, train = ([(i, paths[i]) for i in table.images["image_id"]] for table in (data.val, data.train))
    return ExportData(data.val, val, train, trained)


def data_of_weights(
    trained: TrainedDetector, truth: GroundTruth, train: GroundTruth | None, class_map: ClassMap | None
) -> ExportData:
    """Return images of any data for weights of any kind; classes meet by name or by the map.

    Raises:
        InputError: Images are missing, or classes do not meet.
    """
    table, meeting = meet_classes(truth.table, trained.class_names, class_map)
    files = [] if train is None else image_files(train.table)
    return ExportData(table, image_files(table), files, trained.counted_as(meeting))


def calibration_files(data: ExportData | None, count: int) -> Files:
    """Return so many training images, chosen by the hashes of their names.

    Raises:
        InputError: There are none.
    """
    files = [] if data is None else data.train
    if not files:
        raise InputError(
            "EXPORT_CALIBRATION",
            "INT8 is calibrated on training images, and there are none",
            field="--precision",
            value="int8",
            remedy="give a run folder, or --data with a folder that has a training split",
        )
    return sorted(files, key=lambda file: sha256(file[1].name.encode()).digest())[:count]
