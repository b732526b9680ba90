"""The images of a table: each is read once, decoded in full, hashed, and compared with the size that is stated.

Of a video the first frame is decoded, and the file is hashed once: the hash of a frame is that of its video and its
number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import Annotations, Table
from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_notes import NOTES, image_notes
from detect_transfer.core.images import read_image_bytes, read_rgb
from detect_transfer.core.intake import FOR_PEOPLE
from detect_transfer.core.io import safe_join, sha256_file
from detect_transfer.core.ledger import Ledger, LedgerLine
from detect_transfer.core.video import parse_frame_name, read_video_size_wh
from detect_transfer.data.near_duplicates import image_hash

Progress = Callable[[str, int, int], None]  # what is going on, how much is done, of how much

IMAGE_SCHEMA = {
    "image_id": pl.Int64,
    "width": pl.Int32,
    "height": pl.Int32,
    "bytes": pl.Int64,
    "sha256": pl.String,
    "visual_hash": pl.UInt64,  # see `image_hash`; null for a frame and for a plain colour
}
_THREADS = 2
_MOST_LISTED = 1000
_Locate = Callable[[str], Path]  # gives where an image of that name lies
_Row = tuple[int, str, int | None, int | None]  # image_id, file_name, width, height as stated


@dataclass(frozen=True)
class ImageFile:
    """An image that was read and decoded: its id, where it lies, its bytes, their hash, and its pixels."""

    image_id: int
    path: Path
    data: bytes
    sha256: str
    rgb: RgbArray


@dataclass(frozen=True)
class Inspection:
    """What the images of a table are.

    Args:
        images: A row for each image that could be decoded, the columns of `IMAGE_SCHEMA`, sizes upright.
        problems: An error for each that could not, or whose size is not the stated one, in the order of the images; one
            for a video that cannot be read.
        notes: The names of the images that a key of `NOTES` holds for.
    """

    images: pl.DataFrame
    problems: tuple[InputError, ...]
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def inspect_images(
    table: Annotations,
    *,
    follow_links: bool = False,
    on_image: Callable[[ImageFile], None] | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Decode every image of a table and compare its size with the stated one.

    Args:
        table: Its `image_root` is where the images are.
        follow_links: Let symbolic links lead out of the data set, as in a data folder that was made with links.
        on_image: Called with each image file that has no fault, from several threads.
        progress: Called after each image with `images`, how many are done, and how many there are.

    Raises:
        InputError: The table has no `image_root`.
        ResourceError: An image cannot be read for a reason of the machine.
    """
    root = table.image_root
    if root is None:
        raise InputError(
            "IMAGE_ROOT_MISSING",
            "none of the images is there by the name that the annotations have for it",
            field="file_name",
            value=next(iter(table.images["file_name"]), None),
            remedy="name the folder that holds the images by --option images=DIR, where the format has this option, or "
            "convert without them: --image-mode none",
        )
    locate = partial(safe_join, root, links=follow_links, inside=table.link_root)
    rows = table.images.select("image_id", "file_name", "width", "height").rows()
    good, problems = [], []
    notes: dict[str, list[str]] = {code: [] for code in NOTES}
    parsed = (parse_frame_name(row[1]) for row in rows)
    videos = sorted({frame[0] for frame in parsed if frame is not None})

    def inspect(row: _Row) -> tuple[tuple[object, ...], tuple[str, ...]] | InputError:
        frame = parse_frame_name(row[1])
        try:
            if frame is None:
                return _inspect_image(locate, row, on_image)
            video = facts_of_video[frame[0]]
            return video if isinstance(video, InputError) else (_frame_facts(row, video, frame[1]), ())
        except InputError as error:
            return error

    with ThreadPoolExecutor(_THREADS) as pool:
        facts_of_video = dict(zip(videos, pool.map(lambda name: _inspect_video(locate, name), videos), strict=True))
        for done, (row, result) in enumerate(zip(rows, pool.map(inspect, rows), strict=True), start=1):
            if isinstance(result, InputError):
                problems.append(result)
            else:
                good.append(result[0])
                for code in result[1]:
                    notes[code].append(row[1])
            if progress is not None:
                progress("images", done, len(rows))
    images = pl.DataFrame(good, schema=IMAGE_SCHEMA, orient="row")
    return Inspection(images, tuple(dict.fromkeys(problems)), {code: tuple(names) for code, names in notes.items()})


def no_inspection() -> Inspection:
    """Return the inspection of no image."""
    return Inspection(pl.DataFrame(schema=IMAGE_SCHEMA), ())


def fill_sizes(table: Table, inspection: Inspection) -> Table:
    """Return the table with the size of the image where none is stated."""
    sizes = inspection.images.select("image_id", pl.col("width").alias("_w"), pl.col("height").alias("_h"))
    images = table.images.join(sizes, on="image_id", how="left", maintain_order="left").with_columns(
        pl.coalesce("width", "_w").alias("width"), pl.coalesce("height", "_h").alias("height")
    )
    return table.with_fields(images=images.drop("_w", "_h"))


def note_images(table: Annotations, inspection: Inspection, ledger: Ledger) -> None:
    """Write into the ledger what is odd about image files that are read all the same."""
    if any(inspection.notes.values()):
        step = ledger.open("image files", images=len(table.images), boxes=table.n_boxes)
        for code, names in inspection.notes.items():
            step.add("image", "noted", f"{code}: {NOTES[code]}", len(names), names)
        step.close(images_out=len(table.images), boxes_out=step.boxes_in)


def skip_images(table: Table, inspection: Inspection, ledger: Ledger) -> Table:
    """Leave out the images at fault, with their boxes, and list their faults in the ledger.

    Raises:
        InputError: No image is left.
    """
    step = ledger.open("images inspected", images=len(table.images), boxes=table.n_boxes)
    good = table.select_images(inspection.images["image_id"])
    if good.images.is_empty():
        first = inspection.problems[0]
        raise InputError(
            "IMAGES_NONE",
            "every image has a fault, so skipping them leaves none",
            where=first.where,
            remedy=f"fix them; the first is: {first}",
        )
    faults = tuple(str(problem) for problem in inspection.problems[:_MOST_LISTED])
    step.lines.append(LedgerLine("image", "dropped", "skipped: at fault", len(table.images) - len(good.images), faults))
    n_boxes = good.n_boxes
    step.add("box", "dropped", "skipped with their image", step.boxes_in - n_boxes)
    step.close(images_out=len(good.images), boxes_out=n_boxes)
    return good


@dataclass(frozen=True)
class _VideoFacts:
    """Where a video lies, its size in pixels, its length in bytes and its hash."""

    path: Path
    size_wh: tuple[int, int]
    n_bytes: int
    sha256: str


def _inspect_video(locate: _Locate, name: str) -> _VideoFacts | InputError:
    try:
        path = locate(name)
        return _VideoFacts(path, read_video_size_wh(path), path.stat().st_size, sha256_file(path))
    except InputError as error:
        return error


def _frame_facts(row: _Row, video: _VideoFacts, number: int) -> tuple[object, ...]:
    """Return a row of `IMAGE_SCHEMA` for a frame of a video."""
    _check_size(row, video.size_wh, video.path)
    digest = hashlib.sha256(f"{video.sha256}#{number}".encode()).hexdigest()
    return row[0], *video.size_wh, video.n_bytes, digest, None


def _inspect_image(
    locate: _Locate, row: _Row, on_image: Callable[[ImageFile], None] | None
) -> tuple[tuple[object, ...], tuple[str, ...]]:
    """Return a row of `IMAGE_SCHEMA` for an image file, which is opened once, and its keys of `NOTES`."""
    path = locate(row[1])
    data = read_image_bytes(path)
    rgb = read_rgb(path, data, intake=FOR_PEOPLE)
    size_wh = (rgb.shape[1], rgb.shape[0])
    _check_size(row, size_wh, path)
    digest = hashlib.sha256(data).hexdigest()
    if on_image is not None:
        on_image(ImageFile(row[0], path, data, digest, rgb))
    return (row[0], *size_wh, len(data), digest, image_hash(rgb)), image_notes(row[1], data)


def _check_size(row: _Row, size_wh: tuple[int, int], path: Path) -> None:
    stated = (row[2] or size_wh[0], row[3] or size_wh[1])
    if stated == size_wh:
        return
    turned = " turned by its EXIF orientation" if stated == size_wh[::-1] else ""
    width, height = size_wh
    raise InputError(
        "IMAGE_SIZE",
        f"the annotations say {stated[0]} x {stated[1]}, the image is {width} x {height}{turned}",
        where=path,
        field="size",
        value=f"{width}x{height}",
        remedy="annotate this very image, or correct width and height",
    )
