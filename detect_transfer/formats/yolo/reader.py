"""YOLO label files: one `.txt` an image, listed by a `data.yaml`, or beside the names of the classes.

A row is ``class cx cy width height``, centre and size as shares of the image as it is displayed; so x1 is
(cx - width / 2) times the width of the image. What longer rows are the data set or the user says, see `parse`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import Form, Units
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_nodes import read_json
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.yolo.data_yaml import DataYaml, check_names, load
from detect_transfer.formats.yolo.files import Choices
from detect_transfer.formats.yolo.parse import SHARE_CENTRES, RowKind
from detect_transfer.formats.yolo.table import read_listed

_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_log = logging.getLogger(__name__)
_CLASSES = ("classes.txt", "labels/classes.txt", "obj.names", "notes.json")


def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    allow_missing: bool = False,
    missing_images: str = "error",
    absent_splits: str = "error",
    predictions: str = "error",
    rows: RowKind | None = None,
    box_format: Form | None = None,
    units: Units | None = None,
    allow_root: Sequence[str] = (),
    on_error: str = "fail",
) -> AnnotationTable:
    """Read a YOLO data set: category ids are the class indices + 1, splits are the keys train, val and test.

    An empty label file means an image without objects; a missing one is an error. Of polygons and oriented boxes the
    box around them is kept (with ``{"polygon": true}`` as `attributes`), of poses their box, which the ledger counts.
    Values a little outside [0, 1] are kept as they are. Folders are searched through, lists are read line by line;
    paths of another machine are taken for the longest tail that is there. A split `test` that is not there is left
    out with a warning. Without a `data.yaml`, the names of the classes stand in ``classes.txt`` (LabelImg, Label
    Studio) or ``notes.json``, and the folders of the images tell their splits.

    Args:
        root: The ``data.yaml`` or ``classes.txt``, or the folder that holds it. Its images and labels must lie in the
            folder that its key `path` names, or in its own folder if that is absent or gone, or in `allow_root`.
        allow_missing: Whether an image without label file is one without objects.
        missing_images: ``error``, or ``skip`` to leave out listed images that are not there and labels without a
            image. ``keep`` is an error as well: without the image nobody knows where a share of it lies.
        absent_splits: What a split is whose folder or list is not there: an ``error``, or left out with a warning
            (``skip``), as the split `test` always is.
        predictions: What a score behind a box is: an ``error``; a prediction whose score goes to `attributes`
            (``keep-score``) or is left out (``drop-score``).
        rows: What rows of more than 5 columns are: ``polygon``, ``obb`` (four corners), ``pose`` (a box and keypoints)
            or ``track`` (a box and a confidence, a track id or both). None takes poses where `kpt_shape` says so, else
            polygons, and asks where all numbers fit another kind as well.
        box_format: What the four numbers of a box are, ``cxcywh`` here.
        units: What they are counted in: ``shares`` of the image, as here, or ``pixels``.
        allow_root: Further folders, in which images and labels may lie.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://docs.ultralytics.com/datasets/detect/
    """
    form = SHARE_CENTRES.with_options(box_format, units)
    choices = Choices(
        allow_missing, missing_images, predictions, rows, form, tuple(allow_root), absent_splits=absent_splits
    )
    errors = ErrorCollector(on_error)
    return read_listed(_load(root), choices, errors)


def _load(root: Path) -> DataYaml:
    """Read the `data.yaml` or the names of the classes."""
    if root.is_dir():
        path = next((root / name for name in (*_YAML, *_CLASSES) if (root / name).exists()), None)
        if path is None:
            what, remedy = (
                "there is no data.yaml and no classes.txt",
                "give the folder that holds it, or the file itself, or write the classes into classes.txt, one a line",
            )
            raise InputError("DATA_YAML_MISSING", what, where=root, remedy=remedy)
    else:
        path, root = root, root.parent
    native.require_regular(root, path)
    if path.suffix in (".yaml", ".yml"):
        data = load(path)
        _warn_of_other_names(root, path, data.names)
        return data
    names, errors = _names(root, path), ErrorCollector()
    check_names(names, str(path), errors)
    errors.raise_any()
    _warn_of_other_names(root, path, names)
    images = native.folder_named(root, "images")
    return DataYaml(root / path.name, names, {"": [images.name if images else "."]}, None)


def _warn_of_other_names(root: Path, path: Path, names: list[str]) -> None:
    """Warn of a further list of the classes, as another tool leaves it behind, that numbers them otherwise."""
    for other in (root / name for name in _CLASSES if (root / name) != path):
        with suppress(InputError, OSError):
            if other.is_file() and (others := _names(root, other)) != names:
                first = next((i for i, pair in enumerate(zip(names, others, strict=False)) if len({*pair}) > 1), None)
                differs = f"{len(others)} classes" if first is None else f"class {first} is '{others[first]}'"
                _log.warning("%s: %s; taken is %s, which says otherwise", other, differs, path.name)


def _names(root: Path, path: Path) -> list[str]:
    """Return the names of the classes: a line each, or of Label Studio's ``notes.json`` by their ids."""
    if path.suffix != ".json":
        return [line.strip() for line in native.lines_of(native.read_text(root, path).rstrip())]
    node = read_json(root, path.relative_to(root).as_posix()).as_object()
    names = {parse_integer(str(each.value.get("id"))): each.string("name") for each in node.items("categories")}
    if set(names) != set(range(len(names))):
        remedy = "number the classes again, or write them into classes.txt"
        what = f"expected every id from 0 to {len(names) - 1} once"
        raise InputError("CLASS_INDEX", what, where=path, field="categories", remedy=remedy)
    return [names[i] for i in range(len(names))]
