"""Pascal VOC XML, of the devkit and of the tools that imitate it.

Two conventions share one syntax. The devkit counts pixels from 1 and includes the last one (x1 = xmin - 1, x2 = xmax);
most tools write edges counted from 0 (x1 = xmin, x2 = xmax). A data set follows one of them throughout, so the choice
is made once for all its files and recorded in the images column `pixel_convention`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import IMAGE_SCHEMA, XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import MISSING_REMEDY, ImageLookup
from detect_transfer.formats.voc.sets import read_splits
from detect_transfer.formats.voc.xml import Corners, VocFile, VocObject, read_file

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Layout:
    """Where a data set keeps its parts, relative to its root."""

    root: Path
    annotations: Path
    images: Path | None
    devkit: bool


def read(
    root: Path,
    *,
    one_based: bool | None = None,
    size_mismatch: str = "error",
    missing_images: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Pascal VOC XML as an `AnnotationTable` with the extra images column `pixel_convention`.

    `difficult` objects are to be ignored (reason ``difficult``); pose, parts (as `xyxy` in our convention) and the tags
    of other tools go to `attributes`. Classes are numbered from 1 in the order of their names. An annotation belongs to
    the image of its own stem, whatever its `filename` says; sizes come from the images. The lists of one column in
    `ImageSets/Main` name the splits; where `trainval` repeats `train` and `val`, the narrower one holds.

    The convention is found so, over all objects of all files: a corner below 1 means edges from 0. Else, if some xmin
    or ymin is 1 and some xmax or ymax is the width or height of its image, pixels are counted from 1. Else the devkit
    layout (`JPEGImages/`) counts from 1 and the flat one (`images/`) from 0.

    Args:
        root: The folder with ``Annotations/`` and ``JPEGImages/``, or ``annotations/`` and ``images/``, in any case.
        one_based: True or False to state the convention, None to find it.
        size_mismatch: ``error``, or ``keep`` to trust the image where an XML states another size.
        missing_images: What becomes of an XML without image: ``error``; ``keep`` goes on with its `filename` and the
            size that it states; ``skip`` leaves it out with its boxes.
        allow_missing: Whether an image without XML is one without objects; otherwise it is an error.
        on_error: What becomes of an object or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: The PASCAL Visual Object Classes Challenge 2007 development kit, section 9 (annotation file format).
    """
    media = ImageLookup("stem", missing_images, size_mismatch)
    layout = _find_layout(root, images_needed=missing_images == "error")
    errors = ErrorCollector(on_error)
    by_stem = native.images_by_stem(layout.images, errors) if layout.images else {}
    named = {native.stem_of(n): n for n in io.list_files(layout.annotations, (".xml",))}
    folder = layout.annotations.relative_to(root)
    with no_collection():
        parsed = {stem: read_file(root, (folder / name).as_posix(), stem, errors) for stem, name in named.items()}
    _check_pairs(layout, by_stem, named, media=media, allow_missing=allow_missing, errors=errors)
    splits = read_splits(root, by_stem.keys() | named.keys(), errors, skip_missing=missing_images == "skip")
    sizes = {stem: file.size_wh for stem, file in parsed.items() if stem not in by_stem}
    sizes |= _real_sizes(layout, by_stem, named, parsed, media=media, errors=errors)
    errors.raise_any()
    counted_from_one = _is_one_based(layout, parsed, sizes) if one_based is None else one_based
    names = {stem: by_stem.get(stem) or _name_of(stem, parsed[stem]) for stem in by_stem.keys() | named.keys()}
    names = dict(sorted(names.items(), key=lambda item: item[1]))
    images = {stem: (name, *(sizes[stem] or (None, None)), splits.get(stem)) for stem, name in names.items()}
    image_frame, boxes, categories = _frames(images, parsed, one_based=counted_from_one)
    if missing_images == "skip":
        absent = [name for stem, name in names.items() if stem not in by_stem and stem not in errors.skipped_images]
        image_frame, boxes = native.leave_out(image_frame, boxes, absent, errors)
    errors.rename_skipped(lambda stem: [names.get(stem, stem)])
    return native.finish(errors, images=image_frame, boxes=boxes, categories=categories, image_root=layout.images)


def _real_sizes(
    layout: _Layout,
    images: Mapping[str, str],
    named: Mapping[str, str],
    parsed: Mapping[str, VocFile],
    *,
    media: ImageLookup,
    errors: ErrorCollector,
) -> dict[str, native.SizeWh | None]:
    """Read the sizes of the images by their stems and compare them with what the files state."""
    if layout.images is None:
        return {}
    image_errors = ErrorCollector(errors.on_error)  # by the names of images
    sizes = dict(zip(images, native.read_sizes(layout.images, images.values(), image_errors), strict=True))
    for stem, file in parsed.items():
        real = sizes.get(stem)
        if real is not None and file.size_wh is not None and media.size_mismatch == "error":
            where = layout.annotations / named[stem]
            native.check_size(file.size_wh, real, where=where, image=images[stem], errors=image_errors)
    image_errors.skipped_images = {native.stem_of(name): error for name, error in image_errors.skipped_images.items()}
    errors.absorb(image_errors)
    return sizes


def _name_of(stem: str, file: VocFile) -> str:
    """Return the name of an image that is not there, by the suffix that its annotation tells."""
    suffix = PurePosixPath(file.filename.replace("\\", "/")).suffix
    return stem + (suffix if suffix.lower() in IMAGE_SUFFIXES else ".jpg")


def _find_layout(root: Path, *, images_needed: bool) -> _Layout:
    io.require_dir(root, what="a folder with Annotations/ and JPEGImages/, or annotations/ and images/")
    annotations = native.folder_named(root, "Annotations")
    images = native.folder_named(root, "JPEGImages", "images")
    if annotations is None or (images is None and images_needed):
        content = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        raise InputError(
            "VOC_LAYOUT",
            "it needs the folders Annotations and JPEGImages, or annotations and images",
            where=root,
            remedy=f"give the folder that holds them; this one holds: {content}",
        )
    devkit = (root / "ImageSets").is_dir() if images is None else images.name.casefold() == "jpegimages"
    return _Layout(root, annotations, images, devkit)


def _check_pairs(
    layout: _Layout,
    images: Mapping[str, str],
    named: Mapping[str, str],
    *,
    media: ImageLookup,
    allow_missing: bool,
    errors: ErrorCollector,
) -> None:
    """Report every XML without an image and every image without an XML."""
    for stem in sorted(named.keys() - images.keys()) if media.missing_images == "error" else ():
        errors.add(
            "IMAGE_MISSING",
            f"no image in {layout.images} has the stem '{stem}'",
            where=layout.annotations / named[stem],
            image=stem,
            remedy=MISSING_REMEDY,
        )
    for stem in sorted(images.keys() - named.keys()) if not allow_missing else ():
        errors.add(
            "ANNOTATION_MISSING",
            f"there is no '{stem}.xml' in {layout.annotations}",
            where=f"{layout.images}/{images[stem]}",
            image=stem,
            remedy="annotate or remove the image, or read with allow_missing=true if it shows no object",
        )
    if not images and not named:
        where = layout.images or layout.annotations
        errors.add("IMAGES_NONE", "there is no image", where=where, remedy="give the folder of the data")


def _is_one_based(layout: _Layout, parsed: Mapping[str, VocFile], sizes: Mapping[str, native.SizeWh | None]) -> bool:
    """Find the convention as the docstring of `read` says."""
    lows, touches = [], False
    for stem, file in parsed.items():
        width, height = sizes.get(stem) or (0, 0)
        for thing in file.objects:
            x1, y1, x2, y2 = thing.corners
            lows.append(min(x1, y1))
            touches = touches or x2 == width or y2 == height
    if lows and min(lows) < 1:
        one_based, why = False, "a corner lies below 1"
    elif lows and min(lows) == 1 and touches:
        one_based, why = True, "corners reach from 1 to the size of the image"
    else:
        one_based, why = layout.devkit, "no corner decides, so the layout does"
    _log.info("%s: pixels are counted from %d, for %s", layout.root, int(one_based), why)
    return one_based


def _frames(
    images: Mapping[str, tuple[str, int | None, int | None, str | None]],
    parsed: Mapping[str, VocFile],
    *,
    one_based: bool,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """Return the images, the boxes and the categories."""
    classes = {name: i for i, name in enumerate(sorted({o.name for f in parsed.values() for o in f.objects}), start=1)}
    image_ids = {stem: i for i, stem in enumerate(images, start=1)}
    rows = [
        {"image_id": image_ids[stem], "category_id": classes[box.name], **_box(box, one_based=one_based)}
        for stem in images
        if stem in parsed
        for box in parsed[stem].objects
    ]
    convention = "one_based_inclusive" if one_based else "zero_based_exclusive"
    image_rows = [(image_ids[stem], *facts, convention) for stem, facts in images.items()]
    schema = {name: IMAGE_SCHEMA[name] for name in ("image_id", "file_name", "width", "height", "split")}
    image_frame = pl.DataFrame(image_rows, schema={**schema, "pixel_convention": pl.String}, orient="row")
    return image_frame, native.box_frame(rows), {"category_id": list(classes.values()), "name": list(classes)}


def _canonical(corners: Corners, *, one_based: bool) -> Corners:
    x1, y1, x2, y2 = corners
    return (x1 - 1, y1 - 1, x2, y2) if one_based else corners


def _box(box: VocObject, *, one_based: bool) -> dict[str, Any]:
    attributes = dict(box.attributes)
    if "parts" in attributes:
        attributes["parts"] = [
            {**part, "xyxy": _canonical(part["xyxy"], one_based=one_based)} for part in attributes["parts"]
        ]
    return {
        **dict(zip(XYXY, _canonical(box.corners, one_based=one_based), strict=True)),
        "ignore": box.difficult,
        "ignore_reason": "difficult" if box.difficult else None,
        "occluded": box.occluded,
        "truncated": box.truncated,
        "difficult": box.difficult,
        "attributes": orjson.dumps(attributes).decode() if attributes else None,
        "source": box.source,
    }
