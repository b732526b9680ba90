"""Which images and labels a `data.yaml` names."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import BoxFormat
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import MISSING_IMAGES
from detect_transfer.formats.parsing.locations import foreign_tails
from detect_transfer.formats.yolo.data_yaml import DataYaml
from detect_transfer.formats.yolo.image_finder import ImageFinder, Roots, Sample
from detect_transfer.formats.yolo.labels import LabelFolder
from detect_transfer.formats.yolo.parse import ROW_KINDS, SHARE_CENTRES, RowKind

ABSENT_SPLITS = ("error", "skip")
PREDICTIONS = ("error", "keep-score", "drop-score")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """What becomes of what is not there or is said otherwise; all as for `yolo.read`.

    Raises:
        InputError: There is no such choice.
    """

    allow_missing: bool = False
    missing_images: str = "error"
    predictions: str = "error"
    rows: RowKind | None = None
    box_format: BoxFormat = SHARE_CENTRES
    allow_root: Sequence[str] = ()
    absent_splits: str = "error"

    def __post_init__(self) -> None:
        """Check the choices."""
        native.check_choice("missing_images", self.missing_images, MISSING_IMAGES)
        native.check_choice("absent_splits", self.absent_splits, ABSENT_SPLITS)
        native.check_choice("predictions", self.predictions, PREDICTIONS)
        if self.rows is not None:
            native.check_choice("rows", self.rows, ROW_KINDS)


def find_roots(data: DataYaml, allow_root: Sequence[str]) -> Roots:
    """Return the folders of a data set.

    `path`, or the folder of the file where that is absent or gone, is where entries start. Everything must lie in it,
    or in the folder above where it is called ``images`` (then ``labels`` lies beside it), or in a folder that is
    allowed.

    Raises:
        InputError: There is no such folder, and nothing that the entries name beside the file; or the whole machine
            would be the data set.
    """
    folder = data.file.parent
    start = folder / data.path if data.path else folder
    if not io.is_dir(start):
        entries = [entry for each in data.splits.values() for entry in each]
        if not any(io.exists(folder / tail) for entry in entries for tail in foreign_tails(entry)):
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
    own = start.parent if start.name == "images" else start
    allowed = [real_path(io.require_dir(Path(name), what="a folder that is allowed")) for name in allow_root]
    if real_path(own) == Path(real_path(own).anchor):
        if not allowed:
            what, remedy = "the whole machine would be the data set", "name its folders by --allow-root DIR"
            raise InputError(
                "PATH_OUTSIDE", what, where=data.where("path"), field="path", value=data.path, remedy=remedy
            )
        own = folder
    roots = (real_path(own), *allowed)
    return Roots(Path(os.path.commonpath(roots)) if allowed else own, start, roots)


def find_samples(data: DataYaml, roots: Roots, choices: Choices, errors: ErrorCollector) -> list[Sample]:
    """List the images of all splits with their labels; faults go to `errors`."""
    finder = ImageFinder(data, roots, choices.missing_images, errors, skip_absent=choices.absent_splits == "skip")
    finder.add_all()
    return samples_of(finder.images, roots.base, errors, choices=choices, lists=finder.lists, absent=finder.absent)


def samples_of(
    images: Mapping[str, str],
    root: Path,
    errors: ErrorCollector,
    *,
    choices: Choices | None = None,
    lists: Set[Path] = frozenset(),
    absent: Set[str] = frozenset(),
) -> list[Sample]:
    """Return images with their labels; faults go to `errors`.

    Args:
        images: The split of each by its name relative to `root`.
        root: The folder of the data set.
        errors: Where faults go.
        choices: What becomes of labels that are missing or have no image.
        lists: As for `LabelFolder`.
        absent: As for `LabelFolder`.
    """
    choices = choices or Choices()
    labels: dict[str, dict[str, str]] = {}  # label folder -> name of the label -> image
    for image in images:
        folder, _, name = label_of(image).rpartition("/")
        first = labels.setdefault(folder, {}).setdefault(name, image)
        if first != image:
            what = f"'{first}' and '{image}' share one stem, so one label would serve both"
            errors.add("STEM_TWICE", what, where=root / image, remedy="rename one of them with its label")
    present: set[str] = set()
    for folder, names in labels.items():
        check = LabelFolder(root, folder, names, lists, absent)
        skip_orphans = choices.missing_images == "skip"
        present |= check.present(allow_missing=choices.allow_missing, skip_orphans=skip_orphans, errors=errors)
    return [
        Sample(image, label_of(image), split, label_of(image) in present, image not in absent)
        for image, split in images.items()
    ]


def label_of(image: str) -> str:
    """Return the label of an image: the last folder ``images`` becomes ``labels``, else it lies beside the image."""
    head, separator, tail = f"/{image}".rpartition("/images/")
    label = f"{head}/labels/{tail}" if separator else f"/{image}"
    return label[1 : label.rindex(".")] + ".txt"
