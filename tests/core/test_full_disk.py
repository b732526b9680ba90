"""A disk that takes no more: every writer tells it as a failure of the machine, not as a bug."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import ResourceError
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.writing.ignored_regions import plan_ignored
from detect_transfer.formats.writing.targets import WRITERS


@contextmanager
def small_files(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("target", WRITERS)
def test_writer__tells_that_it_cannot_write(target: str, tmp_path: Path) -> None:
    table = AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"], "width": [40], "height": [30], "split": ["train"]},
        boxes={
            **{"annotation_id": [1], "image_id": [1], "category_id": [1]},
            **{"x1": [1.0], "y1": [2.0], "x2": [9.0], "y2": [8.0]},
        },
        categories={"category_id": [1], "name": ["sign"]},
    )
    ledger = Ledger()
    plan = plan_ignored(table, "drop", ledger=ledger)
    with pytest.raises(ResourceError, match="WRITE_FAILED"), small_files(10):
        WRITERS[target](plan, tmp_path, ledger)
