"""CityPersons as MATLAB files, `anno_<split>.mat`.

`anno_<split>_aligned` is a cell of structs, one an image: `cityname`, `im_name` and `bbs`, whose rows are ``class, x,
y, w, h, instance, x, y, w, h`` with the visible part last. The type of the integers changes from cell to cell.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.matlab import Array, read_matlab, text
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE

_FIELDS = ("cityname", "im_name", "bbs")
_COLUMNS = ("class", *FULL, "instance_id", *VISIBLE)
_REMEDY = "give the file as it was published"


def read_mat(
    root: Path, name: str, named: dict[str, ImageRef], size_wh: tuple[int, int], problems: ErrorCollector
) -> pl.DataFrame:
    """Read one file.

    Args:
        root: The folder of the data set.
        name: The file, relative to `root`.
        named: Where its images are added, in the order of the file.
        size_wh: The size of every image.
        problems: Where faults go.

    Returns:
        A row a box: the columns of `ROW_SCHEMA`, `class` and `instance_id`.

    Raises:
        InputError: As for `read_matlab`.
    """
    stem = Path(name).stem
    split, variable = stem.removeprefix("anno_"), f"{stem}_aligned"
    images: list[str] = []
    tables: dict[str, NDArray[np.float64]] = {}
    for i, cell in enumerate(_cells(read_matlab(root, name, variable)), start=1):
        where = f"{root / name}#{variable}{{{i}}}"
        city, file_name = (text(cell[field]) for field in _FIELDS[:2]) if cell else (None, None)
        if not city or not file_name:
            what = f"expected a struct with the fields {', '.join(_FIELDS)}"
            problems.add("CITYPERSONS_CELL", what, where=where, remedy=_REMEDY)
            continue
        image = f"leftImg8bit/{split}/{city}/{file_name}"
        rows = _rows(cell["bbs"])
        if image in named:
            problems.add(
                *("ID_DUPLICATE", "an earlier cell is of the same image"),
                where=where,
                field="im_name",
                value=file_name,
                image=image,
                remedy="remove one of them",
            )
        elif rows is None:
            what = f"expected rows of {len(_COLUMNS)} numbers: {', '.join(_COLUMNS)}"
            problems.add("CITYPERSONS_ROWS", what, where=f"{where}.bbs", image=image, remedy=_REMEDY)
        else:
            named[image], tables[f"{name}#{variable}{{{i}}}"] = ImageRef(where, size_wh), rows
            images.append(image)
    return _frame(images, tables)


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


def _rows(value: Any) -> NDArray[np.float64] | None:
    """Return the rows of `bbs` as (n, 10), or None if they are of another shape."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
        return None
    if value.size and value.shape[1:] != (len(_COLUMNS),):
        return None
    return value.astype(np.float64).reshape(-1, len(_COLUMNS))


def _frame(images: list[str], tables: dict[str, NDArray[np.float64]]) -> pl.DataFrame:
    counts = [len(one) for one in tables.values()]
    rows = pl.DataFrame(np.concatenate([np.empty((0, len(_COLUMNS))), *tables.values()]), schema=list(_COLUMNS))
    cell = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    return rows.with_columns(
        image=pl.Series(images, dtype=pl.String).gather(cell),
        source=text_of(
            "{}.bbs({},:)", pl.Series(list(tables), dtype=pl.String).gather(cell), pl.Series(number, dtype=pl.Int64)
        ),
    )
