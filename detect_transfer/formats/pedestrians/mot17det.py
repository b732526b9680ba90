"""MOT17Det and its kin: sequences of images with `gt/gt.txt` and `seqinfo.ini`.

A row is ``frame,id,left,top,width,height,active,class,visibility``; in MOT15, whose objects are all pedestrians, it
ends in ``active,x,y,z``. Frames, ids and pixels count from 1: x1 = left - 1 and x2 = x1 + width. Boxes are of the whole
body and often reach out of the image. CVAT and Datumaro write no `seqinfo.ini`, but `gt/labels.txt` with classes of
one's own; their pixels count from 0.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_SIZES
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, listed

_TRUTH = "gt/gt.txt"
_LABELS = "gt/labels.txt"
_INFO = "seqinfo.ini"
_IMAGES = "img1"
_BOX = ("left", "top", "width", "height")
_FIELDS = ("frame", "id", *_BOX, "active", "class", "visibility", "z")
_NAMES = listed(
    """pedestrian, person on vehicle, car, bicycle, motorbike, non-motorised vehicle, static person, distractor,
    occluder, occluder on the ground, occluder full, reflection, crowd"""
)
_DISTRACTORS = [2, 7, 8, 12]
_CROWD = 13
_DETECTORS = ("-DPM", "-FRCNN", "-SDP")
_MOST_FRAMES = 100_000
_FRAME = re.compile(r"([0-9]{6})(\.[^./]+)")


@dataclass(frozen=True)
class _Sequence:
    """A sequence: its folder with a slash, its images relative to that, their count, suffix and size.

    `numbers` are those of its frames, `source` is the file that says so.
    """

    folder: str
    image_dir: str
    n_frames: int
    suffix: str
    size_wh: native.SizeWh | None
    numbers: Sequence[int]
    source: str

    @property
    def scene(self) -> str:
        """The name of the sequence without the detector that a copy is for; empty where the root is the sequence."""
        name = PurePosixPath(self.folder).name
        return next((name.removesuffix(d) for d in _DETECTORS if name.endswith(d)), name)

    def frame(self, number: int) -> str:
        """Return the name of a frame, counted from 1."""
        return f"{self.folder}{self.image_dir}/{number:06d}{self.suffix}"


def read(
    root: Path, *, missing_images: str = "error", size_mismatch: str = "error", on_error: str = "fail"
) -> AnnotationTable:
    """Read the annotated sequences of MOT15, MOT17Det, MOT17 or MOT20: 13 classes with the numbers of the benchmark.

    All frames of a sequence are images of the data set. Objects that the benchmark does not consider (``active`` 0)
    are ignored with the reason ``not considered``, the people-like classes 2, 7, 8 and 12 with ``distractor``, crowds
    with ``crowd``. `vis_ratio` is the visibility, `occluded` 1 minus it. The sequence is the `group`; of MOT17's three
    copies of a sequence (DPM, FRCNN, SDP) the first is read. Sequences without ``gt/gt.txt`` are not annotated and are
    not read. Without ``seqinfo.ini`` the frames are the images of ``img1``. With ``gt/labels.txt`` the classes are
    those that it names, and none is a distractor or a crowd.

    Args:
        root: The folder that holds the sequences, at any depth, or that of one sequence.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016; motchallenge.net.
    """
    source = Source(
        root,
        "a folder of sequences with gt/gt.txt and seqinfo.ini",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
    )
    missing, remedy = f"no folder in it holds {_TRUTH}", "give the folder of the sequences"
    texts = source.files(_TRUTH, code="MOT_MISSING", missing=missing, remedy=remedy)
    sequences = [_sequence(root, text.removesuffix(_TRUTH)) for text in texts]
    sequences = _one_of_each(sequences, source.errors)
    for sequence in sequences:
        group = sequence.scene or real_path(root).name
        for number in sequence.numbers:
            name = sequence.frame(number)
            where, split = str(root / sequence.folder / sequence.source), split_of_path(name)
            source.add_image(name, where, sequence.size_wh, split=split, group=group, frame=number - 1)
    names = _own_classes(source)
    rows = _rows(source, sequences, names or _NAMES, one_based=not names)
    return source.table(rows if names else _ignored(rows), names or _NAMES)


def _own_classes(source: Source) -> list[str]:
    """Return the classes that labels.txt of CVAT names, one a line; none where there is no such file.

    Raises:
        InputError: Two sequences have other classes.
    """
    first: tuple[str, list[str]] = ("", [])
    for name in io.list_files(source.root, (".txt",)):
        if name == _LABELS or name.endswith(f"/{_LABELS}"):
            names = [text for text, _ in source.lines(name)]
            first = first if first[1] else (name, names)
            if names != first[1]:
                what, remedy = f"its classes are others than those of {first[0]}", "read the sequences one by one"
                raise InputError("CLASS_LIST", what, where=source.root / name, remedy=remedy)
    return first[1]


def _one_of_each(sequences: Sequence[_Sequence], errors: ErrorCollector) -> list[_Sequence]:
    """Return the first of the copies of each sequence."""
    first: dict[tuple[PurePosixPath, str], _Sequence] = {}
    for sequence in sequences:
        first.setdefault((PurePosixPath(sequence.folder).parent, sequence.scene), sequence)
    copies = [sequence for sequence in sequences if sequence not in first.values()]
    n_frames = sum(sequence.n_frames for sequence in copies)
    places = tuple(sequence.folder.rstrip("/") for sequence in copies)
    errors.note("copy of a sequence for another detector", n_frames, places, kind="image")
    return list(first.values())


def _sequence(root: Path, folder: str) -> _Sequence:
    """Read the seqinfo.ini of a sequence.

    Raises:
        InputError: It is missing or does not tell what is needed.
    """
    path = root / folder / _INFO
    if not path.exists():
        return _without_info(root, folder)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(native.read_text(root, path))
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else path
        raise InputError("INI_SYNTAX", str(error.message), where=where, remedy="restore the file") from error
    values = parser["Sequence"] if parser.has_section("Sequence") else {}
    n_frames, width, height = (_count(values.get(key, ""), path, key) for key in ("seqLength", "imWidth", "imHeight"))
    image_dir, suffix = values.get("imDir", _IMAGES), values.get("imExt", ".jpg")
    io.safe_join(root, f"{folder}{image_dir}", where=path, field="imDir")
    numbers = range(1, n_frames + 1)
    return _Sequence(folder, PurePosixPath(image_dir).as_posix(), n_frames, suffix, (width, height), numbers, _INFO)


def _without_info(root: Path, folder: str) -> _Sequence:
    """Return a sequence as its images show it: frames that are neither there nor in a row are not its own.

    Raises:
        InputError: There are none.
    """
    home = root / folder / _IMAGES
    names = io.list_files(home, IMAGE_SUFFIXES) if home.is_dir() else []
    frames = {int(match[1]): match[2] for name in names if (match := _FRAME.fullmatch(name))}
    if not frames:
        what = f"there is neither {_INFO} nor an image such as {_IMAGES}/000001.jpg"
        raise InputError("MOT_MISSING", what, where=root / folder, remedy="restore one of them")
    lines = native.lines_of(native.read_text(root, root / folder / _TRUTH))
    in_rows = {parse_integer(line.partition(",")[0]) or 0 for line in lines}
    numbers = sorted({*frames, *(number for number in in_rows if 0 < number <= _MOST_FRAMES)})
    return _Sequence(folder, _IMAGES, numbers[-1], frames[min(frames)], None, numbers, _TRUTH)


def _count(text: str, path: Path, key: str) -> int:
    number = parse_integer(text)
    if number is None or not 0 < number <= _MOST_FRAMES:
        what = f"expected a number from 1 to {_MOST_FRAMES:,} in the section [Sequence]"
        raise InputError("INI_VALUE", what, where=path, field=key, value=text, remedy="restore the file")
    return number


def _rows(source: Source, sequences: Sequence[_Sequence], names: Sequence[str], *, one_based: bool) -> Rows:
    """Return the rows of all sequences that are not at fault, with the columns of the table."""
    texts = [f"{sequence.folder}{_TRUTH}" for sequence in sequences]
    rows = source.rows(texts, _FIELDS, Dialect(",", trailing=True, optional=1))
    is_2015 = pl.col("z").is_not_null()  # x, y, z stand where later years have class and visibility
    rows = _with_fields(rows, sequences).with_columns(
        pl.when(is_2015).then(pl.lit("1")).otherwise("class").alias("class"),
        visibility=pl.when(~is_2015).then("visibility"),
    )
    rows = rows.numbers("id", "active", "class", whole=True).numbers(*_BOX, "visibility")
    for size in ("width", "height"):
        rows = rows.check(pl.col(size) >= 0, "ROW_NUMBER", "expected 0 or more", size)
    rows = rows.between("active", 0, 1, "expected 0 or 1")
    rows = rows.between("class", 1, len(names), f"expected a class from 1 to {len(names)}")
    rows = rows.between("visibility", 0, 1, "expected a share from 0 to 1")
    rows = rows.box(*_BOX, box_format=PIXEL_SIZES, one_based=one_based)
    return rows.ignore({"not considered": pl.col("active") == 0}).with_columns(
        category_id="class",
        occluded=1 - pl.col("visibility"),
        vis_ratio="visibility",
        track_id=pl.col("id").cast(pl.String),
    )


def _ignored(rows: Rows) -> Rows:
    """Return rows of the benchmark's classes, with what it does not score to be ignored."""
    reasons = {
        "crowd": pl.col("class") == _CROWD,
        "distractor": pl.col("class").is_in(_DISTRACTORS),
        "not considered": pl.col("active") == 0,
    }
    return rows.ignore(reasons, crowds=["crowd"])


def _with_fields(rows: Rows, sequences: Sequence[_Sequence]) -> Rows:
    """Put the image of each row into `image`; rows of frames that a sequence does not have are reported."""
    of_file = {
        f"{sequence.folder}{_TRUTH}": (sequence.n_frames, f"{sequence.folder}{sequence.image_dir}/", sequence.suffix)
        for sequence in sequences
    }
    n_frames, start, suffix = (
        pl.col("file").replace_strict({file: facts[i] for file, facts in of_file.items()}) for i in range(3)
    )
    rows = rows.numbers("frame", whole=True)
    has_frame = pl.col("frame").is_between(1, n_frames)
    rows = rows.check(has_frame, "ROW_FRAME", "the sequence has no such frame", "frame")
    number = pl.col("frame").cast(pl.String).str.zfill(6)
    return rows.with_columns(image=pl.concat_str(start, number, suffix))
