"""Images that were changed while a run went on: what it states of its data is not what it learned from then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.io import read_json, sha256_file, write_json
from detect_transfer.data.findings import make_finding
from detect_transfer.data.run_data import RunData
from detect_transfer.workflows.check import finding_lines
from detect_transfer.workflows.run_folder import RunFolder


def note_changed_images(folder: RunFolder, data: RunData) -> list[str]:
    """Look for images that are no longer what they were when the run read its data, and add them to its findings.

    Returns:
        A line for them; none where there are none.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    names = list(_changed(data, folder.findings.stat().st_mtime_ns))
    if not names:
        return []
    message = "images were changed while the run went on: what it learned from and is scored on is not one data set"
    finding = make_finding("warning", "DATA_CHANGED", message, names)
    (line,) = finding_lines([finding])
    write_json(folder.findings, [*read_json(folder.findings), {"line": line, **asdict(finding)}])
    return [line]


def _changed(data: RunData, since_ns: int) -> Iterator[str]:
    """Yield the names of images whose files were written after a time, by the clock of the disk, and hold others."""
    for table in (data.train, data.val, *([] if data.test is None else [data.test])):
        for image_id, name in table.images.select("image_id", "file_name").iter_rows():
            if not _is_same(data.paths[image_id], data.sha256[image_id], since_ns):
                yield name


def _is_same(path: Path, sha256: str, since_ns: int) -> bool:
    try:
        state = path.stat()
        return max(state.st_mtime_ns, state.st_ctime_ns) <= since_ns or sha256_file(path) == sha256
    except (OSError, DetectTransferError):
        return False  # it is gone, or cannot be read
