"""Objects that cannot be where they are said to be: past the edge of their image, or without a pixel."""

from __future__ import annotations

from detect_transfer.core.annotations import Table
from detect_transfer.core.choices import BadBoxes, OnError
from detect_transfer.core.columns import joined
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.box_checks import bad_objects
from detect_transfer.formats import PUBLISHED
from detect_transfer.formats.parsing.error_collector import ErrorCollector


def refuses_bad_boxes(bad_boxes: str, format: str) -> bool:
    """Return whether bad objects of a format are errors."""
    return bad_boxes == BadBoxes.ERROR or (bad_boxes == BadBoxes.AUTO and format not in {*PUBLISHED, "synthetic"})


def treat_bad_boxes(
    table: Table, ledger: Ledger, *, on_error: str = OnError.FAIL, option: str = "--bad-boxes fix"
) -> Table:
    """Refuse bad objects, or leave out what `on_error` says, which the ledger counts.

    Args:
        table: What a reader gave, with sizes of images where they are known.
        ledger: Gets the step `bad boxes` where something is left out.
        on_error: One of `OnError`.
        option: How the user says that they are to be fixed, for the remedy.

    Raises:
        InputError: There are bad objects, and `on_error` leaves none out.
    """
    bad = bad_objects(table)
    if bad.is_empty():
        return table
    errors = ErrorCollector(on_error)
    names = dict(table.images.select("image_id", "file_name").rows())
    for _, image_id, source, *xyxy, _, code, message in bad.iter_rows():
        box = ", ".join(f"{value:.6g}" for value in xyxy)
        remedy = f"fix or remove it, or clip and leave out such boxes: {option}"
        error = InputError(code, message, where=source, field="xyxy", value=f"({box})", remedy=remedy)
        errors.put(error, row_of=names[image_id])
    errors.raise_any()
    n_boxes = table.n_boxes
    step = ledger.open("bad boxes", images=len(table.images), boxes=n_boxes)
    skips_images = on_error == OnError.SKIP_IMAGE
    if skips_images:
        at_fault = bad["image_id"].unique()
        kept = table.select_images(table.images.filter(~table.images["image_id"].is_in(at_fault.implode()))["image_id"])
    else:
        kept = table.with_boxes(joined(table.boxes, bad.select("annotation_id"), on="annotation_id", how="anti"))
    if kept.images.is_empty():
        raise InputError("IMAGES_NONE", "every image has a bad box", where=bad["source"][0], remedy=option)
    n_kept = kept.n_boxes
    step.lines.extend(errors.reading(boxes_of_skipped=n_boxes - n_kept - len(bad)))
    step.close(images_out=len(kept.images), boxes_out=n_kept)
    return kept
