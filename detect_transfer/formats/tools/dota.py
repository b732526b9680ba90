"""DOTA: oriented boxes of aerial images, `labelTxt/<stem>.txt` beside `images/`.

A row is ``x1 y1 x2 y2 x3 y3 x4 y4 category difficult``, the corners of a quadrangle in pixels counted from 0. The box
is its extent; the corners and the angle of the first side go to `attributes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import report_unannotated

_X, _Y = ("x1", "x2", "x3", "x4"), ("y1", "y2", "y3", "y4")
_POINTS = ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")
_HEAD = ("imagesource:", "gsd:")
_PATCH = re.compile(r"(.+?)__.+")


def read(
    root: Path, *, missing_images: str = "error", allow_missing: bool = False, on_error: str = "fail"
) -> AnnotationTable:
    """Read DOTA: the extent of each quadrangle as its box, classes sorted by name, the source of images as columns.

    Objects whose level of difficulty is not 0 are difficult and ignored. Patches of one image
    (``P0001__1__0___0.png``) form a group. The head of a text gives the image columns `imagesource` and `gsd`.

    Args:
        root: A folder with ``labelTxt/`` and ``images/``, or with folders such as ``train/`` that hold them.
        missing_images: See `Source`.
        allow_missing: Whether an image without text, beside some that have one, shows no object.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: https://captain-whu.github.io/DOTA/dataset.html
    """
    what = "a folder with labelTxt/ and images/"
    source = Source(root, what, by="stem", missing_images=missing_images, on_error=on_error)
    texts = _texts(source)
    without_text = _without_text(source, texts.values())
    remedy = "annotate or remove it, or read with --option allow_missing=true if it shows no object"
    report_unannotated(source, () if allow_missing else without_text, "there is no text for this image", remedy)
    heads = {image: _head(root, name) for name, image in texts.items()}
    for name, image in texts.items():
        source.add_image(image, str(root / name), imagesource=heads[image][0], gsd=heads[image][1])
    source.add_images(without_text)
    rows = source.rows(texts, (*_POINTS, "category", "difficult"), Dialect(" ", comment=_HEAD, optional=1), of=texts)
    is_level = pl.col("difficult").is_in(["0", "1", "2"])
    what = "expected a level of difficulty: 0, 1 or 2"
    rows = rows.numbers(*_POINTS).check(is_level, "ROW_FIELD", what, "difficult")
    is_hard = (pl.col("difficult") != "0").fill_null(False)
    angle = pl.arctan2(pl.col("y2") - pl.col("y1"), pl.col("x2") - pl.col("x1")).degrees()
    level = pl.col("difficult").cast(pl.Int8)
    attributes = pl.struct(pl.concat_list(_POINTS).alias("quad"), angle.alias("angle"), level.alias("level"))
    rows = rows.with_columns(
        x1=pl.min_horizontal(_X),
        y1=pl.min_horizontal(_Y),
        x2=pl.max_horizontal(_X),
        y2=pl.max_horizontal(_Y),
        label="category",
        difficult=is_hard,
        ignore=is_hard,
        ignore_reason=pl.when(is_hard).then(pl.lit("difficult")),
        attributes=attributes.struct.json_encode(),
    )
    return source.table(rows, split=split_of_path, group=_original)


def _original(file_name: str) -> str | None:
    """Return the image that a patch was cut from."""
    match = _PATCH.fullmatch(PurePosixPath(file_name).stem)
    return match[1] if match else None


def _texts(source: Source) -> dict[str, str]:
    """Map each text to the image that it is of, whose suffix is not known."""
    texts: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in io.list_files(source.root, (".txt",)):
        parts = PurePosixPath(name).parts
        folder = next((i for i, part in enumerate(parts[:-1]) if part.casefold().startswith("labeltxt")), None)
        if folder is None:
            continue
        image = PurePosixPath(*parts[:folder], "images", parts[-1]).with_suffix(".png").as_posix()
        if first.setdefault(image, name) == name:
            texts[name] = image
        else:
            what, remedy = f"'{first[image]}' is a text of the same image", "keep one of the two"
            source.errors.add("LABEL_TWICE", what, where=source.root / name, remedy=remedy)
    if not texts:
        remedy = "give the folder that holds labelTxt/ and images/"
        raise InputError("DOTA_MISSING", "no folder named labelTxt holds a text", where=source.root, remedy=remedy)
    return texts


def _without_text(source: Source, images: Iterable[str]) -> list[str]:
    """Return the images without text that lie beside some that have one."""
    stems = {native.stem_of(image) for image in images}
    folders = {PurePosixPath(stem).parent for stem in stems}
    names = source.image_files()
    return [n for n in names if PurePosixPath(n).parent in folders and native.stem_of(n) not in stems]


def _head(root: Path, name: str) -> list[str | None]:
    """Return what the head of a text says of the source of the image and of its ground sample distance."""
    try:
        lines = [line.strip() for line in native.lines_of(native.read_text(root, root / name)[:1000])[:4]]
    except InputError:  # reported where the rows are read
        return [None, None]
    values = [next((line[len(key) :].strip() for line in lines if line.startswith(key)), None) for key in _HEAD]
    return [value if value not in ("", "null", "None") else None for value in values]
