"""The masks of Penn-Fudan: images whose pixels are the numbers of the objects, 0 being background."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_labels
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.pedestrians.pascal_text import PascalFile

Box = tuple[float, float, float, float]
MASKS = ("check", "boxes", "ignore")


def use_masks(
    root: Path, texts: Mapping[str, PascalFile], masks: Mapping[str, str], choice: str, problems: ErrorCollector
) -> None:
    """Compare the boxes of texts with those of masks, or replace them.

    Args:
        root: The folder of the data set.
        texts: The texts by the names of their images.
        masks: The mask, relative to `root`, of each image that has one.
        choice: ``check`` remarks on how far they differ; ``boxes`` takes those of the masks.
        problems: Where faults and the remark go.
    """
    apart: dict[str, float] = {}
    alone: list[str] = []
    for image, text in texts.items():
        if image in masks:
            with problems.image(image):
                boxes = _boxes(root, masks[image], text)
                alone += [f"{masks[image]}#{number}" for number in boxes.keys() ^ text.objects.keys()]
                for number, one in text.objects.items():
                    if number in boxes:
                        apart[f"{masks[image]}#{number}"] = float(np.abs(np.subtract(boxes[number], one.xyxy)).max())
                    if choice == "boxes":
                        one.xyxy = _needed(boxes, number, root / masks[image])
        elif choice == "boxes":
            problems.add(
                *("MASK_MISSING", "the image has no mask"),
                where=root / image,
                image=image,
                remedy="restore it, or read with masks=ignore to take the boxes of the texts",
            )
    far = sorted(((pixels, place) for place, pixels in apart.items() if pixels), reverse=True)
    told = f"text and mask compared: {len(far)} differ" + (f", at most by {far[0][0]:g} pixels" if far else "")
    problems.remark(told, len(apart), tuple(f"{place}: {pixels:g}" for pixels, place in far), kind="box")
    problems.remark("in the text alone, or in the mask alone", len(alone), tuple(alone), kind="box")


def _boxes(root: Path, mask: str, text: PascalFile) -> dict[int, Box]:
    """Return the box around the pixels of each object in a mask.

    Raises:
        InputError: The mask cannot be read, or has another size.
    """
    path = root / mask
    native.require_regular(root, path)
    labels = read_labels(path)
    if labels.shape != text.size_wh[::-1]:
        raise InputError(
            *("MASK_SIZE", f"it has {labels.shape[1]} x {labels.shape[0]} pixels, the text says {text.size_wh}"),
            where=path,
            remedy="put the right mask there, or read with masks=ignore",
        )
    return {number: _box(labels == number) for number in map(int, np.unique(labels)) if number != 0}


def _box(inside: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _needed(boxes: Mapping[int, Box], number: int, path: Path) -> Box:
    if number in boxes:
        return boxes[number]
    raise InputError(
        *("MASK_OBJECT", "no pixel of the mask is of this object"),
        where=path,
        field="object",
        value=number,
        remedy="fix the mask, or read with masks=ignore to take the boxes of the texts",
    )
