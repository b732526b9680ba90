"""PASCAL Annotation Version 1.00, the texts of Penn-Fudan and of INRIA Person. Imports ranks 0 to 1.

The header line ``Top left pixel co-ordinates : (x, y)`` of each text says whether its pixels are counted from 0 (INRIA)
or from 1 (Penn-Fudan). The last pixel is included: x1 = Xmin - first, x2 = Xmax - first + 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from detect_transfer import files
from detect_transfer.errors import InputError
from detect_transfer.formats import _native
from detect_transfer.formats._pascal_text import PascalFile, read_file
from detect_transfer.formats._problems import Problems
from detect_transfer.images import IMAGE_SUFFIXES
from detect_transfer.table import AnnotationTable

_FOLDERS = {"annotation", "annotations"}
_SPLITS = {"train", "test"}
_NEGATIVES = "neg"
_CHOICES = ("error", "keep")


@dataclass(frozen=True)
class _Picture:
    """A picture of the data set: its size and its text, if it has one."""

    size_wh: _native.SizeWh | None
    text: PascalFile | None = None
    text_name: str = ""


def read(
    root: Path, *, missing_images: str = "error", size_mismatch: str = "error", allow_missing: bool = False
) -> AnnotationTable:
    """Read PASCAL v1.00 texts: one class `person`, the original labels and head centres in `attributes`.

    Texts are all ``*.txt`` in folders named ``Annotation`` or ``annotations``. Pictures in folders named ``neg`` and
    those that a ``neg.lst`` names show no person. A path through ``Train`` or ``Test`` tells the split.

    Args:
        root: The folder ``PennFudanPed`` or ``INRIAPerson``; the pictures that texts name are looked for in it, with
            and without the first folder of their path.
        missing_images: What to do where a picture that is named is not there: ``error``, or ``keep`` to go on with the
            size that the text states (null for a negative).
        size_mismatch: ``error``, or ``keep`` to trust the picture where a text states another size.
        allow_missing: Whether a picture without text, beside pictures that have one, shows no person; otherwise it is
            an error.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: N. Dalal and B. Triggs, INRIA Person Dataset, 2005; L. Wang et al., Penn-Fudan Database, 2007.
    """
    _native.check_choice("missing_images", missing_images, _CHOICES)
    _native.check_choice("size_mismatch", size_mismatch, _CHOICES)
    files.require_dir(root, what="a folder of PASCAL v1.00 texts and their pictures")
    problems = Problems()
    held = files.list_files(root, IMAGE_SUFFIXES)
    texts = [n for n in files.list_files(root, (".txt",)) if PurePosixPath(n).parent.name.casefold() in _FOLDERS]
    if not texts:
        raise InputError(
            *("PASCAL_MISSING", "no folder named Annotation or annotations holds a text"),
            where=root,
            remedy="give the folder that holds it",
        )
    pictures: dict[str, _Picture] = {}
    for name in texts:
        _add_text(root, name, pictures, missing_images=missing_images, problems=problems)
    _add_negatives(root, held, pictures, missing_images=missing_images, problems=problems)
    if not problems.total:
        _add_unnamed(root, held, pictures, allow_missing=allow_missing, problems=problems)
    sizes = _real_sizes(root, pictures, problems)
    for name, picture in pictures.items():
        if picture.text is not None and name in sizes and size_mismatch == "error":
            where = f"{root / picture.text_name}:{picture.text.picture_line}"
            _native.check_size(picture.text.size_wh, sizes[name], where=where, picture=name, problems=problems)
    problems.raise_any()
    return _table(root, dict(sorted(pictures.items())), sizes)


def _find(root: Path, name: str, *, where: str) -> tuple[str, bool]:
    """Return where a named picture lies relative to `root`, and whether it is there.

    Texts write ``PennFudanPed/PNGImages/a.png`` or ``Train/pos/a.png``: the first folder may be the root itself.
    """
    files.safe_join(root, name, where=where, field="Image filename")
    inner = PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix()
    for candidate in (name, inner):
        if (root / candidate).is_file():
            return candidate, True
    return (inner if PurePosixPath(name).parts[0] == root.resolve().name and inner != "." else name), False


def _add_text(root: Path, name: str, pictures: dict[str, _Picture], *, missing_images: str, problems: Problems) -> None:
    text = read_file(root, name, problems)
    if text is None:
        return
    where = f"{root / name}:{text.picture_line}"
    try:
        picture, there = _find(root, text.picture, where=where)
    except InputError as error:
        problems.put(error)
        return
    if not there and missing_images == "error":
        _report_missing(where, text.picture, problems)
    elif picture in pictures:
        problems.add(
            "ID_DUPLICATE",
            f"'{pictures[picture].text_name}' is a text of the same picture",
            where=where,
            field="Image filename",
            value=text.picture,
            remedy="remove one of them",
        )
    else:
        pictures[picture] = _Picture(text.size_wh, text, name)


def _report_missing(where: str, name: str, problems: Problems) -> None:
    problems.add(
        "IMAGE_MISSING",
        "there is no such picture",
        where=where,
        field="Image filename",
        value=name,
        remedy="restore it, or read with missing_images=keep to go without",
    )


def _add_negatives(
    root: Path, held: Iterable[str], pictures: dict[str, _Picture], *, missing_images: str, problems: Problems
) -> None:
    """Add the pictures of folders named `neg`, and those that lists named `neg.lst` name."""
    for name in held:
        if PurePosixPath(name).parent.name.casefold() == _NEGATIVES:
            pictures.setdefault(name, _Picture(None))
    for listed in files.list_files(root, (".lst",)):
        path = PurePosixPath(listed)
        if path.stem.casefold() != _NEGATIVES:
            continue
        for number, line in enumerate(_native.lines_of(_native.read_text(root, root / listed)), start=1):
            if not line.strip():
                continue
            where = f"{root / listed}:{number}"
            try:
                found, there = _find(root, line.strip(), where=where)
                if not there:  # some copies write the names relative to the list
                    beside = (path.parent / line.strip()).as_posix()
                    found, there = (beside, True) if (root / beside).is_file() else (found, False)
            except InputError as error:
                problems.put(error)
                continue
            if not there and missing_images == "error":
                _report_missing(where, line.strip(), problems)
            pictures.setdefault(found, _Picture(None))


def _add_unnamed(
    root: Path, held: Iterable[str], pictures: dict[str, _Picture], *, allow_missing: bool, problems: Problems
) -> None:
    """Add or report the pictures that lie beside annotated ones and have no text."""
    folders = {PurePosixPath(n).parent for n, p in pictures.items() if p.text is not None}
    for name in held:
        if name in pictures or PurePosixPath(name).parent not in folders:
            continue
        if allow_missing:
            pictures[name] = _Picture(None)
        else:
            problems.add(
                *("ANNOTATION_MISSING", "no text names this picture"),
                where=root / name,
                remedy="annotate or remove it, or read with allow_missing=true if it shows no person",
            )


def _real_sizes(root: Path, pictures: dict[str, _Picture], problems: Problems) -> dict[str, _native.SizeWh]:
    there = [name for name in pictures if (root / name).is_file()]
    sizes = zip(there, _native.read_sizes(root, there, problems), strict=True)
    return {name: size for name, size in sizes if size is not None}


def _split_of(name: str) -> str | None:
    parts = [part.casefold() for part in PurePosixPath(name).parts[:-1]]
    return next((part for part in parts if part in _SPLITS), None)


def _table(root: Path, pictures: dict[str, _Picture], sizes: dict[str, _native.SizeWh]) -> AnnotationTable:
    known = [sizes.get(name) or picture.size_wh for name, picture in pictures.items()]
    rows = [
        {
            "image_id": image_id,
            "category_id": 1,
            **dict(zip(("x1", "y1", "x2", "y2"), one.xyxy, strict=True)),
            "attributes": orjson.dumps(one.attributes).decode(),
            "source": f"{picture.text_name}:{one.line}",
        }
        for image_id, picture in enumerate(pictures.values(), start=1)
        if picture.text is not None
        for one in picture.text.objects.values()
    ]
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, len(pictures) + 1),
            "file_name": list(pictures),
            "width": [s and s[0] for s in known],
            "height": [s and s[1] for s in known],
            "split": [_split_of(name) for name in pictures],
        },
        boxes=_native.box_frame(rows),
        categories={"category_id": [1], "name": ["person"]},
        image_root=root,
    )
