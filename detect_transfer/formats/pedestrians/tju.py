"""TJU-DHD and TJU-Ped: `<name>_<split>.json` in COCO's form.

Boxes are `x, y, width, height` from the top-left corner of the first pixel, which is our own convention.
"""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.coco.people import finish_people, read_people, rename_classes, split_files
from detect_transfer.formats.parsing.image_lookup import ImageLookup

_ORDER = ("pedestrian", "cyclist", "rider", "car", "truck", "van")
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

    The files of TJU-Ped hold visible boxes, visible shares and whom the evaluation ignores; `height` is in
    `attributes`.

    Args:
        root: The folder that holds the JSON files and, in any folders, the images.
        subset: Only files whose path holds this are read, such as ``ped_campus``: the two data sets share images.
        missing_images: ``error``, ``keep`` to go on without the images that are not there, or ``skip`` to leave them
            and their boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the image where the file states another size.
        on_error: What becomes of a box or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems of a file at once, each with
            its JSON pointer.

    Source: Y. Pang et al., TJU-DHD, TIP 2021; readme and changelog of the data.
    """
    media = ImageLookup("tail", missing_images, size_mismatch)
    whole = read_people(root, split_files(root, "<name>_<split>.json", subset=str(subset)), on_error)
    return finish_people(root, rename_classes(whole, _MISSPELT, _ORDER), media)
