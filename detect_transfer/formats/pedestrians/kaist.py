"""KAIST multispectral pedestrians: an XML or a text of each frame, beside images in colour and of heat.

A box is ``x, y, w, h``. The loader of the owners takes them as pixels from 0; their texts come from MATLAB, so
`one_based` stays a choice. Texts are those of Caltech's kit (``% bbGt version=3``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.rows import Rows, source_of
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.parsing.xml import read_xml, require_once
from detect_transfer.formats.pedestrians.persons import FULL, VISIBLE, visible_boxes

CLASSES = ("person", "people", "person?", "cyclist")
_CROWDS = ("people", "person?")
_MODALITIES = ("visible", "lwir")
_SIZE_WH = (640, 512)
_FRAME = re.compile(r"(?:(.*)/)?(set[0-9]{2})/(V[0-9]{3})/(I[0-9]{5})\.(?:txt|xml)")
_FIELDS = ("label", *FULL, "occlusion", *VISIBLE, "ignored", "angle")
_HIDDEN = {0: 0.0, 1: 0.25, 2: 0.75}  # the kit says up to a half, and more: these lie in the middle of its words
_LAST_OF_TRAINING = "set05"


def read(
    root: Path,
    *,
    modality: str = "visible",
    annotations: str | None = None,
    image_set: str | None = None,
    one_based: bool = False,
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read KAIST: `people` (a group) and `person?` (perhaps a person) are crowds to be ignored, `cyclist` is a class.

    A level of occlusion becomes a share that is hidden: 0, 0.25 or 0.75. Sets 00 to 05 are `train`, the others `test`;
    a video is a group. An XML that states corners is of a copy: read such a folder as `voc`.

    Args:
        root: The folder with the annotations and ``images/set00/V000/visible/I00000.jpg`` and the like.
        modality: Which of the two images of a frame is read, ``visible`` or ``lwir``.
        annotations: The folder of the annotations, such as ``annotations-xml-new``, where there are several.
        image_set: A list of ``imageSets``, such as ``test-all-20``: other frames are left out, which the ledger counts.
        one_based: Whether the first pixel is number 1.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its place.

    Source: Hwang et al., Multispectral Pedestrian Detection, CVPR 2015; https://github.com/SoonminHwang/rgbt-ped-detection
    """
    native.check_choice("modality", modality, _MODALITIES)
    what = "a folder with annotations and images/ of KAIST"
    source = Source(root, what, by="tail", missing_images=missing_images, size_mismatch="keep", on_error=on_error)
    names = _annotation_files(source, annotations)
    listed = _listed(source, image_set)
    image_of: dict[str, str] = {}
    left_out: list[str] = []
    for name, (folder, video, frame) in names.items():
        if listed is not None and f"{folder}/{video}/{frame}" not in listed:
            left_out.append(name)
            continue
        image = f"{folder}/{video}/{modality}/{frame}.jpg"
        split = "train" if folder <= _LAST_OF_TRAINING else "test"
        where = str(source.root / name)
        if source.add_image(image, where, _SIZE_WH, split=split, group=f"{folder}/{video}"):
            image_of[name] = image
    source.errors.note("not in the image set", len(left_out), tuple(left_out), kind="image")
    return source.table(_boxes(source, image_of, one_based=one_based), CLASSES)


def _annotation_files(source: Source, annotations: str | None) -> dict[str, tuple[str, str, str]]:
    """Return set, video and frame of each file of the one folder of annotations.

    Raises:
        InputError: There is none, or there are several.
    """
    frames: dict[str, dict[str, tuple[str, str, str]]] = {}
    for name in io.list_files(source.root, (".xml", ".txt")):
        if match := _FRAME.fullmatch(name):
            frames.setdefault(match[1] or ".", {})[name] = (match[2], match[3], match[4])
    if annotations is not None:
        frames = {folder: files for folder, files in frames.items() if folder == annotations.rstrip("/")}
    if not frames:
        what = f"no set00/V000/I00000.xml or .txt is in {annotations or 'any folder of it'}"
        raise InputError("KAIST_MISSING", what, where=source.root, remedy="give the folder that holds them")
    if len(frames) > 1:
        what = f"it holds {len(frames)} folders of annotations: {', '.join(sorted(frames))}"
        remedy = f"choose with annotations={sorted(frames)[-1]}"
        raise InputError("FORM_SEVERAL", what, where=source.root, field="annotations", remedy=remedy)
    (files,) = frames.values()
    return files


def _listed(source: Source, image_set: str | None) -> frozenset[str] | None:
    """Return the frames of a list, None for all."""
    if image_set is None:
        return None
    lists = {Path(name).stem: name for name in io.list_files(source.root, (".txt",)) if "imageSets/" in f"/{name}"}
    name = lists.get(image_set.removesuffix(".txt"))
    if name is None:
        what, remedy = (
            "there is no such list in imageSets/",
            f"give one of: {', '.join(sorted(lists)) or 'none is there'}",
        )
        raise InputError("OPTION_VALUE", what, where=source.root, field="image_set", value=image_set, remedy=remedy)
    return frozenset(text for text, _ in source.lines(name))


def _boxes(source: Source, image_of: Mapping[str, str], *, one_based: bool) -> Rows:
    """Return the rows of all files as boxes."""
    texts = {name: image for name, image in image_of.items() if name.endswith(".txt")}
    rows = source.rows(texts, _FIELDS, Dialect(" ", comment="%", optional=2), texts)
    rows = rows.with_columns(source=source_of(rows.data))
    of_xml = [row for name, image in image_of.items() if name.endswith(".xml") for row in _objects(source, name, image)]
    columns = ("image", "source", *_FIELDS)
    data = pl.concat([rows.data.select(columns), pl.DataFrame(of_xml, dict.fromkeys(columns, pl.String), orient="row")])
    rows = Rows(data, source.root, source.errors)
    rows = rows.filled("label", what="it has no class", code="OBJECT_NAME").numbers(*_FIELDS[1:])
    is_crowd = pl.col("label").is_in(_CROWDS)
    rows = visible_boxes(rows, one_based=one_based)
    level = pl.col("occlusion").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64)
    return rows.with_columns(
        iscrowd=is_crowd,
        ignore=is_crowd | (pl.col("ignored").fill_null(0) != 0),
        ignore_reason=pl.when(is_crowd).then("label").when(pl.col("ignored") != 0).then(pl.lit("ignore flag")),
        occluded=pl.coalesce("occluded", level),
    )


def _objects(source: Source, name: str, image: str) -> Iterator[tuple[str | None, ...]]:
    """Give the objects of an XML as rows of texts; what is absent is empty, which is no number."""
    with source.errors.image(image):
        tree = read_xml(source.root, name, "annotation")
        for number, each in enumerate(tree.findall("object"), start=1):
            where = f"{source.root / name}#object[{number}]"
            require_once(each, ("name", "bndbox", "occlusion"), where)
            for bndbox in each.findall("bndbox"):
                require_once(bndbox, FULL, where)
            if each.find("bndbox/xmin") is not None:
                what, remedy = "the box states corners, as copies in the form of VOC do", "read the folder as voc"
                raise InputError("OBJECT_BOX", what, where=where, remedy=remedy)
            box = [(each.findtext(f"bndbox/{key}") or "").strip() for key in ("x", "y", "w", "h")]
            label, occlusion = ((each.findtext(tag) or "").strip() for tag in ("name", "occlusion"))
            yield image, f"{name}#object[{number}]", label, *box, occlusion or None, *("0" for _ in VISIBLE), None, None
