"""YOLO label files: one `.txt` an image, listed by a `data.yaml`.

A row is ``class cx cy width height``, centre and size as shares of the image as it is displayed; so x1 is
(cx - width / 2) times the width of the image. Longer rows are polygons, whose extent is the box.
"""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.data_yaml import load
from detect_transfer.formats.yolo.files import Choices
from detect_transfer.formats.yolo.table import read_listed

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def read(
    root: Path,
    *,
    allow_missing: bool = False,
    missing_images: str = "error",
    predictions: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read a YOLO data set: category ids are the class indices + 1, splits are the keys train, val and test.

    An empty label file means an image without objects; a missing one is an error. Rows of an odd number of columns
    from 7 on are polygons (so are the 9 columns of oriented boxes) and get ``{"polygon": true}`` as `attributes`.
    Values a little outside [0, 1] are kept as they are. Folders are searched through, lists are read line by line.

    Args:
        root: The ``data.yaml``, or the folder that holds it. Its images and labels must lie in the folder that its
            key `path` names, or in its own folder if that is absent or gone.
        allow_missing: Whether an image without label file is one without objects.
        missing_images: ``error``, or ``skip`` to leave out listed images that are not there and labels without a
            image. ``keep`` is an error as well: without the image nobody knows where a share of it lies.
        predictions: What 6 columns are: an ``error``; a prediction whose score goes to `attributes` (``keep-score``) or
            is left out (``drop-score``).
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://docs.ultralytics.com/datasets/detect/
    """
    choices = Choices(allow_missing, missing_images, predictions)
    errors = ErrorCollector(on_error)
    return read_listed(load(_data_yaml(root)), choices, errors)


def _data_yaml(root: Path) -> Path:
    if not root.is_dir():
        native.require_regular(root.parent, root)
        return root
    path = next((root / name for name in _NAMES if (root / name).exists()), None)
    if path is None:
        raise InputError(
            "DATA_YAML_MISSING",
            "there is no data.yaml",
            where=root,
            remedy="give the file itself, or the folder that holds it",
        )
    native.require_regular(root, path)
    return path
