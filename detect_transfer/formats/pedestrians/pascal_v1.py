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
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageLookup
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.pedestrians.pascal_images import PascalFiles
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

    Texts are all ``*.txt`` in folders named ``Annotation`` or ``annotations``. Images in folders named ``neg`` and
    those that a ``neg.lst`` names show no person. A path through ``Train`` or ``Test`` tells the split.

    Args:
        root: The folder ``PennFudanPed`` or ``INRIAPerson``; the images that texts name are looked for in it, with
            and without the first folder of their path.
        masks: What masks are for, where there are any: ``check`` puts into the ledger how far they differ from the
            boxes of the texts, ``boxes`` takes the boxes around them, ``ignore`` does not read them.
        missing_images: What to do where an image that is named is not there: ``error``; ``keep`` to go on with the
            size that the text states (null for a negative); ``skip`` to leave it and its boxes out.
        size_mismatch: ``error``, or ``keep`` to trust the image where a text states another size.
        allow_missing: Whether an image without text, beside images that have one, shows no person; otherwise it is
            an error.
        on_error: What becomes of an object or an image at fault: ``fail``, ``skip-row`` or ``skip-image``.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: N. Dalal and B. Triggs, INRIA Person Dataset, 2005; L. Wang et al., Penn-Fudan Database, 2007.
    """
    media = ImageLookup("name", missing_images, size_mismatch)
    native.check_choice("masks", masks, MASKS)
    io.require_dir(root, what="a folder of PASCAL v1.00 texts and their images")
    found = PascalFiles(root, media, ErrorCollector(on_error))
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


def _table(found: PascalFiles, masks: str) -> AnnotationTable:
    sizes = found.sizes()
    found.compare_masks(masks)
    images = dict(sorted(found.images.items()))
    rows = [
        {
            "image_id": image_id,
            "category_id": 1,
            **dict(zip(("x1", "y1", "x2", "y2"), one.xyxy, strict=True)),
            "attributes": orjson.dumps(one.attributes).decode(),
            "source": f"{image.text_name}:{one.line}",
        }
        for image_id, image in enumerate(images.values(), start=1)
        if image.text is not None
        for one in image.text.objects.values()
    ]
    found.problems.note("image is not there", len(found.absent), tuple(found.absent), kind="image")
    found.problems.note("its image is left out", sum(found.absent.values()), kind="box")
    known = [sizes[name] for name in images]
    return native.finish(
        found.problems,
        images={
            "image_id": range(1, len(images) + 1),
            "file_name": list(images),
            "width": [s and s[0] for s in known],
            "height": [s and s[1] for s in known],
            "split": [split_of_path(name) for name in images],
        },
        boxes=native.box_frame(rows),
        categories={"category_id": [1], "name": ["person"]},
        image_root=found.root,
        names={image.text_name: name for name, image in images.items()},
    )
