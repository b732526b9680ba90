"""The rows of `metadata.jsonl` and `metadata.csv`, one an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.json_boxes import as_attributes
from detect_transfer.formats.parsing.json_nodes import Node, parse_json
from detect_transfer.formats.parsing.yaml_nodes import parse_yaml

_BOXES = ("bbox", "bboxes", "boxes")
_CATEGORIES = ("category", "categories", "label", "labels", "category_id", "class", "classes")
_KNOWN = {"file_name", "objects", "width", "height"}
_MOST_CLASSES = 100_000
Row = tuple[str, str, float, float, float, float, bool, str | None]


@dataclass
class Annotated:
    """What a row says of an image; each object as source, category, four numbers, crowd and attributes.

    A category is marked: ``'name`` or ``#index``.
    """

    source: str
    size_wh: tuple[int, int] | None
    metadata: str | None
    rows: list[Row] = field(default_factory=list)


def read_metadata(root: Path, names: Sequence[str], problems: ErrorCollector) -> dict[str, Annotated]:
    """Return what the files say of each image, by its name relative to `root`; faults go to `problems`."""
    found: dict[str, Annotated] = {}
    for name in names:
        folder = PurePosixPath(name).parent
        for node in _csv(root, name, problems) if name.endswith(".csv") else _lines(root, name, problems):
            try:
                image = (folder / node.string("file_name").replace("\\", "/")).as_posix()
                if image in found:
                    raise node.error("file_name", "IMAGE_TWICE", "an earlier row names the same image")
            except InputError as error:
                problems.put(error)
                continue
            found[image] = Annotated(node.source, None, None)
            with problems.image(image):
                found[image] = _annotated(node, image, problems)
    return found


def _lines(root: Path, name: str, problems: ErrorCollector) -> Iterator[Node]:
    data = native.read_bytes(root, root / name).removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(data.split(b"\n"), start=1):
        if line.strip():
            try:
                yield parse_json(line, root, f"{name}:{number}").as_object()
            except InputError as error:  # whose image it is nobody knows
                problems.put(error)


def _csv(root: Path, name: str, problems: ErrorCollector) -> Iterator[Node]:
    """Give the rows of a CSV file, whose field `objects` holds JSON."""
    dialect = Dialect(",", header=True, quoted=True, image_field="file_name")
    folder = PurePosixPath(name).parent.as_posix()
    rows = read_delimited(root, {name: None if folder == "." else folder}, ("file_name", "objects"), dialect, problems)
    for line, image, file_name, objects in rows.select("line", "image", "file_name", "objects").iter_rows():
        with problems.image(image):
            value = parse_json(objects.encode(), root, f"{name}:{line}").value if objects else None
            yield Node({"file_name": file_name, "objects": value}, f"{root}/", f"{name}:{line}#")


def _annotated(node: Node, image: str, problems: ErrorCollector) -> Annotated:
    further = {key: value for key, value in node.value.items() if key not in _KNOWN}
    size = (node.whole("width"), node.whole("height")) if "width" in node and "height" in node else None
    if size is not None and not all(0 < side < 2**31 for side in size):
        raise node.error("width", "IMAGE_SIZE", "width and height must be at least 1")
    found = Annotated(node.source, size, as_attributes(further))
    for place, one in _objects(node):
        with problems.row(image):
            found.rows.append(_row(place, one))
    return found


def _objects(node: Node) -> Iterator[tuple[Node, dict[str, Any]]]:
    """Give the place and the facts of each object; they are lists of one length, or a list of objects.

    Raises:
        InputError: They are neither.
    """
    if "objects" not in node:
        return
    if isinstance(node.value["objects"], list):
        for one in node.items("objects"):
            yield one, one.value
        return
    objects = node.child("objects")
    lists = {key: value for key, value in objects.value.items() if value is not None}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise objects.error(key, "JSON_TYPE", "expected a list with an entry for each object")
    lengths = {len(value) for value in lists.values()}
    if len(lengths) > 1:
        told = ", ".join(f"{len(value)} {key}" for key, value in lists.items())
        raise node.error("objects", "HF_LENGTHS", f"the lists must be of one length, found {told}")
    for i in range(max(lengths, default=0)):
        facts = {key: value[i] for key, value in lists.items()}
        yield objects.below(str(i), facts), facts


def _row(place: Node, one: dict[str, Any]) -> Row:
    key = next((key for key in _BOXES if key in one), _BOXES[0])
    a, b, c, d = place.numbers(key, 4)
    named = next((key for key in _CATEGORIES if key in one), _CATEGORIES[0])
    category = one.get(named)
    if isinstance(category, str) and category.strip():
        marked = f"'{category}"
    elif type(category) is int and 0 <= category < _MOST_CLASSES:
        marked = f"#{category}"
    else:
        raise place.error(named, "JSON_VALUE", "expected the name or the index of a class")
    crowd = place.flag("iscrowd", False)
    further = {name: value for name, value in one.items() if name not in (key, named, "iscrowd")}
    return place.source, marked, a, b, c, d, crowd, as_attributes(further)


def class_names(root: Path) -> list[str] | None:
    """Return the names that the head of `README.md` gives for the indices of a class, None where it gives none."""
    try:
        text = native.read_text(root, root / "README.md")
        head = text.split("---", 2)
        node = parse_yaml(head[1], root, "README.md") if len(head) == 3 and not head[0].strip() else None
    except InputError:  # it is a text for people; without it the indices are named by themselves
        return None
    found = list(_labels(node.value)) if node is not None else []
    return found[0] if len(found) == 1 else None


def _labels(value: Any) -> Iterator[list[str]]:
    """Give the names of every class label below a value, in the order of their indices."""
    if isinstance(value, list):
        for one in value:
            yield from _labels(one)
    elif isinstance(value, dict):
        names = value["class_label"].get("names") if isinstance(value.get("class_label"), dict) else None
        if isinstance(names, dict) and set(names) == {str(i) for i in range(len(names))}:
            names = [names[str(i)] for i in range(len(names))]
        if isinstance(names, list) and all(isinstance(n, str) and n for n in names) and len(set(names)) == len(names):
            yield names
        for one in value.values():
            yield from _labels(one)
