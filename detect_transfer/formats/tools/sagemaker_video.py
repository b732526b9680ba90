"""Boxes on frames of videos in SageMaker Ground Truth: `SeqLabel.json` of each sequence that a manifest names.

Frames are images that lie beside; boxes are `left, top, width, height` in pixels counted from 0.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from detect_transfer.core import io
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, foreign_tails, path_of_address
from detect_transfer.formats.parsing.source import Source

VIDEO_KINDS = ("groundtruth/video-object-detection", "groundtruth/video-object-tracking")
_LISTS = ("detection-annotations", "tracking-annotations")
_BOX = ("left", "top", "width", "height")
_KNOWN = {*_BOX, "class-id", "object-id", "object-name", "label-category-attributes"}


def read_sequence(
    source: Source, line: Node, attribute: str, classes: dict[str, Any], nearby: NearbyImages, split: str | None
) -> list[str]:
    """Add the frames of a sequence that its labels list, with their boxes.

    A frame is found by the folder that the sequence file (`source-ref`) states, where that lies beside, and its name.

    Returns:
        The names of frames that the sequence file lists and the labels do not: nobody annotated them.

    Raises:
        InputError: The labels are not there, or hold other shapes than boxes.
    """
    files = io.list_files(source.root, (".json",))
    labels = _file_at(files, line.string(attribute))
    if labels is None:
        what, remedy = "the labels of the sequence are not there", "copy the folder annotations/ of the job beside it"
        raise line.error(attribute, "FILE_MISSING", what, remedy)
    document = read_json(source.root, labels).as_object()
    frames = next((document.items(key) for key in _LISTS if key in document), None)
    if frames is None:
        raise document.error(None, "SAGEMAKER_LABELS", f"it has neither {_LISTS[0]} nor {_LISTS[1]}")
    prefix, listed = _sequence(source, _file_at(files, line.string("source-ref")))
    done = set()
    for frame in frames:
        name = frame.string("frame")
        done.add(name)
        image = nearby.nearest(f"{prefix}{name}")
        with source.errors.image(image):
            if "annotations" not in frame:
                what = "its labels are no boxes (lines, polygons or key points)"
                raise frame.error("annotations", "VIDEO_TASK", what, "give a job for bounding boxes")
            group = PurePosixPath(image).parent.as_posix()
            if source.add_image(image, frame.where, split=split, group=labels if group == "." else group):
                for box in frame.items("annotations"):
                    with source.errors.row(image):
                        _add_box(source, image, box, classes, labels)
    return [f"{prefix}{name}" for name in listed if name not in done]


def _file_at(files: list[str], address: str) -> str | None:
    """Return the file that an address means, by the longest end of it that one alone has."""
    for tail in foreign_tails(path_of_address(address)):
        fitting = [name for name in files if f"/{name}".endswith(f"/{tail}")]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _sequence(source: Source, name: str | None) -> tuple[str, list[str]]:
    """Return the folder and the names of the frames that a sequence file states."""
    if name is None:
        return "", []
    document = read_json(source.root, name).as_object()
    prefix = path_of_address(document.string("prefix", ""))
    frames = [frame.string("frame") for frame in document.items("frames", [])]
    return f"{prefix.rstrip('/')}/" if prefix else "", frames


def _add_box(source: Source, image: str, box: Node, classes: dict[str, Any], sequence: str) -> None:
    number = box.value.get("class-id")
    label = classes.get(str(number))
    if not isinstance(label, str):
        raise box.error("class-id", "CLASS_UNKNOWN", "the class-map of the manifest does not name it")
    left, top, width, height = (box.number(key) for key in _BOX)
    attributes = {key: value for key, value in box.value.items() if key not in _KNOWN}
    attributes |= box.child("label-category-attributes").value if "label-category-attributes" in box else {}
    track = box.value.get("object-id") or box.value.get("object-name")
    source.add_box(
        image,
        label,
        (left, top, left + width, top + height),
        box.source,
        attributes,
        track_id=f"{sequence}/{track}" if track else None,
    )
