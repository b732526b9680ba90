"""The images that the entries of a `data.yaml` name: folders, lists, paths of other machines."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import foreign_tails, split_of_path
from detect_transfer.formats.yolo.data_yaml import DataYaml

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """An image and its label, relative to the root of the data set.

    `has_label` is False for a background, `is_there` for an image that a list names in vain.
    """

    image: str
    label: str
    split: str
    has_label: bool = True
    is_there: bool = True


@dataclass(frozen=True)
class Roots:
    """The folders of a data set: `base`, which names are relative to, holds `allowed`, which everything must lie in.

    Entries are relative to `start`.
    """

    base: Path
    start: Path
    allowed: tuple[Path, ...]


class ImageFinder:
    """Collects the images of a data set, each in one split, and the lists that name them."""

    def __init__(
        self, data: DataYaml, roots: Roots, missing_images: str, errors: ErrorCollector, *, skip_absent: bool
    ) -> None:
        self.data = data
        self.skip_absent = skip_absent
        self.missing_images = missing_images
        self.root = roots.base
        self.start = roots.start
        self.base = real_path(roots.base)
        self.allowed = roots.allowed
        self.errors = errors
        self.n_foreign = 0
        self.images: dict[str, str] = {}
        self.absent: set[str] = set()
        self.lists: set[Path] = set()
        self.real: dict[Path, Path] = {}
        self.by_real: dict[Path, str] = {}  # the split of each image by where it really lies

    def add_all(self) -> None:
        """Add the images of all splits."""
        any_is_there = any(self.target_of(entry) for each in self.data.splits.values() for entry in each)
        for split, entries in self.data.splits.items():
            where, shown = self.data.where(split), ", ".join(entries)
            before, n_before = self.errors.total, len(self.images)
            same = next((s for s, e in self.data.splits.items() if e == entries), split)
            if same != split:
                what = f"'{same}' has the same images, so it would score what it was trained on"
                remedy = f"name other images, or remove the key '{split}'"
                self.errors.add("SPLIT_SAME", what, where=where, field=split, value=shown, remedy=remedy)
                continue
            may_be_absent = (split == "test" or self.skip_absent) and any_is_there
            if may_be_absent and not any(map(self.target_of, entries)):
                _log.warning("%s: there is no %s, so the split %s is left out", where, shown, split)
                continue
            for entry in entries:
                self.add(split, entry)
            if self.errors.total == before and len(self.images) == n_before:
                remedy = "name a folder or a list that has some, or remove the key"
                self.errors.add(
                    "IMAGES_NONE", "there is no image", where=where, field=split, value=shown, remedy=remedy
                )
        reason = "path of another machine: the longest tail of it that is there"
        self.errors.remark(reason, self.n_foreign, kind="image")

    def target_of(self, entry: str) -> Path | None:
        """Return the folder or list that an entry means, None where there is none."""
        if "\0" in entry:
            return None
        # a leading ../ is often one too many, so the path inside the data set comes first
        candidates = (self.start / entry.removeprefix("../"), self.start / entry)
        there = next((path for path in candidates if io.exists(path)), None)
        tails = [(tail, self.start / tail) for tail in foreign_tails(entry)] if there is None else []
        # the last part alone means nothing: every split has a folder "images"
        return there or next((at for tail, at in tails if io.is_file(at) or ("/" in tail and io.exists(at))), None)

    def add(self, split: str, entry: str) -> None:
        """Add the images of one folder or list."""
        where = self.data.where(split)
        path = self.target_of(entry)
        if path is None:
            what = f"there is no such folder or list in {self.start}"
            remedy = did_you_mean(entry, sorted(p.name for p in self.start.iterdir()))
            remedy += "; or read without this split by --option absent_splits=skip" * (len(self.data.splits) > 1)
            self.errors.add("FOLDER_MISSING", what, where=where, field=split, value=entry, remedy=remedy)
            return
        inside = self.inside(path, where=where, field=split)
        if inside is None:
            return
        if not io.is_dir(path):
            self.add_list(path, split)
            return
        for name in io.list_files(path, IMAGE_SUFFIXES):
            native.check_text(path / name, self.errors)
            self.put(f"{inside}/{name}".removeprefix("./"), split, where)

    def add_list(self, path: Path, split: str) -> None:
        """Add the images that a text file lists, one a line."""
        self.lists.add(real_path(path))
        try:
            lines = native.lines_of(native.read_text(self.root, path))
        except InputError as error:
            self.errors.put(error)
            return
        for number, line in enumerate(lines, start=1):
            name, where = line.strip(), f"{path}:{number}"
            if not name:
                continue
            image = self.path_of(name, path)
            inside = self.inside(image, where=where, field="image")
            if inside is None:
                continue
            if image.suffix.lower() not in IMAGE_SUFFIXES:
                what, remedy = "the name has no suffix of an image that is read here", "list images only"
                self.errors.add("IMAGE_TYPE", what, where=where, field="image", value=name, remedy=remedy)
                continue
            if not io.is_file(image):
                self.report_absent(inside, name, where)
            self.put(inside, split, where)

    def path_of(self, name: str, path: Path) -> Path:
        """Return where a line of the list at `path` means its image to be."""
        # ./ is meant from the list itself; what is not found from the root may be as well
        candidates = [self.root / name, path.parent / name, self.start / name]
        if name.startswith("./"):
            candidates.reverse()
        if "\0" in name:
            return self.root / name.replace("\0", "?")
        if (there := next((each for each in candidates if io.is_file(each)), None)) is not None:
            return there
        tails = [folder / tail for tail in foreign_tails(name) for folder in (self.start, path.parent)]
        if (there := next((each for each in tails if io.is_file(each)), None)) is not None:
            self.n_foreign += 1
            return there
        likely = () if ".." in PurePosixPath(name).parts else (*candidates, *tails)
        return next((each for each in likely if io.is_dir(each.parent)), candidates[0])

    def report_absent(self, image: str, name: str, where: str) -> None:
        """Take note of a listed image that is not there, which is a fault unless it is to be skipped."""
        self.absent.add(image)
        if self.missing_images == "skip":
            return
        needed = ", which is needed because coordinates are shares of its size" * (self.missing_images == "keep")
        self.errors.add(
            *("IMAGE_MISSING", f"there is no such image{needed}"),
            where=where,
            field="image",
            value=name,
            image=image,
            remedy="restore it or remove the line, or read with missing_images=skip to leave it and its rows out",
        )

    def real_folder(self, path: Path) -> Path:
        """Return the folder of a file with the links in it followed; each is looked at once."""
        if path.parent not in self.real:
            self.real[path.parent] = real_path(path.parent)
        return self.real[path.parent]

    def put(self, image: str, split: str, where: str) -> None:
        """Add an image, unless a split has it already."""
        real = self.real_folder(self.root / image) / PurePosixPath(image).name
        first = self.by_real.setdefault(real, split or split_of_path(image) or "")
        if image not in self.images and len(self.by_real) > len(self.images):
            self.images[image] = first
            return
        what, remedy = f"'{first}' has this image already", "list each image once, in one split"
        self.errors.add("IMAGE_TWICE", what, where=where, field=split, value=image, remedy=remedy)

    def named(self, path: Path, real: Path) -> str:
        """Return a path relative to the root, by the links in it, as its label lies beside them, where that can be."""
        name = os.path.relpath(path, self.root)
        if not name.startswith("..") and os.path.realpath(self.root / name) == os.path.realpath(real):
            return name
        return real.relative_to(self.base).as_posix()

    def inside(self, path: Path, *, where: str, field: str) -> str | None:
        """Return a path relative to the root, or None after reporting that it leads out."""
        real = real_path(path) if io.is_dir(path) else self.real_folder(path) / path.name
        if any(real.is_relative_to(root) for root in self.allowed):
            return self.named(path, real)
        what = f"it leads out of {self.allowed[0]}"
        remedy = "keep all files inside the folder of the data set, or name further folders by --allow-root DIR"
        self.errors.add("PATH_OUTSIDE", what, where=where, field=field, value=str(path), remedy=remedy)
        return None
