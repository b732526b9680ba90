"""Pascal VOC XML, of the devkit and of the tools that imitate it.

Two conventions share one syntax. The devkit counts pixels from 1 and includes the last one (x1 = xmin - 1, x2 = xmax);
most tools write edges counted from 0 (x1 = xmin, x2 = xmax). A data set follows one of them throughout, so the choice
is made once for all its files, by `origin`, and recorded with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, BoxFormat, Form, Units, check_faults
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.image_lookup import MISSING_REMEDY
from detect_transfer.formats.parsing.json_boxes import dump
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.voc.origin import find_origin
from detect_transfer.formats.voc.sets import read_splits
from detect_transfer.formats.voc.xml import VocFile, VocObject, read_file

_COLUMNS = ("image", "source", "label", *XYXY, "occluded", "truncated", "difficult", "attributes")


@dataclass(frozen=True)
class _Layout:
    """Where a data set keeps its parts, relative to its root; `is_devkit` if as the devkit does."""

    annotations: Path
    images: Path
    is_devkit: bool


def read(  # noqa: PLR0913 - each is an option of the command line
    root: Path,
    *,
    one_based: bool | None = None,
    box_format: Form | None = None,
    units: Units | None = None,
    images: Path | None = None,
    size_mismatch: str = "error",
    missing_images: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read Pascal VOC XML as an `AnnotationTable` with the extra images column `pixel_convention`.

    `difficult` objects are to be ignored (reason ``difficult``); pose, parts (as `xyxy` in our convention) and the tags
    of other tools go to `attributes`. An object without box is as large as its polygon; a turned box of CVAT or
    roLabelImg becomes the box around it. Classes are numbered from 1 in the order of their names. An annotation belongs
    to the image of its own stem, whatever its `filename` says; sizes come from the images. The lists of one column in
    `ImageSets/Main` name the splits; where `trainval` repeats `train` and `val`, the narrower one holds. Without lists
    folders called ``train``, ``valid`` or ``test`` do.

    Args:
        root: The folder with ``Annotations/`` and ``JPEGImages/``, or ``annotations/`` and ``images/``, in any case; or
            one that holds each XML beside its image, in it or in its sub-folders.
        one_based: Whether pixels are counted from 1, the last one of a box included; None finds it by the evidence of
            all files, see `find_origin`.
        box_format: What the four numbers are, ``xyxy`` here; boxes that fit another form alone are an error.
        units: What they are counted in: ``pixels``, or ``shares`` of the image.
        images: The folder of the images, where they lie in none of these; of LLVIP, for example, ``infrared``.
        size_mismatch: ``error``, or ``keep`` to trust the image where an XML states another size.
        missing_images: What becomes of an XML without image: ``error``; ``keep`` goes on with its `filename` and the
            size that it states; ``skip`` leaves it out with its boxes.
        allow_missing: Whether an image without XML is one without objects; otherwise it is an error.
        on_error: What becomes of an object or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: The PASCAL Visual Object Classes Challenge 2007 development kit, section 9 (annotation file format).
    """
    form = PIXEL_CORNERS.with_options(box_format, units)
    source = Source(
        root,
        "a folder with Annotations/ and JPEGImages/, or annotations/ and images/, or XML beside the images",
        by="stem",
        missing_images=missing_images,
        size_mismatch=size_mismatch,
        on_error=on_error,
        image_folder=images,
    )
    layout = _find_layout(root, images, images_needed=missing_images == "error")
    source.image_root = layout.images
    files, objects = _read_files(source, layout, form, allow_missing=allow_missing)
    rows = source.rows_of([_row(name, each) for name, each in objects], _COLUMNS)
    if one_based is None:
        one_based = _is_one_based(source, rows, form, files, is_devkit=layout.is_devkit)
    convention = "one_based_inclusive" if one_based else "zero_based_exclusive"
    rows = rows.box(*XYXY, box_format=form, one_based=one_based, inclusive=one_based)
    rows = rows.ignore({"difficult": pl.col("difficult")})
    return source.table(_with_parts(rows, objects, one_based=one_based), pixel_convention=lambda _: convention)


def _find_layout(root: Path, given: Path | None, *, images_needed: bool) -> _Layout:
    annotations = native.folder_named(root, "Annotations")
    if given is not None and (annotations is not None or next(root.glob("*.xml"), None) is not None):
        return _Layout(annotations or root, given, is_devkit=False)
    images = native.folder_named(root, "JPEGImages", "images")
    if annotations is not None and (images is not None or not images_needed):
        is_devkit = (root / "ImageSets").is_dir() if images is None else images.name.casefold() == "jpegimages"
        return _Layout(annotations, images or root / "JPEGImages", is_devkit)
    stems = {native.stem_of(name) for name in io.list_files(root, IMAGE_SUFFIXES)}
    if annotations is None and any(native.stem_of(name) in stems for name in io.list_files(root, (".xml",))):
        return _Layout(root, root, is_devkit=False)
    content = ", ".join(sorted(path.name for path in root.iterdir())[:8]) or "nothing"
    raise InputError(
        "VOC_LAYOUT",
        "it needs the folders Annotations and JPEGImages, or annotations and images, or an XML beside each image",
        where=root,
        remedy=f"give the folder that holds them; this one holds: {content}; images=DIR names that of the images",
    )


def _read_files(
    source: Source, layout: _Layout, form: BoxFormat, *, allow_missing: bool
) -> tuple[list[VocFile], list[tuple[str, VocObject]]]:
    """Read all XML files and add all images; return the files, and each object with the name of its image."""
    by_stem = native.images_by_stem(layout.images, source.errors) if layout.images.is_dir() else {}
    parsed = _parse(source, layout, form, by_stem)
    if source.image_folder is not None and not by_stem.keys() & parsed.keys():  # in folders that those do not have
        by_stem = {PurePosixPath(stem).name: name for stem, name in by_stem.items()}
    _report_unpaired(source, layout, by_stem, parsed, allow_missing=allow_missing)
    check_faults(source.errors, sum(len(file.objects) for file in parsed.values()), form)
    source.errors.raise_any()
    _remark_other_names(source, by_stem, parsed)
    name_of = _add_images(source, layout, by_stem, parsed)
    return [*parsed.values()], [(name_of[stem], each) for stem, file in parsed.items() for each in file.objects]


def _parse(source: Source, layout: _Layout, form: BoxFormat, by_stem: Mapping[str, str]) -> dict[str, VocFile]:
    """Read all XML files, by their stems; those beside no image are of no concern where images lie among them."""
    folder = layout.annotations.relative_to(source.root)
    named = {native.stem_of(name): name for name in io.list_files(layout.annotations, (".xml",))}
    if layout.annotations == layout.images:
        named = {stem: name for stem, name in named.items() if stem in by_stem or not _is_other(source, name)}
    with no_collection():
        return {
            stem: read_file(source.root, (folder / name).as_posix(), stem, source.errors, sized=form.is_sized)
            for stem, name in named.items()
        }


def _is_other(source: Source, name: str) -> bool:
    """Tell whether an XML among images is of another format."""
    return b"<annotation>" not in native.read_bytes(source.root, source.root / name)[:4096]


def _report_unpaired(
    source: Source, layout: _Layout, images: Mapping[str, str], parsed: Mapping[str, VocFile], *, allow_missing: bool
) -> None:
    """Report every XML without an image and every image without an XML."""
    errors = source.errors
    for stem in sorted(parsed.keys() - images.keys()) if source.missing_images == "error" else ():
        where, what = parsed[stem].where, f"no image in {layout.images} has this stem"
        errors.add("IMAGE_MISSING", what, where=where, field="stem", value=stem, image=stem, remedy=MISSING_REMEDY)
    for stem in sorted(images.keys() - parsed.keys()) if not allow_missing else ():
        what, remedy = f"there is no XML of it in {layout.annotations}", "annotate or remove the image"
        remedy = f"{remedy}, or read with --option allow_missing=true if it shows no object"
        errors.add("ANNOTATION_MISSING", what, where=layout.images / images[stem], image=stem, remedy=remedy)


def _remark_other_names(source: Source, images: Mapping[str, str], parsed: Mapping[str, VocFile]) -> None:
    """Remark on annotations whose `filename` is that of another image, as copies and renamed files have it."""
    own = {PurePosixPath(stem).name for stem in images}
    named = {stem: PurePosixPath(file.filename.replace("\\", "/")).stem for stem, file in parsed.items()}
    other = tuple(stem for stem, name in named.items() if name in own and name != PurePosixPath(stem).name)
    reason = "filename names another image that is there: taken is the image of the annotation's own stem"
    source.errors.remark(reason, len(other), other, kind="image")


def _add_images(
    source: Source, layout: _Layout, by_stem: Mapping[str, str], parsed: Mapping[str, VocFile]
) -> dict[str, str]:
    """Add all images with their splits, and return their names by their stems."""
    names = by_stem.keys() | parsed.keys()
    splits = read_splits(source.root, names, source.errors, skip_missing=source.missing_images == "skip")
    source.errors.rename_skipped(lambda stem: [by_stem.get(stem, stem)])
    name_of = {stem: by_stem.get(stem) or _name_of(stem, parsed[stem]) for stem in names}
    for stem, name in sorted(name_of.items(), key=lambda item: item[1]):
        file = parsed.get(stem, VocFile())
        split = splits.get(stem) or (split_of_path(name) if not splits else None)
        where = file.where or f"{layout.images}/{name}"
        if name not in source.errors.skipped_images:
            source.add_image(name, where, file.size_wh, split=split)
    return name_of


def _name_of(stem: str, file: VocFile) -> str:
    """Return the name of an image that is not there, by the suffix that its annotation tells."""
    suffix = PurePosixPath(file.filename.replace("\\", "/")).suffix
    return stem + (suffix if suffix.lower() in IMAGE_SUFFIXES else ".jpg")


def _row(image: str, thing: VocObject) -> tuple[Any, ...]:
    attributes = dump(thing.attributes, thing.source) if thing.attributes else None
    flags = (thing.occluded, thing.truncated, thing.difficult)
    return (image, thing.source, thing.name, *thing.corners, *flags, attributes)


def _is_one_based(source: Source, rows: Rows, form: BoxFormat, files: Sequence[VocFile], *, is_devkit: bool) -> bool:
    """Tell by the evidence whether pixels are counted from 1, and note why; only corners in pixels are counted."""
    if (form.form, form.units) != ("xyxy", "pixels"):
        return False
    origin = find_origin(source.root, files, _numbers(source, rows), is_devkit=is_devkit)
    source.errors.remark(f"{origin.words}; one_based= says otherwise", len(source.images), kind="image")
    return origin.is_one


def _numbers(source: Source, rows: Rows) -> pl.DataFrame:
    """Return the corners as they stand, with the size of the image of each."""
    images = source.find_images().items()
    sized = [(name, *image.size_wh) for name, image in images if image.size_wh is not None]
    frame = pl.DataFrame(sized, schema={"image": pl.String, "width": pl.Int64, "height": pl.Int64}, orient="row")
    return rows.data.select("image", *XYXY).join(frame, on="image", how="left")


def _with_parts(rows: Rows, objects: list[tuple[str, VocObject]], *, one_based: bool) -> Rows:
    """Put the corners of parts, which are attributes, into our convention."""
    if not one_based or not any("parts" in thing.attributes for _, thing in objects):
        return rows
    shifted = {}
    for _, thing in objects:
        if parts := thing.attributes.get("parts"):
            moved = [{**part, "xyxy": [c - (i < 2) for i, c in enumerate(part["xyxy"])]} for part in parts]
            shifted[thing.source] = dump({**thing.attributes, "parts": moved}, thing.source)
    new = pl.col("source").replace_strict(shifted, default=None, return_dtype=pl.String)
    return rows.with_columns(attributes=pl.coalesce(new, "attributes"))
