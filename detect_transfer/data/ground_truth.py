"""The truth of an evaluation, from native annotations of any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer import formats
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.data.read_source import reader_options
from detect_transfer.formats.detections.reader import KnownNames, read_detections
from detect_transfer.formats.recognition import likely, recognised

EVERY_SPLIT = "all"  # the word for the truth of all splits together
_USUAL_SPLITS = ("val", "test")  # what is taken of several where none is named


@dataclass(frozen=True)
class GroundTruth:
    """What detections are held against.

    Args:
        path: The file or folder that it was read from.
        format: A key of `READERS`.
        table: The images that are scored, with their boxes and classes.
        split: The split that they are; None where all images are taken.
    """

    path: Path
    format: str
    table: AnnotationTable
    split: str | None = None

    @property
    def name(self) -> str:
        """What it is called where the file or folder is shown."""
        return self.path.name or self.path.resolve().name

    @property
    def facts(self) -> str:
        """What was taken, in words: ``mine (voc), split val, 31 images``."""
        split = "" if self.split is None else f", split {self.split}"
        return f"{self.name} ({self.format}){split}, {self.table.images.height:,} images"

    @property
    def numbers_all(self) -> bool:
        """Whether its files number images and classes, so that ids of detections can be looked up."""
        return {"images", "classes"} <= formats.READERS[self.format].numbers

    def read_detections(self, path: Path, *, kind: str | None = None) -> Detections:
        """Read detections of any layout; see `formats.results.read_detections`."""
        numbers = formats.READERS[self.format].numbers
        ordered = not numbers.isdisjoint({"classes", "order of classes"})
        return read_detections(
            path, KnownNames(self.table, "images" in numbers, "classes" in numbers, ordered), kind=kind
        )


def read_ground_truth(
    path: Path,
    *,
    format: str | None = None,
    split: str | None = None,
    images: Path | None = None,
    words: Sequence[str] = (),
) -> GroundTruth:
    """Read the truth of an evaluation from native annotations of any format.

    Args:
        path: The file or folder that holds it.
        format: A key of `READERS`. None recognises what tells its format: a JSON file is COCO instances, a data.yaml
            YOLO; of folders those that `convert` wrote, and those with a data.yaml, with COCO's instances or with our
            tables.
        split: The split to take, or ``all``. None takes all of a COCO file, and of other sources their only split, else
            `val`, else `test`.
        images: The folder that `file_name` is relative to, for readers with such an option. Without it images may be
            absent.
        words: Options of the reader as `key=value`.

    Raises:
        InputError: The format is not known or not recognised, it is not clear which split is meant, or as the reader
            says.
    """
    if not path.exists():
        raise InputError("FILE_MISSING", "the truth was expected here", where=path, remedy="check the path")
    if format is not None and format not in formats.READERS:
        raise InputError(
            *("FORMAT_UNKNOWN", "no reader has this name"),
            field="--truth-format",
            value=format,
            remedy=did_you_mean(format, list(formats.READERS)),
        )
    kind = format or _recognise(path)
    read, options = formats.READERS[kind].read, _options(kind, images, words)
    if kind == "coco" and path.is_dir() and split != EVERY_SPLIT:
        alone = _coco_file(path, split)
        if alone is not None:
            return GroundTruth(path, kind, read(alone[1], **options), alone[0])
    table = read(path, **options)
    taken = _split_taken(table, whole=kind == "coco" and path.is_file()) if split is None else split
    if taken in (None, EVERY_SPLIT):
        return GroundTruth(path, kind, table)
    return GroundTruth(path, kind, table.split_of(taken), taken)


def _options(kind: str, images: Path | None, words: Sequence[str]) -> dict[str, Any]:
    """Return the options of a reader; scoring needs no images, so without their folder they may be absent."""
    known = formats.READERS[kind].options
    options = reader_options(known, words)
    if images is None:
        return {"missing_images": "keep", **options} if "missing_images" in known else options
    if "images" not in known:
        raise InputError(
            *("OPTION_UNKNOWN", f"the reader of {kind} finds the images itself"),
            field="--images",
            value=images,
            remedy="leave it out, or give a COCO JSON file as the truth",
        )
    return {**options, "images": images}


def _recognise(path: Path) -> str:
    """Return the format of a truth that shows it."""
    if (path / "config.yaml").is_file() and (path / "weights").is_dir():
        what, remedy = "it is a run folder", "give it without --truth"
    elif kind := recognised(path):
        return kind
    elif path.is_dir() and next(path.iterdir(), None) is None:
        what, remedy = "the folder is empty", "check the path"
    else:
        maybe = likely(path)
        names = f"it may be {', '.join(maybe)}" if maybe else f"there is: {', '.join(sorted(formats.READERS))}"
        what = "its format cannot be told by what is there"
        remedy = f"name the format with --truth-format; {names}"
    raise InputError("TRUTH_UNKNOWN", what, where=path, field="--truth", remedy=remedy)


def _coco_file(folder: Path, split: str | None) -> tuple[str, Path] | None:
    """Return the split that is taken and its file, so that ids stay as they are there; None where no name tells it."""
    found = [*folder.glob("annotations/instances_*.json")] or [*folder.glob("instances_*.json")]
    named = [(path.stem.removeprefix("instances_").rstrip("0123456789"), path) for path in sorted(found)]
    for wanted in _USUAL_SPLITS if split is None else (split,):
        files = [path for name, path in named if name == wanted]
        if files:
            return (wanted, files[0]) if len(files) == 1 else None
    return None


def _split_taken(table: AnnotationTable, *, whole: bool) -> str | None:
    """Return the split of a truth for which none is named; None for all images."""
    counts = dict(table.images.group_by("split").len().rows())
    if whole or len(counts) < 2:
        return None
    usual = next((name for name in _USUAL_SPLITS if name in counts), None)
    if usual is None:
        told = [f"{name} ({counts[name]:,} images)" for name in table.splits]
        raise InputError(
            *("SPLIT_UNCLEAR", f"there are several splits and neither of {' and '.join(_USUAL_SPLITS)} among them"),
            field="--split",
            remedy=f"name one of {', '.join(told)}, or {EVERY_SPLIT}",
        )
    return usual
