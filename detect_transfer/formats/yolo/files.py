"""Which images and labels a `data.yaml` names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import MISSING_IMAGES
from detect_transfer.formats.yolo.data_yaml import DataYaml
from detect_transfer.formats.yolo.labels import LabelFolder

PREDICTIONS = ("error", "keep-score", "drop-score")
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
class Choices:
    """What becomes of what is not there or is said otherwise; all as for `yolo.read`.

    Raises:
        InputError: There is no such choice.
    """

    allow_missing: bool = False
    missing_images: str = "error"
    predictions: str = "error"

    def __post_init__(self) -> None:
        """Check the choices."""
        native.check_choice("missing_images", self.missing_images, MISSING_IMAGES)
        native.check_choice("predictions", self.predictions, PREDICTIONS)


def find_root(data: DataYaml) -> tuple[Path, Path]:
    """Return the folder that everything must lie in, and the one that entries are relative to.

    Both are `path`, or the folder of the file where that is absent or gone, unless it is called ``images``: then
    ``labels`` lies beside it, so everything must lie in the folder above.

    Raises:
        InputError: There is no such folder, and nothing that the entries name beside the file.
    """
    folder = data.file.parent
    start = folder / data.path if data.path else folder
    if not start.is_dir():
        if not any((folder / e.removeprefix("../")).exists() for entries in data.splits.values() for e in entries):
            raise InputError(
                "FOLDER_MISSING",
                f"there is no such folder, and nothing of it in {folder} either",
                where=data.where("path"),
                field="path",
                value=data.path,
                remedy="set path to the folder of the data set",
            )
        _log.info("%s: there is no folder %s, so its own folder is taken", data.file, start)
        start = folder
    return (start.parent if start.name == "images" else start), start


def find_samples(data: DataYaml, root: Path, start: Path, choices: Choices, errors: ErrorCollector) -> list[Sample]:
    """List the images of all splits with their labels; faults go to `errors`."""
    finder = _Finder(data, root, start, choices.missing_images, errors)
    finder.add_all()
    labels: dict[str, dict[str, str]] = {}  # label folder -> name of the label -> image
    for image in finder.images:
        folder, _, name = label_of(image).rpartition("/")
        first = labels.setdefault(folder, {}).setdefault(name, image)
        if first != image:
            what = f"'{first}' and '{image}' share one stem, so one label would serve both"
            errors.add("STEM_TWICE", what, where=root / image, remedy="rename one of them with its label")
    present: set[str] = set()
    for folder, names in labels.items():
        check = LabelFolder(root, folder, names, finder.lists, finder.absent)
        skip_orphans = choices.missing_images == "skip"
        present |= check.present(allow_missing=choices.allow_missing, skip_orphans=skip_orphans, errors=errors)
    return [
        Sample(image, label_of(image), split, label_of(image) in present, image not in finder.absent)
        for image, split in finder.images.items()
    ]


def label_of(image: str) -> str:
    """Return the label of an image: the last folder ``images`` becomes ``labels``, else it lies beside the image."""
    head, separator, tail = f"/{image}".rpartition("/images/")
    label = f"{head}/labels/{tail}" if separator else f"/{image}"
    return label[1 : label.rindex(".")] + ".txt"


class _Finder:
    """Collects the images of a data set, each in one split, and the lists that name them."""

    def __init__(self, data: DataYaml, root: Path, start: Path, missing_images: str, errors: ErrorCollector) -> None:
        self.data = data
        self.missing_images = missing_images
        self.root = root
        self.start = start
        self.base = root.resolve()
        self.errors = errors
        self.images: dict[str, str] = {}
        self.absent: set[str] = set()
        self.lists: set[Path] = set()
        self.real: dict[Path, Path] = {}

    def add_all(self) -> None:
        """Add the images of all splits."""
        for split, entries in self.data.splits.items():
            where, shown = self.data.where(split), ", ".join(entries)
            before = self.errors.total
            same = next((s for s, e in self.data.splits.items() if e == entries), split)
            if same != split:
                what = f"'{same}' has the same images, so it would score what it was trained on"
                remedy = f"name other images, or remove the key '{split}'"
                self.errors.add("SPLIT_SAME", what, where=where, field=split, value=shown, remedy=remedy)
                continue
            for entry in entries:
                self.add(split, entry)
            if self.errors.total == before and split not in self.images.values():
                remedy = "name a folder or a list that has some, or remove the key"
                self.errors.add(
                    "IMAGES_NONE", "there is no image", where=where, field=split, value=shown, remedy=remedy
                )

    def add(self, split: str, entry: str) -> None:
        """Add the images of one folder or list."""
        where = self.data.where(split)
        # a leading ../ is often one too many, so the place inside the data set comes first
        places = (self.start / entry.removeprefix("../"), self.start / entry)
        path = next((p for p in places if "\0" not in entry and p.exists()), None)
        if path is None:
            what = f"there is no such folder or list in {self.start}"
            remedy = did_you_mean(entry, sorted(p.name for p in self.start.iterdir()))
            self.errors.add("FOLDER_MISSING", what, where=where, field=split, value=entry, remedy=remedy)
            return
        inside = self.inside(path, where=where, field=split)
        if inside is None:
            return
        if not path.is_dir():
            self.add_list(path, split)
            return
        for name in io.list_files(path, IMAGE_SUFFIXES):
            native.check_text(path / name, self.errors)
            self.put(f"{inside}/{name}".removeprefix("./"), split, where)

    def add_list(self, path: Path, split: str) -> None:
        """Add the images that a text file lists, one a line."""
        self.lists.add(path.resolve())
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
            if not image.is_file():
                self.report_absent(inside, name, where)
            self.put(inside, split, where)

    def path_of(self, name: str, path: Path) -> Path:
        """Return where a line of the list at `path` means its image to be."""
        # ./ is meant from the list itself; what is not found from the root may be as well
        places = [self.root / name, path.parent / name]
        if name.startswith("./"):
            places.reverse()
        if "\0" in name:
            return self.root / name.replace("\0", "?")
        parts = PurePosixPath(name).parts
        # the first folders of a list of Darknet are those of another machine
        places += [self.root / PurePosixPath(*parts[i:]) for i in range(1, len(parts)) if self.data.foreign]
        there = next((p for p in places if p.is_file()), None)
        return there or next((p for p in places if p.parent.is_dir()), places[0])

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

    def put(self, image: str, split: str, where: str) -> None:
        """Add an image, unless a split has it already."""
        first = self.images.get(image)
        if first is None:
            self.images[image] = split
            return
        what, remedy = f"'{first}' has this image already", "list each image once, in one split"
        self.errors.add("IMAGE_TWICE", what, where=where, field=split, value=image, remedy=remedy)

    def inside(self, path: Path, *, where: str, field: str) -> str | None:
        """Return a path relative to the root, or None after reporting that it leads out."""
        if path.is_dir():
            real = path.resolve()
        else:
            if path.parent not in self.real:
                self.real[path.parent] = path.parent.resolve()
            real = self.real[path.parent] / path.name
        if real.is_relative_to(self.base):
            return real.relative_to(self.base).as_posix()
        what, remedy = f"it leads out of {self.root}", "keep all files inside the folder of the data set"
        self.errors.add("PATH_OUTSIDE", what, where=where, field=field, value=str(path), remedy=remedy)
        return None
