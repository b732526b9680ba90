"""nuImages: tables `v1.0-<split>/*.json` beside `samples/`.

The tables name each other by tokens. Boxes are ``xmin, ymin, xmax, ymax`` in whole pixels around the whole object.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing.garbage import no_collection
from detect_transfer.formats.parsing.json_nodes import Node, read_json
from detect_transfer.formats.parsing.locations import split_named
from detect_transfer.formats.parsing.source import Source

_IMAGES, _OBJECTS = "sample_data.json", "object_ann.json"


@no_collection()
def read(
    root: Path,
    *,
    missing_images: str = "error",
    size_mismatch: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read nuImages: the annotated key frames; the log that they were recorded in is the `group`.

    Attributes of objects are kept by name; masks are not. The test set, whose objects are not published, stays out,
    which the ledger counts.

    Args:
        root: The folder with ``v1.0-train/`` and the like, and ``samples/``.
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its JSON
            pointer.

    Source: https://github.com/nutonomy/nuscenes-devkit, docs/schema_nuimages.md
    """
    what = "a folder with v1.0-train/ and samples/ of nuImages"
    source = Source(root, what, missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error)
    not_annotated: list[str] = []
    for name in source.files(_IMAGES, missing=f"no folder in it holds {_IMAGES}"):
        with source.errors.file():
            folder = PurePosixPath(name).parent
            split = split_named(*folder.name.split("-"))
            images = _images(source, folder)
            if split == "test":
                not_annotated += [image for image, _ in images.values()]
            else:
                _read_split(source, folder, split, images)
    source.errors.note("of the test set, not annotated", len(not_annotated), tuple(not_annotated), kind="image")
    return source.table()


def _table(source: Source, folder: PurePosixPath, name: str) -> list[Node]:
    return read_json(source.root, (folder / name).as_posix()).elements()


def _images(source: Source, folder: PurePosixPath) -> dict[str, tuple[str, Node]]:
    """Return the name and the row of each key frame by its token."""
    rows = [row for row in _table(source, folder, _IMAGES) if row.flag("is_key_frame")]
    return {row.string("token"): (row.string("filename"), row) for row in rows}


def _read_split(source: Source, folder: PurePosixPath, split: str | None, images: dict[str, tuple[str, Node]]) -> None:
    log_of = {row.string("token"): row.string("log_token") for row in _table(source, folder, "sample.json")}
    names = {
        table: {row.string("token"): row.string("name") for row in _table(source, folder, f"{table}.json")}
        for table in ("category", "attribute")
    }
    for image, row in images.values():
        with source.errors.image(image):
            source.add_image(image, row.where, row.size_wh(), split=split, group=log_of.get(row.string("sample_token")))
    n_masks = 0
    for row in _table(source, folder, _OBJECTS):
        token = row.string("sample_data_token")
        if token not in images:
            raise row.error("sample_data_token", "ID_DANGLING", "no key frame has this token")
        with source.errors.row(images[token][0]):
            label = names["category"].get(row.string("category_token"))
            if label is None:
                raise row.error("category_token", "CLASS_UNKNOWN", "category.json does not name it")
            of_object = [names["attribute"].get(word, word) for word in row.words("attribute_tokens")]
            x1, y1, x2, y2 = row.numbers("bbox", 4)
            n_masks += row.value.get("mask") is not None
            source.add_box(
                images[token][0],
                label,
                (x1, y1, x2, y2),
                row.source,
                {"attributes": of_object} if of_object else None,
            )
    source.errors.remark("masks are not kept", n_masks, kind="box")
