"""The plan of the images of a data folder: the name of each, and what it becomes.

Ultralytics finds a label by replacing the last `/images/` of a path, refuses PPM, PGM and GIF, and may rewrite what it
is given: so names are made safe for it, such images, JPEG 2000 and the frames of videos become PNG without loss, and
nothing here touches a source file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import safe_join
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.opening import real_path
from detect_transfer.core.video import parse_frame_name
from detect_transfer.data.tiles import SOURCE_ID, TILE_X, TILE_Y
from detect_transfer.formats.writing.ignored_regions import IgnorePlan
from detect_transfer.formats.yolo.writer import check_stems

GREY = 114  # what ultralytics pads with, so that a painted region looks like the border of a letterboxed image
# JPEG 2000 is accepted by ultralytics, but takes ten times as long to decode, epoch after epoch
ACCEPTED_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
_REFUSED_MAGIC = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"GI")

Action = Literal["copy", "link", "transcode", "extract", "paint", "cut"]
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class PlannedImage:
    """One image: where it lies, its name below `images/`, and how it gets there.

    Args:
        image_id: Its id in the table.
        source: The file of the image, or the video that holds it.
        target: Its name below `images/`.
        action: How it gets there.
        frame: Its number in the video, from 0; None for an image file.
        window: The corners in pixels of what it shows of the image; None for all of it.
        staged_id: The id under which its file was staged; None where that is its own.
    """

    image_id: int
    source: Path
    target: str
    action: Action
    frame: int | None = None
    window: Window | None = None
    staged_id: int | None = None

    @property
    def file_id(self) -> int:
        """The id under which its file was staged."""
        return self.image_id if self.staged_id is None else self.staged_id


def is_refused(path: Path, data: bytes) -> bool:
    """Return whether ultralytics refuses an image by its suffix or its first bytes, or decodes it slowly."""
    return path.suffix.lower() not in ACCEPTED_SUFFIXES or data.startswith(_REFUSED_MAGIC)


@dataclass(frozen=True)
class ImagePlan:
    """The images in the order of the table, and the plan whose table has their new names."""

    images: tuple[PlannedImage, ...]
    ignored: IgnorePlan


def plan_images(
    ignored: IgnorePlan,
    *,
    transcoded: Collection[int],
    link: bool,
    ledger: Ledger,
    by_stem: bool = True,
    follow_links: bool = False,
) -> ImagePlan:
    """Give every image its name, `<split>/<name in the source>`, and say how it gets there.

    A folder named `images` is left out of the name, and a leading split that stands in all names is not doubled. Frame
    12 of the video `clips/a.mp4` becomes `<split>/clips/a_00012.png`.

    Args:
        ignored: Its table has splits and an `image_root`.
        transcoded: The ids of images that become PNGs since ultralytics refuses them.
        link: Make symbolic links instead of copies where the bytes stay the same.
        ledger: Gets the step `images`.
        by_stem: Whether a format is written that has a file a stem, which two images must not share.
        follow_links: Let symbolic links lead out of the data set.

    Raises:
        InputError: Two images would share a label file, or a name is hidden or leads out of the folder.
    """
    table = ignored.table
    painted = set(ignored.painted["image_id"].to_list())
    root = table.image_root or Path()
    locate = partial(safe_join, root, links=follow_links, inside=table.link_root)
    sources = [real_path(locate(file)) for file, _ in _files(table.images)]
    images = []
    rows = zip(table.images["image_id"], sources, _image_names(table.images), _windows(table.images), strict=True)
    for image_id, source, name, (file_id, window) in rows:
        action: Action = "link" if link else "copy"
        if image_id in painted:
            action = "paint"
        elif name.frame is not None:
            action = "extract"
        elif window is not None:
            action = "cut"
        elif file_id in transcoded:
            action = "transcode"
        target = name.target(png=action in ("paint", "transcode", "cut"), window=window)
        images.append(PlannedImage(image_id, source, target, action, name.frame, window, file_id))
    step = ledger.open("images", images=len(images), boxes=table.n_boxes)
    for action, reason in (
        ("transcode", "not read by ultralytics, or slowly: made a PNG of the same pixels"),
        ("extract", "a frame of a video: written as PNG"),
        ("cut", "a tile: written as PNG"),
        ("paint", f"ignored regions painted with grey {GREY}, written as PNG"),
    ):
        done = [p.source.name for p in images if p.action == action]
        step.add("image", "changed", reason, len(done), done)
    step.close(images_out=len(images), boxes_out=step.boxes_in)
    return ImagePlan(tuple(images), _renamed(ignored, [image.target for image in images], by_stem=by_stem))


def plan_names(ignored: IgnorePlan, *, ledger: Ledger, by_stem: bool = True) -> ImagePlan:
    """Give every image the name that `plan_images` gives it, for annotations alone.

    Args:
        ignored: Its table has splits.
        ledger: Gets the step `images`.
        by_stem: As for `plan_images`.

    Raises:
        InputError: As for `plan_images`.
    """
    images, n_boxes = ignored.table.images, ignored.table.n_boxes
    targets = [name.target(png=not name.file.lower().endswith(ACCEPTED_SUFFIXES)) for name in _image_names(images)]
    step = ledger.open("images", images=len(images), boxes=n_boxes)
    step.add("image", "noted", "no image is written: --image-mode none", len(images))
    step.close(images_out=len(images), boxes_out=n_boxes)
    return ImagePlan((), _renamed(ignored, targets, by_stem=by_stem))


@dataclass(frozen=True)
class _ImageName:
    """How an image is called: its file, its frame if that is a video, its split, and its name there."""

    file: str
    frame: int | None
    split: str
    name: PurePosixPath

    def target(self, *, png: bool, window: Window | None = None) -> str:
        """Return its name below `images/`; `png`: it becomes one, `window`: what it shows of the image."""
        name = self.name.with_suffix(".png") if png else self.name
        if self.frame is not None:
            name = self.name.with_name(f"{self.name.stem}_{self.frame:05d}.png")
        if window is not None:
            name = name.with_name(f"{name.stem}_x{window[0]}_y{window[1]}.png")
        return f"{self.split}/{name}"


def _windows(images: pl.DataFrame) -> list[tuple[int, Window | None]]:
    """Return for each image the id of its file in the source, and what it shows of that if it is a tile."""
    if SOURCE_ID not in images.columns:
        return [(image_id, None) for image_id in images["image_id"]]
    rows = images.select(SOURCE_ID, TILE_X, TILE_Y, "width", "height").iter_rows()
    return [(file_id, None if x is None else (x, y, x + width, y + height)) for file_id, x, y, width, height in rows]


def _image_names(images: pl.DataFrame) -> list[_ImageName]:
    files, splits = _files(images), images["split"]
    names = _names_in_split([(file, split) for (file, _), split in zip(files, splits, strict=True)])
    rows = zip(files, splits, names, strict=True)
    return [_ImageName(file, frame, split, name) for (file, frame), split, name in rows]


def _files(images: pl.DataFrame) -> list[tuple[str, int | None]]:
    """Return the file of each image and, if that is a video, the number of its frame."""
    return [parse_frame_name(file_name) or (file_name, None) for file_name in images["file_name"]]


def _renamed(ignored: IgnorePlan, targets: list[str], *, by_stem: bool) -> IgnorePlan:
    """Return the plan with other names of the images, once no two would share a file of their stem, or their own."""
    table = ignored.table
    sources = table.images["file_name"].to_list()
    if by_stem:
        check_stems(sources, targets)
    else:
        _check_names(sources, targets)
    images = table.images.with_columns(pl.Series("file_name", targets, dtype=pl.String)).drop(SOURCE_ID, strict=False)
    return replace(ignored, table=table.with_fields(images=images))


def _check_names(sources: Sequence[str], targets: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for source, target in zip(sources, targets, strict=True):
        if first.setdefault(target, source) != source:
            what = f"'{first[target]}' and '{source}' would both be {target}"
            remedy = "rename one of them, or remove it from the annotations"
            raise InputError("EXPORT_STEM", what, field="file_name", value=source, remedy=remedy)


def _names_in_split(names: list[tuple[str, str]]) -> list[PurePosixPath]:
    cleaned = []
    for file_name, split in names:
        parts = [part for part in PurePosixPath(file_name).parts if part != "images"]
        if not parts or any(part.startswith(".") for part in parts):
            raise InputError(
                "EXPORT_NAME",
                "a hidden name is overlooked when folders are listed",
                field="file_name",
                value=file_name,
                remedy="rename it so that it does not begin with a dot",
            )
        cleaned.append((parts, split))
    doubled = all(len(parts) > 1 and parts[0] == split for parts, split in cleaned)
    return [PurePosixPath(*(parts[1:] if doubled else parts)) for parts, _ in cleaned]
