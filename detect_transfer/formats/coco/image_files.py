"""The images of COCO files: where they lie, whether they are there, and their sizes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import AnyFile, InstancesFile
from detect_transfer.formats.coco.load import home_of
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import MISSING_IMAGES, MISSING_REMEDY

_PROBED = 20
_SIZES = ("unchecked", "error", "keep")


@dataclass(frozen=True)
class ImageOptions:
    """How images are looked at; all as for `coco.read`.

    Raises:
        InputError: There is no such choice.
    """

    images: Path | None = None
    missing_images: str | None = None
    size_mismatch: str = "unchecked"

    def __post_init__(self) -> None:
        """Check the choices."""
        native.check_choice("missing_images", self.missing, MISSING_IMAGES)
        native.check_choice("size_mismatch", self.size_mismatch, _SIZES)

    @property
    def missing(self) -> str:
        """What becomes of images that are not there."""
        if self.missing_images is not None:
            return self.missing_images
        return "error" if self.images is not None or self.size_mismatch != "unchecked" else "keep"


def split_name(path: Path) -> str:
    """Return the split that the name of a file tells."""
    return path.stem.removeprefix("instances_").removeprefix("person_keypoints_")


def find_root(
    parts: Sequence[AnyFile], options: ImageOptions, errors: ErrorCollector
) -> tuple[Path | None, Sequence[AnyFile]]:
    """Find the folder of each file's images; where they differ, file names become relative to the one above all.

    The faults that the files have go to `errors`, by the names that images then have.

    Raises:
        InputError: The folder that is given is not there, or none is found and images are needed.
    """
    if options.images is not None:
        given = io.require_dir(options.images, what="the folder of the images")
        folders: list[Path | None] = [_given_folder_of(part, given) for part in parts]
    else:
        folders = [_folder_of(part) for part in parts]
    distinct = {_above(part, folder) for part, folder in zip(parts, folders, strict=True) if folder is not None}
    base = Path(os.path.commonpath(distinct)) if distinct else None
    if base is None and options.missing != "keep":
        raise InputError(
            *("IMAGES_NONE", "none of its images is in any of the usual places"),
            where=parts[0].path,
            remedy="name their folder by images=DIR (--option images=DIR), or read with missing_images=keep (convert: "
            "--image-mode none)",
        )
    homes = {part.path.parent.name for part in parts}
    own = base is None and len(homes) == len(parts) > 1  # of Roboflow and FiftyOne: a folder for each split
    moved = []
    for part, folder in zip(parts, folders, strict=True):
        below = part.below if folder is None else ""
        if folder not in (None, base):
            below = f"{folder.relative_to(base or '').as_posix()}/"
        below = f"{part.path.parent.name}/" if own else below
        errors.absorb(part.errors, below)
        name = (pl.lit(below) + pl.col("file_name")).alias("file_name")
        moved.append(replace(part, images=part.images.with_columns(name)) if below else part)
    return base, moved


def _given_folder_of(part: InstancesFile, given: Path) -> Path:
    """Return the folder that names are relative to: that of its split, where it is ours and the images lie so."""
    return _fullest(part, (given / part.below, given)) or given / part.below


def _above(part: InstancesFile, folder: Path) -> Path:
    """Return ``images/`` for the folder of a split in our data folder, so that names are as in the whole folder."""
    return folder.parent if f"{folder.name}/" == part.below else folder


def _folder_of(part: InstancesFile) -> Path | None:
    home, split = home_of(part.path), split_name(part.path)
    usual = (
        *(home / "images" / part.below, home / "images", home / split, home / "images" / split),
        *(home / "data" / split, home / "data", home, part.path.parent),
    )
    return _fullest(part, usual)


def _fullest(part: InstancesFile, folders: Sequence[Path]) -> Path | None:
    """Return the folder that holds most of the first images, the first of several; None where none holds any.

    One of them may be in another folder too, as ``val/1.png`` of the split train is in ``images/`` beside its ``val/``.
    """
    names = part.images["file_name"].drop_nulls().head(_PROBED)
    counts = [sum(io.is_file(f"{folder}/{name}") for name in names) for folder in folders]
    most = max(counts)
    return folders[counts.index(most)] if most else None


def look_at_images(whole: AnyFile, root: Path | None, options: ImageOptions) -> AnyFile:
    """Check the images as far as it is asked for, and fill in sizes that the files do not state."""
    if root is None:
        return whole
    if options.missing != "keep":
        whole = _check_there(whole, root, options)
    to_read = pl.lit(True) if options.size_mismatch != "unchecked" else pl.col("width").is_null()
    rows = whole.images.filter(to_read).select("file_name", "width", "height").rows()
    rows = [row for row in rows if row[0] not in whole.errors.skipped_images and io.is_file(root / row[0])]
    if not rows:
        return whole
    sizes = native.read_sizes(root, [name for name, _, _ in rows], whole.errors)
    filled = tuple(name for (name, width, _), size in zip(rows, sizes, strict=True) if width is None and size)
    whole.errors.remark("no width and height stated: taken from the image file", len(filled), filled, kind="image")
    if options.size_mismatch == "error":
        for (name, width, height), size in zip(rows, sizes, strict=True):
            if size is not None and width is not None:
                stated, where = (width, height), root / name
                native.check_size(stated, size, where=where, image=name, errors=whole.errors)
    return replace(whole, images=_with_sizes(whole.images, [row[0] for row in rows], sizes))


def require_sizes(whole: InstancesFile, errors: ErrorCollector) -> None:
    """Report the images without a size, where boxes are shares of it."""
    unsized = whole.images.filter(pl.col("width").is_null())["file_name"]
    for name in unsized:
        what = "its boxes are shares of the image, which is not there and whose size is not stated"
        errors.add("IMAGE_MISSING", what, where=f"{whole.path}#/images", image=name, value=name, remedy="restore it")


def _check_there(whole: AnyFile, root: Path, options: ImageOptions) -> AnyFile:
    errors = whole.errors
    skipped = errors.skipped_images
    names = [name for name in whole.images["file_name"] if name not in skipped]
    absent = [name for name in names if not io.is_file(f"{root}/{name}")]  # a Path takes as long as a look
    if options.missing == "error":
        for name in absent:
            errors.add(
                *("IMAGE_MISSING", "there is no such image"),
                where=root / name,
                image=name,
                remedy=MISSING_REMEDY,
            )
        return whole
    images, boxes = native.leave_out(whole.images, whole.boxes, absent, errors)
    return replace(whole, images=images, boxes=boxes)


def _with_sizes(images: pl.DataFrame, names: list[str], sizes: list[native.SizeWh | None]) -> pl.DataFrame:
    """Take the sizes of these images from what was read."""
    sizes_read = pl.DataFrame(
        {"file_name": names, "w": [s and s[0] for s in sizes], "h": [s and s[1] for s in sizes]},
        schema={"file_name": pl.String, "w": pl.Int32, "h": pl.Int32},
    )
    real = images.select("file_name").join(sizes_read, on="file_name", how="left", maintain_order="left")
    return images.with_columns(
        real["w"].fill_null(images["width"]).alias("width"), real["h"].fill_null(images["height"]).alias("height")
    )
