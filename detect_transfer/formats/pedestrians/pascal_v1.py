"""PASCAL Annotation Version 1.00, the texts of Penn-Fudan and of INRIA Person.

The header line ``Top left pixel co-ordinates : (x, y)`` of each text says whether its pixels are counted from 0 (INRIA)
or from 1 (Penn-Fudan). The last pixel is included: x1 = Xmin - first, x2 = Xmax - first + 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import real_path
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.pascal_masks import MASKS, use_masks
from detect_transfer.formats.pedestrians.pascal_text import PascalText, read_pascal_text

_FOLDERS = {"annotation", "annotations"}
_NEGATIVES = "neg"


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
        missing_images: See `Source`.
        size_mismatch: See `Source`.
        allow_missing: Whether an image without text, beside images that have one, shows no person; otherwise it is
            an error.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once, each with its line.

    Source: N. Dalal and B. Triggs, INRIA Person Dataset, 2005; L. Wang et al., Penn-Fudan Database, 2007.
    """
    native.check_choice("masks", masks, MASKS)
    what = "a folder of PASCAL v1.00 texts and their images"
    source = Source(root, what, missing_images=missing_images, size_mismatch=size_mismatch, on_error=on_error)
    errors, files = source.errors, source.image_files()
    names = [n for n in io.list_files(root, (".txt",)) if PurePosixPath(n).parent.name.casefold() in _FOLDERS]
    if not names:
        what = "no folder named Annotation or annotations holds a text"
        raise InputError("PASCAL_MISSING", what, where=root, remedy="give the folder that holds it")
    texts = _texts(root, names, errors)
    refs = {image: ImageRef(f"{root / text.name}:{text.image_line}", text.size_wh) for image, text in texts.items()}
    refs |= {name: ref for name, ref in _negatives(root, files, errors) if name not in texts}
    if not errors.fatal:
        refs |= _without_text(root, files, refs, texts, errors, allow_missing=allow_missing)
    if masks != "ignore":
        here = {image: text for image, text in texts.items() if missing_images != "skip" or io.is_file(root / image)}
        use_masks(root, here, _masks(root, here, errors), masks, errors)
    for image, ref in sorted(refs.items()):
        source.add_image(image, ref.where, ref.size_wh, split=split_of_path(image))
        for person in texts[image].objects.values() if image in texts else ():
            source.add_box(image, "person", person.xyxy, f"{texts[image].name}:{person.line}", person.attributes)
    images = {text.name: image for image, text in texts.items()}
    errors.rename_skipped(lambda name: [images.get(name, name)])
    return source.table(categories=["person"])


def _locate(root: Path, name: str, where: str) -> str:
    """Return where a named image lies relative to the root.

    Texts write ``PennFudanPed/PNGImages/a.png`` or ``Train/pos/a.png``: the first folder may be the root itself.
    """
    io.safe_join(root, name, where=where, field="Image filename")
    first, _, inner = PurePosixPath(name).as_posix().partition("/")
    for candidate in (name, inner):
        if io.is_file(root / candidate):
            return candidate
    return inner if inner and first == real_path(root).name else name


def _texts(root: Path, names: list[str], errors: ErrorCollector) -> dict[str, PascalText]:
    """Return the texts by the names of their images."""
    texts: dict[str, PascalText] = {}
    for name in names:
        text = read_pascal_text(root, name, errors)
        if text is None:
            continue
        where = f"{root / name}:{text.image_line}"
        with errors.image(name):
            image = _locate(root, text.image, where)
            if image in texts:
                what, remedy = f"'{texts[image].name}' is a text of the same image", "remove one of them"
                raise InputError(
                    "ID_DUPLICATE", what, where=where, field="Image filename", value=text.image, remedy=remedy
                )
            texts[image] = text
    return texts


def _negatives(root: Path, files: list[str], errors: ErrorCollector) -> Iterator[tuple[str, ImageRef]]:
    """Give the images of folders named `neg`, and those that lists named `neg.lst` name."""
    for name in files:
        if PurePosixPath(name).parent.name.casefold() == _NEGATIVES:
            yield name, ImageRef(str(root / name))
    for listed in io.list_files(root, (".lst",)):
        path = PurePosixPath(listed)
        if path.stem.casefold() != _NEGATIVES:
            continue
        for number, line in enumerate(native.lines_of(native.read_text(root, root / listed)), start=1):
            if name := line.strip():
                where = f"{root / listed}:{number}"
                with errors.image(name):
                    image = _locate(root, name, where)
                    beside = (path.parent / name).as_posix()  # some copies write names relative to the list
                    is_beside = not io.is_file(root / image) and io.is_file(root / beside)
                    yield beside if is_beside else image, ImageRef(where)


def _without_text(
    root: Path,
    files: list[str],
    refs: dict[str, ImageRef],
    texts: dict[str, PascalText],
    errors: ErrorCollector,
    *,
    allow_missing: bool,
) -> dict[str, ImageRef]:
    """Return the images that lie beside those of texts and have none, or report them."""
    folders = {PurePosixPath(image).parent for image in texts}
    faulty = {PurePosixPath(text).stem for text in errors.skipped_images}
    paths = [PurePosixPath(name) for name in files if name not in refs]
    names = [path.as_posix() for path in paths if path.parent in folders and path.stem not in faulty]
    remedy = "annotate or remove it, or read with --option allow_missing=true if it shows no person"
    for name in () if allow_missing else names:
        errors.add("ANNOTATION_MISSING", "no text names this image", where=root / name, image=name, remedy=remedy)
    return {name: ImageRef(str(root / name)) for name in names}


def _masks(root: Path, texts: dict[str, PascalText], errors: ErrorCollector) -> dict[str, str]:
    """Return the mask of each image that has one: the one that its text names, or in the usual folder."""
    masks: dict[str, str] = {}
    for image, text in texts.items():
        with errors.image(image):
            usual = f"PedMasks/{PurePosixPath(image).stem}_mask.png"
            mask = _locate(root, text.mask or usual, str(root / text.name))
            if (root / mask).is_file():
                masks[image] = mask
    return masks
