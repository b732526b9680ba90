"""DOTA: oriented boxes of aerial images, `labelTxt/<stem>.txt` beside `images/`.

A row is ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``, the corners of a quadrangle in pixels counted from 0. The box
is its extent; the corners and the angle of the first side go to `attributes`.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import number_classes

_X, _Y = ("x1", "x2", "x3", "x4"), ("y1", "y2", "y3", "y4")
_POINTS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
_FIELDS = (*_POINTS, "category", "difficult")
_HEAD = ("imagesource:", "gsd:")
_DIALECT = Dialect(" ", comment=_HEAD, optional=1)
_PATCH = re.compile(r"(.+?)__.+")


def read(
    root: Path, *, missing_images: str = "error", allow_missing: bool = False, on_error: str = "fail"
) -> AnnotationTable:
    """Read DOTA: the extent of each quadrangle as its box, classes sorted by name, the source of images as columns.

    Objects whose level of difficulty is not 0 are difficult and ignored. Patches of one image
    (``P0001__1__0___0.png``) form a group. The head of a text gives the image columns `imagesource` and `gsd`.

    Args:
        root: A folder with ``labelTxt/`` and ``images/``, or with folders such as ``train/`` that hold them.
        missing_images: ``error``; ``keep`` goes on without the size of the image; ``skip`` leaves its rows out.
        allow_missing: Whether an image without text, beside some that have one, shows no object.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://captain-whu.github.io/DOTA/dataset.html
    """
    media, problems = ImageLookup("stem", missing_images), ErrorCollector(on_error)
    texts = _texts(root, problems)
    unlabelled = _unlabelled(root, set(texts.values()))
    for name in unlabelled if not allow_missing else ():
        problems.add(
            *("ANNOTATION_MISSING", "there is no text for this image"),
            where=root / name,
            image=name,
            remedy="annotate or remove it, or read with allow_missing=true if it shows no object",
        )
    named = {image: ImageRef(str(root / text)) for text, image in texts.items()}
    images = find_images(root, named | {name: ImageRef(str(root / name)) for name in unlabelled}, media, problems)
    rows = _rows(read_delimited(root, texts, _FIELDS, _DIALECT, problems), root, problems)
    rows, classes = number_classes(rows, "category")
    boxes = _boxes(rows)
    facts = _facts(root, texts, list(images))
    return finish_rows(problems, rows=boxes, found=images, categories=classes, image_root=root, facts=facts)


def _texts(root: Path, problems: ErrorCollector) -> dict[str, str]:
    """Map each text to the image that it is of, whose suffix is not known."""
    io.require_dir(root, what="a folder with labelTxt/ and images/")
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in io.list_files(root, (".txt",)):
        parts = PurePosixPath(name).parts
        at = next((i for i, part in enumerate(parts[:-1]) if part.casefold().startswith("labeltxt")), None)
        if at is None:
            continue
        image = PurePosixPath(*parts[:at], "images", parts[-1]).with_suffix(".png").as_posix()
        if first.setdefault(image, name) != name:
            what, remedy = f"'{first[image]}' is a text of the same image", "keep one of the two"
            problems.add("LABEL_TWICE", what, where=root / name, remedy=remedy)
            continue
        found[name] = image
    if not found:
        raise InputError(
            *("DOTA_MISSING", "no folder named labelTxt holds a text"),
            where=root,
            remedy="give the folder that holds labelTxt/ and images/",
        )
    return found


def _unlabelled(root: Path, known: set[str]) -> list[str]:
    """Return the images without text that lie beside some that have one."""
    stems = {native.stem_of(image) for image in known}
    folders = {PurePosixPath(image).parent.as_posix() for image in known}
    held = io.list_files(root, IMAGE_SUFFIXES)
    return [n for n in held if PurePosixPath(n).parent.as_posix() in folders and native.stem_of(n) not in stems]


def _rows(data: pl.DataFrame, root: Path, problems: ErrorCollector) -> pl.DataFrame:
    data = to_numbers(data, _POINTS, root, problems)
    told = ("ROW_FIELD", "expected a level of difficulty: 0, 1 or 2", "difficult")
    return check_rows(data, pl.col("difficult").is_in(["0", "1", "2"]), root, problems, told=told)


def _boxes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the extents, with what they leave out as attributes."""
    hard = (pl.col("difficult") != "0").fill_null(False)
    angle = pl.arctan2(pl.col("y2") - pl.col("y1"), pl.col("x2") - pl.col("x1")).degrees()
    told = pl.struct(
        pl.concat_list(_POINTS).alias("quad"), angle.alias("angle"), pl.col("difficult").cast(pl.Int8).alias("level")
    )
    return rows.select(
        *("image", "file", "line", "category_id"),
        pl.min_horizontal(_X).alias("x1"),
        pl.min_horizontal(_Y).alias("y1"),
        pl.max_horizontal(_X).alias("x2"),
        pl.max_horizontal(_Y).alias("y2"),
        difficult=hard,
        ignore=hard,
        ignore_reason=pl.when(hard).then(pl.lit("difficult")),
        attributes=told.struct.json_encode(),
    )


def _facts(root: Path, texts: dict[str, str], images: list[str]) -> pl.DataFrame:
    """Return the split and the group of each image, and what the head of its text says."""
    heads = {image: _head(root, name) for name, image in texts.items()}
    patches = {image: _PATCH.fullmatch(PurePosixPath(image).stem) for image in images}
    rows = [
        (image, split_of_path(image), patch and patch[1], *heads.get(image, (None, None)))
        for image, patch in patches.items()
    ]
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("image", "split", "group", "imagesource", "gsd"), pl.String), orient="row"
    )


def _head(root: Path, name: str) -> tuple[str | None, str | None]:
    try:
        lines = [line.strip() for line in native.lines_of(native.read_text(root, root / name)[:1000])[:4]]
    except InputError:  # reported where the rows are read
        return None, None
    values = (next((line[len(key) :].strip() for line in lines if line.startswith(key)), None) for key in _HEAD)
    source, gsd = (value if value not in ("", "null", "None") else None for value in values)
    return source, gsd
