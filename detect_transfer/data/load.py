"""Opening a data set: its format is recognised, its reader called with typed options, a split of it selected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detect_transfer import formats
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.opening import real_path
from detect_transfer.data.published import as_published, n_not_published
from detect_transfer.data.reader_options import parse_options
from detect_transfer.data.reading import Options, read_dataset, recognise
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.formats.recognition import recognised

EVERY_SPLIT = "all"  # the word for all splits together
_SCORED_SPLITS = ("val", "test")  # the first that is there is scored where none is named
_WRITTEN_BY_US = ("coco", "data_folder", "parquet")  # what may hold clipped boxes with their published corners


@dataclass(frozen=True)
class GroundTruth:
    """What detections are scored against.

    Args:
        path: The file or folder that it was read from.
        format: A key of `READERS`.
        table: The images that are scored, with their boxes and classes.
        split: The split that they are; None where all images are taken.
        n_not_published: How many of their boxes a conversion clipped or left out for training.
    """

    path: Path
    format: str
    table: AnnotationTable
    split: str | None = None
    n_not_published: int = 0

    @property
    def name(self) -> str:
        """What it is called where the file or folder is shown."""
        return self.path.name or real_path(self.path).name

    @property
    def facts(self) -> str:
        """What was read, in words: ``mine (voc), split val, 31 images``."""
        split = "" if self.split is None else f", split {self.split}"
        return f"{self.name} ({self.format}){split}, {counted(self.table.images.height, 'image')}"

    @property
    def warning(self) -> str:
        """Why its boxes are not those that were published, in words; "" where they are."""
        if not self.n_not_published:
            return ""
        return (
            f"{self.n_not_published:,} boxes of {self.name} were clipped to their images or left out for training, so "
            "these are not the numbers of the published boxes: give the data folder itself for those"
        )

    @property
    def numbers_all(self) -> bool:
        """Whether its files number images and classes, so that ids of detections can be looked up."""
        return {"images", "classes"} <= formats.READERS[self.format].numbers

    def read_detections(self, path: Path, options: DetectionOptions | None = None) -> Detections:
        """Read detections of any layout; see `formats.detections.reader.read_detections`."""
        return read_detections(path, KnownNames.of(self.table, formats.READERS[self.format].numbers), options)


def read_ground_truth(
    path: Path,
    *,
    format: str | None = None,
    split: str | None = None,
    images: Path | None = None,
    options: Options = (),
) -> GroundTruth:
    """Read what detections are scored against, from native annotations of any format, with the boxes as published.

    Args:
        path: The file or folder that holds it.
        format: A key of `READERS`; None recognises it, see `recognise`.
        split: The split to score, or ``all``. None takes all of a COCO file, and of other sources their only split,
            else `val`, else `test`.
        images: The folder that `file_name` is relative to, for readers with such an option. Without it images may be
            absent.
        options: As for `read_dataset`.

    Raises:
        InputError: The format is not known or not recognised, it is not clear which split is meant, or as the reader
            says.
    """
    if format is not None and (not isinstance(format, str) or format not in formats.READERS):
        raise InputError(
            "FORMAT_UNKNOWN",
            "no reader has this name",
            field="--truth-format",
            value=format,
            remedy=did_you_mean(str(format), sorted(formats.READERS)),
        )
    kind = format or recognise(path, code="TRUTH_UNKNOWN", field="--truth", flag="--truth-format")
    if not path.exists():
        raise InputError("FILE_MISSING", "a data set was expected here", where=path, remedy="check the path")
    given = parse_options(formats.READERS[kind], options)
    if images is not None:
        _check_takes_images(kind, images)
        given["images"] = images
    split_file = _coco_file(path, split) if kind == "coco" and path.is_dir() else None
    if split_file is not None:
        table = read_dataset(split_file[1], format=kind, options=given, need_images=images is not None)
        return GroundTruth(path, kind, as_published(table), split_file[0])
    all_splits = split in (None, EVERY_SPLIT)
    table = read_dataset(path, format=kind, options=given, need_images=images is not None, need_splits=all_splits)
    if kind in _WRITTEN_BY_US:
        table = as_published(table)
    if split is None and not (kind == "coco" and path.is_file()):
        split = _scored_split(table)
    if split in (None, EVERY_SPLIT):
        return GroundTruth(path, kind, table, n_not_published=_count_not_published(path, kind, None))
    n_not_published = _count_not_published(path, kind, split)
    return GroundTruth(path, kind, table.split_of(split), split, n_not_published)


def _count_not_published(path: Path, kind: str, split: str | None) -> int:
    """Return how many boxes of a data folder are not as published in a further form of it that cannot carry them."""
    if kind in _WRITTEN_BY_US:
        return 0
    real = real_path(path)
    homes = [each for each in (real, *real.parents[:2]) if (each / "annotations").is_dir()]
    folder = next((each for each in homes if recognised(each) == "data_folder"), None)
    if folder is None:
        return 0
    table = read_dataset(folder, need_images=False)
    return n_not_published(table.split_of(split) if split in table.splits else table)


def _check_takes_images(kind: str, images: Path) -> None:
    if "images" not in formats.READERS[kind].options:
        raise InputError(
            "OPTION_UNKNOWN",
            f"the reader of {kind} finds the images itself",
            field="--images",
            value=images,
            remedy="leave it out, or give a COCO JSON file with --truth",
        )


def _coco_file(folder: Path, split: str | None) -> tuple[str, Path] | None:
    """Return the split and its file, so that ids stay as they are there; None where no single name tells it."""
    paths = [*folder.glob("annotations/instances_*.json")] or [*folder.glob("instances_*.json")]
    by_split = [(path.stem.removeprefix("instances_").rstrip("0123456789"), path) for path in sorted(paths)]
    for wanted in _SCORED_SPLITS if split is None else (split,):
        files = [path for name, path in by_split if name == wanted]
        if files:
            return (wanted, files[0]) if len(files) == 1 else None
    return None


def _scored_split(table: AnnotationTable) -> str | None:
    """Return the split that is scored where none is named; None for all images."""
    counts = dict(table.images.group_by("split").len().rows())
    if len(counts) < 2:
        return None
    for name in _SCORED_SPLITS:
        if name in counts:
            return name
    names = ", ".join(f"{name} ({counted(counts[name], 'image')})" for name in table.splits)
    raise InputError(
        "SPLIT_UNCLEAR",
        f"there are several splits and neither of {' and '.join(_SCORED_SPLITS)} among them",
        field="--split",
        remedy=f"name one of {names}, or {EVERY_SPLIT}",
    )
