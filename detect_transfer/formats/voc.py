"""Pascal VOC XML, of the devkit and of the tools that imitate it. Imports ranks 0 to 1.

Two conventions share one syntax. The devkit counts pixels from 1 and includes the last one (x1 = xmin - 1, x2 = xmax);
most tools write edges counted from 0 (x1 = xmin, x2 = xmax). A data set follows one of them throughout, so the choice
is made once for all its files and recorded in the images column `pixel_convention`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detect_transfer import files
from detect_transfer.errors import InputError
from detect_transfer.formats import _native
from detect_transfer.formats._problems import Problems
from detect_transfer.formats._voc_sets import read_splits
from detect_transfer.formats._voc_xml import Corners, VocFile, VocObject, read_file
from detect_transfer.table import AnnotationTable

_SIZE_MISMATCH = ("error", "keep")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Layout:
    """Where a data set keeps its parts, relative to its root."""

    root: Path
    annotations: Path
    images: Path
    devkit: bool


def read(
    root: Path,
    *,
    one_based: bool | None = None,
    size_mismatch: str = "error",
    allow_missing: bool = False,
) -> AnnotationTable:
    """Read Pascal VOC XML as an `AnnotationTable` with the extra images column `pixel_convention`.

    `difficult` objects are to be ignored (reason ``difficult``); pose, parts (as `xyxy` in our convention) and the tags
    of other tools go to `attributes`. Classes are numbered from 1 in the order of their names. An annotation belongs to
    the picture of its own stem, whatever its `filename` says; sizes come from the pictures. The lists of one column in
    `ImageSets/Main` name the splits; where `trainval` repeats `train` and `val`, the narrower one holds.

    The convention is found so, over all objects of all files: a corner below 1 means edges from 0. Else, if some xmin
    or ymin is 1 and some xmax or ymax is the width or height of its picture, pixels are counted from 1. Else the devkit
    layout (`JPEGImages/`) counts from 1 and the flat one (`images/`) from 0.

    Args:
        root: The folder with ``Annotations/`` and ``JPEGImages/``, or ``annotations/`` and ``images/``, in any case.
        one_based: True or False to state the convention, None to find it.
        size_mismatch: ``error``, or ``keep`` to trust the picture where an XML states another size.
        allow_missing: Whether a picture without XML is one without objects; otherwise it is an error.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: The PASCAL Visual Object Classes Challenge 2007 development kit, section 9 (annotation file format).
    """
    _native.check_choice("size_mismatch", size_mismatch, _SIZE_MISMATCH)
    layout = _find_layout(root)
    problems = Problems()
    pictures = _native.pictures_by_stem(layout.images, problems)
    named = {_native.stem_of(n): n for n in files.list_files(layout.annotations, (".xml",))}
    folder = layout.annotations.relative_to(root)
    parsed = {stem: read_file(root, (folder / name).as_posix(), problems) for stem, name in named.items()}
    _check_pairs(layout, pictures, named, allow_missing=allow_missing, problems=problems)
    splits = read_splits(root, set(pictures), problems)
    sizes = dict(zip(pictures, _native.read_sizes(layout.images, list(pictures.values()), problems), strict=True))
    if size_mismatch == "error":
        for stem, one in parsed.items():
            real = sizes.get(stem)
            if real is not None and one.size_wh is not None:
                where = layout.annotations / named[stem]
                _native.check_size(one.size_wh, real, where=where, picture=pictures[stem], problems=problems)
    problems.raise_any()
    known_sizes = {stem: size for stem, size in sizes.items() if size is not None}
    counted_from_one = _is_one_based(layout, parsed, known_sizes) if one_based is None else one_based
    images = {stem: (name, *known_sizes[stem], splits.get(stem)) for stem, name in pictures.items()}
    return _table(layout, images, parsed, one_based=counted_from_one)


def _find_layout(root: Path) -> _Layout:
    files.require_dir(root, what="a folder with Annotations/ and JPEGImages/, or annotations/ and images/")
    annotations = _native.folder_named(root, "Annotations")
    images = _native.folder_named(root, "JPEGImages", "images")
    if annotations is None or images is None:
        held = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        raise InputError(
            "VOC_LAYOUT",
            "it needs the folders Annotations and JPEGImages, or annotations and images",
            where=root,
            remedy=f"give the folder that holds them; this one holds: {held}",
        )
    return _Layout(root, annotations, images, devkit=images.name.casefold() == "jpegimages")


def _check_pairs(
    layout: _Layout,
    pictures: Mapping[str, str],
    named: Mapping[str, str],
    *,
    allow_missing: bool,
    problems: Problems,
) -> None:
    """Report every XML without a picture and every picture without an XML."""
    for stem in sorted(named.keys() - pictures.keys()):
        problems.add(
            "IMAGE_MISSING",
            f"no picture in {layout.images} has the stem '{stem}'",
            where=layout.annotations / named[stem],
            remedy="restore the picture or remove the annotation",
        )
    for stem in sorted(pictures.keys() - named.keys()) if not allow_missing else ():
        problems.add(
            "ANNOTATION_MISSING",
            f"there is no '{stem}.xml' in {layout.annotations}",
            where=layout.images / pictures[stem],
            remedy="annotate or remove the picture, or read with allow_missing=true if it shows no object",
        )
    if not pictures and not named:
        problems.add("IMAGES_NONE", "there is no picture", where=layout.images, remedy="give the folder of the data")


def _is_one_based(layout: _Layout, parsed: Mapping[str, VocFile], sizes: Mapping[str, _native.SizeWh]) -> bool:
    """Find the convention as the docstring of `read` says."""
    lows, touches = [], False
    for stem, one in parsed.items():
        width, height = sizes[stem]
        for thing in one.objects:
            x1, y1, x2, y2 = thing.corners
            lows.append(min(x1, y1))
            touches = touches or x2 == width or y2 == height
    if lows and min(lows) < 1:
        found, why = False, "a corner lies below 1"
    elif lows and min(lows) == 1 and touches:
        found, why = True, "corners reach from 1 to the size of the picture"
    else:
        found, why = layout.devkit, "no corner decides, so the layout does"
    _log.info("%s: pixels are counted from %d, for %s", layout.root, int(found), why)
    return found


def _table(
    layout: _Layout,
    images: Mapping[str, tuple[str, int, int, str | None]],
    parsed: Mapping[str, VocFile],
    *,
    one_based: bool,
) -> AnnotationTable:
    classes = {name: i for i, name in enumerate(sorted({o.name for f in parsed.values() for o in f.objects}), start=1)}
    image_ids = {stem: i for i, stem in enumerate(images, start=1)}
    rows = [
        {"image_id": image_ids[stem], "category_id": classes[one.name], **_box(one, one_based=one_based)}
        for stem in images
        if stem in parsed
        for one in parsed[stem].objects
    ]
    names, widths, heights, splits = zip(*images.values(), strict=True)
    return AnnotationTable.from_columns(
        images={
            "image_id": list(image_ids.values()),
            "file_name": names,
            "width": widths,
            "height": heights,
            "split": splits,
            "pixel_convention": ["one_based_inclusive" if one_based else "zero_based_exclusive"] * len(images),
        },
        boxes=_native.box_frame(rows),
        categories={"category_id": list(classes.values()), "name": list(classes)},
        image_root=layout.images,
    )


def _canonical(corners: Corners, *, one_based: bool) -> Corners:
    x1, y1, x2, y2 = corners
    return (x1 - 1, y1 - 1, x2, y2) if one_based else corners


def _box(one: VocObject, *, one_based: bool) -> dict[str, Any]:
    attributes = dict(one.attributes)
    if "parts" in attributes:
        attributes["parts"] = [
            {**part, "xyxy": _canonical(part["xyxy"], one_based=one_based)} for part in attributes["parts"]
        ]
    return {
        **dict(zip(("x1", "y1", "x2", "y2"), _canonical(one.corners, one_based=one_based), strict=True)),
        "ignore": one.difficult,
        "ignore_reason": "difficult" if one.difficult else None,
        "occluded": one.occluded,
        "truncated": one.truncated,
        "difficult": one.difficult,
        "attributes": orjson.dumps(attributes).decode() if attributes else None,
        "source": one.source,
    }
