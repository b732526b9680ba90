"""CCTSDB, the CSUST Chinese traffic signs: `GroundTruth.txt` of 2017, texts or VOC XML of 2021.

A row is ``file;x1;y1;x2;y2;class``. Whether the last pixel is included is not documented: the corners of rows and of
XML are taken as edges counted from 0 unless `inclusive` says otherwise. Images are found by stem in any folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.columns import text_of
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.checks import to_numbers
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.json_boxes import as_attributes, row_frame
from detect_transfer.formats.parsing.row_table import check_classes, check_corners, finish_rows
from detect_transfer.formats.parsing.rows import named_in
from detect_transfer.formats.voc.xml import read_file

_NAMES = ("prohibitory", "warning", "mandatory")
_IDS = {name: i for i, name in enumerate(_NAMES, start=1)}
_CORNERS = ("x1", "y1", "x2", "y2")
_FIELDS = ("name", *_CORNERS, "class")
_KINDS = ("txt", "xml")


def read(
    root: Path, *, annotations: str | None = None, inclusive: bool = False, missing_images: str = "error",
    size_mismatch: str = "error", on_error: str = "fail",
) -> AnnotationTable:  # fmt: skip
    """Read CCTSDB: three classes, ``prohibitory``, ``warning`` and ``mandatory``.

    Texts are those whose first row has four semicolons or more, or whose name says GroundTruth. Images in a folder
    whose name says ``neg`` show no sign. The first folder of an image whose name says ``train`` or ``test`` tells the
    split. `difficult` objects of XML are ignored.

    Args:
        root: The folder that holds texts or XML and the images, at any depth.
        annotations: ``txt`` or ``xml`` where a copy holds both of the same images.
        inclusive: Whether x2 and y2 are the last pixels.
        missing_images: As for `ImageLookup`.
        size_mismatch: ``error``, or ``keep`` to trust the images where XML states another size.
        on_error: What becomes of rows and images at fault, as for `ErrorCollector`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its place.

    Source: Zhang et al., CCTSDB 2021: A More Comprehensive Traffic Sign Detection Benchmark, 2022.
    """
    if annotations is not None:
        native.check_choice("annotations", annotations, _KINDS)
    problems, media = ErrorCollector(on_error), ImageLookup("tail", missing_images, size_mismatch)
    io.require_dir(root, what="a folder with GroundTruth.txt or XML files, and the images")
    texts, xml = _annotations(root, annotations)
    by_text, named = _text_rows(root, texts, problems)
    _check_once(named, xml, root, problems)
    by_xml, named_by_xml = _xml_rows(root, xml, problems)
    named |= named_by_xml
    rows = pl.concat([by_text, by_xml], how="diagonal")
    rows = check_classes(rows, "class", _IDS, root, problems)
    rows = check_corners(rows, root, problems, _CORNERS)
    images = find_images(root, named, media, problems)
    images |= _unnamed(root, images, problems)
    return finish_rows(
        problems,
        rows=_columns(rows, last=int(inclusive)),
        found=images,
        categories={"category_id": list(_IDS.values()), "name": _NAMES},
        image_root=root,
        facts=pl.DataFrame(
            [(name, _split(image.file_name)) for name, image in images.items()],
            schema={"image": pl.String, "split": pl.String},
            orient="row",
        ),
    )


def _annotations(root: Path, wanted: str | None) -> tuple[list[str], list[str]]:
    """Return the texts of rows and the XML files."""

    def has_rows(name: str) -> bool:
        try:
            lines = native.lines_of(native.read_text(root, root / name))
        except InputError:  # a read-me in another encoding
            return False
        return next((line for line in lines if line.strip()), "").count(";") >= 4

    held = io.list_files(root, (".txt",)) if wanted != "xml" else []
    texts = [name for name in held if "groundtruth" in PurePosixPath(name).stem.casefold() or has_rows(name)]
    xml = io.list_files(root, (".xml",)) if wanted != "txt" else []
    if not texts and not xml:
        raise InputError(
            *("CCTSDB_MISSING", "it holds neither a ground truth text nor XML files"),
            where=root,
            remedy="give the folder that holds them",
        )
    return texts, xml


def _split(name: str) -> str | None:
    """Return the split that the path of an image tells."""
    parts = [part.casefold() for part in PurePosixPath(name).parts[:-1]]
    return next((split for part in parts for split in ("train", "test") if split in part), None)


def _text_rows(root: Path, texts: Iterable[str], problems: ErrorCollector) -> tuple[pl.DataFrame, dict[str, ImageRef]]:
    """Return the rows of texts, and the images that they name."""
    data = read_delimited(
        root, dict.fromkeys(texts), _FIELDS, Dialect(";", trailing=True, image_field="name"), problems
    )
    named = named_in(data, root)
    data = to_numbers(data, _CORNERS, root, problems)
    return data.select("image", "class", *_CORNERS, source=text_of("{}:{}", "file", "line")), named


def _check_once(named: Mapping[str, ImageRef], xml: Iterable[str], root: Path, problems: ErrorCollector) -> None:
    """Report the images that a text and an XML annotate: their boxes would be there twice."""
    by_stem = {PurePosixPath(name).stem: (name, told) for name, told in named.items()}
    for one in xml:
        name, told = by_stem.get(PurePosixPath(one).stem, ("", None))
        if told is not None:
            _report_twice(root / one, name, told, problems)


def _report_twice(path: Path, image: str, told: ImageRef, problems: ErrorCollector) -> None:
    problems.add(
        "ANNOTATION_TWICE",
        f"{told.where} annotates the same image",
        where=path,
        image=image,
        remedy="remove one of them, or read with annotations=txt or annotations=xml",
    )


def _xml_rows(root: Path, xml: Iterable[str], problems: ErrorCollector) -> tuple[pl.DataFrame, dict[str, ImageRef]]:
    """Return the rows of VOC files, and their images with the sizes that they state."""
    rows: list[tuple[object, ...]] = []
    named: dict[str, ImageRef] = {}
    for name in xml:
        image = PurePosixPath(name).with_suffix(".jpg").name
        if image in named:
            _report_twice(root / name, image, named[image], problems)
            continue
        found = read_file(root, name, image, problems)
        named[image] = ImageRef(str(root / name), found.size_wh)
        rows += [
            (*(image, one.name, *one.corners, one.source), *(one.truncated, one.occluded, one.difficult),
             as_attributes(one.attributes))
            for one in found.objects
        ]  # fmt: skip
    told = ("truncated", "occluded", "difficult", "attributes")
    return row_frame(rows, ("image", "class", *_CORNERS, "source", *told)), named


def _columns(rows: pl.DataFrame, *, last: int) -> pl.DataFrame:
    """Return the columns of the table."""
    difficult = pl.col("difficult").fill_null(False)
    return rows.drop("class").with_columns(
        pl.col("x2") + last,
        pl.col("y2") + last,
        difficult=difficult,
        ignore=difficult,
        ignore_reason=pl.when(difficult).then(pl.lit("difficult")),
    )


def _unnamed(root: Path, images: Mapping[str, FoundImage], problems: ErrorCollector) -> dict[str, FoundImage]:
    """Return the images that show no sign; report those that nothing names."""
    annotated = {image.file_name for image in images.values()}
    found: dict[str, ImageRef] = {}
    for name in io.list_files(root, IMAGE_SUFFIXES):
        if name in annotated:
            continue
        if any("neg" in part.casefold() for part in PurePosixPath(name).parts[:-1]):
            found[name] = ImageRef(str(root / name))
        else:
            problems.add(
                *("ANNOTATION_MISSING", "no row and no XML is of this image"),
                where=root / name,
                image=name,
                remedy="annotate or remove it, or put it into a folder named negatives if it shows no sign",
            )
    return find_images(root, found, ImageLookup(), problems) if found else {}
