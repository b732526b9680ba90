"""What several exports of tools share: splits in file names, images of other machines, shares of the image."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import polars as pl

from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source

_ANCHOR = re.compile(r"[A-Za-z]:[\\/]|(?:^|/)/|^\\\\")  # what absolute paths and addresses have


def folder_of(name: str) -> str | None:
    """Return the folder of a file below the root, which the images of its rows are relative to; None for the root."""
    return name.rpartition("/")[0] or None


def splits_by_file(rows: Rows, field: str) -> dict[str, str | None]:
    """Return the split of each image by the name of its file of rows, which may name it in one split alone.

    Args:
        rows: Rows of text that name images.
        field: The field that does, for the message.
    """
    splits: dict[str, str | None] = {}
    in_several: set[str] = set()
    for image, file in rows.data.select("image", "file").unique(maintain_order=True).rows():
        split = split_named(*re.split(r"[-_./]", file))
        if image in splits:
            in_several.add(image)
        if splits.setdefault(image, split) != split:
            what, remedy = f"the image is in '{splits[image]}' as well", "keep it in one of them"
            rows.errors.add("SPLIT_TWICE", what, where=file, field=field, value=image, remedy=remedy)
    reason = "image with rows in several files, which were joined: they may be versions of each other"
    rows.errors.remark(reason, len(in_several), tuple(sorted(in_several)), kind="image")
    return splits


def with_nearest_images(rows: Rows) -> Rows:
    """Let rows mean the images below the root that share most of the last parts of the paths that they state."""
    nearby = NearbyImages(rows.root)
    images = {path: nearby.nearest(path_of_address(path)) for path in rows.data["image"].unique()}
    nearby.remark(rows.errors)
    path_of: dict[tuple[str, str], str] = {}
    stated = rows.data.select("file", "line", "image").unique(("file", "image"), keep="first", maintain_order=True)
    for file, line, path in stated.rows():
        require_own_image(path_of, (file, images[path]), path, f"{rows.root / file}:{line}", rows.errors)
    rows.errors.rename_skipped(lambda path: [images.get(path, path)])
    return rows.with_columns(image=pl.col("image").replace_strict(images, return_dtype=pl.String))


def require_own_image(
    path_of: dict[tuple[str, str], str], image: tuple[str, str], path: str, where: str, errors: ErrorCollector
) -> None:
    """Report an image that two paths of one file mean, whose boxes would be mixed.

    Two paths of one machine are two images; those of two machines, such as ``/home/u/1.png`` and ``C:/u/1.png``, may be
    one.

    Args:
        path_of: The first path of each image, by the file that states it and its name; gets this one.
        image: File and name of the image.
        path: The path that means it.
        where: Where it stands.
        errors: Gets the fault.
    """
    other = path_of.setdefault(image, path)
    is_of_one_machine = _ANCHOR.findall(other)[:1] == _ANCHOR.findall(path)[:1]
    if is_of_one_machine and PurePosixPath(path_of_address(other)) != PurePosixPath(path_of_address(path)):
        what, remedy = (
            f"'{image[1]}' is the image of '{other}' too",
            "name the right image there, or remove one of them",
        )
        errors.add("ID_DUPLICATE", what, where=where, field="image", value=path, image=image[1], remedy=remedy)


def report_unannotated(source: Source, names: Iterable[str], what: str, remedy: str) -> None:
    """Report images that no annotation names."""
    for name in names:
        source.errors.add("ANNOTATION_MISSING", what, where=source.root / name, image=name, remedy=remedy)


def note_unnamed(source: Source) -> None:
    """Note the images of the folder that no row names: whether they show no object is not known."""
    if source.file is None:
        there = {image.file_name for image in source.find_images().values()} | source.errors.skipped_images.keys()
        unnamed = tuple(name for name in source.image_files() if name not in there)
        source.errors.note("no row names it", len(unnamed), unnamed, kind="image")
