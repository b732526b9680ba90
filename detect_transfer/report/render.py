"""Annotated images, contact sheets and videos written to a folder, for `visualize` and `predict`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import polars as pl

from detect_transfer.core.annotations import DETECTION_SCHEMA, AnnotationTable, Detections
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InternalError
from detect_transfer.core.io import safe_join, write_atomic
from detect_transfer.core.video import parse_frame_name
from detect_transfer.evaluation import match
from detect_transfer.report.drawings import KINDS, Mark, contact_sheet, draw_marks, legend_strip, marks_of
from detect_transfer.report.image_reading import read_all
from detect_transfer.report.video import write_video
from detect_transfer.report.window import draw_window

_CELL_WH = (640, 480)


@dataclass(frozen=True)
class DrawPlan:
    """What is drawn and how it is put together.

    Args:
        score_threshold: Detections below it are left out.
        limit: Draw the first so many images; None draws all.
        sheet: How many images a contact sheet holds; None writes each by itself.
        fps: Frames a second of a video for each sequence (video, group or folder); None writes images.
    """

    score_threshold: float = 0.25
    limit: int | None = None
    sheet: int | None = None
    fps: float | None = None


def render(table: AnnotationTable, detections: Detections | None, out_dir: Path, *, plan: DrawPlan) -> list[Path]:
    """Draw truth and detections on the images of a table, as `plan` says; return the files written.

    Raises:
        InputError: An image is missing or damaged, a name leads out of its folder, or a detection has an unknown id.
        ResourceError: The disk is full or does not let us write.
    """
    if table.image_root is None:
        raise InternalError("RENDER_ROOT", "the table has no folder of images", remedy="please report this")
    if plan.fps is None and plan.sheet is None:
        return render_predictions(
            table, detections, table.image_root, out_dir, score_threshold=plan.score_threshold, limit=plan.limit
        )
    images = table.images if plan.limit is None else table.images.head(plan.limit)
    album = _Album(table, detections, table.image_root, plan.score_threshold)
    if plan.fps is not None:
        return [*_videos(album, images, out_dir, plan.fps)]
    return [*_sheets(album, images, out_dir, plan.sheet or 1)]


def render_predictions(
    table: AnnotationTable,
    detections: Detections | None,
    image_root: Path,
    out_dir: Path,
    *,
    score_threshold: float = 0.25,
    limit: int | None = None,
) -> list[Path]:
    """Draw truth and detections on the images of a table and write them as JPEG.

    Args:
        table: The images, and the truth where there is one. A table without any box is taken as one without truth, so
            that detections are drawn as such and not as false positives.
        detections: The detections; None draws the truth alone.
        image_root: The folder that `file_name` is relative to.
        out_dir: Where the images go, under their own relative names with the suffix `.jpg`.
        score_threshold: Detections below it are left out.
        limit: Draw the first so many images; None draws all.

    Returns:
        The files written, in the order of the table.

    Raises:
        InputError: An image is missing or damaged, a name leads out of its folder, or a detection has an unknown id.
        ResourceError: The disk is full or does not let us write.
    """
    images = table.images if limit is None else table.images.head(limit)
    album = _Album(table, detections, image_root, score_threshold)
    outputs = output_names(images["file_name"].to_list())
    written = []
    for (image, marks), output in zip(album.read(images), outputs, strict=True):
        path = safe_join(out_dir, output)
        write_atomic(path, encode_jpeg(draw_marks(image, marks)))
        written.append(path)
    return written


class _Album:
    """The images of a table with what is drawn on each."""

    def __init__(
        self, table: AnnotationTable, detections: Detections | None, root: Path, score_threshold: float
    ) -> None:
        truth, detected = _rows(table, detections, score_threshold)
        self._none = truth.clear(), detected.clear()
        self._truths = truth.partition_by("image_id", as_dict=True)
        self._detected = detected.partition_by("image_id", as_dict=True)
        self._names = {int(i): str(n) for i, n in table.categories.select("category_id", "name").iter_rows()}
        self._root = root
        statuses = {
            *truth["status"].to_list(),
            *detected.get_column("status", default=pl.Series(["detection"])).to_list(),
        }
        self.kinds = [kind for kind in KINDS if kind in statuses or kind == "truth"]

    def read(self, images: pl.DataFrame) -> Iterator[tuple[RgbArray, list[Mark]]]:
        """Give each image of the rows with its marks."""
        for image_id, image in read_all(images, self._root):
            key = (image_id,)
            here, seen = self._truths.get(key, self._none[0]), self._detected.get(key, self._none[1])
            yield image, marks_of(here, seen, self._names)


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


def _sheets(album: _Album, images: pl.DataFrame, out_dir: Path, size: int) -> Iterator[Path]:
    """Write contact sheets of so many images each."""
    shown = max(_CELL_WH)
    drawn = (
        draw_window(image, marks, (0, 0, image.shape[1], image.shape[0]), largest=shown, shown=shown // 2)
        for image, marks in album.read(images)
    )
    number = 0
    while batch := list(islice(drawn, size)):
        number += 1
        sheet = contact_sheet(batch, math.ceil(math.sqrt(len(batch))), cell_wh=_CELL_WH)
        path = out_dir / f"sheet_{number:04d}.jpg"
        write_atomic(path, encode_jpeg(_with_legend(sheet, album.kinds)))
        yield path


def _videos(album: _Album, images: pl.DataFrame, out_dir: Path, fps: float) -> Iterator[Path]:
    """Write a video for each sequence: the source video, else the group, else the folder of the images."""
    rows = sorted(_sequence(row) for row in images.select("group", "file_name", "image_id").iter_rows(named=True))
    parts = [(name, [image_id for *_, image_id in part]) for name, part in groupby(rows, key=lambda row: row[0])]
    for (_, ids), output in zip(parts, output_names([name for name, _ in parts]), strict=True):
        order = pl.DataFrame({"image_id": ids}).join(images, on="image_id", maintain_order="left")
        path = safe_join(out_dir, PurePosixPath(output).with_suffix(".mp4").as_posix())
        frames = (_with_legend(draw_marks(p, marks, legend=False), album.kinds) for p, marks in album.read(order))
        write_video(path, frames, fps=fps)
        yield path


def _sequence(row: dict[str, str]) -> tuple[str, int, str, int]:
    """Return the sequence as the name of a file, the place in it by number and by name, and the image_id."""
    file_name, image_id = row["file_name"], int(row["image_id"])
    frame = parse_frame_name(file_name)
    if frame is not None:
        return frame[0], frame[1], file_name, image_id
    folder = PurePosixPath(file_name).parent.as_posix()
    return f"{row['group'] or ('all' if folder == '.' else folder)}.frames", 0, file_name, image_id


def _with_legend(image: RgbArray, kinds: Sequence[str]) -> RgbArray:
    return np.vstack([image, legend_strip(kinds, image.shape[1], counted=False)])


def output_names(file_names: list[str]) -> list[str]:
    """Give each image a `.jpg` name of its own; two that differ by their suffix alone keep it in the name."""
    plain = [PurePosixPath(name).with_suffix(".jpg").as_posix() for name in file_names]
    often = Counter(name.lower() for name in plain)
    return [p if often[p.lower()] == 1 else f"{name}.jpg" for name, p in zip(file_names, plain, strict=True)]


def encode_jpeg(image_rgb: RgbArray, *, quality: int = 88) -> bytes:
    """Encode an image (H, W, 3) as JPEG."""
    done, data = cv2.imencode(".jpg", image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InternalError("JPEG_ENCODE", "a drawing could not be encoded", remedy="please report this")
    return data.tobytes()
