"""CCTSDB, the CSUST Chinese traffic signs: `GroundTruth.txt` of 2017, texts or VOC XML of 2021.

A row is ``file;x1;y1;x2;y2;class``. Whether the last pixel is included is not documented: the corners of rows and of
XML are taken as edges counted from 0 unless `inclusive` says otherwise. Images are found by stem in any folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.rows import source_of
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.voc.xml import read_file

_NAMES = ("prohibitory", "warning", "mandatory")
_FIELDS = ("name", *XYXY, "class")
_KINDS = ("txt", "xml")


def read(
    root: Path,
    *,
    annotations: str | None = None,
    inclusive: bool = False,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read CCTSDB: three classes, ``prohibitory``, ``warning`` and ``mandatory``.

    Texts are those whose first row has four semicolons or more, or whose name says GroundTruth. Images in a folder
    whose name says ``neg`` show no sign. The first folder of an image whose name says ``train`` or ``test`` tells the
    split. `difficult` objects of XML are ignored.

    Args:
        root: The folder that holds texts or XML and the images, at any depth.
        annotations: ``txt`` or ``xml`` where a copy holds both of the same images.
        inclusive: Whether x2 and y2 are the last pixels.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its place.

    Source: Zhang et al., CCTSDB 2021: A More Comprehensive Traffic Sign Detection Benchmark, 2022.
    """
    if annotations is not None:
        native.check_choice("annotations", annotations, _KINDS)
    source = Source(
        root,
        "a folder with GroundTruth.txt or XML files, and the images",
        by="tail",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
    )
    texts, xml = _annotations(root, annotations)
    rows = source.rows(texts, _FIELDS, Dialect(";", trailing=True, image_field="name"))
    source.name_images(rows)
    rows = rows.numbers(*XYXY)
    _read_xml(source, xml)
    by_text = rows.data.select("image", "class", *XYXY, source_of(rows.data))
    rows = replace(rows, data=pl.concat([by_text, source.box_rows().data.rename({"label": "class"})], how="diagonal"))
    rows = rows.filled("class").with_columns(label="class").box(*XYXY, inclusive=inclusive)
    if "difficult" in rows.data.columns:
        rows = rows.with_columns(pl.col("difficult").fill_null(False)).ignore({"difficult": pl.col("difficult")})
    _add_negatives(source)
    return source.table(rows, _NAMES, split=_split)


def _annotations(root: Path, wanted: str | None) -> tuple[list[str], list[str]]:
    """Return the texts of rows and the XML files."""

    def has_rows(name: str) -> bool:
        try:
            lines = native.lines_of(native.read_text(root, root / name))
        except InputError:  # a read-me in another encoding
            return False
        return next((line for line in lines if line.strip()), "").count(";") >= 4

    names = io.list_files(root, (".txt",)) if wanted != "xml" else []
    texts = [name for name in names if "groundtruth" in PurePosixPath(name).stem.casefold() or has_rows(name)]
    xml = io.list_files(root, (".xml",)) if wanted != "txt" else []
    if not texts and not xml:
        what = "it holds neither a ground truth text nor XML files"
        raise InputError("CCTSDB_MISSING", what, where=root, remedy="give the folder that holds them")
    return texts, xml


def _split(name: str) -> str | None:
    """Return the split that the path of an image tells."""
    parts = [part.casefold() for part in PurePosixPath(name).parts[:-1]]
    return next((split for part in parts for split in ("train", "test") if split in part), None)


def _read_xml(source: Source, xml: Sequence[str]) -> None:
    """Add the objects of VOC files; report the files whose images have an annotation already."""
    by_stem = {PurePosixPath(name).stem: name for name in source.images}
    for name in xml:
        stem = PurePosixPath(name).stem
        image = by_stem.setdefault(stem, f"{stem}.jpg")
        if image in source.images:
            what = f"{source.images[image].where} annotates the same image"
            remedy = "remove one of them, or read with annotations=txt or annotations=xml"
            source.errors.add("ANNOTATION_TWICE", what, where=source.root / name, image=image, remedy=remedy)
            continue
        file = read_file(source.root, name, image, source.errors)
        source.images[image] = ImageRef(str(source.root / name), file.size_wh)
        for each in file.objects:
            flags = {"truncated": each.truncated, "occluded": each.occluded, "difficult": each.difficult}
            with source.errors.row(image):
                source.add_box(image, each.name, each.corners, each.source, each.attributes, **flags)


def _add_negatives(source: Source) -> None:
    """Add the images that show no sign; report those that nothing names."""
    annotated = {image.file_name for image in source.find_images().values()}
    for name in source.image_files():
        if name in annotated:
            continue
        if any("neg" in part.casefold() for part in PurePosixPath(name).parts[:-1]):
            source.add_images([name])
        else:
            what = "no row and no XML is of this image"
            remedy = "annotate or remove it, or put it into a folder named negatives if it shows no sign"
            source.errors.add("ANNOTATION_MISSING", what, where=source.root / name, image=name, remedy=remedy)
