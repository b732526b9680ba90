"""Mapillary Traffic Sign Dataset: a JSON an image, annotated fully or in part.

The corners are floats from the top-left corner of the first pixel: our own convention. On a panorama a sign that
crosses the seam has xmin > xmax on purpose; it becomes two boxes, one at each edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.json_boxes import corners
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, listed, numbered

_PROPERTIES = listed(
    "barrier, occluded, out-of-frame, exterior, ambiguous, included, direction-or-information, highway, dummy"
)
_ELSEWHERE = ("label", "bbox", "properties")
_SEAM = "cross_boundary"
_IN_COLUMNS = ("occluded", "out-of-frame")
_SETS = ("", "mtsd_v2_fully_annotated/", "mtsd_v2_partially_annotated/")


def read(
    root: Path,
    *,
    panoramas: str = "drop",
    ignore: str = "ambiguous,dummy",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read MTSD: a class a label (``regulatory--stop--g1``, ..., ``other-sign``) in sorted order.

    `occluded` and `out-of-frame` become `occluded` and `truncated`; the other properties go to `attributes`. In an
    image of the partially annotated set, signs without a box are to be expected: a region without a class, to be
    ignored, covers it. Keys of ``splits/test.txt`` have no annotation and are left out, which the ledger counts.

    Args:
        root: The folder with ``annotations`` and ``splits``, or the one above ``mtsd_v2_fully_annotated`` and
            ``mtsd_v2_partially_annotated``; images are found by their keys, wherever below it.
        panoramas: ``drop`` leaves 360-degree images out, which the ledger counts; ``keep`` keeps them.
        ignore: Which properties make a sign neither target nor background, separated by commas; ``none`` for none.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: Ertler et al., The Mapillary Traffic Sign Dataset for Detection and Classification on a Global Scale, ECCV
        2020; readme of the data.
    """
    native.check_choice("panoramas", panoramas, ("drop", "keep"))
    ignored = _ignored(ignore)
    source = Source(
        root,
        "a folder with annotations/<key>.json",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
    )
    sets = _sets(root)
    partial, panorama = _read_sets(source, sets, ignored)
    rows = source.box_rows()
    if panoramas == "drop":
        rows = _without_panoramas(source, rows, panorama)
    classes = rows.data["label"].drop_nulls().unique().sort()
    return source.table(
        rows,
        numbered(classes.to_list(), classes.str.extract("^(.+?)--", 1).to_list()),
        split=_splits(source, sets),
        panorama={name: name in panorama for name in source.images},
        partially_annotated={name: name in partial for name in source.images},
    )


def _ignored(ignore: str) -> list[str]:
    """Return the properties that an option names.

    Raises:
        InputError: One is no property.
    """
    words = [] if ignore == "none" else [word.strip() for word in str(ignore).split(",")]
    for word in words:
        native.check_choice("ignore", word, _PROPERTIES)
    return words


def _sets(root: Path) -> dict[str, list[str]]:
    """Return the annotations by the folder of their set, all relative to the root.

    Raises:
        InputError: There are none.
    """
    names = io.list_files(root, (".json",))
    sets = {base: [name for name in names if name.startswith(f"{base}annotations/")] for base in _SETS}
    sets = {base: of_set for base, of_set in sets.items() if of_set} or {"": [n for n in names if "/" not in n]}
    if any(sets.values()):
        return sets
    remedy = "give the folder of one release"
    raise InputError("MTSD_MISSING", "there is no annotations/<key>.json", where=root, remedy=remedy)


def _read_sets(source: Source, sets: dict[str, list[str]], ignored: list[str]) -> tuple[set[str], set[str]]:
    """Read all annotations, and return the images that are partially annotated and those that are panoramas."""
    partial: set[str] = set()
    panorama: set[str] = set()
    for base, names in sets.items():
        is_partial = "partially" in real_path(source.root / base).name
        for name in names:
            is_partial |= _read_file(source, name, ignored, panorama)
        if is_partial:
            partial |= {_image_of(name) for name in names}
    for name in sorted(partial & source.images.keys()):
        _add_rest(source, name)
    return partial, panorama


def _image_of(name: str) -> str:
    """Return the name of the image of an annotation file: its key, with a suffix that copies may change."""
    return f"{PurePosixPath(name).stem}.jpg"


def _read_file(source: Source, name: str, ignored: Sequence[str], panorama: set[str]) -> bool:
    """Add the image and the signs of an annotation; tell whether it is of the partially annotated set."""
    image = _image_of(name)
    objects: list[Node] = []
    with source.errors.image(image):
        node = read_json(source.root, name).as_object()
        if node.flag("ispano", False):
            panorama.add(image)
        objects = node.items("objects")
        if source.add_image(image, f"{source.root}/{name}", node.size_wh()):
            for each in objects:
                for side in _sides(each):
                    with source.errors.row(image):
                        _add_sign(source, image, each, side, ignored)
    return any("correspondance" in each for each in objects)


def _sides(node: Node) -> tuple[str | None, ...]:
    """Return the sides of a panorama whose edge a sign crosses the seam at; None stands for a sign in one piece."""
    box = node.value.get("bbox")
    return ("left", "right") if isinstance(box, dict) and box.get(_SEAM) is not None else (None,)


def _add_sign(source: Source, image: str, node: Node, side: str | None, ignored: Sequence[str]) -> None:
    """Add a sign, or its part on one side."""
    label = node.string("label")
    if not label:
        raise node.error("label", "ROW_EMPTY", "a sign needs a label")
    box = node.child("bbox")
    xyxy = corners(box if side is None else box.child(_SEAM).child(side))
    properties = _flags(node.child("properties")) if "properties" in node else {}
    attributes = {key: value for key, value in node.value.items() if key not in _ELSEWHERE}
    attributes |= {key: value for key, value in properties.items() if key not in _IN_COLUMNS}
    occluded, truncated = (float(properties[key]) if key in properties else None for key in _IN_COLUMNS)
    if side is not None:
        attributes, truncated = {**attributes, _SEAM: side}, 1.0
    reason = next((key for key in ignored if properties.get(key)), None)
    source.add_box(
        image,
        label,
        xyxy,
        node.source,
        attributes,
        ignore=reason is not None,
        ignore_reason=reason,
        occluded=occluded,
        truncated=truncated,
    )


def _flags(node: Node) -> dict[str, bool]:
    if set(map(type, node.value.values())) == {bool}:
        return dict(node.value)
    return {key: node.flag(key) for key in node.value if key in node}


def _add_rest(source: Source, image: str) -> None:
    """Add the region that stands for the signs of an image that nobody boxed."""
    reference = source.images[image]
    region_source = f"{reference.where.removeprefix(f'{source.root}/')}#"
    width, height = reference.size_wh or (0, 0)
    reason = "partially annotated"
    xyxy = (0.0, 0.0, float(width), float(height))
    source.add_box(image, None, xyxy, region_source, iscrowd=True, ignore=True, ignore_reason=reason)


def _without_panoramas(source: Source, rows: Rows, panorama: set[str]) -> Rows:
    is_left_out = pl.col("image").is_in(list(panorama - source.errors.skipped_images.keys()))
    names = sorted(panorama & source.images.keys() - source.errors.skipped_images.keys())
    places = tuple(source.images[name].where.removeprefix(f"{source.root}/") for name in names)
    boxes = rows.filter(is_left_out).sources()
    source.errors.note("panorama", len(names), places, kind="image")
    source.errors.note("of a panorama", len(boxes), boxes, kind="box")
    for name in panorama:
        source.images.pop(name, None)
    return rows.filter(~is_left_out)


def _splits(source: Source, sets: dict[str, list[str]]) -> dict[str, str]:
    """Return the split of each image by the lists of keys, reporting those that have no annotation."""
    annotated = {_image_of(name) for names in sets.values() for name in names}
    splits: dict[str, str] = {}
    unannotated: list[str] = []
    lists = [(f"{base}splits/{split}.txt", split) for base in sets for split in ("train", "val", "test")]
    for name, split in lists:
        if not (source.root / name).exists():
            continue
        for key, where in source.lines(name):
            image = f"{key}.jpg"
            if image in annotated and splits.setdefault(image, split) != split:
                what, remedy = f"the image is in '{splits[image]}' as well", "list it in one of them"
                source.errors.add("SPLIT_TWICE", what, where=where, field="key", value=key, remedy=remedy, image=image)
            elif image not in annotated and split == "test":
                unannotated.append(where.removeprefix(f"{source.root}/"))
            elif image not in annotated:
                what, remedy = "there is no annotation of this image", "restore it, or remove the line"
                source.errors.add("ANNOTATION_MISSING", what, where=where, field="key", value=key, remedy=remedy)
    reason = "listed in splits/test.txt, without annotation"
    source.errors.note(reason, len(unannotated), tuple(unannotated), kind="image")
    return splits
