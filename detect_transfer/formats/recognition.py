"""Which native format a file or folder is of, by what lies there, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.formats import READERS

_MOST_BYTES = 256 * 2**20  # of a JSON file that is looked into
_MOST_FILES = 3  # JSON files of a folder that are looked into
_MOST_CHILDREN = 30  # folders below one that is not recognised
_PLACES = ("*.json", "annotations/*.json", "*/*.json")


@dataclass(frozen=True)
class Recognition:
    """A format and what shows it, in words."""

    format: str
    evidence: str


def recognition(path: Path) -> Recognition | None:
    """Return the format of what shows it, by its name or by the keys of its JSON; None where a name is needed."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return Recognition("yolo", f"{path.name} is a YAML file")
    if path.is_file():
        return _by_keys(path, path.name) if path.suffix.lower() == ".json" else None
    for name, form in READERS.items():
        if (proof := _lies_in(path, form.proof)) is not None:
            return Recognition(name, f"it holds {proof}")
    by_keys = [_by_keys(file, name) for file, name in _json_files(path)]
    shown = {each.format: each for each in by_keys if each is not None}
    # many published sets have a layout of their own around files with the keys of COCO
    return next(iter(shown.values())) if len(shown) == 1 and "coco" not in shown else None


def recognised(path: Path) -> str | None:
    """Return the format of what shows it, None where a name is needed; any other JSON file is taken for COCO."""
    known = recognition(path)
    if known is None and path.suffix.lower() == ".json":
        return "coco"
    return None if known is None else known.format


def likely(path: Path) -> list[str]:
    """Return the formats that a file or folder may be of, sorted."""
    folder = path if path.is_dir() else path.parent
    return sorted(name for name, form in READERS.items() if _lies_in(folder, form.hints) is not None)


def nearby(path: Path) -> tuple[Path, Recognition] | None:
    """Return the folder a level below or above that is recognised, where there is one alone."""
    below = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    for folders in (below[:_MOST_CHILDREN], [path.resolve().parent]):
        shown = [(folder, known) for folder in folders if (known := recognition(folder)) is not None]
        if len(shown) == 1:
            return shown[0]
    return None


def _lies_in(folder: Path, patterns: str) -> str | None:
    """Return the name of something in a folder that one of the patterns describes."""
    for pattern in patterns.split():
        if (path := next(folder.glob(pattern), None)) is not None:
            return path.relative_to(folder).as_posix()
    return None


def _json_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Give the first JSON files of a folder with their names."""
    for pattern in _PLACES:
        paths = sorted(folder.glob(pattern))[:_MOST_FILES]
        yield from ((path, path.relative_to(folder).as_posix()) for path in paths)
        if paths:
            return


def _by_keys(path: Path, name: str) -> Recognition | None:
    """Return the format that the keys of a JSON file are of."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        document = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, orjson.JSONDecodeError):
        return None
    first = document
    if isinstance(document, list):
        first = next((each for each in document if isinstance(each, dict)), {})
    elif isinstance(document, dict) and document and all(isinstance(each, dict) for each in document.values()):
        first = {**next(iter(document.values())), **document}  # an object of objects, as VIA writes it
    if not isinstance(first, dict):
        return None
    for format_name, keys, is_list in _KEYS:
        if isinstance(document, list) == is_list and keys(first):
            return Recognition(format_name, f"{name} has its keys")
    return None


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda document: set(names) <= document.keys()


_KEYS: tuple[tuple[str, Callable[[dict[str, Any]], bool], bool], ...] = (
    ("coco", _has("images", "annotations", "categories"), False),
    ("datumaro", _has("items", "categories"), False),
    ("labelme", _has("shapes", "imagePath"), False),
    ("via", _has("_via_img_metadata"), False),
    ("via", _has("project", "metadata", "view"), False),
    ("via", _has("filename", "regions"), False),
    ("darwin", _has("item", "annotations"), False),
    ("createml", _has("image", "annotations"), True),
    ("createml", _has("imagefilename", "annotation"), True),
    ("label_studio", _has("data", "annotations"), True),
    ("bdd100k", _has("name", "labels"), True),
)
