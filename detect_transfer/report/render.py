"""Annotated pictures written to a folder, for `visualize` and `predict`. Imports `evaluation` and lower ranks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import cv2
import polars as pl

from detect_transfer.errors import InternalError
from detect_transfer.evaluation import match
from detect_transfer.files import safe_join, write_atomic
from detect_transfer.images import read_rgb
from detect_transfer.report.drawing import RgbArray, draw_matches
from detect_transfer.table import DETECTION_SCHEMA, AnnotationTable, Detections


def render_predictions(
    table: AnnotationTable,
    detections: Detections | None,
    image_root: Path,
    out_dir: Path,
    *,
    score_threshold: float = 0.25,
    limit: int | None = None,
) -> list[Path]:
    """Draw truth and detections on the pictures of a table and write them as JPEG.

    Args:
        table: The images, and the truth where there is one. A table without any box is taken as one without truth, so
            that detections are drawn as such and not as false alarms.
        detections: What was found; None draws the truth alone.
        image_root: The folder that `file_name` is relative to.
        out_dir: Where the pictures go, under their own relative names with the suffix `.jpg`.
        score_threshold: Detections below it are left out.
        limit: Draw the first so many images; None draws all.

    Returns:
        The files written, in the order of the table.

    Raises:
        InputError: A picture is missing or damaged, a name leads out of its folder, or a detection has an unknown id.
        ResourceError: The disk is full or does not let us write.
    """
    truth, found = _rows(table, detections, score_threshold)
    images = table.images if limit is None else table.images.head(limit)
    truths = truth.partition_by("image_id", as_dict=True)
    founds = found.partition_by("image_id", as_dict=True)
    names = {int(i): str(n) for i, n in table.categories.select("category_id", "name").iter_rows()}
    shown = images.select("image_id", "file_name")
    outputs = output_names(shown["file_name"].to_list())
    written = []
    for (image_id, file_name), output in zip(shown.iter_rows(), outputs, strict=True):
        picture = read_rgb(safe_join(image_root, file_name, links=True))
        here, seen = truths.get((image_id,), truth.clear()), founds.get((image_id,), found.clear())
        path = safe_join(out_dir, output)
        write_atomic(path, encode_jpeg(draw_matches(picture, here, seen, names)))
        written.append(path)
    return written


def _rows(
    table: AnnotationTable, detections: Detections | None, score_threshold: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows to draw, with `status` where there is something to compare."""
    if detections is None:
        ignored = pl.col("ignore") | pl.col("iscrowd")
        status = pl.when(ignored).then(pl.lit("ignored")).otherwise(pl.lit("truth")).alias("status")
        return table.boxes.with_columns(status), pl.DataFrame(schema=DETECTION_SCHEMA)
    matches = match(table, detections, score_threshold=score_threshold)
    return matches.truth, matches.detections.drop("status") if table.boxes.is_empty() else matches.detections


def output_names(file_names: list[str]) -> list[str]:
    """Give each picture a `.jpg` name of its own; two that differ by their suffix alone keep it in the name."""
    plain = [PurePosixPath(name).with_suffix(".jpg").as_posix() for name in file_names]
    often = Counter(name.lower() for name in plain)
    return [p if often[p.lower()] == 1 else f"{name}.jpg" for name, p in zip(file_names, plain, strict=True)]


def encode_jpeg(image_rgb: RgbArray, *, quality: int = 88) -> bytes:
    """Encode a picture (H, W, 3) as JPEG."""
    done, data = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InternalError("JPEG_ENCODE", "a drawing could not be encoded", remedy="please report this")
    return data.tobytes()
