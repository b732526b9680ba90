"""Detections as pre-annotations: what a person accepts or corrects in a labelling tool."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.boxes import xywh_to_xyxy
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import free_path, output_stem
from detect_transfer.core.images import read_size_wh
from detect_transfer.core.io import new_folder, read_json, require_dir, require_file, require_new, safe_join
from detect_transfer.core.opening import real_path
from detect_transfer.core.video import frames_at, parse_frame_name
from detect_transfer.data.seen_images import SEEN_IMAGES
from detect_transfer.formats.writing.pre_annotations import check_tools, write_pre_annotations
from detect_transfer.workflows.evaluate import SHOWN_SCORE
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import (
    has_thresholds,
    is_best_label,
    least_scores,
    read_thresholds,
    without_threshold,
)

_PNG_LEVEL = 3  # as convert writes frames


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KEYS: dict[str, Callable[[Any], bool]] = {
    "file_name": lambda value: isinstance(value, str),
    "category_name": lambda value: isinstance(value, str),
    "bbox": lambda value: isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)),
    "score": _is_number,
}


@dataclass(frozen=True)
class PreAnnotated:
    """What was written for labelling tools.

    Args:
        table: The images and boxes.
        n_frames: How many of the images are frames of videos, which are written as images.
        n_left_out: Detections that are not among them.
        note: Of which classes there are none, and why; "" where there is nothing to say.
    """

    table: AnnotationTable
    n_frames: int
    n_left_out: int
    note: str


def pre_annotate(
    predicted: Path, images: Path, out: Path, *, tools: Sequence[str], score_threshold: float | None = None
) -> PreAnnotated:
    """Write the detections that `predict` stored for labelling tools.

    No tool opens the frames of a video: where there are any, `out/images` gets them, and copies of the other images.

    Args:
        predicted: The folder that `predict` made, or a run folder, whose detections are of its validation images.
        images: The folder of the images.
        out: The folder to make, with one for each tool.
        tools: Keys of `LABELLING_TOOLS`.
        score_threshold: Detections from this score in [0, 1] on are written, of a box its best label alone; None takes
            those that `predict` drew, or would draw of a run folder.

    Raises:
        InputError: There are no detections, an image is not there, a word is wrong, or `out` is not empty.
        ResourceError: The disk is full or does not let us write.
    """
    require_new(out)
    check_tools(tools)
    if score_threshold is not None and not 0 <= score_threshold <= 1:
        what = "a number from 0 to 1 was expected"
        raise InputError("OPTION", what, field="--score", value=score_threshold, remedy="give 0.25, for example")
    require_dir(images, what="the folder of the images")
    path = predicted if predicted.is_file() else RunFolder(predicted).detections
    if predicted.is_dir() and not path.exists():
        remedy = "give a folder that predict made; where it wrote other files, predict again with --to coco"
        raise InputError("FILE_MISSING", "the folder holds no COCO results", where=path, remedy=remedy)
    rows = read_json(require_file(path, what="the detections, as predict writes them"))
    shown, note = _shown(_checked(rows, path), path.parent, score_threshold)
    names = _names(rows, path)
    n_frames = sum(parse_frame_name(name) is not None for name in names)
    with new_folder(out) as building:
        root, file_names = images, dict(zip(names, names, strict=True))
        if n_frames:
            root = building / "images"
            file_names = _as_images(names, images, root)
        classes = sorted({row["category_name"] for row in rows})
        table = _table(shown, classes, file_names, root)
        write_pre_annotations(table, building, tools=tools, model=real_path(predicted).name)
    return PreAnnotated(table, n_frames, len(rows) - len(shown), note)


def _shown(rows: list[dict[str, Any]], folder: Path, score: float | None) -> tuple[list[dict[str, Any]], str]:
    """Return the detections that are written, and of which classes there are none."""
    if score is None and rows and all(isinstance(row.get("drawn"), bool) for row in rows):
        return [row for row in rows if row["drawn"]], ""
    classes, note = sorted({row["category_name"] for row in rows}), ""
    least = np.full(len(classes), SHOWN_SCORE if score is None else score)
    if score is None and has_thresholds(folder):
        thresholds = read_thresholds(folder)
        least, note = least_scores(classes, thresholds), without_threshold(classes, thresholds)
    labels = np.array([classes.index(row["category_name"]) for row in rows], int)
    scores, images = np.array([row["score"] for row in rows], float), [row["file_name"] for row in rows]
    xyxy = xywh_to_xyxy(np.array([row["bbox"] for row in rows], float).reshape(-1, 4))
    of_image: dict[str, list[int]] = {}
    for i in np.flatnonzero(scores >= least[labels]).tolist():
        of_image.setdefault(images[i], []).append(i)
    best = [np.array(of)[is_best_label(xyxy[of], scores[of], labels[of])] for of in of_image.values()]
    return [rows[i] for of in best for i in of], note


def _checked(rows: Any, path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of detections, which name image and class."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            "DETECTIONS", "a list of detections was expected", where=path, remedy="give what predict wrote"
        )
    for index, row in enumerate(rows):
        wrong = next((key for key, is_right in _KEYS.items() if not is_right(row.get(key))), None)
        if wrong:
            raise InputError(
                *("DETECTIONS", "the detection does not say it"),
                where=f"{path}#/{index}",
                field=wrong,
                value=row.get(wrong),
                remedy="give detections as predict writes them, which name image and class",
            )
    return rows


def _names(rows: list[dict[str, Any]], path: Path) -> list[str]:
    """Return the names of the images that were predicted, those without a detection among them."""
    listing = path.parent / SEEN_IMAGES
    listed = [row["file_name"] for row in read_json(listing)] if listing.is_file() else []
    return list(dict.fromkeys([*listed, *(row["file_name"] for row in rows)]))


def _as_images(names: Sequence[str], images: Path, folder: Path) -> dict[str, str]:
    """Write frames as PNG and copy images to a folder; return what each is called there."""
    targets: dict[str, Path] = {}
    videos: dict[Path, dict[int, str]] = {}
    with resource_errors(folder):
        for name in names:
            if (frame := parse_frame_name(name)) is not None:
                videos.setdefault(_file(images, frame[0]), {})[frame[1]] = name
                continue
            targets[name] = safe_join(folder, name)
            targets[name].parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_file(images, name), targets[name])
        for video, numbers in videos.items():
            for number, rgb in frames_at(video, numbers):
                name = numbers[number]
                targets[name] = free_path(folder, output_stem(name), ".png", name=name)
                targets[name].parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rgb).save(targets[name], compress_level=_PNG_LEVEL)
    return {name: targets[name].relative_to(folder).as_posix() for name in names}


def _table(
    shown: list[dict[str, Any]], classes: Sequence[str], file_names: Mapping[str, str], images: Path
) -> AnnotationTable:
    """Return the images, by the name that predict gave them and that of the file below `images`, with what is shown."""
    numbers = {name: i for i, name in enumerate(file_names, start=1)}
    sizes = [read_size_wh(_file(images, name)) for name in file_names.values()]
    boxes = {
        "annotation_id": list(range(1, len(shown) + 1)),
        "image_id": [numbers[row["file_name"]] for row in shown],
        "category_id": [classes.index(row["category_name"]) + 1 for row in shown],
        "x1": [float(row["bbox"][0]) for row in shown],
        "y1": [float(row["bbox"][1]) for row in shown],
        "x2": [float(row["bbox"][0] + row["bbox"][2]) for row in shown],
        "y2": [float(row["bbox"][1] + row["bbox"][3]) for row in shown],
        "score": [float(row["score"]) for row in shown],
        "note": pl.Series([None] * len(shown), dtype=pl.String),
    }
    return AnnotationTable.from_columns(
        images={
            "image_id": list(numbers.values()),
            "file_name": list(file_names.values()),
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        },
        boxes=boxes,
        categories={"category_id": range(1, len(classes) + 1), "name": classes},
        image_root=images,
    )


def _file(images: Path, name: str) -> Path:
    path = safe_join(images, name, links=True)
    if not path.is_file():
        above = safe_join(images.absolute().parent, name, links=True).is_file()
        raise InputError(
            "IMAGE_MISSING",
            "there is no such image",
            where=images,
            field="file_name",
            value=name,
            remedy=f"write --images {shlex.quote(str(images.absolute().parent))}"
            if above
            else "give the folder that predict was given as --images",
        )
    return path
