"""A data set checked: its annotations, its images, the round trip, and what is written of it.

The data set is only read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.data.checks import check
from detect_transfer.data.findings import CheckReport, make_finding
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.round_trip import RoundTrip, round_trip
from detect_transfer.report.check_page import write_check_page


@dataclass(frozen=True)
class CheckOptions:
    """What a check does.

    Args:
        title: The heading of the page.
        imgsz: The longer side that images will have in training, in pixels.
        round_trip: Send the annotations through COCO and YOLO and back.
        out: The folder to make with `check.json` and `check.html`; None writes nothing.
        follow_links: Let symbolic links lead out of the folder of the images, as in a linked data folder.
    """

    title: str
    imgsz: int | None = None
    round_trip: bool = False
    out: Path | None = None
    follow_links: bool = False


def check_table(
    table: AnnotationTable, *, plan: CheckOptions, progress: Progress | None = None
) -> tuple[CheckReport, RoundTrip | None]:
    """Check a table and its images, where it has some, and write down what was found.

    Args:
        table: What a reader gave.
        plan: What to do.
        progress: Called with what is going on, how much is done, and of how much.

    Raises:
        InputError: The output folder holds something; findings are returned, not raised.
        ResourceError: The machine failed; nothing is left under the output folder.
    """
    if plan.out is not None:
        require_new(plan.out)
    report = check(
        table,
        read_images=table.image_root is not None,
        imgsz=plan.imgsz,
        follow_links=plan.follow_links,
        progress=progress,
    )
    if table.image_root is None:
        absent = "images that come without an image: only the annotations were checked"
        told = make_finding("note", "IMAGES_ABSENT", absent, table.images["file_name"])
        report = replace(report, findings=(*report.findings, told))
    trip = round_trip(table) if plan.round_trip else None
    if plan.out is not None:
        by_leg = None if trip is None else trip.as_dict()
        with new_folder(plan.out) as building:
            write_json(building / "check.json", report.as_dict())
            if by_leg is not None:
                write_json(building / "round_trip.json", by_leg)
            write_check_page(building / "check.html", report, table, title=plan.title, trip=by_leg)
    return report, trip
