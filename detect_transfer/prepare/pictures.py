"""Looking at the pictures of a table: each is decoded in full, hashed, and held to the size that is stated.

Rank 3: imports only `errors`, `files`, `images` and `table`. Reads, never writes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from detect_transfer.errors import InputError
from detect_transfer.files import safe_join, sha256_file
from detect_transfer.images import read_rgb
from detect_transfer.table import AnnotationTable

Progress = Callable[[str, int, int], None]  # what is going on, how much is done, of how much

PICTURE_SCHEMA = {
    "image_id": pl.Int64,
    "width": pl.Int32,
    "height": pl.Int32,
    "bytes": pl.Int64,
    "sha256": pl.String,
}
_THREADS = 2


@dataclass(frozen=True)
class Inspection:
    """What the pictures of a table are.

    Args:
        pictures: A row for each picture that could be decoded, the columns of `PICTURE_SCHEMA`, sizes upright.
        problems: An error for each that could not, or whose size is not the stated one; in the order of the images.
    """

    pictures: pl.DataFrame
    problems: tuple[InputError, ...]


def inspect_pictures(
    table: AnnotationTable, *, follow_links: bool = False, progress: Progress | None = None
) -> Inspection:
    """Decode every picture of a table and compare its size with the stated one.

    Args:
        table: Its `image_root` is where the pictures are.
        follow_links: Let symbolic links lead out of `image_root`, as in a data folder that was made with links.
        progress: Called after each picture with `pictures`, how many are done, and how many there are.

    Raises:
        InputError: The table has no `image_root`.
        ResourceError: A picture cannot be read for a reason of the machine.
    """
    root = table.image_root
    if root is None:
        raise InputError(
            "IMAGE_ROOT_MISSING",
            "these annotations come without pictures",
            field="image_root",
            remedy="give the folder that holds the pictures",
        )
    rows = table.images.select("image_id", "file_name", "width", "height").rows()
    found, problems = [], []
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, result in enumerate(pool.map(lambda row: _inspect(root, row, follow_links), rows), start=1):
            if isinstance(result, InputError):
                problems.append(result)
            else:
                found.append(result)
            if progress is not None:
                progress("pictures", done, len(rows))
    return Inspection(pl.DataFrame(found, schema=PICTURE_SCHEMA, orient="row"), tuple(problems))


def fill_sizes(table: AnnotationTable, inspection: Inspection) -> AnnotationTable:
    """Return the table with the size of the picture where none is stated."""
    sizes = inspection.pictures.select("image_id", pl.col("width").alias("_w"), pl.col("height").alias("_h"))
    images = table.images.join(sizes, on="image_id", how="left", maintain_order="left").with_columns(
        pl.coalesce("width", "_w").alias("width"), pl.coalesce("height", "_h").alias("height")
    )
    return AnnotationTable(images.drop("_w", "_h"), table.boxes, table.categories, table.image_root)


def find_leaks(table: AnnotationTable, inspection: Inspection) -> list[tuple[str, str]]:
    """Return pairs ``split/file_name`` of byte-identical pictures that lie in different splits, sorted."""
    images = table.images.filter(pl.col("split").is_not_null()).join(
        inspection.pictures.select("image_id", "sha256"), on="image_id"
    )
    apart = images.group_by("sha256").agg(
        pl.struct("split", "file_name").sort_by("split", "file_name").alias("copies"),
        pl.col("split").n_unique().alias("n_splits"),
    )
    pairs = []
    for copies in apart.filter(pl.col("n_splits") > 1)["copies"].to_list():
        first = copies[0]
        pairs += [
            (f"{first['split']}/{first['file_name']}", f"{other['split']}/{other['file_name']}")
            for other in copies[1:]
            if other["split"] != first["split"]
        ]
    return sorted(pairs)


def _inspect(
    root: Path, row: tuple[int, str, int | None, int | None], follow_links: bool
) -> tuple[int, int, int, int, str] | InputError:
    image_id, file_name, width, height = row
    try:
        path = safe_join(root, file_name, links=follow_links)
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            return InputError("IMAGE_TYPE", "it is no regular file", where=path, remedy="give a picture")
        found_height, found_width = read_rgb(path).shape[:2]
    except InputError as error:
        return error
    stated = (width or found_width, height or found_height)
    if stated != (found_width, found_height):
        turned = " turned by its EXIF orientation" if stated == (found_height, found_width) else ""
        return InputError(
            "IMAGE_SIZE",
            f"the annotations say {stated[0]} x {stated[1]}, the picture is {found_width} x {found_height}{turned}",
            where=path,
            field="size",
            value=f"{found_width}x{found_height}",
            remedy="annotate this very picture, or correct width and height",
        )
    return image_id, found_width, found_height, path.stat().st_size, sha256_file(path)
