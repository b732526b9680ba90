"""Listed images and their label files as a table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.annotations import (
    BOX_SCHEMA,
    CATEGORY_SCHEMA,
    FALSE_BY_DEFAULT,
    IMAGE_SCHEMA,
    AnnotationTable,
    ScannedTable,
    frame,
)
from detect_transfer.core.columns import AnyFrame, collected, joined, n_rows, text_of
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import check_faults
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.data_yaml import DataYaml
from detect_transfer.formats.yolo.files import Choices, find_roots, find_samples, samples_of
from detect_transfer.formats.yolo.image_finder import Sample
from detect_transfer.formats.yolo.parse import SHARE_CENTRES, RowRules
from detect_transfer.formats.yolo.rows import read_rows

_REMARKS = {
    "shape": "polygon: the box around it is kept, its points are not",
    "pose": "pose: its box is kept, its keypoints are not",
}
_log = logging.getLogger(__name__)


def read_listed(data: DataYaml, choices: Choices, errors: ErrorCollector) -> AnnotationTable:
    """Read the images and labels that a `data.yaml`, or a file that says the same, names.

    Raises:
        InputError: As `yolo.read` tells.
    """
    roots = find_roots(data, choices.allow_root)
    folder, samples = roots.base, find_samples(data, roots, choices, errors)
    present = [sample.image for sample in samples if sample.is_there]
    size_of = dict(zip(present, native.read_sizes(folder, present, errors), strict=True))
    return _table(data, folder, samples, size_of, choices=choices, errors=errors)


def scan_labels(root: Path, names: Sequence[str], images: Mapping[str, native.SizeWh], *, spill: Path) -> ScannedTable:
    """Read the label files of images that need not be there; the boxes stay in files.

    Args:
        root: The folder that holds ``labels/``.
        names: Of the classes, by index.
        images: The size of each image by its name below ``images/``, whose first folder is its split.
        spill: A folder for the boxes, as for `read_rows`.

    Raises:
        InputError: A label file is missing, there is one too many, or a row is no box.
        ResourceError: The disk is full or does not let us write.
    """
    errors = ErrorCollector()
    samples = samples_of({f"images/{name}": name.partition("/")[0] for name in images}, root, errors)
    sizes = np.array(list(images.values()), dtype=np.float64).reshape(-1, 2)
    rows = read_rows(root, samples, RowRules(len(names), None, None, False, SHARE_CENTRES), errors, spill=spill)
    check_faults(errors, n_rows(rows), SHARE_CENTRES)
    errors.raise_any()
    boxes = _boxes(rows, range(len(samples)), samples, sizes, is_share=True).lazy()
    absent = [
        pl.lit(False if name in FALSE_BY_DEFAULT else None).cast(dtype).alias(name)
        for name, dtype in BOX_SCHEMA.items()
        if name not in boxes.collect_schema()
    ]
    classes = frame({"category_id": range(1, len(names) + 1), "name": names}, CATEGORY_SCHEMA)
    return ScannedTable(frame(_images(samples, sizes), IMAGE_SCHEMA), boxes.with_columns(absent), classes)


def _images(samples: Sequence[Sample], sizes: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "image_id": np.arange(1, len(samples) + 1),
            "file_name": [s.image for s in samples],
            "width": pl.Series(sizes[:, 0], nan_to_null=True).cast(pl.Int32),
            "height": pl.Series(sizes[:, 1], nan_to_null=True).cast(pl.Int32),
            "split": pl.Series([s.split or None for s in samples], dtype=pl.String),
        }
    )


def _table(
    data: DataYaml,
    folder: Path,
    samples: Sequence[Sample],
    size_of: Mapping[str, native.SizeWh | None],
    *,
    choices: Choices,
    errors: ErrorCollector,
) -> AnnotationTable:
    sizes = np.array([size_of.get(s.image) or (np.nan, np.nan) for s in samples], dtype=np.float64).reshape(-1, 2)
    labelled = [i for i, sample in enumerate(samples) if sample.has_label]
    kind = choices.rows or ("pose" if data.keypoints else None)
    has_scores = choices.predictions != "error"
    rules = RowRules(len(data.names), kind, data.keypoints, has_scores, choices.box_format)
    rows = collected(read_rows(folder, [samples[i] for i in labelled], rules, errors))
    check_faults(errors, len(rows), choices.box_format)
    errors.raise_any()
    for name, reason in _REMARKS.items():
        errors.remark(reason, int((rows["kind"] == name).sum()), kind="box")
    _log.info("%s: %d images, %d of them without label file", data.file, len(samples), len(samples) - len(labelled))
    if choices.predictions == "drop-score":
        errors.remark("score of a prediction left out", rows["score"].count(), kind="box")
        rows = rows.with_columns(score=pl.lit(None, dtype=pl.Float64))
    absent = [s.image for s in samples if not s.is_there and s.image not in errors.skipped_images]
    boxes = collected(_boxes(rows, labelled, samples, sizes, is_share=choices.box_format.units == "shares"))
    images, there = native.leave_out(_images(samples, sizes), boxes, absent, errors)
    categories = {"category_id": range(1, len(data.names) + 1), "name": data.names}
    return native.finish(
        *(errors,),
        images=images,
        boxes=collected(there),
        categories=categories,
        image_root=folder,
        box_format=choices.box_format,
    )


def _boxes(
    rows: AnyFrame, labelled: Sequence[int], samples: Sequence[Sample], sizes: NDArray[np.float64], *, is_share: bool
) -> AnyFrame:
    """Put rows (N) to pixels, by the size (M, 2) of the image of each; NaN where that is not known."""
    indices = np.array(labelled, dtype=np.int64)
    size = sizes[indices] if is_share else np.ones((len(indices), 2))
    files = pl.DataFrame(
        {
            "file": np.arange(len(indices)),
            "image_id": indices + 1,
            "w": size[:, 0],
            "h": size[:, 1],
            "label": pl.Series([samples[i].label for i in labelled], dtype=pl.String),
        }
    )
    score = text_of('"score":{}', pl.col("score").cast(pl.String))  # null where there is none
    polygon = pl.when(pl.col("kind") == "shape").then(pl.lit('"polygon":true'))
    further = pl.concat_str(polygon, score, separator=",", ignore_nulls=True)
    return (
        joined(rows, files, on="file", how="left")
        .with_row_index("annotation_id", offset=1)
        .select(
            pl.col("annotation_id").cast(pl.Int64),
            "image_id",
            category_id=pl.col("class") + 1,
            x1=pl.col("x1") * pl.col("w"),
            y1=pl.col("y1") * pl.col("h"),
            x2=pl.col("x2") * pl.col("w"),
            y2=pl.col("y2") * pl.col("h"),
            track_id="track_id",
            attributes=pl.when(further != "").then(pl.concat_str(pl.lit("{"), further, pl.lit("}"))),
            source=text_of("{}:{}", "label", "line"),
        )
    )
