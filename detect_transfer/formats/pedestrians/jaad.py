"""JAAD: people at the roadside in 346 videos, an XML of tracks each.

The XML is that of CVAT for video: corners are continuous pixels counted from 0, frames count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.video import VIDEO_SUFFIXES
from detect_transfer.formats.cvat import xml
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef
from detect_transfer.formats.parsing.shape_table import Shape, TableBuilder
from detect_transfer.formats.parsing.xml import read_xml

CLASSES = ("pedestrian", "ped")
_GROUP = "people"
_CLIPS = "JAAD_clips"
_HIDDEN = {"none": 0.0, "part": 0.25, "full": 0.75}  # at least this share
_FULLY_OCCLUDED = ("keep", "ignore")
_KNOWN = frozenset(("frame", "keyframe", "occluded", "outside", "xtl", "ytl", "xbr", "ybr"))
_FACTS = ("time_of_day", "weather", "location")


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
        split: The folder of ``split_ids/`` that tells the splits: ``default``, ``all_videos`` or ``high_visibility``;
            without ``split_ids/`` no split is told.
        fully_occluded: ``keep`` boxes that are drawn where somebody is hidden to 75 % and more, or ``ignore`` them.
        missing_images: ``error``; ``keep`` goes on with the sizes that the XML states; ``skip`` leaves the image and
            its boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the image or video where the XML states another size.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with the
            element of its file.

    Source: Rasouli et al., Are They Going to Cross? (JAAD), ICCV Workshops 2017; README of the annotations.
    """
    native.check_choice("fully_occluded", fully_occluded, _FULLY_OCCLUDED)
    media = ImageLookup(by="tail", missing_images=missing_images, size_mismatch=size_mismatch)
    problems = ErrorCollector(on_error)
    io.require_dir(root / "annotations", what="the folder of the annotations, video_0001.xml and so on,")
    drawing = TableBuilder(root, media, problems)
    splits = _splits(root, split, problems)
    names = [f"annotations/{n}" for n in io.list_files(root / "annotations", (".xml",)) if "/" not in n]
    for name in names:
        try:
            with no_collection():
                _read_video(read_xml(root, name, "annotations"), name, drawing, splits, fully_occluded)
        except InputError as error:
            problems.put(error)
    return drawing.table(CLASSES)


def _splits(root: Path, split: str, problems: ErrorCollector) -> dict[str, str]:
    """Return the split of every video that the lists name."""
    if not (root / "split_ids").is_dir():
        return {}
    folder = f"split_ids/{split}"
    if not (root / folder).is_dir():
        held = ", ".join(sorted(p.name for p in (root / "split_ids").iterdir() if p.is_dir()))
        raise InputError(
            *("OPTION_VALUE", f"there is no folder {folder}"),
            field="split",
            value=split,
            remedy=f"give one of: {held}",
        )
    found: dict[str, str] = {}
    for name in io.list_files(root / folder, (".txt",)):
        part = PurePosixPath(name).stem
        path = root / folder / name
        for line, text in enumerate(native.lines_of(native.read_text(root, path)), start=1):
            if text.strip() and found.setdefault(text.strip(), part) != part:
                problems.add(
                    *("SPLIT_TWICE", f"it is listed in {found[text.strip()]}.txt too"),
                    where=f"{path}:{line}",
                    field="video",
                    value=text.strip(),
                    remedy="keep one of them",
                )
    return found


def _read_video(
    tree: Element, name: str, drawing: TableBuilder, splits: Mapping[str, str], fully_occluded: str
) -> None:
    video = PurePosixPath(name).stem
    prefix, suffix = _frame_names(drawing.root, video)
    about = xml.task(tree)
    facts = {"group": video, "split": splits.get(video)}
    facts |= {key: xml.text_of(about, f"video_attributes/{key}") or None for key in _FACTS}
    frames = set(xml.frame_numbers(tree, f"{drawing.root}/{name}#meta"))
    for number, track in enumerate(tree.findall("track"), start=1):
        for index, box in enumerate(track.findall("box"), start=1):
            source = f"{name}#track[{number}]/box[{index}]"
            image = ""
            try:
                frame = xml.whole(box, "frame", f"{drawing.root}/{source}")
                frames.add(frame)
                image = f"{prefix}{frame:05d}{suffix}"
                if not xml.flag(box, "outside", f"{drawing.root}/{source}"):
                    drawing.add_shape(image, _shape(track, box, (drawing.root, source), fully_occluded))
            except InputError as error:
                drawing.problems.put(error, row_of=image)
    named = ImageRef(f"{drawing.root}/{name}", xml.size_wh(tree, f"{drawing.root}/{name}#meta"))
    for frame in sorted(frames):
        drawing.add_image(f"{prefix}{frame:05d}{suffix}", named, facts)


def _frame_names(root: Path, video: str) -> tuple[str, str]:
    """Return what stands before and after the number of a frame in its name."""
    folder = root / "images" / video
    has_images = folder.is_dir() and any(p.suffix.lower() in IMAGE_SUFFIXES for p in folder.iterdir())
    for clip in () if has_images else (f"{_CLIPS}/{video}{suffix}" for suffix in VIDEO_SUFFIXES):
        if (root / clip).is_file():
            return f"{clip}#", ""
    return f"images/{video}/", ".png"


def _shape(track: Element, box: Element, place: tuple[Path, str], fully_occluded: str) -> Shape:
    """Return the box of a track in one frame; `place` is the root and the source."""
    where, source = f"{place[0]}/{place[1]}", place[1]
    label = xml.label(track, where)
    if label not in (*CLASSES, _GROUP):
        raise _error("CLASS_UNKNOWN", where, "label", label, "expected pedestrian, ped or people")
    attributes = xml.attributes(box, _KNOWN)
    hidden = attributes.pop("occlusion", "none")
    if hidden not in _HIDDEN:
        raise _error("XML_VALUE", where, "occlusion", hidden, "expected none, part or full")
    is_group, is_ignored = label == _GROUP, fully_occluded == "ignore" and hidden == "full"
    columns: dict[str, Any] = {
        "iscrowd": is_group,
        "ignore": is_group or is_ignored,
        "ignore_reason": "people" if is_group else "fully occluded" if is_ignored else None,
        "occluded": _HIDDEN[hidden],
        "track_id": attributes.pop("id", None),
    }
    return Shape(None if is_group else label, xml.corners(box, where), source, attributes=attributes, columns=columns)


def _error(code: str, where: str, field: str, value: str, what: str) -> InputError:
    return InputError(code, what, where=where, field=field, value=value, remedy="fix the box or remove it")
