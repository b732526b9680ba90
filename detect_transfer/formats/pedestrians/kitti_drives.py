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


def read_drives(root: Path, problems: ErrorCollector) -> dict[str, str]:
    """Map the stem of each training image to its drive; empty where the mapping is not in `root`.

    Args:
        root: The folder of the data set; the mapping may lie in it at any depth.
        problems: Where faults go.
    """
    folder = next((root / n for n in io.list_files(root, (".txt",)) if Path(n).name == _MAPPING), None)
    if folder is None:
        return {}
    try:
        return _read(root, folder.parent)
    except InputError as error:
        problems.put(error)
        return {}


def _read(root: Path, folder: Path) -> dict[str, str]:
    rows = [line.split() for line in native.lines_of(native.read_text(root, folder / _MAPPING)) if line.strip()]
    order = [parse_integer(word.strip()) for word in native.read_text(root, folder / _ORDER).split(",")]
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            raise InputError(
                *("KITTI_MAPPING", f"found {len(row)} fields, expected 3: date drive frame"),
                where=f"{folder / _MAPPING}:{number}",
                remedy="restore the file of the devkit",
            )
    found = {}
    for i, line in enumerate(order):
        if line is None or not 1 <= line <= len(rows):
            raise InputError(
                *("KITTI_MAPPING", f"expected numbers from 1 to {len(rows)} divided by commas"),
                where=folder / _ORDER,
                field=f"number {i + 1}",
                value=line,
                remedy="restore the file of the devkit",
            )
        found[f"{i:06d}"] = rows[line - 1][1]
    return found
