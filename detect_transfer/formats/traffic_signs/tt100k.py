"""Tsinghua-Tencent 100K: one JSON of all images, of 2016 and of 2021.

The corners are floats from the top-left corner of the first pixel, and the official score takes plain differences, so
they are our own convention. Of an image no size is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_boxes import as_attributes, corners, row_frame
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.row_table import finish_rows

_NAMES = ("annotations.json", "annotations_all.json")
_FOLDERS = ("", "data/")
_SPLITS = ("train", "test", "other")
_RARE = "rare type"
_COLUMNS = ("category_id", *XYXY, "ignore", "ignore_reason", "attributes", "source")
_FAMILIES = {"i": "indication", "p": "prohibition", "w": "warning"}
# the order of the official evaluation, types with at least 100 signs
PROTOCOL45 = (
    *("i2", "i4", "i5", "il100", "il60", "il80", "io", "ip", "p10", "p11", "p12", "p19", "p23", "p26", "p27", "p3"),
    *("p5", "p6", "pg", "ph4", "ph4.5", "ph5", "pl100", "pl120", "pl20", "pl30", "pl40", "pl5", "pl50", "pl60", "pl70"),
    *("pl80", "pm20", "pm30", "pm55", "pn", "pne", "po", "pr40", "w13", "w32", "w55", "w57", "w59", "wo"),
)


def read(
    root: Path, *, classes: str = "all", rare: str = "drop", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read TT100K: splits `train`, `test` and `other` by the folder of the image.

    Polygons, ellipses and further keys of a sign go to `attributes`. The super-class is told by the first letter of a
    type: ``i`` indication, ``p`` prohibition, ``w`` warning.

    Args:
        root: The folder that holds ``annotations.json`` (2016) or ``annotations_all.json`` (2021), itself or in
            ``data/``; lists ``<split>/ids.txt`` beside it are compared with it.
        classes: ``all`` types of the file in sorted order, or ``protocol45``, those of the official evaluation in its
            order.
        rare: With ``protocol45``, what becomes of other signs: ``drop`` them, as the protocol does, which the ledger
            counts; or ``ignore`` them, neither target nor background.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves absent images out.
        on_error: As for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its JSON pointer.

    Source: Zhu et al., Traffic-Sign Detection and Classification in the Wild, CVPR 2016; anno_func.py of its code.
    """
    native.check_choice("classes", classes, ("all", "protocol45"))
    native.check_choice("rare", rare, ("drop", "ignore"))
    media, problems = ImageLookup(missing_images=missing_images), ErrorCollector(on_error)
    name = _document(root)
    with no_collection():
        document = read_json(root, name).as_object()
        types = _types(document)
        kept = types if classes == "all" else list(PROTOCOL45)
        images = _images(document, problems)
        rows = _rows(images, types, kept, problems)
    base = root / PurePosixPath(name).parent
    _check_lists(base, {key: path for path, (key, _) in images.items()}, problems)
    found = find_images(
        base, {path: ImageRef(f"{root}/{node.source}") for path, (_, node) in images.items()}, media, problems
    )
    if rare == "drop":
        rows = _without_rare(rows, problems)
    return finish_rows(
        problems,
        rows=rows,
        found=found,
        categories={
            "category_id": range(1, len(kept) + 1),
            "name": kept,
            "supercategory": [_FAMILIES.get(one[:1]) for one in kept],
        },
        image_root=base,
        facts=pl.DataFrame(
            {"image": list(found), "split": [_split_of(path) for path in found]},
            schema={"image": pl.String, "split": pl.String},
        ),
    )


def _document(root: Path) -> str:
    io.require_dir(root, what=f"a folder that holds {' or '.join(_NAMES)}")
    found = [folder + name for folder in _FOLDERS for name in _NAMES if (root / (folder + name)).exists()]
    if len(found) != 1:
        what = f"expected {' or '.join(_NAMES)}, itself or in data/; found {', '.join(found) or 'none'}"
        raise InputError("FILE_MISSING", what, where=root, remedy="give the folder of one release")
    return found[0]


def _types(document: Node) -> list[str]:
    """Return the types of the file in sorted order.

    Raises:
        InputError: One is no word, or is there twice.
    """
    types = document.words("types")
    if len(set(types)) < len(types) or "" in types:
        raise document.error("types", "CLASS_TWICE", "a type is empty or there twice", "remove it")
    return sorted(types)


def _images(document: Node, problems: ErrorCollector) -> dict[str, tuple[str, Node]]:
    """Return the key and the object of each image by its path."""
    found: dict[str, tuple[str, Node]] = {}
    for key, node in document.entries("imgs").items():
        path = node.string("path")
        with problems.image(path):
            if "id" in node and str(node.value["id"]) != key:
                raise node.error("id", "TT100K_ID", f"the key of this image is {key}")
            if path in found:
                raise node.error("path", "ID_DUPLICATE", f"image {found[path][0]} has the same path")
            found[path] = key, node
    return found


def _check_lists(base: Path, path_of: Mapping[str, str], problems: ErrorCollector) -> None:
    """Report what `<split>/ids.txt` says otherwise."""
    for split in _SPLITS:
        file = base / split / "ids.txt"
        if not file.exists():
            continue
        for line, text in enumerate(native.lines_of(native.read_text(base, file)), start=1):
            key, where = text.strip(), f"{file}:{line}"
            path = path_of.get(key)
            if key and path is None:
                what, remedy = "no image of the annotations has this id", "remove the line, or restore the image"
                problems.add("ANNOTATION_MISSING", what, where=where, field="id", value=key, remedy=remedy)
            elif path is not None and _split_of(path) != split:
                what, remedy = f"its path is {path}, of another split", "fix the list or the path"
                problems.add("SPLIT_TWICE", what, where=where, field="id", value=key, remedy=remedy, image=path)


def _split_of(path: str) -> str | None:
    folder = path.partition("/")[0]
    return folder if folder in _SPLITS else None


def _rows(
    images: Mapping[str, tuple[str, Node]], types: Sequence[str], kept: Sequence[str], problems: ErrorCollector
) -> pl.DataFrame:
    """Return the signs; those whose type is not among `kept` are to be ignored and have no class."""
    known, ids = set(types), {name: i for i, name in enumerate(kept, start=1)}
    rows: list[Sequence[Any]] = []
    for path, (_, image) in images.items():
        with problems.image(path):
            for node in image.items("objects"):
                with problems.row(path):
                    rows.append((path, *_row(node, known, ids)))
    return row_frame(rows, ("image", *_COLUMNS))


def _row(node: Node, known: Collection[str], ids: Mapping[str, int]) -> Sequence[Any]:
    kind = node.string("category")
    if kind not in known:
        raise node.error("category", "CLASS_UNKNOWN", "it is not among the types", did_you_mean(kind, list(known)))
    facts = {key: value for key, value in node.value.items() if key not in ("category", "bbox")}
    if kind not in ids:
        facts = {"category": kind, **facts}
    reason = None if kind in ids else _RARE
    return ids.get(kind), *corners(node.child("bbox")), reason is not None, reason, as_attributes(facts), node.source


def _without_rare(rows: pl.DataFrame, problems: ErrorCollector) -> pl.DataFrame:
    rare = rows.filter("ignore")["source"]
    problems.note("its type is not of the protocol", len(rare), tuple(rare), kind="box")
    return rows.filter(~pl.col("ignore"))
