"""The other data that a study names, which its finished runs are scored on."""

from __future__ import annotations

from detect_transfer.config.study import OtherData, Study
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.data.load import read_ground_truth


def read_other_data(study: Study) -> tuple[AnnotationTable | None, dict[str, AnnotationTable]]:
    """Read the images of the source task, None where forgetting is not asked for, and the other data sets by name.

    Raises:
        InputError: Data cannot be read, or a class map names a class that they do not have.
    """
    source_task = None if study.forgetting is None else _read(study.forgetting.data, "study.forgetting.data")
    others = {name: _read(data, f"study.matrix.{name}") for name, data in study.matrix.items()}
    for name, data in study.matrix.items():
        present = list(others[name].class_names)
        unknown = next((target for target in data.class_map if target not in present), None)
        if unknown is not None:
            raise InputError(
                "CLASS_UNKNOWN",
                "there is no such class in the data",
                field=f"study.matrix.{name}.class_map",
                value=unknown,
                remedy=did_you_mean(unknown, present),
            )
    return source_task, others


def _read(data: OtherData, field: str) -> AnnotationTable:
    try:
        return read_ground_truth(data.path, format=data.format, split=data.split, images=data.images).table
    except InputError as error:
        raise InputError(
            error.code, error.what, where=error.where or data.path, field=field, remedy=error.remedy
        ) from error
