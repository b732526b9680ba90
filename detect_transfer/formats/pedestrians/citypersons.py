"""CityPersons, the pedestrians of Cityscapes, in the three forms that are published.

Boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention. Those of
pedestrians and riders are drawn around the whole body and often leave the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.coco.people import read_people, table_of_people
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.citypersons_mat import read_mat
from detect_transfer.formats.pedestrians.persons import FULL, ROW_SCHEMA, VISIBLE, choose_form, visible_boxes

_CLASSES = ("pedestrian", "rider", "sitting person", "person (other)", "person group")
_REGION = 0
_CODES = {"ignore": _REGION, **{name: code for code, name in enumerate(_CLASSES, start=1)}}
_SIZE_WH = (2048, 1024)  # of every image of Cityscapes
_SUFFIX = "_gtBboxCityPersons.json"
_FORMS: dict[str, Callable[[str], bool]] = {
    "mat": lambda name: name.startswith("anno_") and name.endswith(".mat"),
    "json": lambda name: name.endswith(_SUFFIX),
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
    The evaluation files have no class but `pedestrian`: all others are `ignore` there. Their image ids are kept; in the
    other forms they count the images of the annotations, which for the validation files alone comes to the same. A city
    is never cut by a split.

    Args:
        root: The folder that holds the annotations and, in any folder, the images (found by their names).
        form: ``mat`` for `anno_<split>.mat`, ``json`` for `gtBboxCityPersons`, ``gt`` for `<split>_gt.json`, the files
            of the evaluation; ``auto`` takes the one that is there.
        missing_images: See `Source`.
        size_mismatch: See `Source`; stated is 2048 x 1024 pixels.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its place.

    Source: S. Zhang et al., CityPersons, CVPR 2017; readme and evaluation code of the data.
    """
    what = "a folder of CityPersons annotations"
    source = Source(
        root, what, by="basename", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    paths = io.list_files(root, (".mat", ".json"))
    files = {key: [n for n in paths if is_of(PurePosixPath(n).name)] for key, is_of in _FORMS.items()}
    missing = f"CITYPERSONS_MISSING: no anno_<split>.mat, *{_SUFFIX} or <split>_gt.json is there"
    chosen, names = choose_form(root, files, form, missing)
    names.sort(key=lambda name: ("train" not in PurePosixPath(name).name, name))
    if chosen == "gt":
        whole = read_people(source, {name: PurePosixPath(name).name.removesuffix("_gt.json") for name in names})
        cities = pl.col("file_name").map_elements(_city, return_dtype=pl.String)
        return table_of_people(source, replace(whole, images=whole.images.with_columns(group=cities)))

    rows = _mat_rows(source, names) if chosen == "mat" else _json_rows(source, names)
    is_region, is_group = pl.col("label").is_null(), (pl.col("label") == _CLASSES[-1]).fill_null(False)
    rows = visible_boxes(rows).with_columns(
        iscrowd=is_group,
        ignore=is_region | is_group,
        ignore_reason=pl.when(is_region).then(pl.lit("ignore region")).when(is_group).then(pl.lit("group")),
        attributes=pl.struct(pl.col("instance_id").cast(pl.Int64, strict=False)).struct.json_encode(),
    )
    return source.table(rows, _CLASSES)


def _city(name: str) -> str:
    return PurePosixPath(name).name.partition("_")[0]


def _mat_rows(source: Source, names: list[str]) -> Rows:
    """Read the MATLAB files, whose classes are numbers."""
    counts: Counter[str | None] = Counter()

    def add_image(image: str, where: str) -> bool:
        split = split_of_path(image)
        counts[split] += image not in source.images  # the evaluation counts each split from 1
        return _add_image(source, image, where, _SIZE_WH, native_image_id=counts[split])

    rows = Rows(pl.concat([read_mat(source, name, add_image) for name in names]), source.root, source.errors)
    rows = rows.check(
        pl.col("class").is_in([*map(float, _CODES.values())]), "CLASS_UNKNOWN", "expected a class from 0 to 5", "class"
    )
    names_of = {float(code): name for name, code in _CODES.items() if code != _REGION}
    return rows.with_columns(label=pl.col("class").replace_strict(names_of, default=None, return_dtype=pl.String))


def _add_image(source: Source, image: str, where: str, size_wh: tuple[int, int], **columns: Any) -> bool:
    split, number = split_of_path(image), len(source.images) + 1
    return source.add_image(image, where, size_wh, split=split, group=_city(image), image_id=number, **columns)


def _json_rows(source: Source, names: list[str]) -> Rows:
    """Read one JSON file an image: ``gtBboxCityPersons/<split>/<city>/<stem>_gtBboxCityPersons.json``."""
    rows: list[tuple[Any, ...]] = []
    for name in names:
        folder = "/".join(PurePosixPath(name).parts[-3:-1])
        image = f"leftImg8bit/{folder}/{PurePosixPath(name).name.removesuffix(_SUFFIX)}_leftImg8bit.png"
        with source.errors.image(image):
            document = read_json(source.root, name).as_object()
            size_wh, objects = document.size_wh("imgWidth", "imgHeight"), document.items("objects")
            if _add_image(source, image, f"{document.where}/imgWidth", size_wh):
                for each in objects:
                    with source.errors.row(image):
                        rows.append((image, *_row(each)))
    schema: dict[str, type[pl.DataType]] = {**ROW_SCHEMA, "label": pl.String, "instance_id": pl.Float64}
    return Rows(pl.DataFrame(rows, schema=schema, orient="row"), source.root, source.errors)


def _row(node: Node) -> tuple[Any, ...]:
    label = node.string("label").strip()
    if not label:
        raise node.error("label", "OBJECT_NAME", "it has no class")
    label = label.casefold() if label.casefold() in _CODES else label
    box, visible = node.numbers("bbox", len(FULL)), node.numbers("bboxVis", len(VISIBLE))
    return *box, *visible, node.source, None if label == "ignore" else label, node.whole("instanceId", 0)
