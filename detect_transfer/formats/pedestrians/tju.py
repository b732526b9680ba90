"""TJU-DHD and TJU-Ped: `<name>_<split>.json` in COCO's form.

Boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention.
"""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.coco.people import read_people, split_files, table_of_people
from detect_transfer.formats.parsing.source import Source

_MISSPELT = {"pedstrian": "pedestrian"}  # in the files before version 1.1


def read(
    root: Path,
    *,
    subset: str = "",
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read TJU-DHD or TJU-Ped: the classes of the files in lower case, `pedstrian` being `pedestrian`.

    Ids of images and classes are those of the files. The files of TJU-Ped state visible boxes and whom the evaluation
    ignores; `vis_ratio` is a column, `height` stands in `attributes`.

    Args:
        root: The folder that holds the JSON files and, in any folders, the images.
        subset: Only files whose path holds this are read, such as ``ped_campus``: the two data sets share images.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: Y. Pang et al., TJU-DHD, TIP 2021; readme and changelog of the data.
    """
    what = "a folder that holds <name>_<split>.json"
    source = Source(
        root, what, by="tail", missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error
    )
    names = split_files(source, "<name>_<split>.json", subset=str(subset))
    return table_of_people(source, read_people(source, names, misspelt=_MISSPELT))
