"""Opening a data set: its format is recognised, its reader called with typed options, a split of it selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer import formats
from detect_transfer.core.annotations import Annotations, AnnotationTable, Detections
from detect_transfer.core.choices import OnError
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.data.published import as_published, n_not_published
from detect_transfer.data.reader_options import parse_options
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.formats.recognition import likely, likely_below, nearby, recognised, why_unread

EVERY_SPLIT = "all"  # the word for all splits together
_SCORED_SPLITS = ("val", "test")  # the first that is there is scored where none is named
_WRITTEN_BY_US = ("coco", "data_folder", "parquet")  # what may hold clipped boxes with their published corners
Options = Sequence[str] | Mapping[str, Any]


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
        return self.path.name or self.path.resolve().name

    @property
    def facts(self) -> str:
        """What was read, in words: ``mine (voc), split val, 31 images``."""
        split = "" if self.split is None else f", split {self.split}"
        return f"{self.name} ({self.format}){split}, {self.table.images.height:,} images"

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


def read_dataset(
    path: Path,
    *,
    format: str | None = None,
    options: Options = (),
    on_error: str = OnError.FAIL,
    verify: bool = False,
    need_images: bool = True,
    need_splits: bool = True,
) -> AnnotationTable:
    """Read a data set in any of the native formats.

    Args:
        path: The folder or file that holds it.
        format: A key of `READERS`; None recognises what shows its format, see `recognise`.
        options: Options of the reader, as words such as `one_based=false` or by name.
        on_error: What becomes of a row or an image at fault, one of `OnError`.
        verify: Compare a data folder with its manifest.
        need_images: Without, images may be absent where the reader can go on without them.
        need_splits: Without, a split that the data set names may be absent where the reader can go on without it.

    Raises:
        InputError: There is no such format or option, or as the reader says.
    """
    form, given = _reader_of(path, format, options, on_error, verify, need_images, need_splits)
    with _naming_image_folder(form, given):
        return form.read(path, **given)


def scan_dataset(path: Path, *, format: str, options: Options, on_error: str, need: tuple[bool, bool]) -> Annotations:
    """Read a data set as `read_dataset` does, but for boxes that can stay in their file.

    Args:
        path: As for `read_dataset`.
        format: A key of `READERS`.
        options: As for `read_dataset`.
        on_error: As for `read_dataset`.
        need: `need_images` and `need_splits`.

    Raises:
        InputError: As for `read_dataset`.
    """
    form, given = _reader_of(path, format, options, on_error, False, *need)
    with _naming_image_folder(form, given):
        return form.scan(path, **given)


def _reader_of(
    path: Path, format: str | None, options: Options, on_error: str, verify: bool, *need: bool
) -> tuple[formats.Format, dict[str, Any]]:
    """Return the format and the options of its reader; see `read_dataset`."""
    need_images, need_splits = need
    name = recognise(path) if format is None else format
    form = formats.get_format(name)
    given = parse_options(form, options)
    if "on_error" in form.options:
        given.setdefault("on_error", str(on_error))
    elif on_error != OnError.FAIL:
        raise InputError(
            "OPTION_UNKNOWN",
            "the reader of this format cannot skip what is at fault",
            field="--on-error",
            value=on_error,
            remedy="fix the faults, or leave the option out",
        )
    if verify and "verify" in form.options:
        given.setdefault("verify", True)
    if not need_images and "missing_images" in form.options:
        given.setdefault("missing_images", "keep")
    if not need_splits and "absent_splits" in form.options:
        given.setdefault("absent_splits", "skip")
    return form, given


@contextmanager
def _naming_image_folder(form: formats.Format, given: Mapping[str, Any]) -> Iterator[None]:
    """Let errors of the reader say how the folder of images is named, where it can be and is not."""
    try:
        yield
    except InputError as error:
        if "images" in form.options and given.get("images", form.options["images"].default) is None:
            _name_image_folder(error)
        raise


def _name_image_folder(error: InputError) -> None:
    """Let the remedy of missing images name the option of readers whose annotations travel without them."""
    for each in error.problems:
        if each.code == "IMAGE_MISSING":
            each.remedy = each.remedy.replace(
                "restore it, or", "restore it, name the folder of the images by images=DIR (--option images=DIR), or", 1
            )


def recognise(path: Path, *, code: str = "FORMAT_UNKNOWN", field: str = "format", flag: str = "format") -> str:
    """Return the format of a file or folder that shows it.

    A JSON file is COCO instances, a data.yaml YOLO; of folders those that `convert` wrote, and those with a data.yaml,
    with COCO's instances or with our tables.

    Args:
        path: The file or folder.
        code: Of the error.
        field: What the user gave the path as.
        flag: How the user names a format.

    Raises:
        InputError: It shows none.
    """
    if not path.exists():
        raise InputError("FILE_MISSING", "a data set was expected here", where=path, remedy="check the path")
    if (path / "config.yaml").is_file() and (path / "weights").is_dir():
        what, remedy = "it is a run folder", "give it without --truth"
    elif kind := recognised(path):
        return kind
    elif path.is_dir() and next(path.iterdir(), None) is None:
        what, remedy = "the folder is empty", "check the path"
    else:
        what = "its format cannot be recognised by what is there"
        names = likely(path)
        choices = f"it may be {', '.join(names)}" if names else "detect-transfer convert --list shows all"
        remedy = f"name the format with {flag}; {choices}"
        reason = why_unread(path)
        if reason is not None:
            what, remedy = reason
        if path.is_dir():
            remedy = f"{_other_level(path)}{remedy}"
    raise InputError(code, what, where=path, field=field, remedy=remedy)


def _other_level(path: Path) -> str:
    """Return the offer of a folder a level below or above, where there is one, for a remedy."""
    near = nearby(path)
    if near is not None:
        return f"give {near[0]}, which is {near[1].format} ({near[1].evidence}); or "
    inner = likely_below(path)
    return "" if inner is None else f"give {inner[0]}, which may be {', '.join(inner[1])}; or "


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
    real = path.resolve()
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
    names = ", ".join(f"{name} ({counts[name]:,} images)" for name in table.splits)
    raise InputError(
        "SPLIT_UNCLEAR",
        f"there are several splits and neither of {' and '.join(_SCORED_SPLITS)} among them",
        field="--split",
        remedy=f"name one of {names}, or {EVERY_SPLIT}",
    )
