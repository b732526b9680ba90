"""Tsinghua-Tencent 100K: one JSON of all images, of 2016 and of 2021.

The corners are floats from the top-left corner of the first pixel, and the official score takes plain differences, so
they are our own convention. No size of an image is stated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import corners
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.source import Source, listed, numbered

_NAMES = ("annotations.json", "annotations_all.json")
_FOLDERS = ("", "data/")
_SPLITS = ("train", "test", "other")
_FAMILIES = {"i": "indication", "p": "prohibition", "w": "warning"}
# the order of the official evaluation, types with at least 100 signs
PROTOCOL45 = listed(
    """i2, i4, i5, il100, il60, il80, io, ip, p10, p11, p12, p19, p23, p26, p27, p3, p5, p6, pg, ph4, ph4.5, ph5, pl100,
    pl120, pl20, pl30, pl40, pl5, pl50, pl60, pl70, pl80, pm20, pm30, pm55, pn, pne, po, pr40, w13, w32, w55, w57, w59,
    wo"""
)


def read(
    root: Path, *, classes: str = "all", rare: str = "drop", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read TT100K: splits `train`, `test` and `other` by the folder of the image.

    Polygons, ellipses and further keys of a sign go to `attributes`. The super-class is given by the first letter of a
    type: ``i`` indication, ``p`` prohibition, ``w`` warning.

    Args:
        root: The folder that holds ``annotations.json`` (2016) or ``annotations_all.json`` (2021), itself or in
            ``data/``; lists ``<split>/ids.txt`` beside it are compared with it.
        classes: ``all`` types of the file in sorted order, or ``protocol45``, those of the official evaluation in its
            order.
        rare: With ``protocol45``, what becomes of other signs: ``drop`` them, as the protocol does, which the ledger
            counts; or ``ignore`` them, neither target nor background.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its JSON pointer.

    Source: Zhu et al., Traffic-Sign Detection and Classification in the Wild, CVPR 2016; anno_func.py of its code.
    """
    native.check_choice("classes", classes, ("all", "protocol45"))
    native.check_choice("rare", rare, ("drop", "ignore"))
    what = f"a folder that holds {' or '.join(_NAMES)}"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    name = _document(root)
    source.image_root = root / PurePosixPath(name).parent
    with no_collection():
        document = read_json(root, name).as_object()
        types = _types(document)
        names = types if classes == "all" else PROTOCOL45
        path_of = _read_images(document, source, None if classes == "all" else frozenset(names))
    _check_lists(source, path_of)
    rows = source.box_rows()
    if rare == "drop" and "ignore" in rows.data.columns:
        rare_signs = rows.filter(pl.col("ignore")).sources()
        source.errors.note("its type is not of the protocol", len(rare_signs), rare_signs, kind="box")
        rows = rows.filter(~pl.col("ignore"))
    return source.table(rows, numbered(names, [_FAMILIES.get(name[:1]) for name in names]))


def _document(root: Path) -> str:
    names = [folder + name for folder in _FOLDERS for name in _NAMES if (root / (folder + name)).exists()]
    if len(names) != 1:
        what = f"expected {' or '.join(_NAMES)}, itself or in data/; found {', '.join(names) or 'none'}"
        raise InputError("FILE_MISSING", what, where=root, remedy="give the folder of one release")
    return names[0]


def _types(document: Node) -> list[str]:
    """Return the types of the file in sorted order.

    Raises:
        InputError: One is no word, or is there twice.
    """
    types = document.words("types")
    if len(set(types)) < len(types) or "" in types:
        raise document.error("types", "CLASS_TWICE", "a type is empty or there twice", "remove it")
    return sorted(types)


def _read_images(document: Node, source: Source, names: Collection[str] | None) -> dict[str, str]:
    """Add all images with their signs and return the path of each by its key.

    Signs whose type is not among `names`, where there are some, are to be ignored and have no class.
    """
    path_of: dict[str, str] = {}
    for key, node in document.entries("imgs").items():
        path = node.string("path")
        with source.errors.image(path):
            if "id" in node and str(node.value["id"]) != key:
                raise node.error("id", "TT100K_ID", f"the key of this image is {key}")
            if path in source.images:
                raise node.error("path", "ID_DUPLICATE", f"{source.images[path].where} has the same path")
            source.add_image(path, node.where, split=_split_of(path))
            path_of[key] = path
            for each in node.items("objects"):
                with source.errors.row(path):
                    _add_sign(source, path, each, names)
    return path_of


def _add_sign(source: Source, path: str, node: Node, names: Collection[str] | None) -> None:
    kind = node.string("category")
    attributes = {key: value for key, value in node.value.items() if key not in ("category", "bbox")}
    xyxy = corners(node.child("bbox"))
    if names is None or kind in names:
        source.add_box(path, kind, xyxy, node.source, attributes)
    else:
        attributes = {"category": kind, **attributes}
        source.add_box(path, None, xyxy, node.source, attributes, ignore=True, ignore_reason="rare type")


def _check_lists(source: Source, path_of: Mapping[str, str]) -> None:
    """Report what `<split>/ids.txt` says otherwise."""
    for split in _SPLITS:
        file = source.image_root / split / "ids.txt"
        if not file.exists():
            continue
        for key, where in source.lines(file.relative_to(source.root).as_posix()):
            path = path_of.get(key)
            if path is None:
                what, remedy = "no image of the annotations has this id", "remove the line, or restore the image"
                source.errors.add("ANNOTATION_MISSING", what, where=where, field="id", value=key, remedy=remedy)
            elif _split_of(path) != split:
                what, remedy = f"its path is {path}, of another split", "fix the list or the path"
                source.errors.add("SPLIT_TWICE", what, where=where, field="id", value=key, remedy=remedy, image=path)


def _split_of(path: str) -> str | None:
    folder = path.partition("/")[0]
    return folder if folder in _SPLITS else None
