"""Label Studio JSON: a list of tasks with annotations, or its short form JSON-MIN.

Boxes are percent of the image: x1 = x * original_width / 100. A turned box is turned clockwise about its top-left
corner; its table row is the upright box around it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, annotation_files, path_of_address, split_of_path
from detect_transfer.formats.parsing.shape_table import TableBuilder, dump
from detect_transfer.formats.tools.label_studio_items import add_items, said_of_image

_ANNOTATIONS = ("last", "all", "ground-truth")
_USUAL_KEYS = ("image", "img")
_UPLOADED = re.compile("[0-9a-f]{8}-(.+)", re.DOTALL)

Item = tuple[Node, Node, str]  # what tells the size of the image, the value, the id of the region


@dataclass(frozen=True)
class _Task:
    """An image with the items of each annotation that people gave it, in the order of the file."""

    node: Node
    address: str
    data: dict[str, Any]  # what is told beside the address
    annotations: list[list[Item]]
    unused: int  # shapes of annotations that the option leaves out


@no_collection()
def read(
    root: Path, *, annotations: str = "last", other_shapes: str = "extent", missing_images: str = "error",
    size_mismatch: str = "error", on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read exports of Label Studio, JSON or JSON-MIN, from the folder that holds them.

    An image is found by the end of its address, with or without the eight hexadecimal digits that an upload puts
    before its name. A task without an annotation that was not cancelled stays out, which the ledger counts;
    predictions are no annotations. A region of several labels makes a row for each. What else is said of a region goes
    to `attributes`, of an image to the images column `tags`; what else a task tells to the images column `data`.

    Args:
        root: The folder of the JSON files and images, or one such file.
        annotations: Which of the annotations of a task are read: the ``last``, ``all``, or the last that is marked as
            ``ground-truth``; the ledger counts the shapes of the others.
        other_shapes: What becomes of polygons, ellipses, turned boxes, keypoints and masks: ``extent`` takes the box
            around them (of all but masks, which are refused), ``skip`` leaves them out, which the ledger counts,
            ``error`` refuses them.
        missing_images: ``error``; ``keep`` goes on with the sizes that the tasks state; ``skip`` leaves the image and
            its regions out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a task states another size.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Label Studio documentation, export annotations, raw JSON format and units of image annotations.
    """
    native.check_choice("annotations", annotations, _ANNOTATIONS)
    media = ImageLookup(missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    folder, names = annotation_files(root, (".json",), what="a JSON export of Label Studio")
    drawing = TableBuilder(folder, media, problems, other_shapes)
    nearby = NearbyImages(folder)
    tasks: list[_Task] = []
    for name in names:
        try:
            tasks += _read_tasks(read_json(folder, name), annotations, problems)
        except InputError as error:
            problems.put(error)
    unlabelled = [task.address for task in tasks if not task.annotations]
    problems.note("without an annotation", len(unlabelled), tuple(unlabelled), kind="image")
    unused = [task for task in tasks if task.unused]
    places = tuple(task.node.source for task in unused)
    problems.note("of another annotation of the task", sum(task.unused for task in unused), places, kind="box")
    for task in tasks:
        if task.annotations:
            _add_task(task, _image(task.address, nearby), drawing)
    return drawing.table()


def _read_tasks(document: Node, annotations: str, problems: ErrorCollector) -> list[_Task]:
    """Return the tasks of a file; those of JSON-MIN that share an id are annotations of one task."""
    tasks: list[_Task] = []
    short: dict[str, list[Node]] = {}
    for node in document.elements():
        if "data" not in node:
            short.setdefault(str(node.value.get("id", node.source)), []).append(node)
            continue
        with problems.image(node.source):
            key = "annotations" if "annotations" in node else "completions"
            given = [one for one in node.items(key, []) if not one.flag("was_cancelled", False)]
            is_truth = [one.flag("ground_truth", False) for one in given]
            items = [_items(one) for one in given]
            tasks.append(_task(node, node.child("data"), items, (annotations, is_truth)))
    for nodes in short.values():
        with problems.image(nodes[0].source):
            items = [_short_items(node) for node in nodes]
            tasks.append(_task(nodes[-1], nodes[-1], items, (annotations, [False] * len(nodes))))
    return tasks


def _task(node: Node, data: Node, items: list[list[Item]], choice: tuple[str, Sequence[bool]]) -> _Task:
    """Return a task with the annotations that the option chooses; `data` holds the address of the image."""
    address = _address(data)
    further = {key: value for key, value in data.value.items() if value != address and not _is_regions(value)}
    kept = items if choice[0] != "ground-truth" else [one for one, true in zip(items, choice[1], strict=True) if true]
    kept = kept if choice[0] == "all" else kept[-1:]
    total, read_now = (sum(len({item[2] for item in one}) for one in some) for some in (items, kept))
    return _Task(node, address, further, kept, total - read_now)


def _items(annotation: Node) -> list[Item]:
    """Return the items of an annotation, without the relations between regions."""
    results = [one for one in annotation.items("result") if one.value.get("type") != "relation"]
    return [(one, one.child("value"), str(one.value.get("id", one.source))) for one in results]


def _short_items(task: Node) -> list[Item]:
    """Return the items of a task of JSON-MIN: the lists of objects that state a size."""
    found: list[Item] = []
    for key, value in task.value.items():
        if _is_regions(value):
            found += [(one, one, str(one.value.get("id", one.source))) for one in task.items(key)]
    return found


def _is_regions(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and "original_width" in one for one in value)


def _address(data: Node) -> str:
    """Return the address of the image: the only value that ends like one, or that of the usual key."""
    found = {
        key: value
        for key, value in data.value.items()
        if isinstance(value, str) and PurePosixPath(path_of_address(value)).suffix.lower() in IMAGE_SUFFIXES
    }
    usual = next((found[key] for key in _USUAL_KEYS if key in found), None)
    if usual is None and len(found) != 1:
        held = ", ".join(found) or "none"
        raise data.error(
            None, "IMAGE_NAME", f"one value must be the address of the image; such are: {held}", "call its key image"
        )
    return usual or next(iter(found.values()))


def _image(address: str, nearby: NearbyImages) -> str:
    path = PurePosixPath(path_of_address(address))
    uploaded = _UPLOADED.fullmatch(path.name)
    if uploaded and path.name not in nearby and uploaded[1] in nearby:
        path = path.with_name(uploaded[1])
    return nearby.nearest(path.as_posix())


def _add_task(task: _Task, image: str, drawing: TableBuilder) -> None:
    with drawing.problems.image(image):
        items = [item for annotation in task.annotations for item in annotation]
        sized = next((about for about, _, _ in items if "original_width" in about), None)
        size = sized.size_wh("original_width", "original_height") if sized else None
        tags = said_of_image(items)
        facts = {
            "split": split_of_path(image),
            "data": dump(task.data, task.node.where) if task.data else None,
            "tags": dump(tags, task.node.where) if tags else None,
        }
        if drawing.add_image(image, ImageRef(task.node.where, size), facts):
            for annotation in task.annotations:
                add_items(image, annotation, drawing)
