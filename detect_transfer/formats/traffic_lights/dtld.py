"""DriveU Traffic Light Dataset (DTLD), version 2: `DTLD_train.json`, `DTLD_test.json`, or a JSON a city.

Boxes are ``x, y, w, h`` in pixels counted from 0. What a light shows stands in its attributes.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import foreign_tails, split_named
from detect_transfer.formats.parsing.source import Source

_TARGETS = ("state", "light", "pictogram")
_PARTS_OF_PATH = 4  # city, route, sequence, image


@no_collection()
def read(
    root: Path, *, target: str = "state", missing_images: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read DTLD: reflections are ignored (reason ``reflection``), `occluded` is a column, the rest are attributes.

    An image is found by the last four parts of its path (city, route, sequence, name), with any suffix: the published
    TIFFs are raw colours of 12 bits, which the kit turns into images. The sequence is the `group`.

    Args:
        root: The folder of the JSON files and the cities, or one such file.
        target: What the classes are: the ``state`` (red, yellow, ...), ``light`` for one class, or the ``pictogram``.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: https://github.com/julimueller/dtld_parsing; Fregin et al., The DriveU Traffic Light Dataset, ICRA 2018.
    """
    native.check_choice("target", target, _TARGETS)
    what = "a folder with DTLD_train.json and the cities"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error, or_file=True)
    for name in source.files("*.json", missing="it holds no .json file; labels of DTLD, version 2, were expected"):
        with source.errors.file():
            split = split_named(*re.split(r"[_.-]", PurePosixPath(name).name))
            for node in read_json(source.root, name).as_object().items("images"):
                _read_image(source, node, split, target)
    return source.table()


def _read_image(source: Source, node: Node, split: str | None, target: str) -> None:
    with source.errors.image(node.source):
        tails = foreign_tails(node.string("image_path"))
        image = tails[max(len(tails) - _PARTS_OF_PATH, 0)] if tails else node.string("image_path")
        labels = node.items("labels")
        with source.errors.image(image):
            group = PurePosixPath(image).parent.as_posix()
            if source.add_image(image, node.where, split=split, group=None if group == "." else group):
                for label in labels:
                    with source.errors.row(image):
                        _add_label(source, image, label, target)


def _add_label(source: Source, image: str, node: Node, target: str) -> None:
    x, y, width, height = (node.number(key) for key in ("x", "y", "w", "h"))
    if width < 0 or height < 0:
        raise node.error("w", "BOX_INVALID", "width and height must not be negative", "fix the box or remove it")
    attributes = node.child("attributes")
    label = "traffic light" if target == "light" else attributes.string(target)
    is_reflection = attributes.string("reflection", "not_reflected") == "reflected"
    hidden = {"occluded": 1.0, "not_occluded": 0.0}.get(attributes.string("occlusion", ""))
    source.add_box(
        image,
        label,
        (x, y, x + width, y + height),
        node.source,
        dict(attributes.value),
        ignore=is_reflection,
        ignore_reason="reflection" if is_reflection else None,
        occluded=hidden,
        track_id=str(node.value["track_id"]) if node.value.get("track_id") is not None else None,
    )
