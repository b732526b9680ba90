"""Hugging Face's imagefolder: `metadata.jsonl` or `metadata.csv` beside the images.

A row names an image and holds its `objects` as lists of one length: ``{"bbox": [[x, y, w, h]], "category": ["a"]}``.
The form of the boxes is not told; that of COCO is usual, and others have to be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_boxes import row_frame
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.parsing.rows import number_classes
from detect_transfer.formats.tools.hf_rows import Annotated, class_names, read_metadata

_NAMES = ("metadata.jsonl", "metadata.csv")
_FORMS = ("xywh", "xyxy", "cxcywh", "xywh_norm", "xyxy_norm", "cxcywh_norm")
_REMEDY = "fix the object or remove it"


def read(
    root: Path,
    *,
    box_format: str = "xywh",
    names: Sequence[str] | None = None,
    missing_images: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read an imagefolder; the split is the name of the folder, further keys of objects go to `attributes`.

    Categories are names, then classes are sorted, or indices, whose names the option gives, or else a ``class_label``
    in the head of ``README.md``, or else they are ``class_0`` and so on; the category id is the index + 1. Keys of rows
    that no column holds go to the images column `metadata` as JSON.

    Args:
        root: The folder with ``metadata.jsonl`` or ``metadata.csv`` in it or in its sub-folders, or one such file.
        box_format: What the four numbers are: ``xywh`` (from the top-left corner), ``xyxy`` or ``cxcywh`` in pixels
            from 0, or the same as shares of the image (``xywh_norm`` ...). Boxes that fit another form are an error.
        names: The class names in the order of their indices.
        missing_images: ``error``; ``keep`` goes on with the sizes that rows state; ``skip`` leaves the rows out.
        allow_missing: Whether an image that no row names shows no object; otherwise it is an error.
        on_error: What becomes of an object or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its place.

    Source: https://huggingface.co/docs/datasets/image_dataset
    """
    native.check_choice("box_format", box_format, _FORMS)
    if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
        raise InputError(
            "OPTION_VALUE", "expected a list of names", field="names", value=names, remedy="write names=[car, dog]"
        )
    media, problems = ImageLookup(missing_images=missing_images), ErrorCollector(on_error)
    root, held = _metadata_files(root)
    given = read_metadata(root, held, problems)
    named = {name: ImageRef(f"{root}/{one.source}", one.size_wh) for name, one in given.items()}
    unnamed = _unnamed(root, held, named.keys() | problems.skipped_images.keys())
    for name in unnamed if not allow_missing else ():
        problems.add(
            *("ANNOTATION_MISSING", "no row names this image"),
            where=root / name,
            image=name,
            remedy="add or remove it, or read with allow_missing=true if it shows no object",
        )
    images = find_images(root, named | {name: ImageRef(str(root / name)) for name in unnamed}, media, problems)
    rows = _boxes(root, given, images, box_format, problems)
    rows, classes = _with_classes(root, rows, names, problems)
    facts = [(name, split_of_path(name), given[name].metadata if name in given else None) for name in images]
    columns = dict.fromkeys(("image", "split", "metadata"), pl.String)
    frame = pl.DataFrame(facts, schema=columns, orient="row")
    frame = frame if frame["metadata"].count() else frame.drop("metadata")
    return finish_rows(problems, rows=rows, found=images, categories=classes, image_root=root, facts=frame)


def _metadata_files(root: Path) -> tuple[Path, list[str]]:
    """Return the folder of the data set and its files of metadata."""
    if root.is_file():
        return root.parent, [root.name]
    io.require_dir(root, what="a folder with metadata.jsonl or metadata.csv")
    names = [name for name in io.list_files(root, (".jsonl", ".csv")) if PurePosixPath(name).name in _NAMES]
    if not names:
        raise InputError(
            *("HF_METADATA", f"there is neither {_NAMES[0]} nor {_NAMES[1]}"),
            where=root,
            remedy="give the folder that holds it; write metadata.parquet as metadata.jsonl first",
        )
    return root, names


def _unnamed(root: Path, held: Sequence[str], known: set[str]) -> list[str]:
    """Return the images below the folders of the files that no row names."""
    folders = tuple("" if "/" not in name else name.rpartition("/")[0] + "/" for name in held)
    return [n for n in io.list_files(root, IMAGE_SUFFIXES) if n not in known and n.startswith(folders)]


def _boxes(
    root: Path, given: dict[str, Annotated], images: dict[str, FoundImage], box_format: str, problems: ErrorCollector
) -> pl.DataFrame:
    """Return the objects as rows with corners in pixels."""
    columns = ("image", "source", "category", *XYXY, "iscrowd", "attributes")
    data = row_frame([(name, *row) for name, one in given.items() for row in one.rows], columns)
    form, _, share = box_format.partition("_")
    if share:
        _require_sizes(given, images, problems, root)
    sizes = [(name, *(image.size_wh or (None, None))) for name, image in images.items()]
    schema = {"image": pl.String, "w": pl.Float64, "h": pl.Float64}
    data = data.join(pl.DataFrame(sizes, schema=schema, orient="row"), on="image", how="left", maintain_order="left")
    if share:
        near = pl.all_horizontal(pl.col(*XYXY).abs() <= 2)
        told = ("BOX_SHARES", "expected four shares of the image from 0 to 1", "x1")
        data = check_rows(data, near, root, problems, told=told)
    elif data.height:
        _check_pixels(root, data, form)
    if form != "xyxy":
        told = ("BOX_INVALID", "width and height must not be negative", "x2")
        good = (pl.col("x2") >= 0) & (pl.col("y2") >= 0)
        data = check_rows(data, good, root, problems, told=told, remedy=_REMEDY)
    scale = (pl.col("w"), pl.col("h")) * 2 if share else (pl.lit(1.0),) * 4
    data = data.with_columns(
        (value * by).alias(name) for name, value, by in zip(XYXY, _corners(form), scale, strict=True)
    )
    finite = pl.all_horizontal(pl.col(*XYXY).is_finite())
    ordered = finite & (pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))
    told = ("BOX_INVALID", "the second corner must not be before the first", "x2")
    data = check_rows(data, ordered, root, problems, told=told, remedy=_REMEDY).drop("w", "h")
    return data.with_columns(ignore="iscrowd", ignore_reason=pl.when("iscrowd").then(pl.lit("crowd")))


def _corners(form: str) -> tuple[pl.Expr, ...]:
    """Return the corners that four numbers of a form, which stand in the columns of corners, mean."""
    a, b, c, d = (pl.col(name) for name in XYXY)
    if form == "xyxy":
        return a, b, c, d
    return (a, b, a + c, b + d) if form == "xywh" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)


def _check_pixels(root: Path, data: pl.DataFrame, form: str) -> None:
    """Refuse numbers that are beyond doubt of another form than the one in pixels that is said.

    Raises:
        InputError: They are.
    """
    if data.select(pl.max_horizontal(pl.col(*XYXY).max()) <= 1).item():
        _refuse(root, data, f"all numbers are at most 1, so they look like shares; name box_format={form}_norm")
    ordered = data.select(((pl.col("x2") >= pl.col("x1")) & (pl.col("y2") >= pl.col("y1"))).all()).item()
    leaving = _leave(data, "xywh") if form == "xywh" and ordered else 0
    if leaving > data.height / 2 and _leave(data, "xyxy") == 0:
        _refuse(root, data, "most boxes leave their images, and none would as corners; name box_format=xyxy")


def _leave(data: pl.DataFrame, form: str) -> int:
    """Return how many boxes end more than a pixel past their image."""
    _, _, x2, y2 = _corners(form)
    return int(data.select(((x2 > pl.col("w") + 1) | (y2 > pl.col("h") + 1)).sum()).item())


def _refuse(root: Path, data: pl.DataFrame, what: str) -> None:
    where = f"{root}/{data['source'][0]}"
    raise InputError("BOX_FORMAT", what, where=where, field="bbox", remedy="see box_format; the first box is here")


def _require_sizes(
    given: dict[str, Annotated], images: dict[str, FoundImage], problems: ErrorCollector, root: Path
) -> None:
    for name, image in images.items():
        if image.size_wh is None:
            problems.add(
                *(
                    "IMAGE_MISSING",
                    "its boxes are shares of the image, which is not there and whose size is not told",
                ),
                where=f"{root}/{given[name].source}",
                field="image",
                value=name,
                image=name,
                remedy="restore it, or read with missing_images=skip to leave its rows out",
            )


def _with_classes(
    root: Path, rows: pl.DataFrame, names: Sequence[str] | None, problems: ErrorCollector
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number the classes, which are all words or all indices (words of digits that are marked as such)."""
    index = pl.col("category").str.strip_prefix("#").cast(pl.Int64, strict=False)
    indexed = rows.filter(pl.col("category").str.starts_with("#"))
    if indexed.height < rows.height or not rows.height:
        mixed = ("CLASS_MIXED", "other objects have names", "category")
        rows = check_rows(rows, ~pl.col("category").str.starts_with("#"), root, problems, told=mixed, remedy=_REMEDY)
        rows, classes = number_classes(rows.with_columns(pl.col("category").str.strip_prefix("'")), "category")
        return rows.drop("category"), classes
    known = list(names) if names is not None else class_names(root)
    if known is None:
        known = [f"class_{i}" for i in range(int(rows.select(index.max()).item()) + 1)]
    told = ("CLASS_INDEX", f"expected an index from 0 to {len(known) - 1}", "category")
    rows = check_rows(rows, index.is_between(0, len(known) - 1), root, problems, told=told, remedy=_REMEDY)
    classes = pl.DataFrame({"category_id": range(1, len(known) + 1), "name": known})
    return rows.with_columns(category_id=index + 1).drop("category"), classes
