"""F36: names of classes and files that a spreadsheet would run as a formula are text in our CSV, and come back."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.csv_cells import as_meant, harmless, harmless_column
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.streams import DETECTION_WRITERS, Classes, DetectedImage

NAMES = ["=cmd()", "+1", "-1", "@a", "\tb", "plain", "", "'quoted", "'=quoted"]


@pytest.mark.parametrize("name", NAMES)
def test_text__is_harmless_and_comes_back(name: str) -> None:
    column = pl.DataFrame({"a": [name]})
    assert harmless(name)[:1] not in set("=+-@\t\r")
    assert column.select(harmless_column("a")).item() == harmless(name)
    assert column.select(as_meant(harmless_column("a"))).item() in (name, name.removeprefix("'"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_detections__with_such_names_are_read_again(tmp_path: Path, kind: str) -> None:
    writer = DETECTION_WRITERS[kind](tmp_path, Classes([3], ["=cmd()"]))
    box, one = np.array([[1.0, 2.0, 9.0, 8.0]]), np.array([0.5])
    writer.write(DetectedImage(1, "-a.jpg", (20, 10), box, one, np.array([0]), np.array([True])))
    writer.close(whole=True)
    path = tmp_path / f"detections.{kind}"
    if kind == "csv":
        with path.open(newline="") as stream:
            row = next(csv.DictReader(stream))
        assert (row["file_name"], row["category_name"]) == ("'-a.jpg", "'=cmd()")
    truth = AnnotationTable.from_columns(
        images={"image_id": [7], "file_name": ["-a.jpg"], "width": [20], "height": [10]},
        boxes={},
        categories={"category_id": [4], "name": ["=cmd()"]},
    )
    assert read_detections(path, truth).rows.select("image_id", "category_id").row(0) == (7, 4)
