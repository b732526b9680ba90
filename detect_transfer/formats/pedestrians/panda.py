"""PANDA, people and vehicles in images of gigapixels: `person_bbox_<split>.json` and `vehicle_bbox_<split>.json`.

Corners are shares of the image, so that smaller copies of the images do as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import SHARE_CORNERS
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import corners
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.source import Source

TARGETS = {"person": "full body", "visible": "visible body", "head": "head"}
_REGIONS = ("ignore", "crowd", "people", "vehicles")  # many objects, or what nobody looked at
_UNSURE = ("unsure", "fake person")
_KEYS = {"category", "rect", "rects"}


@no_collection()
def read(
    root: Path, *, target: str = "person", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read PANDA-Image: persons by one of their three boxes, vehicles by their kinds; the scene is the `group`.

    Crowds, groups of vehicles and regions to be ignored are crowds for every class; fake persons and what is unsure
    are ignored too. The other boxes of a person and what is said of one go to `attributes`. The images have up to
    400 megapixels: shrink or cut them before training.

    Args:
        root: The folder that holds ``image_annos/`` and the scenes, or one JSON file.
        target: ``person`` for the full body, ``visible`` for its visible part, ``head``.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Wang et al., PANDA: A Gigapixel-level Human-centric Video Dataset, CVPR 2020; its annotation format.
    """
    native.check_choice("target", target, tuple(TARGETS))
    source = Source(
        root,
        "a folder with person_bbox_train.json",
        by="tail",
        missing_images=missing_images,
        size_mismatch="keep",
        on_error=on_error,
        or_file=True,
    )
    nodes: dict[str, list[tuple[Node, str | None]]] = {}
    for name in source.files("*bbox*.json", missing="it holds no person_bbox_train.json or vehicle_bbox_train.json"):
        with source.errors.file():
            split = split_named(*reversed(PurePosixPath(name).stem.split("_")))
            for image, node in read_json(source.root, name).members().items():
                nodes.setdefault(image, []).append((node, split))
    for image, parts in nodes.items():
        first, split = parts[0]
        with source.errors.image(image):
            size_wh = first.child("image size").size_wh()
            group = PurePosixPath(image).parent.name or None
            objects = [each for node, _ in parts for each in node.items("objects list")]
            if source.add_image(image, first.where, size_wh, split=split, group=group):
                for each in objects:
                    with source.errors.row(image):
                        _add_box(source, image, each, target)
    rows = replace(source.box_rows(), box_format=SHARE_CORNERS)
    return source.table(rows.box(*XYXY, box_format=SHARE_CORNERS))


def _add_box(source: Source, image: str, node: Node, target: str) -> None:
    category = node.string("category")
    attributes: dict[str, Any] = {key: value for key, value in node.value.items() if key not in _KEYS}
    if "rects" in node:
        boxes, own = node.child("rects"), TARGETS[target]
        xyxy = _shares(boxes.child(own))
        attributes |= {key: _shares(boxes.child(key)) for key in TARGETS.values() if key != own and key in boxes}
        label = category if target == "person" else f"{category}_{target}" if target == "visible" else target
    else:
        xyxy, label = _shares(node.child("rect")), category
    is_region, is_unsure = category in _REGIONS, category in _UNSURE
    source.add_box(
        image,
        None if is_region or is_unsure else label,
        xyxy,
        node.source,
        attributes,
        iscrowd=is_region,
        ignore=is_region or is_unsure,
        ignore_reason=category if is_region or is_unsure else None,
    )


def _shares(node: Node) -> tuple[float, float, float, float]:
    """Return the corners of an object of ``tl`` and ``br``, each of x and y."""
    values: Mapping[str, Any] = {
        f"{corner} {axis}": node.child(corner).value.get(axis) for corner in ("tl", "br") for axis in ("x", "y")
    }
    return corners(node.below("rect", values), tuple(values))
