"""PASCAL Annotation Version 1.00, the texts of Penn-Fudan and of INRIA Person.

The header line ``Top left pixel co-ordinates : (x, y)`` of each text says whether its pixels are counted from 0 (INRIA)
or from 1 (Penn-Fudan). The last pixel is included: x1 = Xmin - first, x2 = Xmax - first + 1.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import orjson

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import Problems
from detect_transfer.formats.parsing.image_lookup import Media
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.pedestrians.pascal_images import Found
from detect_transfer.formats.pedestrians.pascal_masks import MASKS

_FOLDERS = {"annotation", "annotations"}


def read(
    root: Path,
    *,
    masks: str = "check",
    missing_images: str = "error",
    size_mismatch: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read PASCAL v1.00 texts: one class `person`, the original labels and head centres in `attributes`.

    Texts are all ``*.txt`` in folders named ``Annotation`` or ``annotations``. Pictures in folders named ``neg`` and
    those that a ``neg.lst`` names show no person. A path through ``Train`` or ``Test`` tells the split.

    Args:
        root: The folder ``PennFudanPed`` or ``INRIAPerson``; the pictures that texts name are looked for in it, with
            and without the first folder of their path.
        masks: What masks are for, where there are any: ``check`` puts into the ledger how far they differ from the
            boxes of the texts, ``boxes`` takes the boxes around them, ``ignore`` does not read them.
        missing_images: What to do where a picture that is named is not there: ``error``; ``keep`` to go on with the
            size that the text states (null for a negative); ``skip`` to leave it and its boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the picture where a text states another size.
        allow_missing: Whether a picture without text, beside pictures that have one, shows no person; otherwise it is
            an error.
        on_error: What becomes of an object or a picture at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: N. Dalal and B. Triggs, INRIA Person Dataset, 2005; L. Wang et al., Penn-Fudan Database, 2007.
    """
    media = Media("name", missing_images, size_mismatch)
    native.check_choice("masks", masks, MASKS)
    io.require_dir(root, what="a folder of PASCAL v1.00 texts and their pictures")
    found = Found(root, media, Problems(on_error))
    held = io.list_files(root, IMAGE_SUFFIXES)
    texts = [n for n in io.list_files(root, (".txt",)) if PurePosixPath(n).parent.name.casefold() in _FOLDERS]
    if not texts:
        raise InputError(
            *("PASCAL_MISSING", "no folder named Annotation or annotations holds a text"),
            where=root,
            remedy="give the folder that holds it",
        )
    for name in texts:
        found.add_text(name)
    found.add_negatives(held)
    if not found.problems.fatal:
        found.add_unnamed(held, allow_missing=allow_missing)
    return _table(found, masks)


def _table(found: Found, masks: str) -> AnnotationTable:
    sizes = found.sizes()
    found.compare_masks(masks)
    pictures = dict(sorted(found.pictures.items()))
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
    found.problems.note("picture is not there", len(found.absent), tuple(found.absent), kind="image")
    found.problems.note("its picture is left out", sum(found.absent.values()), kind="box")
    known = [sizes[name] for name in pictures]
    return native.finish(
        found.problems,
        images={
            "image_id": range(1, len(pictures) + 1),
            "file_name": list(pictures),
            "width": [s and s[0] for s in known],
            "height": [s and s[1] for s in known],
            "split": [split_of_path(name) for name in pictures],
        },
        boxes=native.box_frame(rows),
        categories={"category_id": [1], "name": ["person"]},
        image_root=found.root,
        names={picture.text_name: name for name, picture in pictures.items()},
    )
