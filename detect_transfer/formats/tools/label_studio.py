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
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.video import VIDEO_SUFFIXES, frame_name
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_of_path
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.label_studio_regions import OUTLINES, Item, add_regions, tags_of_image
from detect_transfer.formats.tools.label_studio_video import add_frames, add_tracks

_ANNOTATIONS = ("last", "all", "ground-truth")
_SIZE = ("original_width", "original_height")  # of regions; our writer states it of a task that has none
_USUAL_KEYS = ("image", "img")
_UPLOADED = re.compile("[0-9a-f]{8}-(.+)", re.DOTALL)


@dataclass(frozen=True)
class _Task:
    """An image with the items of each annotation that people gave it, in the order of the file."""

    node: Node
    about: Node  # what holds the address
    address: str
    data: dict[str, Any]  # what is stated beside the address
    annotations: list[list[Item]]
    n_unused: int  # shapes of annotations that the option leaves out

    @property
    def items(self) -> list[Item]:
        return [item for annotation in self.annotations for item in annotation]


@no_collection()
def read(
    root: Path,
    *,
    annotations: str = "last",
    other_shapes: str = "extent",
    images: Path | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read exports of Label Studio, JSON or JSON-MIN, from the folder that holds them.

    An image is found by the end of its address, with or without the eight hexadecimal digits that an upload puts
    before its name. A task without an annotation that was not cancelled stays out, which the ledger counts;
    predictions are no annotations. A region of several labels makes a row for each. What else is said of a region goes
    to `attributes`, of an image to the images column `tags`; what else a task states to the images column `data`.
    Results that do not state the size of their image take that of the image.

    Every frame of a labelled video is an image, ``clip.mp4#00012`` counted from 0. Between key frames a box lies on a
    straight line, as the tool shows it; such boxes are marked as interpolated in `attributes`.

    Args:
        root: The folder of the JSON files and images, or one such file.
        annotations: Which of the annotations of a task are read: the ``last``, ``all``, or the last that is marked as
            ``ground-truth``; the ledger counts the shapes of the others.
        other_shapes: See `Source`; masks are never taken, but left out or refused.
        images: See `Source`.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Label Studio documentation, export annotations, raw JSON format and units of image annotations.
    """
    native.check_choice("annotations", annotations, _ANNOTATIONS)
    source = Source(
        root,
        "a JSON export of Label Studio",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
    )
    tasks: list[_Task] = []
    for name in source.files("*.json", missing="it holds no .json file; a JSON export of Label Studio was expected"):
        with source.errors.file():
            tasks += _read_tasks(source, read_json(source.root, name), annotations)
    _add_tasks(source, tasks)
    return source.table()


def _add_tasks(source: Source, tasks: Sequence[_Task]) -> None:
    """Add the images of tasks and their shapes; those of tasks without an annotation are left out, and counted."""
    unlabelled = tuple(task.address for task in tasks if not task.annotations)
    source.errors.note("without an annotation", len(unlabelled), unlabelled, kind="image")
    unused = tuple(task.node.source for task in tasks if task.n_unused)
    source.errors.note("of another annotation of the task", sum(task.n_unused for task in tasks), unused, kind="box")
    labelled = [task for task in tasks if task.annotations]
    nearby = NearbyImages(source.image_root)
    task_of: dict[str, _Task] = {}
    for task in labelled:
        if not _is_video(task.address):
            image = _image(task.address, nearby)
            with source.errors.image(image):
                if _add_image(source, image, task):
                    task_of[image] = task
    nearby.remark(source.errors)
    found_images = source.find_images()
    for image, task in task_of.items():
        for annotation in task.annotations:
            add_regions(source, image, annotation, found_images[image].size_wh if image in found_images else None)
    _add_videos(source, [task for task in labelled if _is_video(task.address)])


def _add_videos(source: Source, tasks: Sequence[_Task]) -> None:
    """Add the frames of labelled videos and their boxes."""
    nearby = NearbyImages(source.image_root, VIDEO_SUFFIXES)
    videos: dict[str, tuple[_Task, int]] = {}
    for task in tasks:
        video = _image(task.address, nearby)
        with source.errors.file():
            if video in videos:
                raise task.node.error("data", "ID_DUPLICATE", "an earlier task is of the same video", "remove one")
            videos[video] = task, add_frames(source, video, task.items, task.node.where)
    found_images = source.find_images()
    for video, (task, n_frames) in videos.items():
        for annotation in task.annotations:
            with source.errors.file():
                add_tracks(source, video, annotation, n_frames, found_images.get(frame_name(video, 0)))


def _read_tasks(source: Source, document: Node, annotations: str) -> list[_Task]:
    """Return the tasks of a file; those of JSON-MIN that share an id are annotations of one task."""
    tasks: list[_Task] = []
    short: dict[str, list[Node]] = {}
    for node in document.elements():
        if "data" not in node:
            short.setdefault(str(node.value.get("id", node.source)), []).append(node)
            continue
        with source.errors.image(node.source):
            key = "annotations" if "annotations" in node else "completions"
            given = [each for each in node.items(key, []) if not each.flag("was_cancelled", False)]
            is_truth = [each.flag("ground_truth", False) for each in given]
            items = [_items(each) for each in given]
            tasks.append(_task(node, node.child("data"), items, (annotations, is_truth)))
    for nodes in short.values():
        with source.errors.image(nodes[0].source):
            items = [_short_items(node) for node in nodes]
            tasks.append(_task(nodes[-1], nodes[-1], items, (annotations, [False] * len(nodes))))
    return tasks


def _task(node: Node, data: Node, items: list[list[Item]], choice: tuple[str, Sequence[bool]]) -> _Task:
    """Return a task with the annotations that the option chooses; `data` holds the address of the image."""
    address = _address(data)
    further = {
        key: value
        for key, value in data.value.items()
        if value != address and key not in _SIZE and not _is_regions(value)
    }
    annotations, is_truth = choice
    chosen = items
    if annotations == "ground-truth":
        chosen = [each for each, true in zip(items, is_truth, strict=True) if true]
    if annotations != "all":
        chosen = chosen[-1:]
    n_regions, n_chosen = (sum(len({item.region for item in each}) for each in some) for some in (items, chosen))
    return _Task(node, data, address, further, chosen, n_regions - n_chosen)


def _items(annotation: Node) -> list[Item]:
    """Return the items of an annotation, without the relations between regions."""
    results = [each for each in annotation.items("result") if each.value.get("type") != "relation"]
    return [Item(each, each.child("value"), str(each.value.get("id", each.source))) for each in results]


def _short_items(task: Node) -> list[Item]:
    """Return the items of a task of JSON-MIN: the lists of objects that state a size."""
    lists = [task.items(key) for key, value in task.value.items() if _is_regions(value)]
    return [Item(each, each, str(each.value.get("id", each.source))) for items in lists for each in items]


def _is_regions(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and _is_region(each) for each in value)


def _is_region(value: dict[str, Any]) -> bool:
    has_label = any(key.endswith("labels") for key in value)
    return _SIZE[0] in value or (has_label and not OUTLINES.isdisjoint(value))


def _address(data: Node) -> str:
    """Return the address of the image: that of the usual key, or the only value that ends like one."""
    texts = {key: value for key, value in data.value.items() if isinstance(value, str)}
    for key in _USUAL_KEYS:
        if texts.get(key):
            return texts[key]
    addresses = [
        key for key, text in texts.items() if PurePosixPath(path_of_address(text)).suffix.lower() in IMAGE_SUFFIXES
    ]
    if len(addresses) == 1:
        return texts[addresses[0]]
    videos = [text for text in texts.values() if _is_video(text)]
    if not addresses and len(videos) == 1:
        return videos[0]
    what = f"one value must be the address of the image or video; such are: {', '.join(addresses) or 'none'}"
    raise data.error(None, "IMAGE_NAME", what, "call its key image")


def _is_video(address: str) -> bool:
    return PurePosixPath(path_of_address(address)).suffix.lower() in VIDEO_SUFFIXES


def _image(address: str, nearby: NearbyImages) -> str:
    """Return the name of the image or video that an address means, which may lack the suffix or have a prefix more."""
    path = PurePosixPath(path_of_address(address))
    uploaded = _UPLOADED.fullmatch(path.name)
    if uploaded and path.name not in nearby and uploaded[1] in nearby:
        path = path.with_name(uploaded[1])
    suffix = next((end for end in ("", *IMAGE_SUFFIXES) if path.name + end in nearby), "")
    return nearby.nearest(path.as_posix() + suffix)


def _add_image(source: Source, image: str, task: _Task) -> bool:
    stated = (*(item.about for item in task.items), task.about)
    sized = next((about for about in stated if _SIZE[0] in about), None)
    size = sized.size_wh(*_SIZE) if sized else None
    tags = tags_of_image(task.items)
    where = task.node.where
    return source.add_image(
        image,
        where,
        size,
        split=split_of_path(image),
        data=dump(task.data, where) if task.data else None,
        tags=dump(tags, where) if tags else None,
    )
