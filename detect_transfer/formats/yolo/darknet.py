"""Darknet: `obj.data` names the classes and the lists of images, labels are those of YOLO.

Paths are those of the machine that trained (``data/train.txt`` beside the program), so each is taken for the longest
tail of it that is there: ``train.txt`` in the folder of `obj.data`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import Form, Units
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import foreign_tails
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.yolo.data_yaml import DataYaml, check_names
from detect_transfer.formats.yolo.files import Choices
from detect_transfer.formats.yolo.parse import SHARE_CENTRES, RowKind
from detect_transfer.formats.yolo.table import read_listed

_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_REMEDY = "write it as documented: classes, train, valid, names, backup, each as key = value"


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
    """Read a Darknet data set: category ids are the class indices + 1, the list `valid` (or `val`) is the split `val`.

    A label lies beside its image, or in ``labels/`` where the image lies in ``images/``.

    Args:
        root: The ``.data`` file, or a folder that holds one.
        allow_missing: As for `yolo.read`.
        missing_images: As for `yolo.read`.
        absent_splits: As for `yolo.read`.
        predictions: As for `yolo.read`.
        rows: As for `yolo.read`.
        box_format: As for `yolo.read`.
        units: As for `yolo.read`.
        allow_root: As for `yolo.read`.
        on_error: As for `yolo.read`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://github.com/AlexeyAB/darknet#how-to-train-to-detect-your-custom-objects
    """
    form = SHARE_CENTRES.with_options(box_format, units)
    choices = Choices(
        allow_missing, missing_images, predictions, rows, form, tuple(allow_root), absent_splits=absent_splits
    )
    return read_listed(_load(_data_file(root)), choices, ErrorCollector(on_error))


def _data_file(root: Path) -> Path:
    if not root.is_dir():
        native.require_regular(root.parent, root)
        return root
    paths = sorted(path for path in root.iterdir() if path.suffix == ".data" and not path.name.startswith("."))
    if len(paths) != 1:
        raise InputError(
            *("DARKNET_DATA", f"there are {len(paths)} .data files, expected one"),
            where=root,
            remedy="give the file itself, or the folder that holds it",
        )
    return paths[0]


def _load(path: Path) -> DataYaml:
    """Read the `.data` file and the names that it names."""
    folder, errors = path.parent, ErrorCollector()
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(native.lines_of(native.read_text(folder, path)), start=1):
        text = line.strip()
        if not text or text.startswith(("#", ";")):
            continue
        key, mark, value = (part.strip() for part in text.partition("="))
        key = "valid" if key == "val" else key  # as Datumaro writes it
        if not mark or key in values:
            what = "the key stands twice" if mark else "expected key = value"
            errors.add("DARKNET_DATA", what, where=f"{path}:{number}", field="line", value=text, remedy=_REMEDY)
            continue
        values[key], lines[_SPLITS.get(key, key)] = value, number
    given = {split: [_tail(folder, values[key])] for key, split in _SPLITS.items() if values.get(key)}
    for key in ("names", "train"):
        if not values.get(key):
            errors.add("DARKNET_DATA", "this key is needed", where=path, field=key, remedy=_REMEDY)
    errors.raise_any()
    names = _names(folder, _tail(folder, values["names"]), f"{path}:{lines['names']}", errors)
    count = values.get("classes")
    if count is not None and parse_integer(count) != len(names):
        where, what = f"{path}:{lines['classes']}", f"there are {len(names)} names"
        errors.add("CLASS_COUNT", what, where=where, field="classes", value=count, remedy="make both agree")
    errors.raise_any()
    return DataYaml(path, names, given, None, lines)


def _tail(folder: Path, name: str) -> str:
    """Return the longest tail of a path that is a file in the folder, or the path itself."""
    return next((tail for tail in foreign_tails(name.replace("\0", "?")) if io.is_file(folder / tail)), name)


def _names(folder: Path, name: str, where: str, errors: ErrorCollector) -> list[str]:
    path = io.safe_join(folder, name, where=where, field="names")
    names = [line.strip() for line in native.lines_of(native.read_text(folder, path).rstrip())]
    check_names(names, str(path), errors)
    return names
