"""The pictures that annotations name: are they there, and how large are they? Imports rank 0 and `_native`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from detect_transfer import files
from detect_transfer.formats import _native
from detect_transfer.formats._problems import Problems
from detect_transfer.images import IMAGE_SUFFIXES

By = Literal["name", "stem", "basename"]
MISSING_IMAGES = ("error", "keep", "skip")
SIZE_MISMATCH = ("error", "keep")
_KEY_OF: Mapping[By, Callable[[str], str]] = {
    "name": lambda name: name,
    "stem": lambda name: _native.stem_of(name),
    "basename": lambda name: PurePosixPath(name).name,
}


@dataclass(frozen=True)
class Named:
    """What annotations say of a picture.

    Args:
        where: The first place that names it, ``file:line`` or ``file#/pointer``, for messages.
        size_wh: Its size, where it is told.
    """

    where: str
    size_wh: _native.SizeWh | None = None


@dataclass(frozen=True)
class Picture:
    """A picture as it goes into the table: its name relative to the root, and its size where that is known."""

    file_name: str
    size_wh: _native.SizeWh | None


@dataclass(frozen=True)
class Media:
    """How named pictures are found, and what is done where they are not.

    Args:
        by: Whether a picture is found by its whole name, by its name without the suffix, or by the last part alone.
        missing_images: ``error``; ``keep`` goes on with what the annotations say of the size; ``skip`` leaves the
            picture and its rows out, which the ledger counts.
        size_mismatch: ``error``, or ``keep`` to trust the picture where the annotation states another size.

    Raises:
        InputError: There is no such choice.
    """

    by: By = "name"
    missing_images: str = "error"
    size_mismatch: str = "error"

    def __post_init__(self) -> None:
        """Check the choices."""
        _native.check_choice("missing_images", self.missing_images, MISSING_IMAGES)
        _native.check_choice("size_mismatch", self.size_mismatch, SIZE_MISMATCH)


def find_pictures(root: Path, named: Mapping[str, Named], media: Media, problems: Problems) -> dict[str, Picture]:
    """Find the pictures that annotations name.

    Args:
        root: The folder that names are relative to.
        named: What is said of each, by the name that the annotations use.
        media: How.
        problems: Where faults go, each of its picture.

    Returns:
        The picture of each name, in the order of `named`; one that is left out or at fault is not among them.
    """
    key_of = _KEY_OF[media.by]
    held: dict[str, str] = {}
    for name in files.list_files(root, IMAGE_SUFFIXES) if root.is_dir() else ():
        held.setdefault(key_of(name), name)
    found = {name: held.get(key_of(PurePosixPath(name).as_posix())) for name in named}
    there = {name: path for name, path in found.items() if path is not None}
    sizes = dict(zip(there, _native.read_sizes(root, there.values(), problems), strict=True))
    pictures: dict[str, Picture] = {}
    absent: list[str] = []
    for name, told in named.items():
        if name in there:
            size = sizes[name]
            if size is not None:
                if told.size_wh is not None and media.size_mismatch == "error":
                    _native.check_size(told.size_wh, size, where=told.where, picture=there[name], problems=problems)
                pictures[name] = Picture(there[name], size)
        elif media.missing_images == "keep":
            with problems.picture(name):
                files.safe_join(root, name, where=told.where)
                pictures[name] = Picture(name, told.size_wh)
        elif media.missing_images == "skip":
            absent.append(name)
        else:
            _report(root, name, told, problems)
    problems.note("picture is not there", len(absent), tuple(absent), kind="image")
    return pictures


def _report(root: Path, name: str, told: Named, problems: Problems) -> None:
    with problems.picture(name):
        files.safe_join(root, name, where=told.where)
        problems.add(
            "IMAGE_MISSING",
            f"there is no such picture in {root}",
            where=told.where,
            field="image",
            value=name,
            image=name,
            remedy="restore it, or read with missing_images=keep to go without pictures, =skip to leave its rows out",
        )
