"""COCO instances JSON: one file, or a folder with `annotations/instances_<split>.json`.

The boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention. Beside
COCO's keys those of our writer are read (`ignore_reason`, `occluded`, `truncated`, `difficult`, `vis_bbox`,
`vis_ratio`, `track_id`, `attributes`, `source`, `all_classes`; of images `split`, `group` and any other), so a table
survives the round trip.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import Annotations, AnnotationTable
from detect_transfer.core.columns import AnyFrame, collected, n_rows
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.file import AnyFile, CocoFile, InstancesFile, read_file
from detect_transfer.formats.coco.image_files import (
    ImageOptions,
    find_root,
    look_at_images,
    require_sizes,
    split_name,
)
from detect_transfer.formats.coco.join import join_files
from detect_transfer.formats.coco.load import home_of
from detect_transfer.formats.coco.scan import scan_file
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES, BoxFormat, Form, Units, in_pixels
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import split_named

_PATTERN, _OF_PEOPLE = "instances_*.json", "person_keypoints_*.json"
_OF_ROBOFLOW, _OF_FIFTYONE = "_annotations.coco.json", "labels.json"
SPILT_FROM = 64_000_000  # bytes of JSON, which take 0.5 GB while they are read whole
_log = logging.getLogger(__name__)
_SPLIT = re.compile(r"(train|val|test|trainval|minival)([0-9]{4})?")


def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    images: Path | None = None,
    missing_images: str | None = None,
    size_mismatch: str = "unchecked",
    lenient: bool = False,
    crowds: Literal["ignore", "objects"] = "ignore",
    box_format: Form | None = None,
    units: Units | None = None,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read COCO instances as an `AnnotationTable` with the extra boxes column `area`.

    A crowd is always to be ignored as well (reason ``crowd``); a plain ``ignore`` flag gets the reason ``ignore flag``.
    Of segmentations the box and the area are kept; where there is no box, it is their extent. A turned box of CVAT
    becomes the box around it. A path of another machine means the image whose path ends most alike, which the ledger
    counts. Keys of an annotation that no column holds go to `attributes`. Ids stay as they are in
    the file (0 is fine); only where the files of several splits clash are later ones renumbered.

    Args:
        root: A JSON file, or a folder that holds ``instances_<split>.json`` (else ``person_keypoints_<split>.json``) in
            ``annotations/`` or by themselves, or ``_annotations.coco.json`` (Roboflow) or ``labels.json`` (FiftyOne) in
            a folder for each split, or one JSON file, or one for each split whose name ends in it
            (``crowdpose_train.json``, also in ``json/``). An image without the key `split` gets it from the name of its
            file, the year of ``train2017`` left out, or of its folder.
        images: The folder that `file_name` is relative to. Without it the usual places are tried (``images/``,
            ``<split>/``, ``images/<split>/``, ``data/`` of FiftyOne, beside the file).
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out. None means ``error`` where `images` is given or sizes are compared, else ``keep``.
        size_mismatch: ``unchecked`` believes the sizes that are stated; ``error`` compares them with the images;
            ``keep`` takes those of the images.
        lenient: Whether to take what "almost COCO" files write: numbers as strings, texts for ids, `im_name`,
            `filename` or `image_name` for `file_name`, annotations without `id`, paths of another machine without what
            leads out of the folder. Each kind is counted in the ledger.
        crowds: ``ignore`` takes annotations with `iscrowd` for regions; ``objects`` for plain objects, as they are
            where a tool sets it for every mask.
        box_format: What the numbers of `bbox` are, ``xywh`` for COCO; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels`` for COCO, or ``shares`` of the image.
        on_error: What becomes of an annotation or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: https://cocodataset.org/#format-data
    """
    options = _Options(images, missing_images, size_mismatch, lenient, crowds, box_format, units, on_error)
    return _table(_instances(root), options).in_memory()


def scan(root: Path, *, spill: Path, **options: Any) -> Annotations:
    """Read COCO instances as `read` does, but leave the boxes of large files in files of ours.

    They are in memory where the files have less than 64 MB together, or are read with `lenient`, which numbers ids
    again by all of them.

    Args:
        root: As for `read`.
        spill: A folder for the boxes; whoever calls removes it once the table is not used.
        options: As for `read`.

    Raises:
        InputError: As for `read`.
        ResourceError: The disk is full or does not let us write.
    """
    given, paths = _Options(**options), _instances(root)
    is_large = not given.lenient and sum(path.stat().st_size for path in paths) >= SPILT_FROM
    return _table(paths, given, spill if is_large else None)


@dataclass(frozen=True)
class _Options:
    """What `read` is asked for, in its words."""

    images: Path | None = None
    missing_images: str | None = None
    size_mismatch: str = "unchecked"
    lenient: bool = False
    crowds: str = "ignore"
    box_format: Form | None = None
    units: Units | None = None
    on_error: str = "fail"

    def __post_init__(self) -> None:
        native.check_choice("crowds", self.crowds, ("ignore", "objects"))


def _table(paths: Sequence[Path], options: _Options, spill: Path | None = None) -> Annotations:
    look = ImageOptions(options.images, options.missing_images, options.size_mismatch)
    form = PIXEL_SIZES.with_options(options.box_format, options.units)
    parts: list[InstancesFile] = []
    for number, path in enumerate(paths):
        given: dict[str, Any] = {"source": _source(path), "on_error": options.on_error, "box_format": form}
        if spill is None:
            part: InstancesFile = read_file(path, lenient=options.lenient, images=options.images, **given)
        else:
            part = scan_file(path, spill=spill / f"{number:06}", images=options.images, **given)
        part = _as_objects(part) if options.crowds == "objects" else part
        parts.append(_with_split(part, alone=len(paths) == 1))
    return _table_of(parts, look, form)


def _as_objects(part: AnyFile) -> AnyFile:
    """Take crowds for plain objects."""
    is_crowd = pl.col("iscrowd")
    part.errors.remark("iscrowd is not heeded", n_rows(part.boxes.filter(is_crowd)), kind="box")
    reason = pl.when(is_crowd & (pl.col("ignore_reason") == "crowd")).then(None).otherwise("ignore_reason")
    return replace(
        part,
        boxes=part.boxes.with_columns(iscrowd=pl.lit(False), ignore=pl.col("ignore") & ~is_crowd, ignore_reason=reason),
    )


def read_splits(paths: Mapping[str, Path], *, images: Path | None = None) -> AnnotationTable:
    """Read one COCO file for each split, by the names that the caller gives them, wherever they lie.

    Args:
        paths: The JSON file of each split.
        images: As for `read`.

    Raises:
        InputError: As for `read`.
    """
    parts = []
    for split, path in paths.items():
        part = read_file(path, source=_source(path))
        parts.append(replace(part, images=part.images.with_columns(split=pl.lit(split))))
    return table_of_files(parts, ImageOptions(images))


def table_of_files(
    parts: Sequence[CocoFile], options: ImageOptions, box_format: BoxFormat = PIXEL_SIZES
) -> AnnotationTable:
    """Join COCO files, find their images and make the table.

    Args:
        parts: The files.
        options: How images are looked at.
        box_format: What the numbers of their boxes were.

    Raises:
        InputError: As for `read`.
    """
    return _table_of(parts, options, box_format).in_memory()


def _table_of(parts: Sequence[InstancesFile], options: ImageOptions, box_format: BoxFormat) -> Annotations:
    errors = ErrorCollector(parts[0].errors.on_error)
    if all(part.is_ours for part in parts):  # our writer errs in nothing, and others' boxes may look like anything
        box_format = PIXEL_SIZES.with_options(box_format.form, box_format.units)
    image_root, parts = find_root(parts, options, errors)
    whole = look_at_images(join_files(parts, errors), image_root, options)
    boxes: AnyFrame = whole.boxes
    if n_rows(boxes) and collected(boxes.select(pl.col("iscrowd").all())).item():
        message = "%s: every annotation has iscrowd=1, as CVAT sets it for masks, so none is an object; %s"
        _log.warning(message, parts[0].path, "read with crowds=objects to take them for objects")
    if box_format.units == "shares":
        require_sizes(whole, errors)
        boxes = in_pixels(boxes, whole.images)
    return native.finish_any(
        errors,
        images=whole.images,
        boxes=boxes,
        categories=whole.categories,
        image_root=image_root,
        box_format=box_format,
    )


def _instances(root: Path) -> list[Path]:
    """Return the instances files of a data set."""
    if root.is_file():
        return [root]
    io.require_dir(root, what="a COCO file or a folder with annotations/instances_<split>.json")
    folder = root / "annotations"
    layouts = [
        *((folder, _PATTERN), (root, _PATTERN), (folder, _OF_PEOPLE), (root, _OF_PEOPLE)),
        *((root, f"*/{_OF_ROBOFLOW}"), (root, f"*/{_OF_FIFTYONE}")),
        *((folder, "*.json"), (root, "*.json"), (root / "json", "*.json")),
    ]
    pattern, paths = next(((p, each) for home, p in layouts if (each := sorted(home.glob(p)))), ("*.json", []))
    if pattern == "*.json" and len(paths) > 1:
        paths = _named_after_splits(paths)
    if not paths:
        raise InputError(
            "COCO_MISSING",
            f"there is neither {_PATTERN}, in annotations/ or by itself, nor */{_OF_ROBOFLOW}, nor a single JSON file, "
            "nor one for each split (my_train.json, my_val.json)",
            where=root,
            remedy="give the JSON file itself, or a folder of such a layout",
        )
    for path in paths:
        native.require_regular(root, path)
    return paths


def _named_after_splits(paths: Sequence[Path]) -> list[Path]:
    """Return the files where the last word of each name is a split of its own, else none.

    ``trainval`` beside ``train`` and ``val`` would list their images again, and is left out.
    """
    splits = {path: _last_word(path) for path in paths}
    if {"train", "val"} <= {*splits.values()}:
        splits = {path: split for path, split in splits.items() if split != "trainval"}
    return list(splits) if None not in splits.values() and len({*splits.values()}) == len(splits) else []


def _last_word(path: Path) -> str | None:
    """Return the split that the last word of a file name is, such as ``train`` of ``crowdpose_train.json``."""
    usual = _SPLIT.fullmatch(re.split("[-_.]", path.stem)[-1])
    return usual[1] if usual else None


def _source(path: Path) -> str:
    return path.relative_to(home_of(path)).as_posix()


def _with_split(part: AnyFile, *, alone: bool) -> AnyFile:
    """Fill in the split that the file name tells; a file by itself is only believed when it names a usual one."""
    name = split_name(part.path)
    if part.path.name in (_OF_ROBOFLOW, _OF_FIFTYONE):
        name = split_named(part.path.parent.name) or part.path.parent.name
    usual = _SPLIT.fullmatch(name)
    if alone and usual is None:
        return part
    split = usual[1] if usual else _last_word(part.path) or name
    return replace(part, images=part.images.with_columns(pl.col("split").fill_null(split)))
