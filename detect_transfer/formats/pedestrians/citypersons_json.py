"""CityPersons as one JSON file an image, `gtBboxCityPersons`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.pedestrians.persons import FULL, ROW_SCHEMA, VISIBLE, stated_size

SUFFIX = "_gtBboxCityPersons.json"
_SCHEMA: dict[str, type[pl.DataType]] = {**ROW_SCHEMA, "class": pl.Float64, "instance_id": pl.Float64}


def read_jsons(
    root: Path, names: Iterable[str], named: dict[str, ImageRef], codes: Mapping[str, int], problems: ErrorCollector
) -> pl.DataFrame:
    """Read the files of all images.

    Args:
        root: The folder of the data set.
        names: The files, relative to `root`: ``gtBboxCityPersons/<split>/<city>/<stem>_gtBboxCityPersons.json``.
        named: Where their images are added.
        codes: The number of each label, in lower case.
        problems: Where faults go.

    Returns:
        As `read_mat` of the MATLAB files.
    """
    rows: list[tuple[object, ...]] = []
    for name in names:
        folder = "/".join(PurePosixPath(name).parts[-3:-1])
        image = f"leftImg8bit/{folder}/{PurePosixPath(name).name.removesuffix(SUFFIX)}_leftImg8bit.png"
        with problems.image(image):
            document = read_json(root, name).as_object()
            size, objects = stated_size(document, "imgWidth", "imgHeight"), document.items("objects")
            if image in named:
                raise document.error(None, "ID_DUPLICATE", "an earlier file is of the same image", "remove one of them")
            named[image] = ImageRef(f"{root / name}#/imgWidth", size)
            for one in objects:
                with problems.row(image):
                    rows.append(_row(one, image, codes))
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _row(one: Node, image: str, codes: Mapping[str, int]) -> tuple[object, ...]:
    label = one.string("label")
    if label.strip().casefold() not in codes:
        raise _unknown(one, label, codes)
    box, visible = one.numbers("bbox", len(FULL)), one.numbers("bboxVis", len(VISIBLE))
    return (image, *box, *visible, one.source, codes[label.strip().casefold()], one.whole("instanceId", 0))


def _unknown(one: Node, label: str, codes: Mapping[str, int]) -> InputError:
    return one.error("label", "CLASS_UNKNOWN", "there is no such class", did_you_mean(label, list(codes)))
