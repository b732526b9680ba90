"""Which drive an image of KITTI is from, by `mapping/` of the devkit.

``train_rand.txt`` holds a permutation, divided by commas and counted from 1: image i is line ``rand[i]`` of
``train_mapping.txt``, a row ``date drive frame``.
"""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer

_MAPPING, _ORDER = "train_mapping.txt", "train_rand.txt"


def read_drives(root: Path, errors: ErrorCollector) -> dict[str, str]:
    """Map the stem of each training image to its drive; empty where the mapping is not in `root`.

    Args:
        root: The folder of the data set; the mapping may lie in it at any depth.
        errors: Where faults go.
    """
    mapping = next((root / n for n in io.list_files(root, (".txt",)) if Path(n).name == _MAPPING), None)
    drives: dict[str, str] = {}
    if mapping is not None:
        with errors.file():
            drives = _read(root, mapping.parent)
    return drives


def _read(root: Path, folder: Path) -> dict[str, str]:
    remedy = "restore the file of the devkit"
    rows = [line.split() for line in native.lines_of(native.read_text(root, folder / _MAPPING)) if line.strip()]
    order = [parse_integer(word.strip()) for word in native.read_text(root, folder / _ORDER).split(",")]
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            what = f"found {len(row)} fields, expected 3: date drive frame"
            raise InputError("KITTI_MAPPING", what, where=f"{folder / _MAPPING}:{number}", remedy=remedy)
    drives = {}
    for i, line in enumerate(order):
        if line is None or not 1 <= line <= len(rows):
            what, field = f"expected numbers from 1 to {len(rows)} divided by commas", f"number {i + 1}"
            raise InputError("KITTI_MAPPING", what, where=folder / _ORDER, field=field, value=line, remedy=remedy)
        drives[f"{i:06d}"] = rows[line - 1][1]
    return drives
