"""MOT17Det and its kin: sequences of images with `gt/gt.txt` and `seqinfo.ini`.

A row is ``frame,id,left,top,width,height,active,class,visibility``. Frames, ids and pixels count from 1: x1 = left - 1
and x2 = x1 + width. Boxes are of the whole body and often reach out of the image.
"""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.row_table import finish_rows

_TRUTH = "gt/gt.txt"
_INFO = "seqinfo.ini"
_FIELDS = ("frame", "id", "left", "top", "width", "height", "active", "class", "visibility")
_NAMES = (
    *("pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non-motorised vehicle", "static person"),
    *("distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd"),
)
_DISTRACTORS = {2, 7, 8, 12}
_CROWD = 13
_DETECTORS = ("-DPM", "-FRCNN", "-SDP")
_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class _Sequence:
    """A sequence: its folder relative to the root, its images relative to that, their number, suffix and size."""

    folder: str
    image_dir: str
    n_frames: int
    suffix: str
    size_wh: native.SizeWh

    def frame(self, number: int) -> str:
        """Return the name of a frame, counted from 1."""
        return f"{self.folder}/{self.image_dir}/{number:06d}{self.suffix}"


def read(
    root: Path, *, missing_images: str = "error", size_mismatch: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read the annotated sequences of MOT17Det, MOT17 or MOT20: 13 classes with the numbers of the benchmark.

    All frames of a sequence are images of the data set. Objects that the benchmark does not consider (``active`` 0)
    are ignored with the reason ``not considered``, the people-like classes 2, 7, 8 and 12 with ``distractor``, crowds
    with ``crowd``. `occluded` is 1 - visibility. The sequence is the `group`; of MOT17's three copies of a sequence
    (DPM, FRCNN, SDP) the first is read. Sequences without ``gt/gt.txt`` are not annotated and are not read.

    Args:
        root: The folder that holds the sequences, at any depth.
        missing_images: As for `ImageLookup`; ``keep`` takes sizes from ``seqinfo.ini``.
        size_mismatch: ``error``, or ``keep`` to trust the images where ``seqinfo.ini`` states another size.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016; motchallenge.net.
    """
    problems = ErrorCollector(on_error)
    media = ImageLookup(missing_images=missing_images, size_mismatch=size_mismatch)
    io.require_dir(root, what="a folder of sequences with gt/gt.txt and seqinfo.ini")
    sequences = _one_of_each([_sequence(root, folder) for folder in _folders(root)], problems)
    frames = [(one, number) for one in sequences for number in range(1, one.n_frames + 1)]
    named = {one.frame(number): ImageRef(str(root / one.folder / _INFO), one.size_wh) for one, number in frames}
    rows = _rows(root, sequences, problems)
    images = find_images(root, named, media, problems)
    facts = {
        "image": list(named),
        "split": [split_of_path(name) for name in named],
        "group": [_scene(one.folder) for one, _ in frames],
        "frame": [number - 1 for _, number in frames],
    }
    return finish_rows(
        problems,
        rows=rows,
        found=images,
        categories={"category_id": range(1, len(_NAMES) + 1), "name": _NAMES},
        image_root=root,
        facts=pl.DataFrame(facts),
    )


def _scene(folder: str) -> str:
    """Return the name of a sequence without the detector that a copy is for."""
    name = PurePosixPath(folder).name
    return next((name.removesuffix(d) for d in _DETECTORS if name.endswith(d)), name)


def _folders(root: Path) -> list[str]:
    """Return the folders of annotated sequences."""
    found = [n.removesuffix(f"/{_TRUTH}") for n in io.list_files(root, (".txt",)) if n.endswith(f"/{_TRUTH}")]
    if not found:
        raise InputError(
            "MOT_MISSING", f"no folder in it holds {_TRUTH}", where=root, remedy="give the folder of the sequences"
        )
    return found


def _one_of_each(sequences: Sequence[_Sequence], problems: ErrorCollector) -> list[_Sequence]:
    """Return the first of the copies of each sequence."""
    kept: dict[tuple[PurePosixPath, str], _Sequence] = {}
    place = {one.folder: (PurePosixPath(one.folder).parent, _scene(one.folder)) for one in sequences}
    copies = [one for one in sequences if kept.setdefault(place[one.folder], one) is not one]
    n_frames = sum(one.n_frames for one in copies)
    places = tuple(one.folder for one in copies)
    problems.note("copy of a sequence for another detector", n_frames, places, kind="image")
    return list(kept.values())


def _sequence(root: Path, folder: str) -> _Sequence:
    """Read the seqinfo.ini of a sequence.

    Raises:
        InputError: It is missing or does not tell what is needed.
    """
    path = root / folder / _INFO
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(native.read_text(root, path))
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        raise InputError(
            *("INI_SYNTAX", str(error.message)),
            where=f"{path}:{line}" if line else path,
            remedy="restore the file",
        ) from error
    values = parser["Sequence"] if parser.has_section("Sequence") else {}
    numbers = [_count(values.get(key, ""), path, key) for key in ("seqLength", "imWidth", "imHeight")]
    image_dir, suffix = values.get("imDir", "img1"), values.get("imExt", ".jpg")
    io.safe_join(root, f"{folder}/{image_dir}", where=path, field="imDir")
    return _Sequence(folder, PurePosixPath(image_dir).as_posix(), numbers[0], suffix, (numbers[1], numbers[2]))


def _count(text: str, path: Path, key: str) -> int:
    number = parse_integer(text)
    if number is None or not 0 < number <= _MOST_FRAMES:
        raise InputError(
            *("INI_VALUE", f"expected a number from 1 to {_MOST_FRAMES:,} in the section [Sequence]"),
            where=path,
            field=key,
            value=text,
            remedy="restore the file",
        )
    return number


def _rows(root: Path, sequences: Sequence[_Sequence], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows of all sequences with the columns of the table."""
    texts: dict[str, str | None] = {f"{one.folder}/{_TRUTH}": None for one in sequences}
    data = read_delimited(root, texts, _FIELDS, Dialect(",", trailing=True), problems)
    data = _with_frames(data, sequences, root, problems)
    data = to_numbers(data, ["id", "active", "class"], root, problems, whole=True)
    data = to_numbers(data, ["left", "top", "width", "height", "visibility"], root, problems)
    for field, good, what in (
        ("width", pl.col("width") >= 0, "expected 0 or more"),
        ("height", pl.col("height") >= 0, "expected 0 or more"),
        ("active", pl.col("active").is_between(0, 1), "expected 0 or 1"),
        ("class", pl.col("class").is_between(1, len(_NAMES)), f"expected a class from 1 to {len(_NAMES)}"),
        ("visibility", pl.col("visibility").is_between(0, 1), "expected a share from 0 to 1"),
    ):
        data = check_rows(data, good, root, problems, told=("ROW_NUMBER", what, field))
    crowd = pl.col("class") == _CROWD
    reason = (
        pl.when(crowd)
        .then(pl.lit("crowd"))
        .when(pl.col("class").is_in(list(_DISTRACTORS)))
        .then(pl.lit("distractor"))
        .when(pl.col("active") == 0)
        .then(pl.lit("not considered"))
    )
    return data.select(
        *("file", "line", "image"),
        category_id="class",
        x1=pl.col("left") - 1,
        y1=pl.col("top") - 1,
        x2=pl.col("left") - 1 + pl.col("width"),
        y2=pl.col("top") - 1 + pl.col("height"),
        iscrowd=crowd,
        ignore=reason.is_not_null(),
        ignore_reason=reason,
        occluded=1 - pl.col("visibility"),
        track_id=pl.col("id").cast(pl.String),
    )


def _with_frames(
    data: pl.DataFrame, sequences: Sequence[_Sequence], root: Path, problems: ErrorCollector
) -> pl.DataFrame:
    """Put the image of each row into `image`; rows of frames that a sequence does not have are reported."""
    data = to_numbers(data, ["frame"], root, problems, whole=True)
    known = pl.DataFrame(
        {
            "file": [f"{one.folder}/{_TRUTH}" for one in sequences],
            "n_frames": [one.n_frames for one in sequences],
            "start": [f"{one.folder}/{one.image_dir}/" for one in sequences],
            "suffix": [one.suffix for one in sequences],
        }
    )
    data = data.join(known, on="file", how="left", maintain_order="left")
    told = ("ROW_FRAME", "the sequence has no such frame by its seqinfo.ini", "frame")
    data = check_rows(data, pl.col("frame").is_between(1, pl.col("n_frames")), root, problems, told=told)
    number = pl.col("frame").cast(pl.String).str.zfill(6)
    return data.with_columns(image=pl.concat_str("start", number, "suffix"))
