"""The other data that a study names, which its finished runs are scored on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from detect_transfer.config.study import OtherData, Study
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.images import read_image_bytes
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.used_images import head_digest
from detect_transfer.workflows.study.data import StudyData

OWN = "its own test images"  # what the column of these is called in the matrix


def read_other_data(study: Study) -> tuple[AnnotationTable | None, dict[str, AnnotationTable]]:
    """Read the images of the source task, None where forgetting is not asked for, and the other data sets by name.

    Raises:
        InputError: Data cannot be read or have the name of others, or a class map names a class that they do not have.
    """
    if OWN in study.matrix:
        raise InputError(
            "STUDY_MATRIX",
            "the test images of the study are called so",
            field=f"study.matrix.{OWN}",
            remedy="give the data another name",
        )
    source_task = None if study.forgetting is None else _read(study.forgetting.data, "study.forgetting.data")
    others = {name: _read(data, f"study.matrix.{name}") for name, data in study.matrix.items()}
    for name, data in study.matrix.items():
        _check_classes(name, data.class_map, others[name].class_names, "the data")
    return source_task, others


def check_matrix(study: Study, others: Mapping[str, AnnotationTable], data: StudyData) -> None:
    """Refuse class maps to classes that runs do not learn, and data sets with images that they have seen.

    Raises:
        InputError: There is one.
    """
    from detect_transfer.workflows.evaluate_weights import image_files

    for name, table in others.items():
        meant = study.matrix[name].class_map.values()
        wanted = [c for each in meant for c in ([each] if isinstance(each, str) else each)]
        _check_classes(name, wanted, data.splits[0].val.class_names, "the study")
        seen = [path for _, path in image_files(table) if head_digest(read_image_bytes(path)) in data.seen]
        if seen:
            raise InputError(
                "STUDY_SEEN",
                f"{len(seen)} of its {table.images.height} images are ones that the study trains on or chooses by, so "
                "their scores would say nothing of other data",
                where=seen[0],
                field=f"study.matrix.{name}",
                remedy="give other images, or a split that the study does not train on",
            )


def _check_classes(name: str, wanted: Iterable[str], present: Sequence[str], where: str) -> None:
    """Raise where the class map of a data set has a class that is not there."""
    unknown = next((each for each in wanted if each not in present), None)
    if unknown is not None:
        raise InputError(
            "CLASS_UNKNOWN",
            f"there is no such class in {where}",
            field=f"study.matrix.{name}.class_map",
            value=unknown,
            remedy=did_you_mean(unknown, list(present)),
        )


def _read(data: OtherData, field: str) -> AnnotationTable:
    try:
        return read_ground_truth(data.path, format=data.format, split=data.split, images=data.images).table
    except InputError as error:
        raise InputError(
            error.code, error.what, where=error.where or data.path, field=field, remedy=error.remedy
        ) from error
