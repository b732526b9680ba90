"""Drawing truth and detections on images."""

from __future__ import annotations

from pathlib import Path

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import new_folder, require_new
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.seen_images import read_scored
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.report.render import DrawPlan, render
from detect_transfer.workflows.evaluate import SHOWN_SCORE


def visualize_files(
    truth: GroundTruth,
    detections: Path | None,
    out: Path,
    *,
    options: DetectionOptions | None = None,
    plan: DrawPlan | None = None,
) -> list[Path]:
    """Draw truth and, where given, detections on the images; return the files written.

    Raises:
        InputError: A file or an image is missing or wrong, or `out` is not empty.
    """
    require_new(out)
    truth, read = (truth, None) if detections is None else read_scored(truth, detections, options)
    table = truth.table
    if table.image_root is None:
        raise InputError(
            "IMAGES_MISSING",
            "the folder of the images is not known",
            where=truth.path,
            field="--images",
            remedy="give the folder that file_name is relative to",
        )
    with new_folder(out) as building:
        drawn = render(table, read, building, plan=plan or DrawPlan(score_threshold=SHOWN_SCORE))
        names = [path.relative_to(building) for path in drawn]
    return [out / name for name in names]
