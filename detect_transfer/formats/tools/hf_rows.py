"""The rows of `metadata.jsonl` and `metadata.csv`, one an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.annotations import XYXY
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.json_nodes import Node, parse_json
from detect_transfer.formats.parsing.own_columns import FLAGS, take_columns
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.parsing.yaml_nodes import parse_yaml
from detect_transfer.formats.tools.shared import folder_of

_BOXES = ("bbox", "bboxes", "boxes")
_CATEGORIES = ("category", "categories", "label", "labels", "category_id", "class", "classes")
_COLUMNS = {"file_name", "objects", "width", "height"}
_GROUP = "group"
_OF_BOX = ("iscrowd", "ignore", "difficult", "ignore_reason", "occluded", "truncated", "track_id")
_SHARES = ("occluded", "truncated")
_MOST_CLASSES = 100_000


def read_metadata(source: Source, names: Sequence[str]) -> Rows:
    """Add the images that the files name to a source, and return their objects as rows.

    Returns:
        `image`, `source`, `category` (``'name`` or ``#index``), the four numbers as `x1`, `y1`, `x2`, `y2`, what our
        writer says of a box under the name of its column, and `attributes`.
    """
    rows: list[tuple[Any, ...]] = []
    for name in names:
        folder = PurePosixPath(name).parent
        for node in _csv(source, name) if name.endswith(".csv") else _lines(source, name):
            with source.errors.file():
                image = (folder / node.string("file_name").replace("\\", "/")).as_posix()
                if image in source.images:
                    raise node.error("file_name", "IMAGE_TWICE", "an earlier row names the same image")
                with source.errors.image(image):
                    size_wh = node.size_wh() if "width" in node and "height" in node else None
                    further = {key: value for key, value in node.value.items() if key not in _COLUMNS}
                    metadata = dump(further, node.where) if further else None
                    group = node.value.get(_GROUP)
                    group = group if isinstance(group, str) else None
                    source.add_image(image, node.where, size_wh, metadata=metadata, group=group)
                    for object_node, values in _objects(node):
                        with source.errors.row(image):
                            rows.append((image, *_object(object_node, values)))
    return source.rows_of(rows, ("image", "source", "category", *XYXY, *_OF_BOX, "attributes"))


def _lines(source: Source, name: str) -> Iterator[Node]:
    data = native.read_bytes(source.root, source.root / name).removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            with source.errors.file():  # whose image it is nobody knows
                yield parse_json(line, source.root, f"{name}:{number}").as_object()


def _csv(source: Source, name: str) -> Iterator[Node]:
    """Give the rows of a CSV file, whose field `objects` holds JSON."""
    dialect = Dialect(",", header=True, quoted=True, image_field="file_name")
    rows = source.rows([name], ("file_name", "objects"), dialect, of={name: folder_of(name)})
    for line, image, file_name, objects in rows.data.select("line", "image", "file_name", "objects").iter_rows():
        with source.errors.image(image):
            value = parse_json(objects.encode(), source.root, f"{name}:{line}").value if objects else None
            yield Node({"file_name": file_name, "objects": value}, f"{source.root}/", f"{name}:{line}#")


def _objects(node: Node) -> Iterator[tuple[Node, dict[str, Any]]]:
    """Give the place and the values of each object; objects are lists of one length, or a list of objects.

    Raises:
        InputError: They are neither.
    """
    if "objects" not in node:
        return
    if isinstance(node.value["objects"], list):
        for each in node.items("objects"):
            yield each, each.value
        return
    objects = node.child("objects")
    lists = {key: value for key, value in objects.value.items() if value is not None}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise objects.error(key, "JSON_TYPE", "expected a list with an entry for each object")
    lengths = {len(value) for value in lists.values()}
    if len(lengths) > 1:
        counts = ", ".join(f"{len(value)} {key}" for key, value in lists.items())
        raise node.error("objects", "HF_LENGTHS", f"the lists must be of one length, found {counts}")
    for i in range(max(lengths, default=0)):
        values = {key: value[i] for key, value in lists.items()}
        yield objects.below(str(i), values), values


def _object(node: Node, values: dict[str, Any]) -> tuple[Any, ...]:
    box_key = next((key for key in _BOXES if key in values), _BOXES[0])
    category_key = next((key for key in _CATEGORIES if key in values), _CATEGORIES[0])
    numbers, category = node.numbers(box_key, 4), values.get(category_key)
    if isinstance(category, str) and category.strip():
        class_key = f"'{category}"
    elif type(category) is int and 0 <= category < _MOST_CLASSES:
        class_key = f"#{category}"
    else:
        raise node.error(category_key, "JSON_VALUE", "expected the name or the index of a class")
    keys = {box_key, category_key, "iscrowd"}
    further = {key: value for key, value in values.items() if key not in keys and value is not None}
    is_crowd = node.flag("iscrowd", False)
    columns = take_columns({**further, "iscrowd": is_crowd}, _SHARES)
    attributes = {key: value for key, value in further.items() if key not in columns}
    said = [columns.get(key, False if key in FLAGS else None) for key in _OF_BOX]
    return node.source, class_key, *numbers, *said, dump(attributes, node.where) if attributes else None


def class_names(root: Path) -> list[str] | None:
    """Return the names that the head of `README.md` gives for the indices of a class, None where it gives none."""
    try:
        text = native.read_text(root, root / "README.md")
        head = text.split("---", 2)
        node = parse_yaml(head[1], root, "README.md") if len(head) == 3 and not head[0].strip() else None
    except InputError:  # it is a text for people; without it the indices are named by themselves
        return None
    lists = list(_labels(node.value)) if node is not None else []
    return lists[0] if len(lists) == 1 else None


def _labels(value: Any) -> Iterator[list[str]]:
    """Give the names of every class label below a value, in the order of their indices."""
    if isinstance(value, list):
        for each in value:
            yield from _labels(each)
    elif isinstance(value, dict):
        names = value["class_label"].get("names") if isinstance(value.get("class_label"), dict) else None
        if isinstance(names, dict) and set(names) == {str(i) for i in range(len(names))}:
            names = [names[str(i)] for i in range(len(names))]
        if isinstance(names, list) and all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names):
            yield names
        for each in value.values():
            yield from _labels(each)
