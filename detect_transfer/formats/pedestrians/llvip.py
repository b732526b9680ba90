"""LLVIP, people at night in pairs of images: VOC XML in `Annotations/` for `visible/` and `infrared/`."""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing import native
from detect_transfer.formats.voc.reader import read as read_voc

_MODALITIES = ("infrared", "visible")


def read(
    root: Path,
    *,
    modality: str = "infrared",
    one_based: bool | None = None,
    size_mismatch: str = "error",
    missing_images: str = "error",
    on_error: str = "fail",
) -> AnnotationTable:
    """Read LLVIP: its class `person`; the folders ``train`` and ``test`` of the images are the splits.

    Args:
        root: The folder with ``Annotations/``, ``visible/`` and ``infrared/``.
        modality: Which of the two images of a view is read, ``infrared`` or ``visible``.
        one_based: As for the reader `voc`.
        size_mismatch: See `Source`.
        missing_images: See `Source`.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing, damaged or contradicts itself; up to 20 problems at once.

    Source: Jia et al., LLVIP: A Visible-infrared Paired Dataset for Low-light Vision, ICCV Workshops 2021.
    """
    native.check_choice("modality", modality, _MODALITIES)
    folder = io.require_dir(root / modality, what=f"the folder of the images, {modality}/,")
    return read_voc(
        root,
        one_based=one_based,
        images=folder,
        size_mismatch=size_mismatch,
        missing_images=missing_images,
        on_error=on_error,
    )
