"""JAAD: people at the roadside in 346 videos, an XML of tracks each.

The XML is that of CVAT for video: corners are continuous pixels counted from 0, frames count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.video import VIDEO_SUFFIXES
from detect_transfer.formats.cvat import xml
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.parsing.xml import read_xml

CLASSES = ("pedestrian", "ped")
_GROUP = "people"
_CLIPS = "JAAD_clips"
_HIDDEN = {"none": 0.0, "part": 0.25, "full": 0.75}  # at least this share
_FULLY_OCCLUDED = ("keep", "ignore")
_KNOWN = frozenset(("frame", "keyframe", "occluded", "outside", "xtl", "ytl", "xbr", "ybr"))
_COLUMNS = ("time_of_day", "weather", "location")


def read(
    root: Path,
    *,
    split: str = "default",
    fully_occluded: str = "keep",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read JAAD: classes `pedestrian` (with behaviour) and `ped`; `people` are crowds, ignored for both.

    Every frame of a video is an image and a video is a group. `occluded` is the least share that is hidden: 0, 0.25
    (``part``) or 0.75 (``full``). The behaviour goes to `attributes`; time of day, weather and place are columns of
    images. Frames are the images ``images/video_0001/00000.png``, or ``JAAD_clips/video_0001.mp4#00000`` where there
    is the video and no image.

    Args:
        root: The folder with ``annotations/`` and, for the splits, ``split_ids/``.
        split: The folder of ``split_ids/`` that lists the splits: ``default``, ``all_videos`` or ``high_visibility``;
            without ``split_ids/`` no image has one.
        fully_occluded: ``keep`` boxes that are drawn where somebody is hidden to 75 % and more, or ``ignore`` them.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with the
            element of its file.

    Source: Rasouli et al., Are They Going to Cross? (JAAD), ICCV Workshops 2017; README of the annotations.
    """
    native.check_choice("fully_occluded", fully_occluded, _FULLY_OCCLUDED)
    io.require_dir(root / "annotations", what="the folder of the annotations, video_0001.xml and so on,")
    what = "a folder with annotations/"
    source = Source(
        root, what, by="tail", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    splits = _splits(source, split)
    for name in io.list_files(root / "annotations", (".xml",)):
        if "/" not in name:
            with source.errors.file(), no_collection():
                _read_video(source, f"annotations/{name}", splits, fully_occluded)
    return source.table(categories=CLASSES)


def _splits(source: Source, split: str) -> dict[str, str]:
    """Return the split of every video that the lists name."""
    lists = source.root / "split_ids"
    if not lists.is_dir():
        return {}
    folder = lists / split
    if not folder.is_dir():
        choices = ", ".join(sorted(path.name for path in lists.iterdir() if path.is_dir()))
        what, remedy = f"there is no folder split_ids/{split}", f"give one of: {choices}"
        raise InputError("OPTION_VALUE", what, field="split", value=split, remedy=remedy)
    splits: dict[str, str] = {}
    for name in io.list_files(folder, (".txt",)):
        lines = native.lines_of(native.read_text(source.root, folder / name))
        for line, video in enumerate(map(str.strip, lines), start=1):
            stem = PurePosixPath(name).stem
            if video and splits.setdefault(video, stem) != stem:
                what, where = f"it is listed in {splits[video]}.txt too", f"{folder / name}:{line}"
                remedy = "keep one of them"
                source.errors.add("SPLIT_TWICE", what, where=where, field="video", value=video, remedy=remedy)
    return splits


def _read_video(source: Source, name: str, splits: Mapping[str, str], fully_occluded: str) -> None:
    tree = read_xml(source.root, name, "annotations")
    video = PurePosixPath(name).stem
    prefix, suffix = _frame_names(source.root, video)
    meta = f"{source.root}/{name}#meta"
    about = xml.task(tree)
    columns = {key: xml.text_of(about, f"video_attributes/{key}") or None for key in _COLUMNS}
    frames = set(xml.frame_numbers(tree, meta))
    for number, track in enumerate(tree.findall("track"), start=1):
        for index, box in enumerate(track.findall("box"), start=1):
            box_source = f"{name}#track[{number}]/box[{index}]"
            where = f"{source.root}/{box_source}"
            image = ""
            try:
                frame = xml.whole(box, "frame", where)
                frames.add(frame)
                image = f"{prefix}{frame:05d}{suffix}"
                if not xml.flag(box, "outside", where):
                    _add_box(source, image, track, box, box_source, fully_occluded)
            except InputError as error:
                source.errors.put(error, row_of=image)
    size_wh = xml.size_wh(tree, meta)
    for frame in sorted(frames):
        image = f"{prefix}{frame:05d}{suffix}"
        source.add_image(image, f"{source.root}/{name}", size_wh, group=video, split=splits.get(video), **columns)


def _frame_names(root: Path, video: str) -> tuple[str, str]:
    """Return what stands before and after the number of a frame in its name."""
    folder = root / "images" / video
    has_images = folder.is_dir() and any(p.suffix.lower() in IMAGE_SUFFIXES for p in folder.iterdir())
    for clip in () if has_images else (f"{_CLIPS}/{video}{suffix}" for suffix in VIDEO_SUFFIXES):
        if (root / clip).is_file():
            return f"{clip}#", ""
    return f"images/{video}/", ".png"


def _add_box(source: Source, image: str, track: Element, box: Element, box_source: str, fully_occluded: str) -> None:
    where = f"{source.root}/{box_source}"
    label = xml.label(track, where)
    attributes = xml.attributes(box, _KNOWN)
    occlusion = attributes.pop("occlusion", "none")
    if occlusion not in _HIDDEN:
        attributes["occlusion"] = occlusion
    track_id = attributes.pop("id", None)
    is_group, is_ignored = label == _GROUP, fully_occluded == "ignore" and occlusion == "full"
    source.add_box(
        image,
        None if is_group else label,
        xml.corners(box, where),
        box_source,
        attributes,
        track_id=track_id,
        iscrowd=is_group,
        ignore=is_group or is_ignored,
        ignore_reason="people" if is_group else "fully occluded" if is_ignored else None,
        occluded=_HIDDEN.get(occlusion),
    )


def _error(code: str, where: str, field: str, value: str, what: str) -> InputError:
    return InputError(code, what, where=where, field=field, value=value, remedy="fix the box or remove it")
