"""Pictures of a data folder: under which name each lies there, and its copy, link, transcoded or painted file.

Rank 3: imports only `errors`, `files`, `images`, `ledger`, `table` and its own room. Ultralytics finds a label by
replacing the last `/images/` of a path, refuses PPM, PGM and GIF, and may rewrite what it is given: so names are made
safe for it, such pictures become PNG without loss, and nothing here touches a source file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import polars as pl
from PIL import Image

from detect_transfer.boxes import FloatArray
from detect_transfer.errors import InputError, ResourceError
from detect_transfer.exports.ignore import IgnorePlan
from detect_transfer.exports.yolo import check_stems
from detect_transfer.files import resource_errors, safe_join
from detect_transfer.images import RgbArray, read_rgb
from detect_transfer.ledger import Ledger
from detect_transfer.table import XYXY

GREY = 114  # what ultralytics pads with, so that a painted region looks like the border of a letterboxed picture
ACCEPTED_SUFFIXES = (".bmp", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
_REFUSED_MAGIC = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"GI")
_THREADS = 2

Action = Literal["copy", "link", "transcode", "paint"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Picture:
    """One picture: where it is, its name below `images/`, and what makes the one from the other."""

    image_id: int
    source: Path
    target: str
    action: Action


@dataclass(frozen=True)
class PicturePlan:
    """The pictures in the order of the images, and the plan whose table has their new names."""

    pictures: tuple[Picture, ...]
    ignored: IgnorePlan


def plan_pictures(ignored: IgnorePlan, *, link: bool, ledger: Ledger, follow_links: bool = False) -> PicturePlan:
    """Give every picture its name, `<split>/<name in the source>`, and say how it gets there.

    A folder named `images` is left out of the name, and a leading split that stands in all names is not doubled.

    Args:
        ignored: Its table has splits and an `image_root`.
        link: Make symbolic links instead of copies where the bytes stay the same.
        ledger: Gets the step `pictures`.
        follow_links: Let symbolic links lead out of the folder of the pictures.

    Raises:
        InputError: Two pictures would share a label file, or a name is hidden or leads out of the folder.
    """
    table = ignored.table
    painted = set(ignored.painted["image_id"].to_list())
    rows = table.images.select("image_id", "file_name", "split").rows()
    root = table.image_root or Path()
    sources = [safe_join(root, file_name, links=follow_links).resolve() for _, file_name, _ in rows]
    names = _names_in_split([(file_name, split) for _, file_name, split in rows])
    pictures = []
    for (image_id, _, split), source, name in zip(rows, sources, names, strict=True):
        action: Action = "link" if link else "copy"
        if image_id in painted:
            action = "paint"
        elif _is_refused(source):
            action = "transcode"
        changed = action in ("paint", "transcode")
        target = f"{split}/{name.with_suffix('.png') if changed else name}"
        pictures.append(Picture(image_id, source, target, action))
    check_stems([file_name for _, file_name, _ in rows], [picture.target for picture in pictures])
    step = ledger.open("pictures", images=len(rows), boxes=len(table.boxes))
    for action, reason in (
        ("transcode", "not read by ultralytics: made a PNG of the same pixels"),
        ("paint", f"ignored regions painted with grey {GREY}, written as PNG"),
    ):
        done = [p.source.name for p in pictures if p.action == action]
        step.add("image", "changed", reason, len(done), done)
    step.close(images_out=len(rows), boxes_out=len(table.boxes))
    images = table.images.with_columns(pl.Series("file_name", [p.target for p in pictures], dtype=pl.String))
    return PicturePlan(tuple(pictures), replace(ignored, table=replace(table, images=images)))


def write_pictures(plan: PicturePlan, out: Path, *, progress: Progress | None = None) -> None:
    """Write the pictures of a plan to `out/images/`.

    Args:
        plan: What to write.
        out: The data folder.
        progress: Called after each picture with `writing`, how many are done, and how many there are.

    Raises:
        ResourceError: The disk has no room for them, or does not let us write.
    """
    folder = out / "images"
    need = sum(p.source.stat().st_size for p in plan.pictures if p.action != "link")
    free = shutil.disk_usage(out).free
    if need > free:
        raise ResourceError(
            "DISK_FULL",
            f"the pictures need {need:,} bytes and {free:,} are free",
            where=out.parent,
            remedy="free some space, write to another disk, or link the pictures",
        )
    for parent in sorted({str(PurePosixPath(p.target).parent) for p in plan.pictures}):
        safe_join(folder, parent).mkdir(parents=True, exist_ok=True)
    painted = plan.ignored.painted
    kept_rows = plan.ignored.rows.join(painted, on="image_id", how="semi")
    regions, kept = _by_image(painted), _by_image(kept_rows)

    def write(picture: Picture) -> None:
        target = folder / picture.target
        with resource_errors(target):
            if picture.action == "copy":
                shutil.copyfile(picture.source, target)
            elif picture.action == "link":
                target.symlink_to(picture.source)
            elif picture.action == "transcode":
                _to_png(picture.source, target)
            else:
                rgb = paint_over(
                    read_rgb(picture.source), regions[picture.image_id], kept.get(picture.image_id, np.empty((0, 4)))
                )
                Image.fromarray(rgb).save(target, compress_level=3)

    with ThreadPoolExecutor(_THREADS) as pool:
        for done, _ in enumerate(pool.map(write, plan.pictures), start=1):
            if progress is not None:
                progress("writing", done, len(plan.pictures))


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


def _is_refused(source: Path) -> bool:
    with resource_errors(source), source.open("rb") as stream:
        return source.suffix.lower() not in ACCEPTED_SUFFIXES or stream.read(2) in _REFUSED_MAGIC


def _to_png(source: Path, target: Path) -> None:
    """Write the same samples as PNG; what PNG or our decoder would turn or convert is written as it is read."""
    with Image.open(source) as image:
        if image.format in ("PPM", "GIF") and image.mode in ("1", "L", "P", "RGB", "I;16"):
            image.save(target, "PNG", compress_level=3)
            return
        if image.mode == "I":  # sixteen-bit PGM
            sixteen = np.asarray(image).astype(np.uint16)
            Image.fromarray(sixteen).save(target, "PNG", compress_level=3)
            return
    Image.fromarray(read_rgb(source)).save(target, "PNG", compress_level=3)


def _by_image(boxes: pl.DataFrame) -> dict[int, FloatArray]:
    return {int(i): rows.select(XYXY).to_numpy() for (i,), rows in boxes.group_by("image_id")}
