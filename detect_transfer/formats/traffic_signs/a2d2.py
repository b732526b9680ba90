"""A2D2 of Audi: a JSON of boxes `label3D/<camera>/*_label3D_*.json` beside each image `camera/<camera>/*_camera_*.png`.

The four numbers of `2d_bbox` are left, top, right and bottom in pixels from 0: the published example has its lower
ones beyond the height of the image, so the names that the tutorial gives them (top, left, ...) are mixed up. A box
around the whole object may leave the image.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.source import Source

_LABELS, _IMAGES = "label3D", "camera"


@no_collection()
def read(root: Path, *, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read A2D2: the classes that occur, as they are written; the drive is the `group`.

    `truncated` is a column where it is a share; what else is said of a box, its body in space too, goes to
    `attributes`. Images without a JSON are not annotated and stay out.

    Args:
        root: The folder of the drives, ``20180807_145028/`` and the like, or one drive.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Geyer et al., A2D2: Audi Autonomous Driving Dataset, 2020; its tutorial and README-3DBoxes.
    """
    what = "a folder of drives with label3D/ and camera/ of A2D2"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    missing = "it holds no label3D/<camera>/*_label3D_*.json"
    for name in source.files(f"{_LABELS}/*/*_{_LABELS}_*.json", missing=missing):
        *drive, _, camera, file = PurePosixPath(name).parts
        base = PurePosixPath(file.replace(f"_{_LABELS}_", f"_{_IMAGES}_")).with_suffix(".png")
        image = PurePosixPath(*drive, _IMAGES, camera, base).as_posix()
        with source.errors.image(image):
            boxes = read_json(source.root, name).members()
            group = "/".join(drive) or real_path(source.root).name
            if source.add_image(image, f"{source.root}/{name}", group=group):
                for box in boxes.values():
                    with source.errors.row(image):
                        _add_box(source, image, box)
    return source.table()


def _add_box(source: Source, image: str, box: Node) -> None:
    label = box.string("class")
    x1, y1, x2, y2 = box.numbers("2d_bbox", 4)
    truncated = box.number_or_none("truncation")
    attributes = {key: value for key, value in box.value.items() if key not in ("class", "2d_bbox", "truncation")}
    if truncated is not None and not 0 <= truncated <= 1:
        attributes["truncation"], truncated = truncated, None
    source.add_box(image, label, (x1, y1, x2, y2), box.source, attributes, truncated=truncated)
