"""CityPersons as MATLAB files, `anno_<split>.mat`.

`anno_<split>_aligned` is a cell of structs, one an image: `cityname`, `im_name` and `bbs`, whose rows are ``class, x,
y, w, h, instance, x, y, w, h`` with the visible part last. The type of the integers changes from cell to cell.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing.matlab import Array, read_matlab, text
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("cityname", "im_name", "bbs")
_COLUMNS = ("class", *FULL, "instance_id", *VISIBLE)
_REMEDY = "give the file as it was published"


def read_mat(source: Source, name: str, add_image: Callable[[str, str], bool]) -> pl.DataFrame:
    """Read one file.

    Args:
        source: The data set; faults go to it.
        name: The file, relative to the root.
        add_image: Adds an image by its name and where it stands; false where another cell is of it.

    Returns:
        A row a box: the columns of `ROW_SCHEMA`, `class` and `instance_id`.

    Raises:
        InputError: As for `read_matlab`.
    """
    stem = Path(name).stem
    split, variable = stem.removeprefix("anno_"), f"{stem}_aligned"
    images: list[str] = []
    cells: list[str] = []
    tables: list[FloatArray] = []
    for i, cell in enumerate(_cells(read_matlab(source.root, name, variable)), start=1):
        cell_source = f"{name}#{variable}{{{i}}}"
        where = f"{source.root}/{cell_source}"
        city, file_name = (text(cell[field]) for field in _FIELDS[:2]) if cell else (None, None)
        if not city or not file_name:
            what = f"expected a struct with the fields {', '.join(_FIELDS)}"
            source.errors.add("CITYPERSONS_CELL", what, where=where, remedy=_REMEDY)
            continue
        image = f"leftImg8bit/{split}/{city}/{file_name}"
        table = _table(cell["bbs"])
        if table is None:
            what = f"expected rows of {len(_COLUMNS)} numbers: {', '.join(_COLUMNS)}"
            source.errors.add("CITYPERSONS_ROWS", what, where=f"{where}.bbs", image=image, remedy=_REMEDY)
        elif add_image(image, where):
            images.append(image)
            cells.append(cell_source)
            tables.append(table)
    return _frame(images, cells, tables)


def _cells(value: Array) -> list[dict[str, Any]]:
    """Return the fields of each struct of the cell; nothing for what is no such struct."""
    if value.dtype != object:
        return [{}]
    return [
        {field: v[field].ravel()[0] for field in _FIELDS}
        if isinstance(v, np.ndarray) and v.size == 1 and set(_FIELDS) <= set(v.dtype.names or ())
        else {}
        for v in value.ravel()
    ]


def _table(value: Any) -> FloatArray | None:
    """Return the rows of `bbs` as (n, 10), or None if they are of another shape."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        return None
    if value.size and value.shape[1:] != (len(_COLUMNS),):
        return None
    return value.astype(np.float64).reshape(-1, len(_COLUMNS))


def _frame(images: list[str], cells: list[str], tables: list[FloatArray]) -> pl.DataFrame:
    counts = [len(table) for table in tables]
    rows = pl.DataFrame(np.concatenate([np.empty((0, len(_COLUMNS))), *tables]), schema=list(_COLUMNS))
    cell = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    return rows.with_columns(
        image=pl.Series(images, dtype=pl.String).gather(cell),
        source=text_of(
            "{}.bbs({},:)", pl.Series(cells, dtype=pl.String).gather(cell), pl.Series(number, dtype=pl.Int64)
        ),
    )
