"""Mapillary Vistas: the extents of its polygons (version 2), or the boxes of its panoptic JSON, beside `images/`.

Points and boxes are continuous pixels counted from 0.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.shapes import extent
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.persons import choose_form

_TARGETS = {
    "objects": ("object--", "human--", "animal--"),
    "signs": ("object--traffic-sign",),
    "signs-and-lights": ("object--traffic-sign", "object--traffic-light"),
    "all": ("",),
}
_GROUP = "-group"
_VERSION = re.compile(r"v[0-9.]+")
_PANOPTIC = re.compile(r"panoptic.*\.json")


@no_collection()
def read(
    root: Path,
    *,
    target: str = "objects",
    form: str = "auto",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Mapillary Vistas: classes are its labels, such as ``object--traffic-sign--front``, sorted.

    A label that ends in ``-group``, and a segment that is marked as a crowd, is a crowd and ignored. What is not of
    the target (road, sky, poles of fences) is left out, which the ledger counts. In the panoptic form the label is
    the `supercategory`, which has the same words; the form of the labels as images of 16 bits is not read.

    Args:
        root: The folder with ``training/`` and ``validation/``, or one of them.
        target: ``objects`` for things, people and animals, ``signs``, ``signs-and-lights``, or ``all`` labels.
        form: ``polygons`` or ``panoptic``; ``auto`` takes the one that is there.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Neuhold et al., The Mapillary Vistas Dataset, ICCV 2017; the read-me of version 2.0.
    """
    native.check_choice("target", target, tuple(_TARGETS))
    what = "a folder with training/ and validation/ of Mapillary Vistas"
    source = Source(
        root, what, by="tail", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    names = [PurePosixPath(name) for name in io.list_files(source.root, (".json",))]
    files = {
        "polygons": [name.as_posix() for name in names if name.parent.name == "polygons"],
        "panoptic": [name.as_posix() for name in names if _PANOPTIC.fullmatch(name.name)],
    }
    missing = "VISTAS_MISSING: it holds neither polygons/*.json nor panoptic_*.json"
    chosen, paths = choose_form(source.root, files, form, missing)
    left_out: list[str] = []
    for name in paths:
        with source.errors.file():
            read_one = _read_polygons if chosen == "polygons" else _read_panoptic
            read_one(source, name, _TARGETS[target], left_out)
    source.errors.note("not of the target", len(left_out), tuple(left_out), kind="box")
    return source.table()


def _folder_of_images(name: str) -> str:
    """Return the folder of the images that belong to an annotation file: ``<split>/images``."""
    parts = PurePosixPath(name).parts[:-2]  # without polygons/ or panoptic/ and the file
    return "/".join([*(part for part in parts if not _VERSION.fullmatch(part)), "images"])


def _read_polygons(source: Source, name: str, prefixes: tuple[str, ...], left_out: list[str]) -> None:
    image = f"{_folder_of_images(name)}/{PurePosixPath(name).stem}.jpg"
    with source.errors.image(image):
        document = read_json(source.root, name).as_object()
        objects = document.items("objects")
        if source.add_image(image, document.where, document.size_wh(), split=split_of_path(name)):
            for each in objects:
                with source.errors.row(image):
                    label = each.string("label")
                    if not label.startswith(prefixes):
                        left_out.append(each.source)
                        continue
                    _add(source, image, label, each, extent(each.pairs("polygon")), is_crowd=False)


def _read_panoptic(source: Source, name: str, prefixes: tuple[str, ...], left_out: list[str]) -> None:
    document = read_json(source.root, name).as_object()
    labels: dict[int, str] = {}
    for category in document.items("categories"):
        label = category.string("supercategory", "")
        labels[category.whole("id")] = label if "--" in label else category.string("name")
    nodes = {str(node.value.get("id")): node for node in document.items("images")}
    for annotation in document.items("annotations"):
        key = str(annotation.value.get("image_id"))
        if key not in nodes:
            raise annotation.error("image_id", "ID_DANGLING", "no image has this id")
        image = f"{_folder_of_images(name)}/{PurePosixPath(nodes[key].string('file_name')).stem}.jpg"
        with source.errors.image(image):
            segments = annotation.items("segments_info")
            if source.add_image(image, nodes[key].where, nodes[key].size_wh(), split=split_of_path(name)):
                for each in segments:
                    with source.errors.row(image):
                        _add_segment(source, image, each, labels, prefixes, left_out)


def _add_segment(
    source: Source, image: str, node: Node, labels: dict[int, str], prefixes: tuple[str, ...], left_out: list[str]
) -> None:
    label = labels.get(node.whole("category_id"))
    if label is None:
        raise node.error("category_id", "CLASS_UNKNOWN", "no category has this id")
    if not label.startswith(prefixes):
        left_out.append(node.source)
        return
    x, y, width, height = node.numbers("bbox", 4)
    _add(source, image, label, node, (x, y, x + width, y + height), is_crowd=node.flag("iscrowd", False))


def _add(
    source: Source, image: str, label: str, node: Node, xyxy: tuple[float, float, float, float], *, is_crowd: bool
) -> None:
    is_crowd = is_crowd or label.endswith(_GROUP)
    reason = "group" if is_crowd else None
    source.add_box(image, label, xyxy, node.source, iscrowd=is_crowd, ignore=is_crowd, ignore_reason=reason)
