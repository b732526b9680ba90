"""CVAT XML 1.1: `annotations.xml` for images, or for a video with its tracks.

Corners are continuous pixels counted from 0. A turned box is written as it was before turning; its table row is the
upright box around it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.video import VIDEO_SUFFIXES, frame_name
from detect_transfer.formats.cvat import xml
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.own_columns import take_columns
from detect_transfer.formats.parsing.shapes import PART_OF_GROUP, Shape, objects_of_groups
from detect_transfer.formats.parsing.source import Source, listed
from detect_transfer.formats.parsing.xml import read_xml

_KNOWN = frozenset(
    listed(
        """label, occluded, outside, frame, keyframe, xtl, ytl, xbr, ybr, points, rotation, rle, left, top, width,
        height, cx, cy, rx, ry"""
    )
)
_CUBOID = re.compile("[xy](tl|bl|tr|br)[12]")


def read(
    root: Path,
    *,
    other_shapes: str = "extent",
    images: Path | None = None,
    units: Units | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read CVAT for images 1.1 or CVAT for video 1.1.

    Every image and every frame of a video that the task has is an image, with or without shapes. Where a track is
    `outside` there is no object. Shapes of one class and group in an image are one object: its boxes, else the box
    around all of them, as exports of CVAT in other formats have it. The flag `occluded` is the column of that name, 1
    or 0; the group of a shape, its depth order and what people said of it go to `attributes`, the tags of an image to
    the images column `tags`; what is named as a column of the table (`ignore`, `iscrowd`, `difficult`, `truncated`,
    ...) becomes that column. The subset is the split (``Train`` -> ``train``); a video is a group. A name that stands
    in several subsets means the image below a folder of the subset's name.

    A frame is the image ``images/frame_000012`` beside the XML, with whatever suffix; where there are no images but
    the video that the task was made of, it is ``<video>#00012``.

    Args:
        root: The folder of one or more exports, or an XML file.
        other_shapes: See `Source`; turned boxes are among them.
        images: See `Source`.
        units: What coordinates are counted in: ``pixels``, or ``shares`` of the image.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with the
            element of its file.

    Source: CVAT documentation, XML annotation format, version 1.1.
    """
    source = Source(
        root,
        "a folder with annotations.xml of CVAT",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        other_shapes=other_shapes,
        or_file=True,
        image_folder=images,
        box_format=PIXEL_CORNERS.with_options(None, units),
    )
    for name in source.files("*.xml", missing="it holds no .xml file; annotations.xml of CVAT was expected"):
        with source.errors.file(), no_collection():
            tree = read_xml(source.root, name, "annotations")
            _read_images(source, tree, name)
            _read_tracks(source, tree, name)
    return source.table()


def _read_images(source: Source, tree: Element, name: str) -> None:
    videos = {
        xml.text_of(task, "id"): xml.text_of(task, "name")
        for path in ("meta/task", "meta/job", "meta/project/tasks/task")
        for task in tree.findall(path)
        if xml.text_of(task, "mode") == "interpolation"
    }
    elements = tree.findall("image")
    n_named = Counter(element.get("name", "").strip() for element in elements)
    only = next(iter(videos.values())) if videos and tree.find("meta/project") is None else None
    parts: list[str] = []
    for number, element in enumerate(elements, start=1):
        address = f"{name}#image[{number}]"
        where = f"{source.root}/{address}"
        file_name = element.get("name", "").strip()
        if not file_name:
            remedy = "write the name of its image"
            source.errors.add("IMAGE_NAME", "the image has no name", where=where, remedy=remedy, image=address)
            continue
        subset = element.get("subset", "")
        if subset and n_named[file_name] > 1:  # a project may use one name in several subsets, each a folder
            file_name = f"{subset}/{file_name}"
        with source.errors.image(file_name):
            size_wh = _size(element, where)
            tags = [{"label": xml.label(tag, where), **xml.attributes(tag, _KNOWN)} for tag in element.findall("tag")]
            split = xml.subset_split(subset) or split_of_path(file_name)
            group = videos.get(element.get("task_id", ""), only)
            text = dump(tags, where) if tags else None
            if source.add_image(file_name, where, size_wh, split=split, group=group, tags=text):
                parts += _read_shapes(source, element, file_name, address)
    source.errors.remark(PART_OF_GROUP, len(parts), tuple(parts), kind="box")


def _size(image: Element, where: str) -> tuple[int, int] | None:
    """Return the stated size of an image; some tools state none."""
    if "width" not in image.attrib and "height" not in image.attrib:
        return None
    width, height = xml.whole(image, "width", where), xml.whole(image, "height", where)
    if not (0 < width < 2**31 and 0 < height < 2**31):
        what = "width and height must be at least 1"
        raise InputError("IMAGE_SIZE", what, where=where, field="size", value=(width, height), remedy="fix the size")
    return width, height


def _read_shapes(source: Source, parent: Element, file_name: str, parent_address: str) -> list[str]:
    """Add the objects of an image, and return the sources of the shapes that are part of another one."""
    counts: dict[str, int] = {}
    shapes: list[Shape] = []
    for element in parent:
        if element.tag == "tag":
            continue
        counts[element.tag] = counts.get(element.tag, 0) + 1
        address = f"{parent_address}/{element.tag}[{counts[element.tag]}]"
        with source.errors.row(file_name):
            shapes.append(_shape(element, address, source.root))
    objects, parts = objects_of_groups(shapes, "group_id")
    for shape in objects:
        with source.errors.row(file_name):
            source.add_shape(file_name, shape)
    return parts


def _shape(
    element: Element, source: str, root: Path, *, label: str | None = None, columns: Mapping[str, Any] | None = None
) -> Shape:
    """Return the shape of an element; that of a track has the label and columns of the track."""
    where = f"{root}/{source}"
    label = xml.label(element, where) if label is None else label
    if element.tag not in xml.SHAPES:
        what, remedy = "CVAT draws no such shape", "there is: " + ", ".join(xml.SHAPES)
        raise InputError("SHAPE_KIND", what, where=where, field="element", value=element.tag, remedy=remedy)
    kind, xyxy, drawn = xml.outline(element, where)
    attributes = xml.attributes(element, _KNOWN)
    if element.tag == "cuboid":
        attributes = {key: value for key, value in attributes.items() if not _CUBOID.fullmatch(key)}
    columns = {**take_columns(attributes), **(columns or {})}
    if element.get("occluded") is not None:
        columns["occluded"] = float(xml.flag(element, "occluded", where))
    return Shape(label, xyxy, source, kind, drawn, attributes, columns)


@dataclass(frozen=True)
class _Video:
    """A video and how its frames are called."""

    name: str
    pattern: str  # of an image, where there are images
    path: str | None  # relative to the root, where there is only the video
    size_wh: tuple[int, int] | None
    facts: Mapping[str, Any]

    def frame(self, number: int) -> str:
        return frame_name(self.path, number) if self.path else f"{self.pattern}{number:06d}.png"


def _read_tracks(source: Source, tree: Element, name: str) -> None:
    about = xml.task(tree)
    tracks = tree.findall("track")
    if not tracks and (tree.find("image") is not None or xml.text_of(about, "mode") != "interpolation"):
        return
    where = f"{source.root}/{name}"
    video = _video(tree, name, source.root)
    frames = set(xml.frame_numbers(tree, f"{where}#meta"))
    for number, track in enumerate(tracks, start=1):
        track_id = f"{video.name}/{track.get('id', number)}"
        for index, element in enumerate((each for each in track if each.tag != "attribute"), start=1):
            address = f"{name}#track[{number}]/{element.tag}[{index}]"
            image = ""
            try:
                frame = xml.whole(element, "frame", f"{source.root}/{address}")
                frames.add(frame)
                image = video.frame(frame)
                label = xml.label(track, f"{source.root}/{name}#track[{number}]")
                if not xml.flag(element, "outside", f"{source.root}/{address}"):
                    shape = _shape(element, address, source.root, label=label, columns={"track_id": track_id})
                    source.add_shape(image, shape)
            except InputError as error:
                ends = element.get("outside", "0") != "0"  # or may end the track, which without that would go on
                source.errors.put(error, row_of=None if ends else image)
    _remark_gaps(tracks, frames, name, source.errors)
    for frame in sorted(frames):
        source.add_image(video.frame(frame), where, video.size_wh, **video.facts)


def _remark_gaps(tracks: Sequence[Element], frames: Collection[int], name: str, errors: ErrorCollector) -> None:
    """Remark on frames without a box between two boxes of a track; nothing is interpolated."""
    numbers = sorted(frames)
    gaps: dict[str, int] = {}
    for number, track in enumerate(tracks, start=1):
        states = [(parse_integer(each.get("frame", "")), each.get("outside") != "1") for each in track]
        shown = sorted((frame, is_there) for frame, is_there in states if frame is not None)
        between = [
            bisect_left(numbers, after) - bisect_right(numbers, before)
            for (before, is_there), (after, _) in pairwise(shown)
            if is_there
        ]
        gaps[f"{name}#track[{number}]"] = sum(gap for gap in between if gap > 0)
    examples = tuple(track for track, gap in gaps.items() if gap)
    errors.remark("no box in frames between boxes of a track", sum(gaps.values()), examples, kind="image")


def _video(tree: Element, name: str, root: Path) -> _Video:
    """Return the video of an XML file: its images beside it, or else the video file."""
    about = xml.task(tree)
    title = PurePosixPath(xml.text_of(about, "source").replace("\\", "/")).name or xml.text_of(about, "name") or name
    home = PurePosixPath(name).parent
    images = (home / "images").as_posix()
    videos = [] if (root / images).is_dir() else io.list_files(root / home, VIDEO_SUFFIXES)
    path = next(((home / video).as_posix() for video in videos if PurePosixPath(video).name == title), None)
    facts = {"split": xml.subset_split(xml.text_of(about, "subset")) or split_of_path(name), "group": title}
    return _Video(title, f"{images}/frame_", path, xml.size_wh(tree, f"{root}/{name}#meta"), facts)
