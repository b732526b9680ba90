"""What "almost COCO" files write otherwise, where its meaning is beyond doubt.

Every change is counted by kind; what is not listed here stays as it is, and is a fault.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

from detect_transfer.formats.coco.json import Items
from detect_transfer.formats.coco.load import NAMES_OF_FILE
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import NearbyImages, foreign_tails, is_foreign, path_of_address
from detect_transfer.formats.parsing.numbers import parse_integer, parse_number

_Kind = Literal["box", "image"]
Changes = Counter[tuple[_Kind, str]]
_WHOLE = {"images": ("id", "width", "height"), "annotations": ("id", "image_id", "category_id"), "categories": ("id",)}


def loosen(document: dict[str, Items], errors: ErrorCollector, folder: Path) -> None:
    """Write the objects again, in place, as COCO has them, with a remark in `errors` for each kind of change.

    Whole numbers that are written as floats or strings become integers, other texts in the place of ids are numbered,
    numbers of boxes that are written as strings are read, `im_name`, `filename` or `image_name` becomes
    `file_name`, annotations without `id` are numbered after the highest one, and a path of another machine that no
    image ends like loses what leads out of the folder.

    Args:
        document: The lists of objects.
        errors: Gets the remarks.
        folder: Where images are looked for.
    """
    changes: Changes = Counter()
    _number_texts(document, changes)
    _read_sides(document["annotations"], changes)
    for name, keys in _WHOLE.items():
        kind: _Kind = "image" if name == "images" else "box"
        for key in keys:
            if {type(item.get(key)) for item in document[name]} <= {int}:
                continue  # as nearly always; this looks at a column in a tenth of the time
            for item in document[name]:
                how = _make_whole(item, key)
                if how:
                    changes[kind, f"{name}: {key} written as {how}"] += 1
    _loosen_names(document["images"], changes, errors, folder)
    without = [item for item in document["annotations"] if item.get("id") is None]
    given_ids = [item["id"] for item in document["annotations"] if type(item.get("id")) is int]
    for number, item in enumerate(without, start=max(given_ids, default=0) + 1):
        item["id"] = number
        changes["box", "annotation without id numbered"] += 1
    for (kind, reason), count in changes.items():
        errors.remark(reason, count, kind=kind)


def _number_texts(document: dict[str, Items], changes: Changes) -> None:
    """Number the ids of images, classes and annotations, where all of a list are texts and some no whole numbers."""
    keys: tuple[tuple[str, _Kind, tuple[tuple[str, str], ...]], ...] = (
        ("images", "image", (("images", "id"), ("annotations", "image_id"))),
        ("categories", "box", (("categories", "id"), ("annotations", "category_id"))),
        ("annotations", "box", (("annotations", "id"),)),
    )
    for name, kind, places in keys:
        ids = [item.get("id") for item in document[name]]
        texts = [each for each in ids if isinstance(each, str) and parse_integer(each) is None]
        if not texts or not all(isinstance(each, str) and each for each in ids):
            continue  # one among numbers is a slip
        numbers = [number for each in ids if (number := parse_integer(str(each))) is not None]
        number_of = {text: i for i, text in enumerate(dict.fromkeys(texts), start=max(numbers, default=0) + 1)}
        for where, key in places:
            for item in document[where]:
                if isinstance(item.get(key), str) and item[key] in number_of:
                    item[key] = number_of[item[key]]
        changes[kind, f"{name}: id that is a text numbered"] += len(texts)


def _read_sides(annotations: Items, changes: Changes) -> None:
    """Read the numbers of boxes that are written as strings."""
    for item in annotations:
        if isinstance(box := item.get("bbox"), list) and str in set(map(type, box)):
            sides = [parse_number(side) if isinstance(side, str) else side for side in box]
            if None not in sides:
                item["bbox"] = sides
                changes["box", "bbox written as strings"] += 1


def _loosen_names(images: Items, changes: Changes, errors: ErrorCollector, folder: Path) -> None:
    """Give each image a `file_name` inside the folder, and count the changes."""
    for item in images:
        given = next((key for key in NAMES_OF_FILE if key in item), None)
        if "file_name" not in item and given is not None:
            item["file_name"] = item.pop(given)
            changes["image", f"{given} taken for file_name"] += 1
    find_foreign(images, errors, folder)
    for item in images:
        if _is_foreign(item) and (tails := foreign_tails(path_of_address(item["file_name"]))):
            item["file_name"] = tails[0]
            changes["image", "path of another machine, without what leads out of the folder"] += 1


def find_foreign(images: Items, errors: ErrorCollector, folder: Path) -> None:
    """Name, in place, the images whose path is of another machine by those whose paths end most alike.

    Of one without a `file_name` it is the `coco_url`, as LVIS has it.

    Args:
        images: The objects; a path that no image ends like, or several do, stays as it is.
        errors: Gets a remark.
        folder: Where images are looked for.
    """
    for item in images:
        if "file_name" not in item and "coco_url" in item:
            item["file_name"] = item["coco_url"]
    foreign = [item for item in images if _is_foreign(item)]
    if not foreign:
        return
    nearby, moved = NearbyImages(folder), []
    for item in foreign:
        nearest = nearby.only(path_of_address(item["file_name"]))
        if nearest is not None:
            moved.append(f"{item['file_name']} is {nearest}")
            item["file_name"] = nearest
    errors.remark(
        "path of another machine: the image whose path ends most alike", len(moved), tuple(moved), kind="image"
    )


def _is_foreign(image: dict[str, Any]) -> bool:
    return isinstance(name := image.get("file_name"), str) and is_foreign(name)


def _make_whole(item: dict[str, Any], key: str) -> str:
    """Make an integer of a whole number and return how it was written, empty where nothing was to be done."""
    value = item.get(key)
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        item[key] = int(value)
        return "a float"
    if type(value) is str and (number := parse_integer(value)) is not None:
        item[key] = number
        return "a string"
    return ""
