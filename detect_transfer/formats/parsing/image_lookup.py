"""The images that annotations name: are they there, and how large are they?"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from detect_transfer.core import io
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import MOVED, NearbyImages, foreign_tails, is_foreign

By = Literal["name", "stem", "basename", "tail"]
MISSING_IMAGES = ("error", "keep", "skip")
SIZE_MISMATCH = ("error", "keep")
_MISSING_SHARES_REMEDY = (
    "restore it, or read with missing_images=skip to leave its rows out: they are shares of its size"
)
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
        size_wh: Its size, where it is stated.
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
    """How named images are found, and what is done where they are not: the options of `Source` of these names.

    Args:
        by: As for `Source`.
        missing_images: As for `Source`.
        size_mismatch: As for `Source`.
        need_sizes: Whether boxes are shares of images whose size nothing else states.

    Raises:
        InputError: There is no such choice.
    """

    by: By = "name"
    missing_images: str = "error"
    size_mismatch: str = "error"
    need_sizes: bool = False

    def __post_init__(self) -> None:
        """Check the choices."""
        native.check_choice("missing_images", self.missing_images, MISSING_IMAGES)
        native.check_choice("size_mismatch", self.size_mismatch, SIZE_MISMATCH)

    @property
    def missing_remedy(self) -> str:
        """What to do about an image that is not there."""
        return _MISSING_SHARES_REMEDY if self.need_sizes else MISSING_REMEDY


def find_images(
    root: Path, refs: Mapping[str, ImageRef], lookup: ImageLookup, errors: ErrorCollector
) -> dict[str, FoundImage]:
    """Find the images that annotations name.

    Args:
        root: The folder that names are relative to.
        refs: What is said of each, by the name that the annotations use.
        lookup: How.
        errors: Where faults go, each of its image.

    Returns:
        The image of each name, in the order of `refs`; one that is left out or at fault is not among them. A name
        that fits several images is at fault, unless it is the whole name of one.
    """
    paths = io.list_files(root, IMAGE_SUFFIXES) if root.is_dir() else []
    fitting = _fitting(paths, refs, lookup.by)
    if unfit := [name for name, fit in fitting.items() if not fit and not is_foreign(name) and "\0" not in name]:
        fitting |= _by_real_folder(root, paths, unfit, lookup.by)
    if foreign := [name for name, fit in fitting.items() if not fit and is_foreign(name)]:
        fitting |= _ending_alike(paths, foreign, lookup.by, errors)
    path_of = {name: fit[0] for name, fit in fitting.items() if len(fit) == 1}
    sizes = dict(zip(path_of, native.read_sizes(root, path_of.values(), errors), strict=True))
    images: dict[str, FoundImage] = {}
    absent: list[str] = []
    inside: set[str] = set()
    for name, ref in refs.items():
        if name in path_of:
            size = sizes[name]
            if size is None:
                continue  # reported
            if ref.size_wh is not None and lookup.size_mismatch == "error":
                native.check_size(ref.size_wh, size, where=ref.where, image=path_of[name], errors=errors)
            images[name] = FoundImage(path_of[name], size)
        elif fitting[name]:
            _report_several(name, ref, fitting[name], errors)
        elif lookup.missing_images == "keep":
            with errors.image(name):
                file_name = _inside(name)
                _check_inside(root, file_name, ref.where, inside)
                images[name] = FoundImage(file_name, ref.size_wh)
        elif lookup.missing_images == "skip":
            absent.append(name)
        else:
            _report_missing(root, name, ref, lookup.missing_remedy, errors)
    errors.note("image is not there", len(absent), tuple(absent), kind="image")
    return images


def _inside(name: str) -> str:
    """Return a name, of a path of another machine the part that does not lead out of the folder."""
    return next(iter(foreign_tails(name)), name) if is_foreign(name) else name


def _check_inside(root: Path, name: str, where: str, folders: set[str]) -> None:
    """Refuse a name that leads out of `root`; `folders` are those known to lie in it, for following links is slow."""
    folder, _, last = name.rpartition("/")
    if folder not in folders or not _PLAIN.fullmatch(last):
        io.safe_join(root, name, where=where)
        folders.add(folder)


def _fitting(paths: Iterable[str], names: Iterable[str], by: By) -> dict[str, list[str]]:
    """Map each name to the paths of the images that it fits."""
    key_of = _KEY_OF[by]
    tidy = {name: PurePosixPath(name).as_posix() for name in names if "//" in name or "./" in name}
    wanted = {name: key_of(tidy.get(name, name)) for name in names}
    by_key: dict[str, list[str]] = {key: [] for key in wanted.values()}
    for path in paths:
        key = key_of(path)
        while True:
            if key in by_key:
                by_key[key].append(path)
            if by != "tail" or "/" not in key:
                break
            key = key.partition("/")[2]
    return {name: [name] if name in by_key[key] else by_key[key] for name, key in wanted.items()}


def _by_real_folder(root: Path, paths: Sequence[str], names: Sequence[str], by: By) -> dict[str, list[str]]:
    """Map names by the folder that a link leads to, to the images there, which are listed by the link."""
    folders = {path.rpartition("/")[0] for path in paths}
    listed = {os.path.realpath(root / folder): folder for folder in folders}
    real = {folder: os.path.realpath(root / folder) for folder in {name.rpartition("/")[0] for name in names}}
    by_link = {
        name: f"{listed[real[folder]]}/{last}"
        for name in names
        for folder, _, last in [name.rpartition("/")]
        if real[folder] in listed
    }
    fitting = _fitting(paths, by_link.values(), by)
    return {name: fitting[path] for name, path in by_link.items()}


def _ending_alike(paths: Sequence[str], names: Iterable[str], by: By, errors: ErrorCollector) -> dict[str, list[str]]:
    """Map paths of another machine to the images that share most of their last parts, with a remark."""
    key_of = native.stem_of if by in ("stem", "tail") else str
    keys = [key_of(path) for path in paths]
    n_of_key = Counter(keys)
    nearby = NearbyImages.of({key: path for key, path in zip(keys, paths, strict=True) if n_of_key[key] == 1})
    tails = {name: foreign_tails(name) for name in names}
    found = {name: [path] for name, own in tails.items() if own and (path := nearby.only(key_of(own[0]))) is not None}
    errors.remark(MOVED, len(found), tuple(f"{name} is {path}" for name, (path,) in found.items()), kind="image")
    return found


def _report_several(name: str, ref: ImageRef, paths: list[str], errors: ErrorCollector) -> None:
    what = f"{len(paths)} images fit this name: {', '.join(paths[:3])}"
    remedy = "remove or rename all but one, or give the folder of one of them"
    errors.add("IMAGE_TWICE", what, where=ref.where, field="image", value=name, image=name, remedy=remedy)


def _report_missing(root: Path, name: str, ref: ImageRef, remedy: str, errors: ErrorCollector) -> None:
    if errors.full:
        errors.count(1)
        return
    with errors.image(name):
        io.safe_join(root, name, where=ref.where)
        what = f"there is no such image in {root}"
        errors.add("IMAGE_MISSING", what, where=ref.where, field="image", value=name, image=name, remedy=remedy)
