"""The images that annotations name: are they there, and how large are they?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from detect_transfer.core import io
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

By = Literal["name", "stem", "basename", "tail"]
MISSING_IMAGES = ("error", "keep", "skip")
SIZE_MISMATCH = ("error", "keep")
MISSING_REMEDY = (
    "restore it, or read with missing_images=keep (convert: --image-mode none) to go without images, =skip to leave "
    "its rows out"
)
_PLAIN = re.compile(r"\w[\w .-]*")
_KEY_OF: Mapping[By, Callable[[str], str]] = {
    "name": lambda name: name,
    "stem": lambda name: native.stem_of(name),
    "basename": lambda name: PurePosixPath(name).name,
    "tail": lambda name: native.stem_of(name),
}


@dataclass(frozen=True)
class ImageRef:
    """What annotations say of an image.

    Args:
        where: The first place that names it, ``file:line`` or ``file#/pointer``, for messages.
        size_wh: Its size, where it is told.
    """

    where: str
    size_wh: native.SizeWh | None = None


@dataclass(frozen=True)
class FoundImage:
    """An image as it goes into the table: its name relative to the root, and its size where that is known."""

    file_name: str
    size_wh: native.SizeWh | None


@dataclass(frozen=True)
class ImageLookup:
    """How named images are found, and what is done where they are not.

    Args:
        by: Whether an image is found by its whole name, by its name without the suffix, by the last part alone, or
            (``tail``) without the suffix in whatever folder its path ends as the name does.
        missing_images: ``error``; ``keep`` goes on with what the annotations say of the size; ``skip`` leaves the
            image and its rows out, which the ledger counts.
        size_mismatch: ``error``, or ``keep`` to trust the image where the annotation states another size.

    Raises:
        InputError: There is no such choice.
    """

    by: By = "name"
    missing_images: str = "error"
    size_mismatch: str = "error"

    def __post_init__(self) -> None:
        """Check the choices."""
        native.check_choice("missing_images", self.missing_images, MISSING_IMAGES)
        native.check_choice("size_mismatch", self.size_mismatch, SIZE_MISMATCH)


def find_images(
    root: Path, named: Mapping[str, ImageRef], media: ImageLookup, problems: ErrorCollector
) -> dict[str, FoundImage]:
    """Find the images that annotations name.

    Args:
        root: The folder that names are relative to.
        named: What is said of each, by the name that the annotations use.
        media: How.
        problems: Where faults go, each of its image.

    Returns:
        The image of each name, in the order of `named`; one that is left out or at fault is not among them. A name
        that fits several images is at fault, unless it is the whole name of one.
    """
    held = io.list_files(root, IMAGE_SUFFIXES) if root.is_dir() else []
    fitting = _fitting(held, named, media.by)
    there = {name: fit[0] for name, fit in fitting.items() if len(fit) == 1}
    sizes = dict(zip(there, native.read_sizes(root, there.values(), problems), strict=True))
    images: dict[str, FoundImage] = {}
    absent: list[str] = []
    inside: set[str] = set()
    for name, told in named.items():
        if name in there:
            size = sizes[name]
            if size is None:
                continue  # reported
            if told.size_wh is not None and media.size_mismatch == "error":
                native.check_size(told.size_wh, size, where=told.where, image=there[name], problems=problems)
            images[name] = FoundImage(there[name], size)
        elif fitting[name]:
            _report_several(told, (name, fitting[name]), problems)
        elif media.missing_images == "keep":
            with problems.image(name):
                _check_inside(root, name, told.where, inside)
                images[name] = FoundImage(name, told.size_wh)
        elif media.missing_images == "skip":
            absent.append(name)
        else:
            _report(root, name, told, problems)
    problems.note("image is not there", len(absent), tuple(absent), kind="image")
    return images


def _check_inside(root: Path, name: str, where: str, folders: set[str]) -> None:
    """Refuse a name that leads out of `root`; `folders` are those known to lie in it, for following links is slow."""
    folder, _, last = name.rpartition("/")
    if folder not in folders or not _PLAIN.fullmatch(last):
        io.safe_join(root, name, where=where)
        folders.add(folder)


def _fitting(held: Iterable[str], named: Iterable[str], by: By) -> dict[str, list[str]]:
    """Map each name to the images that it fits."""
    key_of = _KEY_OF[by]
    tidy = {name: PurePosixPath(name).as_posix() for name in named if "//" in name or "./" in name}
    wanted = {name: key_of(tidy.get(name, name)) for name in named}
    by_key: dict[str, list[str]] = {key: [] for key in wanted.values()}
    for path in held:
        key = key_of(path)
        while True:
            if key in by_key:
                by_key[key].append(path)
            if by != "tail" or "/" not in key:
                break
            key = key.partition("/")[2]
    return {name: [name] if name in by_key[key] else by_key[key] for name, key in wanted.items()}


def _report_several(told: ImageRef, fit: tuple[str, list[str]], problems: ErrorCollector) -> None:
    name, paths = fit
    problems.add(
        "IMAGE_TWICE",
        f"{len(paths)} images fit this name: {', '.join(paths[:3])}",
        where=told.where,
        field="image",
        value=name,
        image=name,
        remedy="remove or rename all but one, or give the folder of one of them",
    )


def _report(root: Path, name: str, told: ImageRef, problems: ErrorCollector) -> None:
    if problems.full:
        problems.count(1)
        return
    with problems.image(name):
        io.safe_join(root, name, where=told.where)
        problems.add(
            "IMAGE_MISSING",
            f"there is no such image in {root}",
            where=told.where,
            field="image",
            value=name,
            image=name,
            remedy=MISSING_REMEDY,
        )
