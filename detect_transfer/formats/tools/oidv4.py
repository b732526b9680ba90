"""Open Images as OIDv4_ToolKit downloads it: ``train/<Class>/Label/<stem>.txt`` with the image beside `Label`.

A row is ``Class x1 y1 x2 y2``, corners in pixels; the name of a class may have blanks. The toolkit copies an image into
the folder of each class that it shows, so copies in one split are one image with the rows of all.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.formats.parsing.box_format import BoxFormat
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.tools.shared import report_unannotated

_LABELS = "Label"


def label_files(source: Source) -> list[str]:
    """Return the label files of that layout."""
    return [name for name in io.list_files(source.root, (".txt",)) if PurePosixPath(name).parent.name == _LABELS]


def read_labels(source: Source, names: list[str], box_format: BoxFormat, *, allow_missing: bool) -> AnnotationTable:
    """Read label files; classes are those that occur, sorted.

    Args:
        source: The data set, which looks for images by their stems.
        names: The label files.
        box_format: What the numbers of boxes are.
        allow_missing: As for `openimages.read`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.
    """
    first: dict[tuple[str, str], str] = {}  # the image of each stem in a split
    values = []
    for name in names:
        path = PurePosixPath(name)
        folder = path.parent.parent
        key = _split_and_stem(folder / path.name)
        image = first.setdefault(key, (folder / path.stem).as_posix())
        source.add_images([image])
        with source.errors.image(image):
            for text, where in source.lines(name):
                parts = text.split()
                if len(parts) < 5:
                    what, remedy = f"found {len(parts)} fields, expected Class x1 y1 x2 y2", "fix or remove the row"
                    source.errors.add("ROW_COLUMNS", what, where=where, value=text, remedy=remedy, row_of=image)
                else:
                    source_row = f"{name}:{where.rpartition(':')[2]}"
                    values.append((image, source_row, " ".join(parts[:-4]), *parts[-4:]))
    source.errors.remark("copies in folders of other classes are one image", len(names) - len(first), kind="image")
    rows = source.rows_of(values, ("image", "source", "label", *(f"text_{c}" for c in XYXY)))
    rows = rows.rename({f"text_{c}": c for c in XYXY}).numbers(*XYXY)
    rows = rows.box(*XYXY, box_format=box_format)
    unnamed = [name for name in source.image_files() if _split_and_stem(PurePosixPath(name)) not in first]
    remedy = "remove it, or read with --option allow_missing=true if such images show no object"
    report_unannotated(source, () if allow_missing else unnamed, "it has no label", remedy)
    source.add_images(unnamed)
    return source.table(rows, split=split_of_path)


def _split_and_stem(path: PurePosixPath) -> tuple[str, str]:
    """Return what copies of an image share: the folder above those of the classes, and the stem."""
    return path.parent.parent.as_posix(), path.stem
