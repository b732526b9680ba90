"""Looking at the images of a table: each is decoded in full, hashed, and held to the size that is stated.

Of a video the first frame is decoded, and the file is hashed once: the hash of a frame is that of its video and its
number. Only reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb
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
    "look": pl.UInt64,  # see `lookalikes`; null where it was not asked for, of a frame, and of a plain colour
}
_THREADS = 2
_MOST_LISTED = 1000
_Row = tuple[int, str, int | None, int | None]  # image_id, file_name, width, height as stated


@dataclass(frozen=True)
class Inspection:
    """What the images of a table are.

    Args:
        images: A row for each image that could be decoded, the columns of `IMAGE_SCHEMA`, sizes upright.
        problems: An error for each that could not, or whose size is not the stated one, in the order of the images; one
            for a video that cannot be read.
    """

    images: pl.DataFrame
    problems: tuple[InputError, ...]


def inspect_images(
    table: AnnotationTable, *, look: bool = False, follow_links: bool = False, progress: Progress | None = None
) -> Inspection:
    """Decode every image of a table and compare its size with the stated one.

    Args:
        table: Its `image_root` is where the images are.
        look: Hash what is seen as well, to find images that look alike.
        follow_links: Let symbolic links lead out of `image_root`, as in a data folder that was made with links.
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
            remedy="give the folder that holds the images, or convert without them: --images none",
        )
    rows = table.images.select("image_id", "file_name", "width", "height").rows()
    found, problems = [], []
    parsed = (parse_frame_name(row[1]) for row in rows)
    videos = sorted({frame[0] for frame in parsed if frame is not None})

    def inspect(row: _Row) -> tuple[object, ...] | InputError:
        frame = parse_frame_name(row[1])
        return _held_to(row, _look_at_image(root, row[1], look, follow_links) if frame is None else seen[frame[0]])

    with ThreadPoolExecutor(_THREADS) as pool:
        seen = dict(zip(videos, pool.map(lambda name: _look_at_video(root, name, follow_links), videos), strict=True))
        for done, result in enumerate(pool.map(inspect, rows), start=1):
            if isinstance(result, InputError):
                problems.append(result)
            else:
                found.append(result)
            if progress is not None:
                progress("images", done, len(rows))
    return Inspection(pl.DataFrame(found, schema=IMAGE_SCHEMA, orient="row"), tuple(dict.fromkeys(problems)))


def no_inspection() -> Inspection:
    """Return what is known of images that nobody looked at: nothing."""
    return Inspection(pl.DataFrame(schema=IMAGE_SCHEMA), ())


def fill_sizes(table: AnnotationTable, inspection: Inspection) -> AnnotationTable:
    """Return the table with the size of the image where none is stated."""
    sizes = inspection.images.select("image_id", pl.col("width").alias("_w"), pl.col("height").alias("_h"))
    images = table.images.join(sizes, on="image_id", how="left", maintain_order="left").with_columns(
        pl.coalesce("width", "_w").alias("width"), pl.coalesce("height", "_h").alias("height")
    )
    return AnnotationTable(images.drop("_w", "_h"), table.boxes, table.categories, table.image_root)


def skip_images(table: AnnotationTable, inspection: Inspection, ledger: Ledger) -> AnnotationTable:
    """Leave out the images at fault, with their boxes, and list their faults in the ledger.

    Raises:
        InputError: No image is left.
    """
    step = ledger.open("images looked at", images=len(table.images), boxes=len(table.boxes))
    good = table.select_images(inspection.images["image_id"])
    if good.images.is_empty():
        first = inspection.problems[0]
        raise InputError(
            *("IMAGES_NONE", "every image has a fault, so skipping them leaves none"),
            where=first.where,
            remedy=f"fix them; the first is: {first}",
        )
    told = tuple(str(problem) for problem in inspection.problems[:_MOST_LISTED])
    step.lines.append(LedgerLine("image", "dropped", "skipped: at fault", len(table.images) - len(good.images), told))
    step.add("box", "dropped", "skipped with their image", len(table.boxes) - len(good.boxes))
    step.close(images_out=len(good.images), boxes_out=len(good.boxes))
    return good


def find_leaks(table: AnnotationTable, inspection: Inspection) -> list[tuple[str, str]]:
    """Return pairs ``split/file_name`` of byte-identical images that lie in different splits, sorted."""
    images = table.images.filter(pl.col("split").is_not_null()).join(
        inspection.images.select("image_id", "sha256"), on="image_id"
    )
    copies = images.with_columns(name_in_split().alias("name")).sort("split", "name")
    first = copies.unique("sha256", keep="first", maintain_order=True)
    pairs = first.join(copies, on="sha256", suffix="_other").filter(pl.col("split") != pl.col("split_other"))
    return sorted(pairs.select("name", "name_other").rows())


def name_in_split() -> pl.Expr:
    """Return ``split/file_name`` of an image, or the name alone where it begins so, or there is no split."""
    prefix = pl.concat_str("split", pl.lit("/"))
    plain = pl.col("split").is_null() | pl.col("file_name").str.starts_with(prefix)
    return pl.when(plain).then("file_name").otherwise(pl.concat_str(prefix, "file_name"))


@dataclass(frozen=True)
class _Seen:
    """What an image or a video is: where it lies, its size in pixels, its length in bytes and its hash."""

    path: Path
    size_wh: tuple[int, int]
    n_bytes: int
    sha256: str
    look: int | None = None


def _look_at_video(root: Path, name: str, follow_links: bool) -> _Seen | InputError:
    try:
        path = safe_join(root, name, links=follow_links)
        return _Seen(path, read_video_size_wh(path), path.stat().st_size, sha256_file(path))
    except InputError as error:
        return error


def _look_at_image(root: Path, name: str, look: bool, follow_links: bool) -> _Seen | InputError:
    try:
        path = safe_join(root, name, links=follow_links)
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            return InputError("IMAGE_TYPE", "it is no regular file", where=path, remedy="give an image")
        rgb = read_rgb(path)
    except InputError as error:
        return error
    size_wh = (rgb.shape[1], rgb.shape[0])
    return _Seen(path, size_wh, path.stat().st_size, sha256_file(path), image_hash(rgb) if look else None)


def _held_to(row: _Row, seen: _Seen | InputError) -> tuple[object, ...] | InputError:
    """Return the facts of an image as a row of `IMAGE_SCHEMA`, if its size is the stated one."""
    image_id, file_name, width, height = row
    if isinstance(seen, InputError):
        return seen
    stated = (width or seen.size_wh[0], height or seen.size_wh[1])
    if stated != seen.size_wh:
        turned = " turned by its EXIF orientation" if stated == seen.size_wh[::-1] else ""
        found_width, found_height = seen.size_wh
        return InputError(
            "IMAGE_SIZE",
            f"the annotations say {stated[0]} x {stated[1]}, the image is {found_width} x {found_height}{turned}",
            where=seen.path,
            field="size",
            value=f"{found_width}x{found_height}",
            remedy="annotate this very image, or correct width and height",
        )
    frame = parse_frame_name(file_name)
    digest = seen.sha256 if frame is None else hashlib.sha256(f"{seen.sha256}#{frame[1]}".encode()).hexdigest()
    return image_id, *seen.size_wh, seen.n_bytes, digest, seen.look
