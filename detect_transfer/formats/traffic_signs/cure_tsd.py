"""CURE-TSD: a label text for each sequence, beside videos of it under many challenges.

Below a header, a row is ``frame_sign_llx_lly_lrx_lry_ulx_uly_urx_ury``. Frames count from 1; the box spans the four
corners. Videos are named ``RR_SS_PP_TT_LL``: real or synthetic, sequence, source, type and level of the challenge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.video import VIDEO_SUFFIXES
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.row_table import finish_rows

_LABELS = re.compile(r"[0-9]{2}_[0-9]{2}")
_VIDEO = re.compile(r"([0-9]{2}_[0-9]{2})_([0-9]{2})_([0-9]{2})_([0-9]{2})")
_XS, _YS = ("llx", "lrx", "ulx", "urx"), ("lly", "lry", "uly", "ury")
_FIELDS = ("frame", "sign", "llx", "lly", "lrx", "lry", "ulx", "uly", "urx", "ury")
_NAMES = (
    *("speed limit", "goods vehicles", "no overtaking", "no stopping", "no parking", "stop", "bicycle", "hump"),
    *("no left", "no right", "priority to", "no entry", "yield", "parking"),
)
_SPLITS = ("train", "test")
_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class _Frame:
    """A frame: its number from 0, the sequence, the video (or folder) it is from and what is told of that."""

    sequence: str
    number: int
    video: str
    split: str | None
    challenge: tuple[int, int, int] | None


def read(
    root: Path, *, n_frames: int = 300, stride: int = 1, first_image: int = 1, missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
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
        missing_images: What to do about a sequence without video and images: ``error``; ``keep`` to go on as if there
            were one video ``RR_SS.mp4``, without size; ``skip`` to leave it out and count it.
        on_error: What becomes of rows and frames at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Temel et al., CURE-TSD: Challenging Unreal and Real Environments for Traffic Sign Detection, 2017.
    """
    problems, media = ErrorCollector(on_error), ImageLookup(missing_images=missing_images)
    _check_range("n_frames", n_frames, 1, _MOST_FRAMES)
    _check_range("stride", stride, 1, _MOST_FRAMES)
    io.require_dir(root, what="a folder with label texts and videos")
    held = {n: PurePosixPath(n).stem for n in io.list_files(root, (".txt",))}
    texts = {stem: name for name, stem in held.items() if _LABELS.fullmatch(stem)}
    if not texts:
        raise InputError("CURE_MISSING", "it holds no text such as 01_01.txt", where=root, remedy="give its folder")
    frames = _frames(root, texts, n_frames, first_image, problems)
    kept = {name: frame for name, frame in frames.items() if frame.number % stride == 0}
    problems.note("left out by the stride", len(frames) - len(kept), kind="image")
    where = {sequence: ImageRef(str(root / text)) for sequence, text in texts.items()}
    images = find_media(root, {name: where[frame.sequence] for name, frame in kept.items()}, media, problems)
    rows = _rows(root, texts, max(n_frames, *(frame.number + 1 for frame in frames.values())), problems)
    _spread(problems, frames, root, texts)
    facts = _facts(frames)
    variants = facts.select("sequence", "frame", name="image")
    lost = (
        rows.join(variants, on=["sequence", "frame"], how="anti").select(text_of("{}:{}", "file", "line")).to_series()
    )
    problems.note("row of a frame that is not there", len(lost), tuple(lost), kind="box")
    return finish_rows(
        problems,
        rows=rows.join(variants, on=["sequence", "frame"], maintain_order="left_right")
        .with_columns(image="name")
        .drop("name", "sequence", "frame"),
        found=images,
        categories={"category_id": range(1, len(_NAMES) + 1), "name": _NAMES},
        image_root=root,
        facts=facts.rename({"sequence": "group"}),
    )


def _facts(frames: Mapping[str, _Frame]) -> pl.DataFrame:
    """Return what is told of each frame."""
    columns = ("image", "sequence", "split", "frame", "source_type", "challenge_type", "challenge_level")
    return pl.DataFrame(
        [(name, f.sequence, f.split, f.number, *(f.challenge or (None,) * 3)) for name, f in frames.items()],
        schema={name: pl.String if name in columns[:3] else pl.Int64 for name in columns},
        orient="row",
    )


def _check_range(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InputError(
            *("OPTION_VALUE", f"expected a number from {low} to {high:,}"),
            field=option,
            value=value,
            remedy="give another number",
        )


def _frames(
    root: Path, texts: Mapping[str, str], n_frames: int, first_image: int, problems: ErrorCollector
) -> dict[str, _Frame]:
    """Return the frames of all sequences by their names, those without video and images as of ``RR_SS.mp4``."""
    found: dict[str, _Frame] = {}
    for name in io.list_files(root, VIDEO_SUFFIXES):
        match = _VIDEO.fullmatch(PurePosixPath(name).stem)
        if match and match[1] in texts:
            found |= {f"{name}#{i:05d}": _frame(match, i, name) for i in range(n_frames)}
    for name in io.list_files(root, IMAGE_SUFFIXES):
        path = PurePosixPath(name)
        match, number = _VIDEO.fullmatch(path.parent.name), parse_integer(path.stem)
        if match is None or match[1] not in texts:
            continue
        if number is None or number < first_image:
            problems.add(
                *("FRAME_NUMBER", f"expected an image that is named by a number from {first_image} on"),
                where=root / name,
                image=name,
                remedy="rename it, or read with the right first_image",
            )
        else:
            found[name] = _frame(match, number - first_image, path.parent.as_posix())
    for sequence in sorted(texts.keys() - {frame.sequence for frame in found.values()}):
        found |= {f"{sequence}.mp4#{i:05d}": _Frame(sequence, i, "", None, None) for i in range(n_frames)}
    return found


def _frame(match: re.Match[str], number: int, video: str) -> _Frame:
    parts = [part.casefold() for part in PurePosixPath(video).parts[:-1]]
    split = next((split for part in parts for split in _SPLITS if split in part), None)
    return _Frame(match[1], number, video, split, (int(match[2]), int(match[3]), int(match[4])))


def _rows(root: Path, texts: Mapping[str, str], n_frames: int, problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows of all texts with the columns of the table, `sequence` and `frame`."""
    sequence_of: dict[str, str | None] = {text: sequence for sequence, text in texts.items()}
    data = read_delimited(root, sequence_of, _FIELDS, Dialect("_"), problems)
    header = (pl.col("line") == pl.col("line").min().over("file")) & ~pl.col("frame").str.contains("[0-9]")
    data = data.filter(~header).with_columns(sequence="image")
    data = to_numbers(data, ["frame", "sign"], root, problems, whole=True)
    told = ("ROW_FRAME", f"expected a frame from 1 to {n_frames}", "frame")
    data = check_rows(data, pl.col("frame").is_between(1, n_frames), root, problems, told=told)
    data = data.with_columns(pl.col("frame") - 1).with_columns(image=text_of("{}#{}", "sequence", "frame"))
    told = ("ROW_NUMBER", f"expected a sign from 1 to {len(_NAMES)}", "sign")
    data = check_rows(data, pl.col("sign").is_between(1, len(_NAMES)), root, problems, told=told)
    data = to_numbers(data, [*_XS, *_YS], root, problems)
    return data.select(
        *("file", "line", "image", "sequence", "frame"),
        category_id="sign",
        x1=pl.min_horizontal(_XS),
        y1=pl.min_horizontal(_YS),
        x2=pl.max_horizontal(_XS),
        y2=pl.max_horizontal(_YS),
    )


def _spread(problems: ErrorCollector, frames: Mapping[str, _Frame], root: Path, texts: Mapping[str, str]) -> None:
    """Let a row, frame or sequence that a fault leaves out be those of every variant of the video."""
    variants: dict[str, list[str]] = {}
    videos: dict[str, set[str]] = {}
    for name, frame in frames.items() if problems.total else ():
        videos.setdefault(str(root / texts[frame.sequence]), set()).add(frame.video)
        for key in (frame.sequence, f"{frame.sequence}#{frame.number}"):
            variants.setdefault(key, []).append(name)
    of_no_frame = [str(e) for name, e in problems.skipped_images.items() if name not in variants and name not in frames]
    problems.rename_skipped(lambda name: [name] if name in frames else variants.get(name, ()))
    problems.remark("row at fault of a frame that is not there", len(of_no_frame), tuple(of_no_frame), kind="box")
    problems.skipped_rows = [
        error for error in problems.skipped_rows for _ in videos[str(error.where).rpartition(":")[0]]
    ]
