"""Cityscapes: the extents of the polygons of `gtFine` or `gtCoarse`, a JSON an image, as boxes.

Points are continuous pixels counted from 0. The boxes of whole bodies that CityPersons drew are another format.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import read_json
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.shapes import extent
from detect_transfer.formats.parsing.source import Source, listed

_OBJECTS = listed(
    """person, rider, car, truck, bus, train, motorcycle, bicycle, caravan, trailer, traffic sign, traffic light, pole,
    license plate"""
)
_SURFACES = listed(
    """unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, road, sidewalk, parking,
    rail track, building, wall, fence, guard rail, bridge, tunnel, vegetation, terrain, sky"""
)
_GROUP = "group"
_SURFACE_CHOICES = ("skip", "keep")
_SUFFIX = "_polygons.json"


@no_collection()
def read(
    root: Path,
    *,
    surfaces: str = "skip",
    images: Path | None = None,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Cityscapes: its objects, with classes of the labels that occur among them in the official order.

    A group, such as ``cargroup``, is a crowd of its class and ignored. Surfaces such as road and sky are left out,
    which the ledger counts. The city is the `group`, which no split cuts.

    Args:
        root: The folder that holds ``gtFine`` or ``gtCoarse`` and, in any folder, the images.
        surfaces: ``skip``, or ``keep`` to read the extents of surfaces as boxes too.
        images: See `Source`.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: Cordts et al., The Cityscapes Dataset for Semantic Urban Scene Understanding, CVPR 2016; its scripts.
    """
    native.check_choice("surfaces", surfaces, _SURFACE_CHOICES)
    source = Source(
        root,
        "a folder with gtFine or gtCoarse of Cityscapes",
        by="basename",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        image_folder=images,
    )
    names = source.files(f"*{_SUFFIX}", missing=f"it holds no *{_SUFFIX}")
    folders = {name.partition("_gt")[2].rpartition("_")[0] for name in map(_base, names)}
    if len(folders) > 1:
        what = "it holds both fine and coarse polygons, which would doubly annotate images"
        raise InputError("FORM_SEVERAL", what, where=source.root, remedy="give the folder of one of them, with images=")
    left_out: dict[str, list[str]] = {"a surface, no object": [], "marked as deleted": []}
    for name in names:
        _read_file(source, name, left_out, keep=surfaces == "keep")
    for reason, places in left_out.items():
        source.errors.note(reason, len(places), tuple(places), kind="box")
    rows = source.box_rows()
    there = set(rows.data["label"])
    return source.table(rows, [label for label in (*_OBJECTS, *_SURFACES) if label in there])


def _base(name: str) -> str:
    return PurePosixPath(name).name


def _read_file(source: Source, name: str, left_out: dict[str, list[str]], *, keep: bool) -> None:
    """Read the file of an image; the places of what is left out go to `left_out`, by their reasons."""
    base = _base(name).partition("_gt")[0]
    folder = "/".join(PurePosixPath(name).parts[-3:-1])
    image = f"leftImg8bit/{folder}/{base}_leftImg8bit.png"
    with source.errors.image(image):
        document = read_json(source.root, name).as_object()
        size_wh, objects = document.size_wh("imgWidth", "imgHeight"), document.items("objects")
        city = base.partition("_")[0]
        if not source.add_image(image, document.where, size_wh, split=split_of_path(name), group=city):
            return
        for each in objects:
            with source.errors.row(image):
                label = each.string("label")
                is_deleted = each.flag("deleted", False)
                if is_deleted or (label in _SURFACES and not keep):
                    left_out["marked as deleted" if is_deleted else "a surface, no object"].append(each.source)
                    continue
                is_group = label.endswith(_GROUP) and label.removesuffix(_GROUP) in _OBJECTS
                label = label.removesuffix(_GROUP) if is_group else label
                source.add_box(
                    image,
                    label,
                    extent(each.pairs("polygon")),
                    each.source,
                    iscrowd=is_group,
                    ignore=is_group,
                    ignore_reason="group" if is_group else None,
                )
