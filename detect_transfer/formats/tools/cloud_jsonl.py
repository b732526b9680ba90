"""JSON lines of Azure ML and of Vertex AI: an image a line, corners as shares of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.box_format import SHARE_CORNERS
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_boxes import corners
from detect_transfer.formats.parsing.json_lines import read_json_lines
from detect_transfer.formats.parsing.json_nodes import Node
from detect_transfer.formats.parsing.locations import NearbyImages, path_of_address, split_named, split_of_path
from detect_transfer.formats.parsing.numbers import parse_integer
from detect_transfer.formats.parsing.source import Source

_AZURE = ("topX", "topY", "bottomX", "bottomY")
_VERTEX = ("xMin", "yMin", "xMax", "yMax")
_USE = "aiplatform.googleapis.com/ml_use"
_REMEDY = "give the JSON lines of an object detection of Azure ML or Vertex AI"


@no_collection()
def read(
    root: Path,
    *,
    images: Path | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read the .jsonl files of Azure ML (`image_url`, `label`) or Vertex AI (`imageGcsUri`, `boundingBoxAnnotations`).

    An image is found by the end of its address. `isCrowd` of Azure is a crowd, which is ignored. The split is what
    Vertex calls `ml_use`, else the word that the name of the file begins with.

    Args:
        root: The folder of the files and images, or one such file.
        images: See `Source`.
        missing_images: See `Source`; an image that is not there needs a stated size, for boxes are shares of it.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: Azure Machine Learning, JSONL for object detection; Vertex AI, prepare image training data.
    """
    source = Source(
        root,
        "a folder with .jsonl of Azure ML or Vertex AI",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        or_file=True,
        image_folder=images,
    )
    nearby = NearbyImages(source.image_root)
    for name in source.files("*.jsonl", missing="it holds no .jsonl file"):
        for line in read_json_lines(source.root, name, source.errors):
            with source.errors.image(line.source):
                key = next((key for key in ("image_url", "imageGcsUri") if key in line), None)
                if key is None:
                    raise InputError(
                        "JSON_KEY", "it names no image", where=line.where, field="image_url", remedy=_REMEDY
                    )
                image = nearby.nearest(path_of_address(line.string(key)))
                split = _use_of(line) or split_named(*name.rpartition("/")[2].replace("_", ".").split("."))
                if source.add_image(image, line.where, _size(line), split=split or split_of_path(name)):
                    _add_boxes(source, image, line)
    nearby.remark(source.errors)
    return source.table(replace(source.box_rows(), box_format=SHARE_CORNERS))


def _use_of(line: Node) -> str | None:
    labels = line.child("dataItemResourceLabels") if "dataItemResourceLabels" in line else None
    return split_named(labels.string_or_none(_USE)) if labels else None


def _size(line: Node) -> tuple[int, int] | None:
    """Return the size that Azure states as ``499px``; None where it does not."""
    about = line.child("image_details") if "image_details" in line else None
    if about is None or "width" not in about or "height" not in about:
        return None
    sides = [parse_integer(str(about.value[key]).removesuffix("px").strip()) for key in ("width", "height")]
    if sides[0] is None or sides[1] is None or min(sides[0], sides[1]) < 1:
        raise about.error("width", "IMAGE_SIZE", "expected pixels such as 499px for width and height")
    return sides[0], sides[1]


def _add_boxes(source: Source, image: str, line: Node) -> None:
    is_azure = "image_url" in line
    for box in line.items("label" if is_azure else "boundingBoxAnnotations", []):
        with source.errors.row(image):
            label = box.string("label" if is_azure else "displayName")
            is_crowd = str(box.value.get("isCrowd")).casefold() in ("true", "1")
            source.add_box(
                image,
                label,
                corners(box, _AZURE if is_azure else _VERTEX),
                box.source,
                iscrowd=is_crowd,
                ignore=is_crowd,
                ignore_reason="crowd" if is_crowd else None,
            )
