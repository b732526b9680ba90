"""CURE-TSD: a label text for each sequence, beside videos of it under many challenges.

Below a header, a row is ``frame_sign_llx_lly_lrx_lry_ulx_uly_urx_ury``. Frames count from 1; the box spans the four
corners. Videos are named ``RR_SS_PP_TT_LL``: real or synthetic, sequence, source, type and level of the challenge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.video import VIDEO_SUFFIXES
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, listed

_LABELS = re.compile(r"[0-9]{2}_[0-9]{2}")
_VIDEO = re.compile(r"([0-9]{2}_[0-9]{2})_([0-9]{2})_([0-9]{2})_([0-9]{2})")
_XS, _YS = ("llx", "lrx", "ulx", "urx"), ("lly", "lry", "uly", "ury")
_FIELDS = ("frame", "sign", "llx", "lly", "lrx", "lry", "ulx", "uly", "urx", "ury")
_NAMES = listed(
    """speed limit, goods vehicles, no overtaking, no stopping, no parking, stop, bicycle, hump, no left, no right,
    priority to, no entry, yield, parking"""
)
_SPLITS = ("train", "test")
_MOST_FRAMES = 100_000
_FRAME = ("sequence", "frame")


@dataclass(frozen=True)
class _Frame:
    """A frame: its number from 0, the sequence, the video (or folder) it is from and what is stated of that."""

    sequence: str
    number: int
    video: str
    split: str | None = None
    challenge: Mapping[str, int] = field(default_factory=dict)


def read(
    root: Path,
    *,
    n_frames: int = 300,
    stride: int = 1,
    first_image: int = 1,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read CURE-TSD: 14 signs; a frame is ``<video>.mp4#<number from 0>``, or an extracted image.

    Every video is annotated by the text of its sequence, so all its variants share the boxes; the sequence is the
    `group`. All frames are images of the data set. Images have the columns `frame` (from 0), `source_type`,
    `challenge_type` and `challenge_level`; a folder whose name says ``train`` or ``test`` tells the split.

    Args:
        root: The folder with the texts ``RR_SS.txt`` and the videos, at any depth; or, in place of a video, a folder of
            its name with images named by number.
        n_frames: How many frames a video has.
        stride: Every how many frames one is read, from the first on; boxes of the others are counted.
        first_image: The number in the name of the first extracted image.
        missing_images: See `Source`; ``keep`` goes on as if a sequence without video and images had one video
            ``RR_SS.mp4``, without size.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Temel et al., CURE-TSD: Challenging Unreal and Real Environments for Traffic Sign Detection, 2017.
    """
    for option, value in (("n_frames", n_frames), ("stride", stride)):
        if not 1 <= value <= _MOST_FRAMES:
            what = f"expected a number from 1 to {_MOST_FRAMES:,}"
            raise InputError("OPTION_VALUE", what, field=option, value=value, remedy="give another number")
    source = Source(root, "a folder with label texts and videos", missing_images=missing_images, on_error=on_error)
    names = {PurePosixPath(name).stem: name for name in io.list_files(root, (".txt",))}
    texts = {stem: name for stem, name in names.items() if _LABELS.fullmatch(stem)}
    if not texts:
        raise InputError("CURE_MISSING", "it holds no text such as 01_01.txt", where=root, remedy="give its folder")
    frames = _frames(source, texts, n_frames, first_image)
    n_left_out = sum(frame.number % stride != 0 for frame in frames.values())
    source.errors.note("left out by the stride", n_left_out, kind="image")
    for name, frame in frames.items():
        if frame.number % stride == 0:
            where, facts = str(root / texts[frame.sequence]), frame.challenge
            source.add_image(name, where, None, split=frame.split, group=frame.sequence, frame=frame.number, **facts)
    rows = _rows(source, texts, max(n_frames, *(frame.number + 1 for frame in frames.values())))
    _spread(source.errors, frames, root, texts)
    variants = pl.DataFrame(
        [(frame.sequence, frame.number, name) for name, frame in frames.items()],
        schema={"sequence": pl.String, "frame": pl.Int64, "name": pl.String},
        orient="row",
    )
    lost = replace(rows, data=rows.data.join(variants, on=_FRAME, how="anti")).sources()
    source.errors.note("row of a frame that is not there", len(lost), lost, kind="box")
    data = rows.data.join(variants, on=_FRAME, maintain_order="left_right").with_columns(image="name")
    return source.table(replace(rows, data=data), _NAMES)


def _frames(source: Source, texts: Mapping[str, str], n_frames: int, first_image: int) -> dict[str, _Frame]:
    """Return the frames of all sequences by their names, those without video and images as of ``RR_SS.mp4``."""
    frames: dict[str, _Frame] = {}
    for name in io.list_files(source.root, VIDEO_SUFFIXES):
        match = _VIDEO.fullmatch(PurePosixPath(name).stem)
        if match and match[1] in texts:
            frames |= {f"{name}#{i:05d}": _frame(match, i, name) for i in range(n_frames)}
    for name in source.image_files():
        path = PurePosixPath(name)
        match, number = _VIDEO.fullmatch(path.parent.name), parse_integer(path.stem)
        if match is None or match[1] not in texts:
            continue
        if number is None or number < first_image:
            what = f"expected an image that is named by a number from {first_image} on"
            remedy = "rename it, or read with the right first_image"
            source.errors.add("FRAME_NUMBER", what, where=source.root / name, image=name, remedy=remedy)
        else:
            frames[name] = _frame(match, number - first_image, path.parent.as_posix())
    for sequence in sorted(texts.keys() - {frame.sequence for frame in frames.values()}):
        frames |= {f"{sequence}.mp4#{i:05d}": _Frame(sequence, i, "") for i in range(n_frames)}
    return frames


def _frame(match: re.Match[str], number: int, video: str) -> _Frame:
    parts = [part.casefold() for part in PurePosixPath(video).parts[:-1]]
    split = next((split for part in parts for split in _SPLITS if split in part), None)
    keys = ("source_type", "challenge_type", "challenge_level")
    return _Frame(match[1], number, video, split, dict(zip(keys, map(int, match.groups()[1:]), strict=True)))


def _rows(source: Source, texts: Mapping[str, str], n_frames: int) -> Rows:
    """Return the rows of all texts that are not at fault, with `sequence` and `frame` (from 0)."""
    sequence_of = {text: sequence for sequence, text in texts.items()}
    rows = source.rows(sequence_of, _FIELDS, Dialect("_"), sequence_of)
    is_first = pl.col("line") == pl.col("line").min().over("file")
    rows = rows.filter(~(is_first & ~pl.col("frame").str.contains("[0-9]"))).with_columns(sequence="image")
    rows = rows.numbers("frame", "sign", whole=True)
    rows = rows.between("frame", 1, n_frames, f"expected a frame from 1 to {n_frames}", "ROW_FRAME")
    rows = rows.with_columns(pl.col("frame") - 1).with_columns(image=text_of("{}#{}", "sequence", "frame"))
    rows = rows.between("sign", 1, len(_NAMES), f"expected a sign from 1 to {len(_NAMES)}").numbers(*_XS, *_YS)
    return rows.with_columns(
        category_id="sign",
        x1=pl.min_horizontal(_XS),
        y1=pl.min_horizontal(_YS),
        x2=pl.max_horizontal(_XS),
        y2=pl.max_horizontal(_YS),
    )


def _spread(errors: ErrorCollector, frames: Mapping[str, _Frame], root: Path, texts: Mapping[str, str]) -> None:
    """Let a row, frame or sequence that a fault leaves out be those of every variant of the video."""
    variants: dict[str, list[str]] = {}
    videos: dict[str, set[str]] = {}
    for name, frame in frames.items() if errors.total else ():
        videos.setdefault(str(root / texts[frame.sequence]), set()).add(frame.video)
        for key in (frame.sequence, f"{frame.sequence}#{frame.number}"):
            variants.setdefault(key, []).append(name)
    skipped = errors.skipped_images.items()
    of_no_frame = tuple(str(error) for name, error in skipped if name not in variants and name not in frames)
    errors.rename_skipped(lambda name: [name] if name in frames else variants.get(name, ()))
    errors.remark("row at fault of a frame that is not there", len(of_no_frame), of_no_frame, kind="box")
    errors.skipped_rows = [error for error in errors.skipped_rows for _ in videos[str(error.where).rpartition(":")[0]]]
