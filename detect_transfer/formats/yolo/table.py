"""Listed images and their label files as a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.data_yaml import DataYaml
from detect_transfer.formats.yolo.files import Choices, Sample, find_root, find_samples
from detect_transfer.formats.yolo.rows import read_rows

_log = logging.getLogger(__name__)


def read_listed(data: DataYaml, choices: Choices, errors: ErrorCollector) -> AnnotationTable:
    """Read the images and labels that a `data.yaml`, or a file that says the same, names.

    Raises:
        InputError: As `yolo.read` tells.
    """
    folder, start = find_root(data)
    samples = find_samples(data, folder, start, choices, errors)
    present = [sample.image for sample in samples if sample.is_there]
    size_of = dict(zip(present, native.read_sizes(folder, present, errors), strict=True))
    sizes = np.array([size_of.get(s.image) or (np.nan, np.nan) for s in samples], dtype=np.float64).reshape(-1, 2)
    labelled = [i for i, sample in enumerate(samples) if sample.has_label]
    rows = read_rows(
        folder,
        [samples[i] for i in labelled],
        n_classes=len(data.names),
        scores=choices.predictions != "error",
        errors=errors,
    )
    errors.raise_any()
    _log.info("%s: %d images, %d of them without label file", data.file, len(samples), len(samples) - len(labelled))
    if choices.predictions == "drop-score":
        errors.remark("score of a prediction left out", rows["score"].count(), kind="box")
        rows = rows.with_columns(score=pl.lit(None, dtype=pl.Float64))
    images = pl.DataFrame(
        {
            "image_id": np.arange(1, len(samples) + 1),
            "file_name": [s.image for s in samples],
            "width": pl.Series(sizes[:, 0], nan_to_null=True).cast(pl.Int32),
            "height": pl.Series(sizes[:, 1], nan_to_null=True).cast(pl.Int32),
            "split": [s.split for s in samples],
        }
    )
    absent = [s.image for s in samples if not s.is_there and s.image not in errors.skipped_images]
    images, boxes = native.leave_out(images, _boxes(rows, labelled, samples, sizes), absent, errors)
    categories = {"category_id": range(1, len(data.names) + 1), "name": data.names}
    return native.finish(errors, images=images, boxes=boxes, categories=categories, image_root=folder)


def _boxes(
    rows: pl.DataFrame, labelled: Sequence[int], samples: Sequence[Sample], sizes: NDArray[np.float64]
) -> pl.DataFrame:
    """Put rows of shares (N) to pixels, by the size (M, 2) of the image of each; NaN where that is not known."""
    image = np.array(labelled, dtype=np.int64)[rows["file"].to_numpy()]
    size = sizes[image]
    labels = pl.Series("label", [samples[i].label for i in labelled], dtype=pl.String)
    score = pl.concat_str(pl.lit('{"score":'), pl.col("score").cast(pl.String), pl.lit("}"))  # null where there is none
    return rows.with_columns(w=size[:, 0], h=size[:, 1], label=labels.gather(rows["file"])).select(
        annotation_id=pl.int_range(1, pl.len() + 1),
        image_id=pl.Series(image + 1, dtype=pl.Int64),
        category_id=pl.col("class") + 1,
        x1=(pl.col("cx") - pl.col("width") / 2) * pl.col("w"),
        y1=(pl.col("cy") - pl.col("height") / 2) * pl.col("h"),
        x2=(pl.col("cx") + pl.col("width") / 2) * pl.col("w"),
        y2=(pl.col("cy") + pl.col("height") / 2) * pl.col("h"),
        attributes=pl.when("polygon").then(pl.lit('{"polygon":true}')).otherwise(score),
        source=text_of("{}:{}", "label", "line"),
    )
