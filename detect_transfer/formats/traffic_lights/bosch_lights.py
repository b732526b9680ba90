"""Bosch Small Traffic Lights: `train.yaml`, `additional_train.yaml` and `test.yaml`.

A file is a list of ``{path, boxes: [{label, occluded, x_min, y_min, x_max, y_max}]}``. The corners are edges in pixels
from 0; those of older copies may be swapped, as the reader of the data set allows. The images of the raw recordings
(``riib``) have eight more rows above.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source, listed
from detect_transfer.formats.parsing.yaml_nodes import read_yaml

_SPLITS = {"train": "train", "additional_train": "train", "test": "test"}
_NAMES = listed(
    """Green, GreenLeft, GreenRight, GreenStraight, GreenStraightLeft, GreenStraightRight, Red, RedLeft, RedRight,
    RedStraight, RedStraightLeft, Yellow, off"""
)
_FIELDS = ("label", "occluded", "x_min", "y_min", "x_max", "y_max")
_IMAGES = ("rgb", "riib")
_ROWS_ABOVE = 8  # of a raw image

_SIZE_WH = {False: (1280, 720), True: (1280, 736)}  # of every image, by whether it is raw; believed where none is there


def read(root: Path, *, images: str = "rgb", missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read Bosch lights: 13 classes in the order of their names; the test set uses four of them.

    Boxes with swapped corners are put right, and counted. `occluded` is 0 or 1. The `group` is the folder of the frame:
    the recording in the training sets; the test set is one recording. Frames without boxes show no light.

    Args:
        root: The folder with the YAML files, or one of them.
        images: ``rgb``, or ``riib`` for the raw ones, in ``riib/`` for ``rgb/``, whose boxes lie eight pixels lower.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with the place in its file.

    Source: Behrendt et al., A Deep Learning Approach to Traffic Lights, ICRA 2017; github.com/bosch-ros-pkg/bstld.
    """
    native.check_choice("images", images, _IMAGES)
    is_file = root.is_file() and root.stem in _SPLITS
    what = "a folder with train.yaml or test.yaml, or one of these"
    source = Source(
        root, what, by="tail", missing_images=missing_images, size_mismatch="keep", on_error=on_error, or_file=is_file
    )
    is_raw = images == "riib"
    boxes: list[tuple[str, ...]] = []
    for name in _texts(source):
        with source.errors.file():
            for record in read_yaml(source.root, name).elements():
                boxes += _read_record(record, _SPLITS[PurePosixPath(name).stem], source, is_raw=is_raw)
    schema = dict.fromkeys(("image", "source", *_FIELDS), pl.String)
    rows = Rows(pl.DataFrame(boxes, schema=schema, orient="row"), source.root, source.errors)
    rows = rows.filled("label").with_columns(pl.col("occluded").str.to_lowercase())
    is_flag = pl.col("occluded").is_in(["true", "false"])
    rows = rows.check(is_flag, "YAML_VALUE", "expected true or false", "occluded").numbers(*_FIELDS[2:])
    swapped = rows.filter((pl.col("x_max") < pl.col("x_min")) | (pl.col("y_max") < pl.col("y_min"))).sources()
    source.errors.remark("corners were swapped", len(swapped), swapped, kind="box")
    n_above = _ROWS_ABOVE if is_raw else 0
    rows = rows.with_columns(
        x1=pl.min_horizontal("x_min", "x_max"),
        y1=pl.min_horizontal("y_min", "y_max") + n_above,
        x2=pl.max_horizontal("x_min", "x_max"),
        y2=pl.max_horizontal("y_min", "y_max") + n_above,
        occluded=(pl.col("occluded") == "true").cast(pl.Float64),
    )
    return source.table(rows, _NAMES)


def _texts(source: Source) -> list[str]:
    """Return the files to read."""
    if source.file is not None:
        return [source.file]
    names = [f"{name}.yaml" for name in _SPLITS if (source.root / f"{name}.yaml").is_file()]
    if not names:
        what = "it holds neither train.yaml, additional_train.yaml nor test.yaml"
        raise InputError("BOSCH_MISSING", what, where=source.root, remedy="give the folder that holds them")
    return names


def _read_record(record: Node, split: str, source: Source, *, is_raw: bool) -> list[tuple[str, ...]]:
    """Add an image and return its boxes; those of a record without image are left out later, and counted."""
    image, boxes = record.source, []
    with source.errors.image(record.source):
        name, group = _image_of(record, is_raw=is_raw)
        if name in source.images:
            raise record.error("path", "IMAGE_TWICE", "another record names this image")
        source.add_image(name, f"{record.where}/path", _SIZE_WH[is_raw], split=split, group=group)
        image = name
    with source.errors.image(image):
        for box in record.items("boxes"):
            with source.errors.row(image):
                boxes.append((image, box.source, *map(box.string, _FIELDS)))
    return boxes


def _image_of(record: Node, *, is_raw: bool) -> tuple[str, str | None]:
    """Return the name of the image and its group."""
    path = record.string("path")
    parts = PurePosixPath(path).parts
    # an absolute path is of another machine: the image is known by its name alone
    name = parts[-1] if path.startswith("/") and len(parts) > 1 else "/".join(parts)
    if not name:
        raise record.error("path", "YAML_VALUE", "expected the path of an image")
    return name.replace("rgb/", "riib/", 1) if is_raw else name, parts[-2] if len(parts) > 1 else None
