"""Which native format a file or folder is of, by what lies there, with the evidence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.file_signature import file_kind
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.io import list_files, read_bytes
from detect_transfer.core.opening import open_regular
from detect_transfer.formats import GENERAL, READERS
from detect_transfer.formats.tools.csv_boxes import images_of_head
from detect_transfer.formats.tools.registry import FORMATS as TOOLS
from detect_transfer.formats.unpacking.tables import SUFFIXES as TABLES
from detect_transfer.formats.unpacking.tfrecord import is_tfrecord

_MOST_BYTES = 256 * 2**20  # of a JSON file that is looked into
_MOST_FILES = 3  # JSON files of a folder that are looked into
_MOST_CHILDREN = 30  # folders below one that is not recognised
_PLACES = ("*{}", "annotations/*{}", "Annotations/*{}", "*/*{}")
_MOST_HEAD = 10_000  # bytes of a text file that are looked into
_ROOT = re.compile(rb"<\s*([A-Za-z]\w*)")  # the first element of an XML file
_MOST_BESIDE = 50  # images beside which a label is looked for
_YOLO_ROW = re.compile(rb"[0-9]+(?:\.0+)?(?:[ \t]+[-+.eE0-9]+){4,}")
_LIST_OF_CROPS = re.compile(r"GT-.*\.csv|TsignRecg.*\.txt")  # of GTSRB and TSRD
_ROOTS = {b"annotation": "voc", b"annotations": "cvat"}


@dataclass(frozen=True)
class Recognition:
    """A format and what shows it, in words."""

    format: str
    evidence: str


def recognition(path: Path) -> Recognition | None:
    """Return the format of what shows it, by its name or by the keys of its JSON; None where a name is needed.

    Raises:
        InputError: It is a pipe, a device or a socket.
    """
    if path.exists() and not path.is_dir() and not path.is_file():
        open_regular(path).close()  # which says what it is
    if path.suffix.lower() in (".yaml", ".yml"):
        return Recognition("yolo", f"{path.name} is a YAML file")
    if path.is_file():
        return _by_content(path, path.name)
    for name, form in READERS.items():
        if name == "data_folder" and not any(path.glob("annotations/instances_*.json")):
            continue  # `convert --to yolo` writes none: it is read as what was asked for
        if (proof := _lies_in(path, form.proof)) is not None:
            return Recognition(name, f"it holds {proof}")
    shown = {each.format: each for file, name in _files(path) if (each := _by_content(file, name)) is not None}
    if len(shown) != 1:
        return None if shown else _labels_beside_images(path)
    (only,) = shown.values()
    # many published sets have a layout of their own around files of these formats
    is_theirs = only.format in ("coco", "cvat", "voc", "csv") and not {*likely(path)} <= _GENERAL_ONES
    return None if is_theirs else only


def recognised(path: Path) -> str | None:
    """Return the format of what shows it, None where a name is needed; any other JSON file is taken for COCO."""
    shown = recognition(path)
    if shown is None and path.suffix.lower() == ".json":
        return "coco"
    return None if shown is None else shown.format


def likely(path: Path) -> list[str]:
    """Return the formats that a file or folder may be of, sorted."""
    folder = path if path.is_dir() else path.parent
    return sorted(name for name, form in READERS.items() if _lies_in(folder, form.hints) is not None)


def only_published(path: Path) -> Recognition | None:
    """Return the one published set whose layout lies there, beside hints of tools, which fit many layouts."""
    published = sorted({*likely(path)} - _GENERAL_ONES - _VAGUE)
    if len(published) != 1 or not path.is_dir():
        return None
    return Recognition(published[0], f"it holds {_lies_in(path, READERS[published[0]].hints)}")


def why_unread(folder: Path) -> tuple[str, str] | None:
    """Return why a file, or what lies in a folder, cannot be read as it is, and what to do, where that is known."""
    if folder.is_file():
        with open_regular(folder) as stream:
            kind = file_kind(stream.read(_MOST_HEAD))
        return None if kind is None else (f"the file is {kind[0]}", kind[1])
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.*")) if path.is_file()]
    names = [name for name in names if not PurePosixPath(name).name.startswith(".")]
    if names and all(name.lower().endswith(IMAGE_SUFFIXES) for name in names):
        what = f"it holds {len(names):,} images and no annotations"
        return what, "put the annotations there, or name the file or folder that holds them"
    crops = next((name for name in names if _LIST_OF_CROPS.fullmatch(PurePosixPath(name).name)), None)
    if crops is not None:
        what = f"{crops} lists crops that show one sign each, a set for classification"
        return what, "for detection give scenes, such as those of GTSDB"
    if names and all(name.lower().endswith(_ARCHIVES) for name in names):
        return f"it holds archives alone, such as {names[0]}", "unpack them, and give the folder of what they hold"
    packed = next((name for name in names if name.lower().endswith(TABLES) or is_tfrecord(name)), None)
    if packed is not None:
        what = f"{packed} may hold images with their annotations"
        return what, "bring them out with detect-transfer unpack, then convert what it wrote"
    return None


def nearby(path: Path) -> tuple[Path, Recognition] | None:
    """Return the folder a level below or above that is recognised, where there is one alone."""
    return below(path) or _only([path.resolve().parent])


def below(path: Path) -> tuple[Path, Recognition] | None:
    """Return the folder in another that is recognised, where there is one alone."""
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return _only(folders[:_MOST_CHILDREN])


def _only(folders: list[Path]) -> tuple[Path, Recognition] | None:
    """Return the one folder that is recognised; what else lies there, and may just be going, is of no concern."""
    shown = []
    for folder in folders:
        with suppress(OSError, DetectTransferError):
            if (each := recognition(folder) or only_published(folder)) is not None:
                shown.append((folder, each))
    return shown[0] if len(shown) == 1 else None


def _lies_in(folder: Path, patterns: str) -> str | None:
    """Return the name of something in a folder that one of the patterns describes."""
    for pattern in patterns.split():
        if (path := next(folder.glob(pattern), None)) is not None:
            return path.relative_to(folder).as_posix()
    return None


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Give the first annotation files of a folder with their names, of the first kind that is there."""
    for suffix in (".json", ".xml", ".csv"):
        for pattern in _PLACES:
            paths = sorted(folder.glob(pattern.format(suffix)))[:_MOST_FILES]
            yield from ((path, path.relative_to(folder).as_posix()) for path in paths)
            if paths:
                return


def _by_content(path: Path, name: str) -> Recognition | None:
    """Return the format that the content of a file shows."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _by_keys(path, name)
    if suffix not in (".xml", ".csv") or not path.is_file():
        return None
    try:
        with open_regular(path) as stream:
            head = stream.read(_MOST_HEAD)
    except OSError:
        return None
    if suffix == ".csv":
        return _csv(path, name, head.decode("utf-8-sig", "replace").rpartition("\n")[0])
    root = _ROOT.search(head)
    kind = _ROOTS.get(root[1]) if root else None
    return Recognition(kind, f"the element of {name} is <{root[1].decode()}>") if root and kind else None


def _csv(path: Path, name: str, head: str) -> Recognition | None:
    """Return what a CSV file is whose rows name images that are there, or that has none beside it."""
    stems = images_of_head(head)
    if stems is None:
        return None
    there = {PurePosixPath(image).stem for image in list_files(path.parent, IMAGE_SUFFIXES)}
    return Recognition("csv", f"{name} has a header of boxes") if not there or there & {*stems} else None


def _labels_beside_images(folder: Path) -> Recognition | None:
    """Return YOLO where texts of an image's stem beside it hold rows of a class number and a box."""
    images = [path for path in sorted(folder.glob("*.*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    for image in images[:_MOST_BESIDE]:
        text = image.with_suffix(".txt")
        if text.is_file():
            with open_regular(text) as stream:
                lines = stream.read(_MOST_HEAD).split(b"\n")
            line = next((line.strip() for line in lines if line.strip()), b"")
            if _YOLO_ROW.fullmatch(line):
                return Recognition("yolo", f"{text.name} beside {image.name} holds class numbers and boxes")
    return None


def _by_keys(path: Path, name: str) -> Recognition | None:
    """Return the format that the keys of a JSON file are of."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return None
        document = orjson.loads(read_bytes(path).removeprefix(b"\xef\xbb\xbf"))
    except (OSError, DetectTransferError, orjson.JSONDecodeError):
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


# formats of tools whose hints say no more than that there are JSON, XML or CSV files
_GENERAL_ONES = {*GENERAL, *TOOLS, "caltech"} - {
    *("roboflow_csv", "keras_csv", "openimages", "hf_imagefolder", "supervisely"),
}
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
_VAGUE = {"tju"}  # its files are called as those of many


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
    ("label_studio", _has("annotator", "annotation_id"), True),  # JSON-MIN
    ("bdd100k", _has("name", "labels"), True),
)
