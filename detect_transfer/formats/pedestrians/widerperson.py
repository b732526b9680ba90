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
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import check_rows, to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.row_table import check_corners, finish_rows

CLASSES = ("pedestrian", "rider", "partially visible person")
_FOLDER = "Annotations"
_PARTIAL, _IGNORED, _CROWD = 3, 4, 5
_FIELDS = ("class", "x1", "y1", "x2", "y2")
_SPLITS = ("train", "val", "test")


def read(
    root: Path, *, one_based: bool = False, inclusive_max: bool = False, missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read WiderPerson: three classes of people; ignore regions and crowds are ignored for all of them.

    A partially visible person is `occluded` (1); of the others it is not told.
    The split is that of the list that names the image; without lists every text is read and no split is told. A
    image of `test.txt` without a text is not annotated and stays out, which the ledger counts.

    Args:
        root: The folder with ``Annotations/``, ``Images/`` and the lists.
        one_based: Whether pixels are counted from 1; the data set does not say.
        inclusive_max: Whether x2 and y2 are the last pixel that belongs to the box; the data set does not say.
        missing_images: ``error``; ``keep`` goes on without sizes; ``skip`` leaves the image and its rows out.
        on_error: ``fail``, or ``skip-row`` or ``skip-image`` to leave out what is at fault and count it.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Zhang et al., WiderPerson: A Diverse Dataset for Dense Pedestrian Detection in the Wild, 2019.
    """
    media = ImageLookup(by="tail", missing_images=missing_images)
    io.require_dir(root, what=f"a folder with {_FOLDER}/ and Images/")
    problems = ErrorCollector(on_error)
    texts = {f"Images/{PurePosixPath(n).stem}": n for n in _texts(root)}
    splits = _read_lists(root, texts, problems)
    names = {texts[image]: image for image in splits if image in texts} if splits else {n: i for i, n in texts.items()}
    rows = _read_rows(root, names, problems).with_columns(
        pl.col("x1", "y1") - int(one_based), pl.col("x2", "y2") - int(one_based) + int(inclusive_max)
    )
    named = {image: ImageRef(str(root / name)) for name, image in names.items()}
    images = find_images(root, named, media, problems)
    facts = pl.DataFrame(
        {"image": list(named), "split": [splits.get(image) for image in named]},
        schema={"image": pl.String, "split": pl.String},
    )
    return finish_rows(
        problems,
        rows=rows,
        found=images,
        categories={"category_id": [1, 2, 3], "name": CLASSES},
        image_root=root,
        facts=facts,
    )


def _texts(root: Path) -> list[str]:
    folder = native.folder_named(root, _FOLDER)
    if folder is None:
        raise InputError(
            *("FOLDER_MISSING", f"there is no folder {_FOLDER}"),
            where=root,
            remedy="give the folder that holds Annotations/, Images/ and train.txt",
        )
    return [f"{folder.name}/{name}" for name in io.list_files(folder, (".txt",))]


def _read_lists(root: Path, texts: Mapping[str, str], problems: ErrorCollector) -> dict[str, str]:
    """Return the split of every annotated image that a list names; nothing where there are no lists."""
    splits: dict[str, str] = {}
    unlabelled: list[str] = []
    for split in _SPLITS:
        path = root / f"{split}.txt"
        if not path.exists():
            continue
        for line, text in enumerate(native.lines_of(native.read_text(root, path)), start=1):
            stem = text.strip()
            if not stem:
                continue
            image = next(
                (f"Images/{one}" for one in (f"{stem}.jpg", stem) if f"Images/{one}" in texts), f"Images/{stem}"
            )
            if image in splits:
                problems.add(
                    *("SPLIT_TWICE", f"it is listed in {splits[image]}.txt too"),
                    where=f"{path}:{line}",
                    field="image",
                    value=stem,
                    remedy="keep one of them",
                )
            elif image in texts:
                splits[image] = split
            elif split == "test":
                unlabelled.append(stem)
            else:
                problems.add(
                    *("ANNOTATION_MISSING", f"there is no {_FOLDER}/{stem}.jpg.txt"),
                    where=f"{path}:{line}",
                    field="image",
                    value=stem,
                    remedy="restore the text, or take the image off the list",
                )
    problems.note("of the test set, not annotated", len(unlabelled), tuple(unlabelled), kind="image")
    if splits:
        unlisted = [texts[image] for image in texts if image not in splits]
        problems.note("in no list", len(unlisted), tuple(unlisted), kind="image")
    return splits


def _read_rows(root: Path, names: Mapping[str, str], problems: ErrorCollector) -> pl.DataFrame:
    """Return the rows of the texts, with columns of the table of boxes."""
    data = read_delimited(root, names, _FIELDS, Dialect(" ", optional=4), problems)
    data = _take_counts(data, root, names, problems)
    data = check_rows(
        data, pl.col("y2").is_not_null(), root, problems, told=("ROW_COLUMNS", f"expected {' '.join(_FIELDS)}", "x1")
    )
    data = to_numbers(data, ["class"], root, problems, whole=True)
    data = to_numbers(data, _FIELDS[1:], root, problems)
    known = pl.col("class").is_between(1, _CROWD)
    data = check_rows(data, known, root, problems, told=("CLASS_UNKNOWN", "expected a class from 1 to 5", "class"))
    data = check_corners(data, root, problems, _FIELDS[1:])
    kind, is_person = pl.col("class"), pl.col("class") < _IGNORED
    return data.select(
        *("file", "line", "image"),
        pl.when(is_person).then(kind).alias("category_id"),
        *_FIELDS[1:],
        iscrowd=kind == _CROWD,
        ignore=~is_person,
        ignore_reason=pl.when(kind == _CROWD)
        .then(pl.lit("crowd"))
        .when(kind == _IGNORED)
        .then(pl.lit("ignore region")),
        occluded=pl.when(kind == _PARTIAL).then(1.0),
    )


def _take_counts(data: pl.DataFrame, root: Path, names: Mapping[str, str], problems: ErrorCollector) -> pl.DataFrame:
    """Check the number of rows that the first line of each text states, and return the rows below it."""
    skipped = Counter((error.where or "").rpartition(":")[0] for error in problems.skipped_rows)
    first = pl.int_range(pl.len()).over("file") == 0
    counted = data.with_columns(first=first, rows=pl.len().over("file") - 1)
    heads = counted.filter("first")
    without = set(names) - set(heads["file"])
    for name in sorted(without):
        told = f"{root / name}:1"
        problems.add(
            *("ROW_COUNT", "the first line must be the number of rows"),
            where=told,
            image=names[name],
            remedy="write 0 if the image shows nobody",
        )
    stated = heads.with_columns(pl.col("class").str.to_integer(strict=False).alias("stated"))
    wrong = stated.filter(pl.col("x1").is_not_null() | ~(pl.col("stated") == pl.col("rows")).fill_null(False))
    for file, line, image, text, rows in wrong.select("file", "line", "image", "class", "rows").iter_rows():
        if text == str(rows + skipped[str(root / file)]):
            continue
        problems.add(
            "ROW_COUNT",
            f"the first line must be the number of rows; {rows} stand below it",
            where=f"{root / file}:{line}",
            field="count",
            value=text,
            image=image,
            remedy="the file is cut short or damaged: copy it again, or fix the number",
        )
    return counted.filter(~pl.col("first")).drop("first", "rows")
