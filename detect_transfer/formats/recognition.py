"""Which native format a file or folder is of, by what lies there, with the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.file_signature import file_kind
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.opening import open_regular, real_path
from detect_transfer.formats import GENERAL, READERS
from detect_transfer.formats.file_content import MOST_HEAD, Recognition, by_content, labels_beside_images
from detect_transfer.formats.tools.registry import FORMATS as TOOLS
from detect_transfer.formats.unpacking.tables import SUFFIXES as TABLES
from detect_transfer.formats.unpacking.tfrecord import is_tfrecord

_MOST_FILES = 3  # JSON files of a folder that are looked into
_MOST_CHILDREN = 30  # folders below one that is not recognised
_PLACES = ("*{}", "annotations/*{}", "Annotations/*{}", "*/*{}")
_LIST_OF_CROPS = re.compile(r"GT-.*\.csv|TsignRecg.*\.txt")  # of GTSRB and TSRD


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
        return by_content(path, path.name)
    if (shown := _by_proof(path)) is not None:
        return shown
    files = dict(_files(path))
    found = {each.format: each for file, name in files.items() if (each := by_content(file, name)) is not None}
    if not found:
        # the classes of labels without a list of them stand in the folder around
        return None if _by_proof(real_path(path).parent) else labels_beside_images(path)
    if len(found) > 1:
        return None
    (only,) = found.values()
    # many published sets have a layout of their own around files of these formats
    folders = (path, *(file.parent for file in files))
    may_be = sets_around(path).union(*map(likely, folders))
    is_theirs = only.format in ("coco", "cvat", "voc", "csv") and not may_be <= _GENERAL_ONES
    return None if is_theirs else only


def _by_proof(path: Path) -> Recognition | None:
    """Return the format whose proof lies in a folder."""
    for name, form in READERS.items():
        if name == "data_folder" and not any(path.glob("annotations/instances_*.json")):
            continue  # `convert --to yolo` writes none: it is read as what was asked for
        if (proof := _lies_in(path, form.proof)) is not None:
            return Recognition(name, f"it holds {proof}")
    return None


def best_guess(path: Path) -> Recognition | None:
    """Return what `recognition` does, else the only format, or only published set, that what lies there may be of.

    None where a folder in it or around it is what may be meant.
    """
    shown = recognition(path)
    if shown is not None or not path.exists():
        return shown
    inner = below(path) if path.is_dir() else None
    return _only_likely(path, inner) or only_published(path)


def readable_as(path: Path) -> list[str]:
    """Return the formats of `likely` whose readers tell by reading; none where a folder below or above is meant."""
    names = likely(path)
    elsewhere = not sets_around(path) <= {*names} or (len(names) == 1 and best_guess(path) is None)
    return [] if elsewhere else names


def _only_likely(path: Path, inner: tuple[Path, Recognition] | None = None) -> Recognition | None:
    """Return the one format that what lies there may be of, unless another set lies in it or around it."""
    names = likely(path)
    others = sets_around(path) | ({inner[1].format} if inner is not None else set())
    if len(names) == 1 and others <= {*names}:
        return Recognition(names[0], "what lies there fits it alone")
    return None


def sets_around(folder: Path) -> set[str]:
    """Return the published sets that a folder is a part of, by its name and what lies in it, such as ``xml/*.xml``.

    One that holds images beside its annotations is whole, whatever its name.
    """
    name = real_path(folder).name
    if not folder.is_dir() or any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        return set()
    return {
        key
        for key, form in READERS.items()
        for first, _, rest in (pattern.partition("/") for pattern in form.hints.split())
        if rest and fnmatchcase(name, first) and key not in _GENERAL_ONES | VAGUE
        if next(folder.glob(rest), None) is not None
    }


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
    published = sorted({*likely(path)} - _GENERAL_ONES - VAGUE)
    if len(published) != 1 or not path.is_dir() or not sets_around(path) <= {*published}:
        return None
    return Recognition(published[0], f"it holds {_lies_in(path, READERS[published[0]].hints)}")


def why_unread(folder: Path) -> tuple[str, str] | None:
    """Return why a file, or what lies in a folder, cannot be read as it is, and what to do, where that is known."""
    if folder.is_file():
        with open_regular(folder) as stream:
            kind = file_kind(stream.read(MOST_HEAD))
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
    inner = below(path)
    around = sets_around(path) - {*likely(path)}
    if inner is None and len(around) == 1:
        return real_path(path).parent, Recognition(around.pop(), f"{path.name} is a part of it")
    return inner or _above(real_path(path))


def _above(path: Path) -> tuple[Path, Recognition] | None:
    """Return the folder above where it is recognised, by something else than what lies in a folder beside."""
    parent = path.parent
    with suppress(OSError, DetectTransferError):
        shown = _by_proof(parent) or only_published(parent)
        if shown is None and any(file.parent in (parent, path, *_annotations(parent)) for file, _ in _files(parent)):
            shown = recognition(parent)
        lone = _only_likely(parent)
        if shown is None and lone is not None:
            first, _, rest = (_lies_in(parent, READERS[lone.format].hints) or "").partition("/")
            shown = lone if not rest or first in (path.name, "annotations") else None
        return None if shown is None else (parent, shown)
    return None


def _annotations(folder: Path) -> tuple[Path, Path]:
    return folder / "annotations", folder / "Annotations"


def below(path: Path) -> tuple[Path, Recognition] | None:
    """Return the folder in another that is recognised, where there is one alone."""
    return _only(_folders_in(path))


def likely_below(path: Path) -> tuple[Path, list[str]] | None:
    """Return the folder in another, with the formats that it may be of, where there is one alone."""
    shown = [(folder, names) for folder in _folders_in(path) if (names := likely(folder))]
    return shown[0] if len(shown) == 1 else None


def _folders_in(path: Path) -> list[Path]:
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return folders[:_MOST_CHILDREN]


def _only(folders: list[Path]) -> tuple[Path, Recognition] | None:
    """Return the one folder that is recognised; what else lies there, and may just be going, is of no concern."""
    shown = []
    for folder in folders:
        with suppress(OSError, DetectTransferError):
            if (each := recognition(folder) or only_published(folder) or _only_likely(folder)) is not None:
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


# formats of tools whose hints say no more than that there are JSON, XML or CSV files
_GENERAL_ONES = {*GENERAL, *TOOLS, "caltech"} - {
    *("roboflow_csv", "keras_csv", "openimages", "hf_imagefolder", "supervisely"),
}
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
VAGUE = {"tju"}  # its files are called as those of many
