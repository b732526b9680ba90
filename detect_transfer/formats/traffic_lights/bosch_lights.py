"""Bosch Small Traffic Lights: `train.yaml`, `additional_train.yaml` and `test.yaml`.

A file is a list of ``{path, boxes: [{label, occluded, x_min, y_min, x_max, y_max}]}``. The corners are edges in pixels
from 0; those of older copies may be swapped, as the reader of the data set allows. The images of the raw recordings
(``riib``) have eight more rows above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.row_table import check_classes, finish_rows
from detect_transfer.formats.parsing.yaml_nodes import read_yaml

_SPLITS = {"train": "train", "additional_train": "train", "test": "test"}
_NAMES = (
    *("Green", "GreenLeft", "GreenRight", "GreenStraight", "GreenStraightLeft", "GreenStraightRight"),
    *("Red", "RedLeft", "RedRight", "RedStraight", "RedStraightLeft", "Yellow", "off"),
)
_FIELDS = ("label", "occluded", "x_min", "y_min", "x_max", "y_max")
_IMAGES = ("rgb", "riib")
_ROWS_ABOVE = 8  # of a raw image


@dataclass
class _Found:
    """The boxes of all files as rows of strings, and the images with their split, group and place."""

    rows: list[Sequence[str]] = field(default_factory=list)
    named: dict[str, ImageRef] = field(default_factory=dict)
    facts: list[tuple[str, str, str | None]] = field(default_factory=list)


def read(root: Path, *, images: str = "rgb", missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read Bosch lights: 13 classes in the order of their names; the test set uses four of them.

    Boxes with swapped corners are put right, and counted. `occluded` is 0 or 1. The `group` is the folder of the frame:
    the recording in the training sets; the test set is one recording. Frames without boxes show no light.

    Args:
        root: The folder with the YAML files, or one of them.
        images: ``rgb``, or ``riib`` for the raw ones, in ``riib/`` for ``rgb/``, whose boxes lie eight pixels lower.
        missing_images: As for `ImageLookup`. Where a path is absolute, as in older copies, it is found by name.
        on_error: What becomes of boxes and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with the place in its file.

    Source: Behrendt et al., A Deep Learning Approach to Traffic Lights, ICRA 2017; github.com/bosch-ros-pkg/bstld.
    """
    native.check_choice("images", images, _IMAGES)
    problems, found, riib = ErrorCollector(on_error), _Found(), images == "riib"
    home, texts = _texts(root)
    for text in texts:
        try:
            records = read_yaml(home, text).elements()
        except InputError as error:
            problems.put(error)
            continue
        for record in records:
            _read_record(record, _SPLITS[Path(text).stem], found, problems, home=home, riib=riib)
    rows = _check(found.rows, home, problems)
    media = (
        ImageLookup(by="stem", missing_images=missing_images),
        ImageLookup(by="basename", missing_images=missing_images),
    )
    by_path, by_name = ({n: told for n, told in found.named.items() if ("/" in n) == full} for full in (True, False))
    there = find_images(home, by_path, media[0], problems) if by_path else {}
    there |= find_images(home, by_name, media[1], problems) if by_name else {}
    return finish_rows(
        problems,
        rows=_columns(rows, _ROWS_ABOVE if riib else 0, problems),
        found=there,
        categories={"category_id": range(1, len(_NAMES) + 1), "name": _NAMES},
        image_root=home,
        facts=pl.DataFrame(
            found.facts, schema={"image": pl.String, "split": pl.String, "group": pl.String}, orient="row"
        ),
    )


def _texts(root: Path) -> tuple[Path, list[str]]:
    """Return the folder of the data set and the files to read."""
    if root.is_file() and root.stem in _SPLITS:
        return root.parent, [root.name]
    io.require_dir(root, what="a folder with train.yaml or test.yaml, or one of these")
    held = [f"{name}.yaml" for name in _SPLITS if (root / f"{name}.yaml").is_file()]
    if not held:
        raise InputError(
            *("BOSCH_MISSING", "it holds neither train.yaml, additional_train.yaml nor test.yaml"),
            where=root,
            remedy="give the folder that holds them",
        )
    return root, held


def _read_record(record: Node, split: str, found: _Found, problems: ErrorCollector, *, home: Path, riib: bool) -> None:
    """Take in one image and its boxes; those of a record without image are left out later, and counted."""
    name = record.source
    with problems.image(record.source):
        name, group = _name_of(record, found, riib=riib)
        found.named[name] = ImageRef(f"{home}/{record.source}/path")
        found.facts.append((name, split, group))
    with problems.image(name):
        for box in record.items("boxes"):
            with problems.row(name):
                found.rows.append((name, box.source, *map(box.string, _FIELDS)))


def _name_of(record: Node, found: _Found, *, riib: bool) -> tuple[str, str | None]:
    """Return the name of the image and its group.

    Raises:
        InputError: It has none, or another record has it too.
    """
    path = record.string("path")
    parts = PurePosixPath(path).parts
    # an absolute path is of another machine: the image is known by its name alone
    name = parts[-1] if path.startswith("/") and len(parts) > 1 else "/".join(parts)
    if riib:
        name = name.replace("rgb/", "riib/", 1)
    if not name:
        raise record.error("path", "YAML_VALUE", "expected the path of an image")
    if name in found.named:
        raise record.error("path", "IMAGE_TWICE", "another record names this image")
    return name, parts[-2] if len(parts) > 1 else None


def _check(rows: Sequence[Sequence[str]], root: Path, problems: ErrorCollector) -> pl.DataFrame:
    """Return the boxes that are not at fault."""
    data = pl.DataFrame(rows, schema=dict.fromkeys(("image", "source", *_FIELDS), pl.String), orient="row")
    data = check_classes(data, "label", {name: i for i, name in enumerate(_NAMES, start=1)}, root, problems)
    data = data.with_columns(pl.col("occluded").str.to_lowercase())
    told = ("YAML_VALUE", "expected true or false", "occluded")
    data = check_rows(data, pl.col("occluded").is_in(["true", "false"]), root, problems, told=told)
    return to_numbers(data, _FIELDS[2:], root, problems)


def _columns(rows: pl.DataFrame, rows_above: int, problems: ErrorCollector) -> pl.DataFrame:
    """Return the columns of the table."""
    swapped = rows.filter((pl.col("x_max") < pl.col("x_min")) | (pl.col("y_max") < pl.col("y_min")))["source"]
    problems.remark("corners were swapped", len(swapped), tuple(swapped), kind="box")
    return rows.select(
        *("image", "source", "category_id"),
        x1=pl.min_horizontal("x_min", "x_max"),
        y1=pl.min_horizontal("y_min", "y_max") + rows_above,
        x2=pl.max_horizontal("x_min", "x_max"),
        y2=pl.max_horizontal("y_min", "y_max") + rows_above,
        occluded=(pl.col("occluded") == "true").cast(pl.Float64),
    )
