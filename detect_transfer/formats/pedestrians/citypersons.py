"""CityPersons, the pedestrians of Cityscapes, in the three forms that are published.

Boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention. Those of
pedestrians and riders are drawn around the whole body and often leave the image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.coco.people import finish_people, read_people
from detect_transfer.formats.parsing.checks import check_rows
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.row_table import finish_rows
from detect_transfer.formats.pedestrians.citypersons_json import SUFFIX, read_jsons
from detect_transfer.formats.pedestrians.citypersons_mat import read_mat
from detect_transfer.formats.pedestrians.persons import choose_form, to_boxes

_CLASSES = ("pedestrian", "rider", "sitting person", "person (other)", "person group")
_REGION, _GROUP = 0, 5
_CODES = {"ignore": _REGION, **{name: code for code, name in enumerate(_CLASSES, start=1)}}
_SIZE_WH = (2048, 1024)  # of every image of Cityscapes
_FORMS: dict[str, Callable[[str], bool]] = {
    "mat": lambda name: name.startswith("anno_") and name.endswith(".mat"),
    "json": lambda name: name.endswith(SUFFIX),
    "gt": lambda name: name.endswith("_gt.json"),
}


def read(
    root: Path,
    *,
    form: str = "auto",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read CityPersons: five classes, id = native class; regions to be ignored (native class 0) have no class.

    Groups are crowds. That the benchmark ignores riders, sitting persons and other postures is a matter of a class map.
    The evaluation files tell no class but `pedestrian`: all others are `ignore` there. A city is never cut by a split.

    Args:
        root: The folder that holds the annotations and, in any folder, the images (found by their names).
        form: ``mat`` for `anno_<split>.mat`, ``json`` for `gtBboxCityPersons`, ``gt`` for `<split>_gt.json`, the files
            of the evaluation; ``auto`` takes the one that is there.
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out.
        size_mismatch: ``error``, or ``keep`` to trust images that are not of 2048 x 1024 pixels.
        on_error: What becomes of a row or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its place.

    Source: S. Zhang et al., CityPersons, CVPR 2017; readme and evaluation code of the data.
    """
    media = ImageLookup("basename", missing_images, size_mismatch)
    problems = ErrorCollector(on_error)
    found, names = _annotations(root, form)
    if found == "gt":
        return _read_gt(root, names, media, on_error)
    named: dict[str, ImageRef] = {}
    if found == "mat":
        rows = pl.concat([read_mat(root, name, named, _SIZE_WH, problems) for name in names])
    else:
        rows = read_jsons(root, names, named, _CODES, problems)
    rows = to_boxes(rows, root, problems)
    known = (pl.col("class") <= _GROUP) & (pl.col("class") >= _REGION) & (pl.col("class") % 1 == 0)
    rows = check_rows(rows, known, root, problems, told=("CLASS_UNKNOWN", "expected a class from 0 to 5", "class"))
    return finish_rows(
        problems,
        rows=_marked(rows),
        found=find_images(root, named, media, problems),
        categories={"category_id": range(1, len(_CLASSES) + 1), "name": _CLASSES},
        image_root=root,
        facts=_facts(list(named), numbered=found == "mat"),
    )


def _annotations(root: Path, form: str) -> tuple[str, list[str]]:
    """Return the form of the annotations and their files."""
    io.require_dir(root, what="a folder of CityPersons annotations")
    held = io.list_files(root, (".mat", ".json"))
    there = {key: [n for n in held if fits(PurePosixPath(n).name)] for key, fits in _FORMS.items()}
    missing = InputError(
        *("CITYPERSONS_MISSING", f"no anno_<split>.mat, *{SUFFIX} or <split>_gt.json is there"),
        where=root,
        remedy="give the folder that holds them",
    )
    found, names = choose_form(root, there, form, missing)
    return found, sorted(names, key=lambda n: ("train" not in PurePosixPath(n).name, n))


def _marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Put class, ignore flags and instance into columns of the table."""
    code = pl.col("class").cast(pl.Int64)
    region, group = code == _REGION, code == _GROUP
    return rows.with_columns(
        category_id=pl.when(~region).then(code),
        iscrowd=group,
        ignore=region | group,
        ignore_reason=pl.when(region).then(pl.lit("ignore region")).when(group).then(pl.lit("group")),
        attributes=pl.struct(pl.col("instance_id").cast(pl.Int64, strict=False)).struct.json_encode(),
    ).drop("class", "instance_id")


def _facts(names: list[str], *, numbered: bool) -> pl.DataFrame:
    """Return split, group and, where the files number them, the place in the annotations of each image."""
    facts = pl.DataFrame(
        {
            "image": names,
            "split": [split_of_path(name) for name in names],
            "group": [_city(name) for name in names],
        },
        schema={"image": pl.String, "split": pl.String, "group": pl.String},
    )
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("split")  # the evaluation counts each split from 1
    return facts.with_columns(native_image_id=place if numbered else pl.lit(None, dtype=pl.Int64))


def _city(name: str) -> str:
    return PurePosixPath(name).name.partition("_")[0]


def _read_gt(root: Path, names: list[str], media: ImageLookup, on_error: str) -> AnnotationTable:
    """Read the files of the evaluation, which name images without their folders."""
    splits = {name: PurePosixPath(name).name.removesuffix("_gt.json") for name in names}
    whole = read_people(root, splits, on_error)
    cities = pl.col("file_name").map_elements(_city, return_dtype=pl.String)
    return finish_people(root, replace(whole, images=whole.images.with_columns(group=cities)), media)
