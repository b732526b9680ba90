"""WiderPerson: a text `Annotations/<image>.txt` an image, listed by `train.txt` and `val.txt`.

The first line of a text is the number of rows, each of which is ``class x1 y1 x2 y2``. Of the five classes three are
people, the fourth marks regions to be ignored and the fifth crowds. The images of `test.txt` have no texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source

CLASSES = ("pedestrian", "rider", "partially visible person")
_FOLDER = "Annotations"
_PARTIAL, _IGNORED, _CROWD = 3, 4, 5
_FIELDS = ("class", *XYXY)


def read(
    root: Path,
    *,
    one_based: bool = False,
    inclusive_max: bool = False,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read WiderPerson: three classes of people; ignore regions and crowds are ignored for all of them.

    A partially visible person is `occluded` (1); of the others it is not stated.
    The split is that of the list that names the image; without lists every text is read and no split is given. An
    image of `test.txt` without a text is not annotated and stays out, which the ledger counts.

    Args:
        root: The folder with ``Annotations/``, ``Images/`` and the lists.
        one_based: Whether pixels are counted from 1; the data set does not say.
        inclusive_max: Whether x2 and y2 are the last pixel that belongs to the box; the data set does not say.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Zhang et al., WiderPerson: A Diverse Dataset for Dense Pedestrian Detection in the Wild, 2019.
    """
    what = f"a folder with {_FOLDER}/ and Images/"
    source = Source(root, what, by="tail", missing_images=missing_images, on_error=on_error)
    text_of = {f"Images/{PurePosixPath(name).stem}": name for name in _texts(root)}
    splits = _read_lists(source, text_of)
    image_of = {name: image for image, name in text_of.items() if not splits or image in splits}
    for name, image in image_of.items():
        source.add_image(image, str(root / name), split=splits.get(image))
    rows = source.rows(image_of, _FIELDS, Dialect(" ", optional=4), image_of)
    rows = _take_counts(rows, image_of).check(
        pl.col("y2").is_not_null(), "ROW_COLUMNS", f"expected {' '.join(_FIELDS)}", "x1"
    )
    rows = rows.numbers("class", whole=True).numbers(*XYXY)
    rows = rows.between("class", 1, _CROWD, "expected a class from 1 to 5", "CLASS_UNKNOWN")
    rows = rows.box(*XYXY, one_based=one_based, inclusive=inclusive_max)
    kind = pl.col("class")
    rows = rows.ignore({"crowd": kind == _CROWD, "ignore region": kind == _IGNORED}, crowds=["crowd"])
    rows = rows.with_columns(
        category_id=pl.when(kind < _IGNORED).then(kind), occluded=pl.when(kind == _PARTIAL).then(1.0)
    )
    return source.table(rows, CLASSES)


def _texts(root: Path) -> list[str]:
    folder = native.folder_named(root, _FOLDER)
    if folder is None:
        remedy = "give the folder that holds Annotations/, Images/ and train.txt"
        raise InputError("FOLDER_MISSING", f"there is no folder {_FOLDER}", where=root, remedy=remedy)
    return [f"{folder.name}/{name}" for name in io.list_files(folder, (".txt",))]


def _read_lists(source: Source, text_of: Mapping[str, str]) -> dict[str, str]:
    """Return the split of every annotated image that a list names; nothing where there are no lists."""
    splits: dict[str, str] = {}
    unlabelled: list[str] = []
    for split in ("train", "val", "test"):
        if not (source.root / f"{split}.txt").exists():
            continue
        for stem, where in source.lines(f"{split}.txt"):
            names = (f"Images/{name}" for name in (f"{stem}.jpg", stem))
            image = next((name for name in names if name in text_of), f"Images/{stem}")
            if image in splits:
                what, remedy = f"it is listed in {splits[image]}.txt too", "keep one of them"
                source.errors.add("SPLIT_TWICE", what, where=where, field="image", value=stem, remedy=remedy)
            elif image in text_of:
                splits[image] = split
            elif split == "test":
                unlabelled.append(stem)
            else:
                what, remedy = f"there is no {_FOLDER}/{stem}.jpg.txt", "restore the text, or take it off the list"
                source.errors.add("ANNOTATION_MISSING", what, where=where, field="image", value=stem, remedy=remedy)
    source.errors.note("of the test set, not annotated", len(unlabelled), tuple(unlabelled), kind="image")
    if splits:
        unlisted = tuple(text for image, text in text_of.items() if image not in splits)
        source.errors.note("in no list", len(unlisted), unlisted, kind="image")
    return splits


def _take_counts(rows: Rows, image_of: Mapping[str, str]) -> Rows:
    """Check the number of rows that the first line of each text states, and return the rows below it."""
    errors, root = rows.errors, rows.root
    skipped = Counter((error.where or "").rpartition(":")[0] for error in errors.skipped_rows)
    counted = rows.with_columns(is_head=pl.int_range(pl.len()).over("file") == 0, n_rows=pl.len().over("file") - 1)
    heads = counted.data.filter("is_head")
    for name in sorted(image_of.keys() - set(heads["file"])):
        what, remedy = "the first line must be the number of rows", "write 0 if the image shows nobody"
        errors.add("ROW_COUNT", what, where=f"{root / name}:1", image=image_of[name], remedy=remedy)
    is_count = pl.col("x1").is_null() & (pl.col("class").str.to_integer(strict=False) == pl.col("n_rows"))
    wrong = heads.filter(~is_count.fill_null(False)).select("file", "line", "image", "class", "n_rows")
    for file, line, image, text, n_rows in wrong.iter_rows():
        if text == str(n_rows + skipped[str(root / file)]):
            continue
        what = f"the first line must be the number of rows; {n_rows} stand below it"
        remedy = "the file is cut short or damaged: copy it again, or fix the number"
        where = f"{root / file}:{line}"
        errors.add("ROW_COUNT", what, where=where, field="count", value=text, image=image, remedy=remedy)
    return counted.filter(~pl.col("is_head"))
