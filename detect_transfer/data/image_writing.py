"""Images of a data folder: copies, links, and PNGs of what is transcoded, painted or taken from a video.

A file is read once, while it is inspected: what it becomes is staged under its id, and moved once it has a name. A
video is read once more, from its first frame on, however many of its frames are wanted.
"""

from __future__ import annotations

import errno
import hashlib
import io
import shutil
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from detect_transfer.core.annotations import XYXY, Annotations
from detect_transfer.core.arrays import FloatArray, RgbArray
from detect_transfer.core.columns import collected, joined
from detect_transfer.core.disk import require_room, resource_errors
from detect_transfer.core.errors import ResourceError
from detect_transfer.core.images import read_deep, read_image_bytes, read_rgb
from detect_transfer.core.io import safe_join
from detect_transfer.core.video import frames_at, parse_frame_name
from detect_transfer.data.image_checks import ImageFile, Progress
from detect_transfer.data.image_plan import GREY, ImagePlan, PlannedImage, is_refused
from detect_transfer.data.used_images import head_digest

_THREADS = 2
_PNG_LEVEL = 3  # higher levels take twice the time for a tenth of the bytes
_BYTES_A_PIXEL = 2  # of a PNG of a street scene, on the safe side
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_PRIVILEGE = 1314  # of Windows
_NO_BOXES = np.empty((0, 4))

Painter = Callable[[PlannedImage, RgbArray], RgbArray]


@dataclass(frozen=True)
class FileFacts:
    """The length of a file in bytes, its SHA-256 in hexadecimal, and its `head_digest`."""

    n_bytes: int
    sha256: str
    head: str

    @classmethod
    def of(cls, data: bytes, sha256: str | None = None) -> FileFacts:
        """Return those of a file that holds `data`, whose hash may be known."""
        return cls(len(data), sha256 or hashlib.sha256(data).hexdigest(), head_digest(data))


class ImageStage:
    """Image files on their way into a data folder: written under their ids while the splits are not yet known.

    Args:
        folder: Where they are staged; it is made, and removed by `write_images`.
        link: Stage only what cannot be a link, since it becomes a PNG.
    """

    def __init__(self, folder: Path, *, link: bool) -> None:
        self.folder = folder
        self.link = link
        self.facts: dict[int, FileFacts] = {}
        self.transcoded: set[int] = set()
        folder.mkdir()

    def check_room(self, table: Annotations) -> None:
        """Check that the disk has room for copies of the images.

        Raises:
            ResourceError: It has not.
        """
        need = 0
        for name in () if self.link or table.image_root is None else table.images["file_name"]:
            if parse_frame_name(name) is None:
                try:
                    need += (table.image_root / name).stat().st_size
                except (OSError, ValueError):
                    continue  # the inspection says what is wrong with it
        _check_room(need, self.folder.parent)

    def add(self, image: ImageFile) -> None:
        """Stage one image as a copy, or as a PNG where ultralytics would refuse it."""
        data, digest = image.data, image.sha256
        if is_refused(image.path, data):
            self.transcoded.add(image.image_id)
            data = _transcoded(data, image.rgb)
            digest = hashlib.sha256(data).hexdigest()
        elif self.link:
            self.facts[image.image_id] = FileFacts.of(data, digest)
            return
        path = self.folder / str(image.image_id)
        with resource_errors(path):
            path.write_bytes(data)
        self.facts[image.image_id] = FileFacts.of(data, digest)


def write_images(
    plan: ImagePlan, out: Path, *, stage: ImageStage, progress: Progress | None = None
) -> dict[str, FileFacts]:
    """Bring the images of a plan to `out/images/`, and remove the stage.

    Args:
        plan: What to write.
        out: The data folder.
        stage: The image files of the plan.
        progress: Called with `writing`, how many images are done, and how many there are.

    Returns:
        The facts of each image by its name below `out/images/`.

    Raises:
        InputError: A video is damaged or lacks a frame.
        ResourceError: The disk has no room for them, or does not let us write.
    """
    folder = out / "images"
    _check_room(_frame_bytes(plan), out)
    for parent in sorted({str(PurePosixPath(p.target).parent) for p in plan.images}):
        safe_join(folder, parent).mkdir(parents=True, exist_ok=True)
    painted = plan.ignored.painted
    rows = collected(joined(plan.ignored.rows, painted.select("image_id").unique(), on="image_id", how="semi"))
    regions, objects = _by_image(painted), _by_image(rows)

    def paint(image: PlannedImage, rgb: RgbArray) -> RgbArray:
        if image.action != "paint":
            return rgb
        return paint_over(rgb, regions[image.image_id], objects.get(image.image_id, _NO_BOXES))

    def write(batch: list[PlannedImage]) -> list[FileFacts]:
        with resource_errors(folder / batch[0].target):
            if batch[0].window is not None and batch[0].frame is None:
                return _write_tiles(batch, folder, stage, paint)
            if batch[0].frame is None:
                return [_write_image(batch[0], folder / batch[0].target, stage, paint)]
            return _write_frames(batch, folder, paint)

    facts: dict[str, FileFacts] = {}
    batches = _batches(plan.images)
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch, written in zip(batches, pool.map(write, batches), strict=True):
            facts |= dict(zip((image.target for image in batch), written, strict=True))
            if progress is not None:
                progress("writing", len(facts), len(plan.images))
    shutil.rmtree(stage.folder)
    return facts


def paint_over(image_rgb: RgbArray, regions_xyxy: FloatArray, objects_xyxy: FloatArray) -> RgbArray:
    """Return a copy with the pixels that regions touch painted grey, save those that an object touches.

    Args:
        image_rgb: (H, W, 3) uint8.
        regions_xyxy: (N, 4) pixels.
        objects_xyxy: (M, 4) pixels; an object that is trained on must not be painted over by a neighbour's region.
    """
    grey = np.zeros(image_rgb.shape[:2], dtype=bool)
    for boxes, value in ((regions_xyxy, True), (objects_xyxy, False)):
        low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
        for (x1, y1), (x2, y2) in zip(low, high, strict=True):
            grey[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = value
    painted = image_rgb.copy()
    painted[grey] = GREY
    return painted


def _check_room(need: int, out: Path) -> None:
    remedy = "free some space, write to another disk, or link the images: --image-mode link"
    require_room(out.parent, need, what="the images", remedy=remedy)


def _frame_bytes(plan: ImagePlan) -> int:
    """Return about how many bytes the frames of videos become."""
    images = plan.ignored.table.images
    ids = [image.image_id for image in plan.images if image.frame is not None]
    pixels = (pl.col("width").cast(pl.Int64) * pl.col("height")).fill_null(0).sum()
    return int(images.filter(pl.col("image_id").is_in(ids)).select(pixels).item()) * _BYTES_A_PIXEL


def _batches(images: tuple[PlannedImage, ...]) -> list[list[PlannedImage]]:
    """Return a batch for each image file, one for all tiles of an image, and one for all frames of a video."""
    shared: dict[tuple[Path, int | None], list[PlannedImage]] = defaultdict(list)
    batches = []
    for image in images:
        if image.frame is not None:
            shared[image.source, None].append(image)
        elif image.window is not None:
            shared[image.source, image.file_id].append(image)
        else:
            batches.append([image])
    return [*batches, *shared.values()]


def _write_image(image: PlannedImage, target: Path, stage: ImageStage, paint: Painter) -> FileFacts:
    staged = stage.folder / str(image.file_id)
    if image.action == "paint":
        return _save(paint(image, read_rgb(staged if staged.exists() else image.source)), target)
    if image.action == "link":
        _link(image.source, target)
    else:
        staged.rename(target)
    return stage.facts[image.file_id]


def _link(source: Path, target: Path) -> None:
    """Link to an image.

    Raises:
        ResourceError: The disk has no symbolic links, or the user may not make them.
    """
    try:
        target.symlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS and getattr(error, "winerror", None) != _NO_PRIVILEGE:
            raise
        raise ResourceError(
            "LINK_REFUSED",
            "the disk has no symbolic links, or the system allows them in its developer mode alone (Windows)",
            where=target,
            remedy="copy the images: detect-transfer convert auto YOUR_DATA --out data/mine, then take data/mine",
        ) from error


def _write_frames(batch: list[PlannedImage], folder: Path, paint: Painter) -> list[FileFacts]:
    by_number: dict[int, list[PlannedImage]] = defaultdict(list)
    for image in batch:
        by_number[image.frame or 0].append(image)
    facts = {}
    for number, rgb in frames_at(batch[0].source, by_number):
        for image in by_number[number]:
            x1, y1, x2, y2 = image.window or (0, 0, rgb.shape[1], rgb.shape[0])
            facts[image.target] = _save(paint(image, rgb[y1:y2, x1:x2]), folder / image.target)
    return [facts[image.target] for image in batch]


def _write_tiles(batch: list[PlannedImage], folder: Path, stage: ImageStage, paint: Painter) -> list[FileFacts]:
    """Write the tiles of an image, read once; one channel of sixteen bits keeps them."""
    staged = stage.folder / str(batch[0].file_id)
    path = staged if staged.exists() else batch[0].source
    data = read_image_bytes(path)
    deep = read_deep(path, data)
    deep = None if deep is None or deep.dtype.kind == "f" else deep  # PNG has no floating point
    rgb = read_rgb(path, data) if deep is None or any(image.action == "paint" for image in batch) else None
    facts = []
    for image in batch:
        x1, y1, x2, y2 = image.window or (0, 0, 0, 0)
        if rgb is not None:
            facts.append(_save(paint(image, rgb[y1:y2, x1:x2]), folder / image.target))
        elif deep is not None:
            facts.append(_save(deep[y1:y2, x1:x2], folder / image.target))
    staged.unlink(missing_ok=True)
    return facts


def _save(pixels: RgbArray | NDArray[np.uint16], target: Path) -> FileFacts:
    data = _png(Image.fromarray(np.ascontiguousarray(pixels)))
    target.write_bytes(data)
    return FileFacts.of(data)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _transcoded(data: bytes, rgb: RgbArray) -> bytes:
    """Return the same samples as PNG; what PNG or our decoder would turn or convert is written as it is read."""
    with Image.open(io.BytesIO(data)) as image:
        if image.format in ("PPM", "GIF") and image.mode in ("1", "L", "P", "RGB", "I;16"):
            return _png(image)
        if image.mode == "I":  # sixteen-bit PGM
            return _png(Image.fromarray(np.asarray(image).astype(np.uint16)))
    return _png(Image.fromarray(rgb))


def _by_image(boxes: pl.DataFrame) -> dict[int, FloatArray]:
    return {int(i): rows.select(XYXY).to_numpy() for (i,), rows in boxes.group_by("image_id")}
