"""YOLO label files: one `.txt` a picture, listed by a `data.yaml`. Imports ranks 0 to 1.

A row is ``class cx cy width height``, centre and size as shares of the picture as it is displayed; so x1 is
(cx - width / 2) times the width of the picture. Longer rows are polygons, whose extent is the box.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.errors import InputError
from detect_transfer.formats import _native
from detect_transfer.formats._problems import Problems
from detect_transfer.formats._yolo_files import Sample, find_root, find_samples
from detect_transfer.formats._yolo_rows import read_rows
from detect_transfer.formats._yolo_yaml import load
from detect_transfer.table import AnnotationTable

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_log = logging.getLogger(__name__)


def read(root: Path, *, allow_missing: bool = False) -> AnnotationTable:
    """Read a YOLO data set: category ids are the class indices + 1, splits are the keys train, val and test.

    An empty label file means a picture without objects; a missing one is an error. Rows of an odd number of columns
    from 7 on are polygons (so are the 9 columns of oriented boxes) and get ``{"polygon": true}`` as `attributes`; 6
    columns are refused, for they look like predictions. Values a little outside [0, 1] are kept as they are.

    Args:
        root: The ``data.yaml``, or the folder that holds it. Its pictures and labels must lie in the folder that its
            key `path` names, or in its own folder if that is absent or gone.
        allow_missing: Whether a picture without label file is one without objects.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: https://docs.ultralytics.com/datasets/detect/
    """
    data = load(_data_yaml(root))
    place, start = find_root(data)
    problems = Problems()
    samples = find_samples(data, place, start, allow_missing=allow_missing, problems=problems)
    sizes = _native.read_sizes(place, [s.image for s in samples], problems)
    labelled = [i for i, sample in enumerate(samples) if sample.has_label]
    rows = read_rows(place, [samples[i].label for i in labelled], n_classes=len(data.names), problems=problems)
    problems.raise_any()
    _log.info("%s: %d pictures, %d of them without label file", data.file, len(samples), len(samples) - len(labelled))
    known = np.array([size for size in sizes if size is not None], dtype=np.int32).reshape(-1, 2)
    return AnnotationTable.from_columns(
        images={
            "image_id": np.arange(1, len(samples) + 1),
            "file_name": [s.image for s in samples],
            "width": known[:, 0],
            "height": known[:, 1],
            "split": [s.split for s in samples],
        },
        boxes=_boxes(rows, np.array(labelled, dtype=np.int64), samples, known.astype(np.float64)),
        categories={"category_id": range(1, len(data.names) + 1), "name": data.names},
        image_root=place,
    )


def _data_yaml(root: Path) -> Path:
    if not root.is_dir():
        _native.require_regular(root.parent, root)
        return root
    found = next((root / name for name in _NAMES if (root / name).exists()), None)
    if found is None:
        raise InputError(
            "DATA_YAML_MISSING",
            "there is no data.yaml",
            where=root,
            remedy="give the file itself, or the folder that holds it",
        )
    _native.require_regular(root, found)
    return found


def _boxes(
    rows: pl.DataFrame, labelled: NDArray[np.int64], samples: list[Sample], sizes: NDArray[np.float64]
) -> pl.DataFrame:
    """Put rows of shares (N) to pixels, by the size (M, 2) of the picture of each."""
    image = labelled[rows["file"].to_numpy()]
    size = sizes[image]
    labels = pl.Series("label", [samples[i].label for i in labelled], dtype=pl.String)
    return rows.with_columns(w=size[:, 0], h=size[:, 1], label=labels.gather(rows["file"])).select(
        annotation_id=pl.int_range(1, pl.len() + 1),
        image_id=pl.Series(image + 1, dtype=pl.Int64),
        category_id=pl.col("class") + 1,
        x1=(pl.col("cx") - pl.col("width") / 2) * pl.col("w"),
        y1=(pl.col("cy") - pl.col("height") / 2) * pl.col("h"),
        x2=(pl.col("cx") + pl.col("width") / 2) * pl.col("w"),
        y2=(pl.col("cy") + pl.col("height") / 2) * pl.col("h"),
        attributes=pl.when("polygon").then(pl.lit('{"polygon":true}')),
        source=pl.format("{}:{}", "label", "line"),
    )
