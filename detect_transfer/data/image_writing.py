"""Writing the images of a plan: copies, links, and PNGs of what is transcoded, painted or taken from a video.

A video is read once, from its first frame on, however many of its frames are wanted.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl
from PIL import Image

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.core.errors import ResourceError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.io import resource_errors, safe_join
from detect_transfer.core.video import frames_at
from detect_transfer.data.image_plan import GREY, ImagePlan, PlannedImage

_THREADS = 2
_PNG_LEVEL = 3  # higher levels take twice the time for a tenth of the bytes
_BYTES_A_PIXEL = 2  # of a PNG of a street scene, on the safe side
_NO_BOXES = np.empty((0, 4))

Progress = Callable[[str, int, int], None]


def write_images(plan: ImagePlan, out: Path, *, progress: Progress | None = None) -> None:
    """Write the images of a plan to `out/images/`.

    Args:
        plan: What to write.
        out: The data folder.
        progress: Called with `writing`, how many images are done, and how many there are.

    Raises:
        InputError: A video is damaged or lacks a frame.
        ResourceError: The disk has no room for them, or does not let us write.
    """
    folder = out / "images"
    _check_room(plan, out)
    for parent in sorted({str(PurePosixPath(p.target).parent) for p in plan.images}):
        safe_join(folder, parent).mkdir(parents=True, exist_ok=True)
    painted = plan.ignored.painted
    kept_rows = plan.ignored.rows.join(painted, on="image_id", how="semi")
    regions, kept = _by_image(painted), _by_image(kept_rows)

    def paint(image: PlannedImage, rgb: RgbArray) -> RgbArray:
        if image.action != "paint":
            return rgb
        return paint_over(rgb, regions[image.image_id], kept.get(image.image_id, _NO_BOXES))

    def write(job: list[PlannedImage]) -> int:
        with resource_errors(folder / job[0].target):
            if job[0].frame is None:
                _write_image(job[0], folder / job[0].target, paint)
            else:
                _write_frames(job, folder, paint)
        return len(job)

    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for count in pool.map(write, _jobs(plan.images)):
            done += count
            if progress is not None:
                progress("writing", done, len(plan.images))


def paint_over(image_rgb: RgbArray, regions_xyxy: FloatArray, kept_xyxy: FloatArray) -> RgbArray:
    """Return a copy with the pixels that regions touch painted grey, save those that a kept box touches.

    Args:
        image_rgb: (H, W, 3) uint8.
        regions_xyxy: (N, 4) pixels.
        kept_xyxy: (M, 4) pixels; an object that is trained on must not be painted over by a neighbour's region.
    """
    grey = np.zeros(image_rgb.shape[:2], dtype=bool)
    for boxes, value in ((regions_xyxy, True), (kept_xyxy, False)):
        low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
        for (x1, y1), (x2, y2) in zip(low, high, strict=True):
            grey[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = value
    painted = image_rgb.copy()
    painted[grey] = GREY
    return painted


def _check_room(plan: ImagePlan, out: Path) -> None:
    sizes = dict(zip(plan.ignored.table.images["image_id"], _pixels(plan.ignored.table.images), strict=True))
    need = sum(
        sizes[p.image_id] * _BYTES_A_PIXEL if p.frame is not None else p.source.stat().st_size
        for p in plan.images
        if p.action != "link"
    )
    free = shutil.disk_usage(out).free
    if need > free:
        raise ResourceError(
            "DISK_FULL",
            f"the images need {need:,} bytes and {free:,} are free",
            where=out.parent,
            remedy="free some space, write to another disk, or link the images",
        )


def _pixels(images: pl.DataFrame) -> pl.Series:
    return images.select((pl.col("width").cast(pl.Int64) * pl.col("height")).fill_null(0)).to_series()


def _jobs(images: tuple[PlannedImage, ...]) -> list[list[PlannedImage]]:
    """Return one job for each image file and one for all frames of a video."""
    videos: dict[Path, list[PlannedImage]] = defaultdict(list)
    jobs = []
    for image in images:
        if image.frame is None:
            jobs.append([image])
        else:
            videos[image.source].append(image)
    return [*jobs, *videos.values()]


def _write_image(image: PlannedImage, target: Path, paint: Callable[[PlannedImage, RgbArray], RgbArray]) -> None:
    if image.action == "copy":
        shutil.copyfile(image.source, target)
    elif image.action == "link":
        target.symlink_to(image.source)
    elif image.action == "transcode":
        _to_png(image.source, target)
    else:
        _save(paint(image, read_rgb(image.source)), target)


def _write_frames(job: list[PlannedImage], folder: Path, paint: Callable[[PlannedImage, RgbArray], RgbArray]) -> None:
    by_number = {image.frame: image for image in job if image.frame is not None}
    for number, rgb in frames_at(job[0].source, by_number):
        _save(paint(by_number[number], rgb), folder / by_number[number].target)


def _save(rgb: RgbArray, target: Path) -> None:
    Image.fromarray(rgb).save(target, "PNG", compress_level=_PNG_LEVEL)


def _to_png(source: Path, target: Path) -> None:
    """Write the same samples as PNG; what PNG or our decoder would turn or convert is written as it is read."""
    with Image.open(source) as image:
        if image.format in ("PPM", "GIF") and image.mode in ("1", "L", "P", "RGB", "I;16"):
            image.save(target, "PNG", compress_level=_PNG_LEVEL)
            return
        if image.mode == "I":  # sixteen-bit PGM
            sixteen = np.asarray(image).astype(np.uint16)
            Image.fromarray(sixteen).save(target, "PNG", compress_level=_PNG_LEVEL)
            return
    _save(read_rgb(source), target)


def _by_image(boxes: pl.DataFrame) -> dict[int, FloatArray]:
    return {int(i): rows.select(XYXY).to_numpy() for (i,), rows in boxes.group_by("image_id")}
