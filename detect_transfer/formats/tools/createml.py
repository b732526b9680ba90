"""CreateML JSON of Apple: a list of images with labels, and the centre and size of each box in pixels from 0."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, Units
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_of_path
from detect_transfer.formats.parsing.shapes import Corners
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import report_unannotated

_ANCHORS = ("center", "top-left")
_IMAGE_KEYS = ("image", "imagefilename")
_LIST_KEYS = ("annotations", "annotation")


@no_collection()
def read(
    root: Path,
    *,
    anchor: str = "center",
    units: Units | None = None,
    allow_missing: bool = False,
    images: Path | None = None,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the CreateML files of a folder, such as `_annotations.createml.json` of Roboflow in each split.

    An image lies beside the file that names it; where it is not there, it is found by the longest end of its path. A
    folder named ``train``, ``valid`` or ``test`` is the split.

    Args:
        root: The folder of the files, or one such file.
        anchor: What `x` and `y` are: the ``center`` of the box, as Apple's tools have it, or its ``top-left`` corner.
        units: What boxes are counted in: ``pixels``, or ``shares`` of the image.
        allow_missing: Whether images that no entry names show no object; otherwise they are an error.
        images: See `Source`.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: https://developer.apple.com/documentation/createml/building-an-object-detector-data-source
    """
    native.check_choice("anchor", anchor, _ANCHORS)
    what = "a folder with JSON of CreateML"
    source = Source(root, what, missing_images=missing_images, on_error=on_error, or_file=True, image_folder=images)
    nearby = NearbyImages(source.image_root)
    for name in source.files("*.json", missing="it holds no .json file; JSON of CreateML was expected"):
        with source.errors.file():
            for node in read_json(source.root, name).elements():
                _read_image(source, node, PurePosixPath(name).parent, nearby, anchor)
    nearby.remark(source.errors)
    unnamed = sorted(set(source.image_files()) - set(source.images) - set(source.errors.skipped_images))
    remedy = "remove it, or read with --option allow_missing=true if such images show no object"
    if source.file is None:
        report_unannotated(source, () if allow_missing else unnamed, "no entry names this image", remedy)
        for name in unnamed:
            source.add_image(name, f"{source.image_root}/{name}", split=split_of_path(name))
    return source.table(replace(source.box_rows(), box_format=PIXEL_CORNERS.with_options(None, units)))


def _read_image(source: Source, node: Node, folder: PurePosixPath, nearby: NearbyImages, anchor: str) -> None:
    with source.errors.image(node.source):
        key = next((key for key in _IMAGE_KEYS if key in node), _IMAGE_KEYS[0])
        image = nearby.nearest((folder / path_of_address(node.string(key))).as_posix())
        with source.errors.image(image):
            of_list = next((key for key in _LIST_KEYS if key in node), _LIST_KEYS[0])
            boxes = node.items(of_list, [])
            if source.add_image(image, node.where, split=split_of_path(image)):
                for box in boxes:
                    with source.errors.row(image):
                        source.add_box(image, box.string("label"), _corners(box, anchor), box.source)


def _corners(node: Node, anchor: str) -> Corners:
    box = node.child("coordinates")
    x, y, width, height = (box.number(key) for key in ("x", "y", "width", "height"))
    left, top = (x - width / 2, y - height / 2) if anchor == "center" else (x, y)
    return left, top, left + width, top + height
