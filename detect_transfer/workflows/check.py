"""The check of a data set: its annotations, its images, the round trip, and the page about them.

The data set is only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detect_transfer.config.augment import AugmentName
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.choices import OnError
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.data.checks import check
from detect_transfer.data.findings import CheckReport, Finding, make_finding
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.round_trip import RoundTrip, round_trip
from detect_transfer.report.check_page import CheckShown, write_check_page, write_fault_page
from detect_transfer.workflows.check_samples import augmented_images

_IMGSZ = 640  # the default of training


@dataclass(frozen=True)
class CheckOptions:
    """What a check does.

    Args:
        title: The heading of the page.
        imgsz: What images will be scaled into in training.
        round_trip: Send the annotations through COCO and YOLO and back.
        out: The folder to make with `check.json` and `check.html`; None writes nothing.
        follow_links: Let symbolic links lead out of the folder of the images, as in a linked data folder.
        data_set: The native format, by which mirroring is decided.
        augment: The preset by which the page shows images as training will see them.
        refuse_bad_boxes: Whether objects that reach past their image or have no pixel are errors.
    """

    title: str
    imgsz: int | InputSize | None = None
    round_trip: bool = False
    out: Path | None = None
    follow_links: bool = False
    data_set: str = ""
    augment: AugmentName = "default"
    refuse_bad_boxes: bool = False


def check_table(
    table: AnnotationTable, *, options: CheckOptions, progress: Progress | None = None
) -> tuple[CheckReport, RoundTrip | None]:
    """Check a table and its images, where it has some, and write the findings.

    Args:
        table: What a reader gave.
        options: What to do.
        progress: Called with what is going on, how much is done, and of how much.

    Raises:
        InputError: The output folder holds something; findings are returned, not raised.
        ResourceError: The machine failed; nothing is left under the output folder.
    """
    if options.out is not None:
        require_new(options.out)
    report = check(
        table,
        read_images=table.image_root is not None,
        imgsz=options.imgsz,
        refuse_bad_boxes=options.refuse_bad_boxes,
        follow_links=options.follow_links,
        progress=progress,
    )
    if table.image_root is None:
        message = "images that come without an image: only the annotations were checked"
        absent = make_finding("note", "IMAGES_ABSENT", message, table.images["file_name"])
        report = replace(report, findings=(*report.findings, absent))
    trip = round_trip(table) if options.round_trip else None
    if options.out is not None:
        by_leg = None if trip is None else trip.as_dict()
        with new_folder(options.out) as building:
            write_json(building / "check.json", report.as_dict())
            if by_leg is not None:
                write_json(building / "round_trip.json", by_leg)
            size = InputSize.of(options.imgsz or _IMGSZ)
            seen = augmented_images(table, options.augment, imgsz=size, data_set=options.data_set)
            shown = CheckShown(options.title, size, augmented=seen, augment=options.augment, trip=by_leg)
            write_check_page(building / "check.html", report, table, shown)
    return report, trip


def check_source(
    source: Path,
    format: str,
    *,
    options: CheckOptions,
    reader_options: Sequence[str] = (),
    on_error: str = OnError.FAIL,
    progress: Progress | None = None,
) -> tuple[CheckReport, RoundTrip | None]:
    """Read data and check them; of data that cannot be read there is a page as well.

    Args:
        source: The folder or file that holds them.
        format: A key of `READERS`.
        options: What to do.
        reader_options: Options of the reader as `KEY=VALUE`.
        on_error: What becomes of rows and images at fault.
        progress: As for `check_table`.

    Raises:
        InputError: The data cannot be read, or the output folder holds something.
        ResourceError: The machine failed; nothing is left under the output folder.
    """
    ours = format == "data_folder"
    if options.out is not None:
        require_new(options.out)
    try:
        table = read_dataset(source, format=format, options=reader_options, on_error=on_error, verify=ours)
    except InputError as error:
        if options.out is not None:
            _write_faults(error, options.out, title=options.title)
        raise
    options = replace(options, follow_links=ours, data_set=format)
    return check_table(table, options=options, progress=progress)


def _write_faults(error: InputError, out: Path, *, title: str) -> None:
    """Write a page and a JSON file about data that cannot be read at all: each fault with its place and remedy."""
    faults = [problem.as_dict() for problem in error.problems]
    with new_folder(out) as building:
        write_json(building / "check.json", {"ok": False, "faults": faults})
        write_fault_page(building / "check.html", faults, title=title)


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Return a line for each finding."""
    lines = []
    for finding in findings:
        examples = f"  e.g. {', '.join(finding.examples[:3])}" if finding.examples else ""
        lines.append(
            f"{finding.level:8s}{finding.code} ({finding.count}) {finding.message}{examples}; {finding.remedy}"
        )
    return lines


def check_lines(report: CheckReport, trip: RoundTrip | None) -> list[str]:
    """Return what a check found and how the round trip went, in lines for the console."""
    lines = [*finding_lines(report.findings), *([] if trip is None else round_trip_lines(trip))]
    numbers = (report.n_images, "image"), (report.n_boxes, "box", "boxes"), (report.n_classes, "class", "classes")
    found = ", ".join(counted(report.count(level), level) for level in ("error", "warning"))
    return [*lines, f"{', '.join(counted(*each) for each in numbers)}: {found}"]


def round_trip_lines(trip: RoundTrip) -> list[str]:
    """Return, for each format, which fields came back in all rows, which did not, and what has no place there."""
    lines = []
    for leg in trip.legs:
        equal = [field.field for field in leg.fields if not field.differing]
        lines.append(f"through {leg.target} and back, within {leg.tolerance_px:g} px:")
        if equal:
            lines.append(f"  equal in all rows: {', '.join(equal)}")
        for field in leg.fields:
            if field.differing:
                lines.append(
                    f"  {field.field}: {counted(field.differing, 'row')} DIFFER, e.g. {'; '.join(field.examples)}"
                )
        lines += [f"  {lost.field}: {counted(lost.rows, 'row')} not carried, {lost.where}" for lost in leg.not_carried]
    return lines
