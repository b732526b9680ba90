"""The masks of Penn-Fudan: images whose pixels are the numbers of the objects, 0 being background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from detect_transfer.core.arrays import BoolArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_labels
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.shapes import Corners
from detect_transfer.formats.pedestrians.pascal_text import PascalText

MASKS = ("check", "boxes", "ignore")


def use_masks(
    root: Path, texts: Mapping[str, PascalText], masks: Mapping[str, str], choice: str, errors: ErrorCollector
) -> None:
    """Compare the boxes of texts with those of masks, or replace them.

    Args:
        root: The folder of the data set.
        texts: The texts by the names of their images.
        masks: The mask, relative to `root`, of each image that has one.
        choice: ``check`` remarks on how far they differ; ``boxes`` takes those of the masks.
        errors: Where faults and the remark go.
    """
    distances: dict[str, float] = {}
    alone: list[str] = []
    for image, text in texts.items():
        if image in masks:
            with errors.image(image):
                mask = masks[image]
                boxes = _boxes(root, mask, text)
                alone += [f"{mask}#{number}" for number in boxes.keys() ^ text.objects.keys()]
                for number, person in text.objects.items():
                    if number in boxes:
                        distances[f"{mask}#{number}"] = float(np.abs(np.subtract(boxes[number], person.xyxy)).max())
                    if choice == "boxes":
                        person.xyxy = _box_of(boxes, number, root / mask)
        elif choice == "boxes":
            remedy = "restore it, or read with masks=ignore to take the boxes of the texts"
            errors.add("MASK_MISSING", "the image has no mask", where=root / image, image=image, remedy=remedy)
    far = sorted(((pixels, source) for source, pixels in distances.items() if pixels), reverse=True)
    reason = f"text and mask compared: {len(far)} differ" + (f", at most by {far[0][0]:g} pixels" if far else "")
    errors.remark(reason, len(distances), tuple(f"{source}: {pixels:g}" for pixels, source in far), kind="box")
    errors.remark("in the text alone, or in the mask alone", len(alone), tuple(alone), kind="box")


def _boxes(root: Path, mask: str, text: PascalText) -> dict[int, Corners]:
    """Return the box around the pixels of each object in a mask.

    Raises:
        InputError: The mask cannot be read, or has another size.
    """
    path = root / mask
    native.require_regular(root, path)
    labels = read_labels(path)
    if labels.shape != text.size_wh[::-1]:
        what = f"it has {labels.shape[1]} x {labels.shape[0]} pixels, the text says {text.size_wh}"
        raise InputError("MASK_SIZE", what, where=path, remedy="put the right mask there, or read with masks=ignore")
    return {number: _extent(labels == number) for number in map(int, np.unique(labels)) if number != 0}


def _extent(inside: BoolArray) -> Corners:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _box_of(boxes: Mapping[int, Corners], number: int, path: Path) -> Corners:
    if number in boxes:
        return boxes[number]
    what, remedy = "no pixel of the mask is of this object", "fix the mask, or read with masks=ignore to go without it"
    raise InputError("MASK_OBJECT", what, where=path, field="object", value=number, remedy=remedy)
