"""Named images and the table of rows: which image a name means, and what becomes of rows without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import By, ImageLookup, ImageRef, find_images
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source


def found(root: Path, name: str, by: By, missing_images: str = "error") -> list[str]:
    problems = ErrorCollector()
    images = find_images(root, {name: ImageRef("a.txt:1")}, ImageLookup(by, missing_images), problems)
    problems.raise_any()
    return [image.file_name for image in images.values()]


@pytest.mark.parametrize(
    ("name", "by"),
    [
        pytest.param("x/01/a.png", "name", id="name"),
        pytest.param("x/01/a.ppm", "stem", id="other-suffix"),
        pytest.param("elsewhere/a.png", "basename", id="other-folder"),
        pytest.param("01/a.ppm", "tail", id="end-of-path"),
        pytest.param("./01//a.ppm", "tail", id="end-of-path-untidy"),
        pytest.param("a", "tail", id="end-of-path-alone"),
    ],
)
def test_name__means_a_image(name: str, by: By, tmp_path: Path, write: Any) -> None:
    write("x/01/a.png", (4, 3))
    write("x/02/ba.png", (4, 3))
    assert found(tmp_path, name, by) == ["x/01/a.png"]


@pytest.mark.parametrize(("name", "by"), [("01/a.png", "name"), ("x/01/a.ppm", "name"), ("1/a.png", "tail")])
def test_name__that_means_none_is_reported(name: str, by: By, tmp_path: Path, write: Any) -> None:
    write("x/01/a.png", (4, 3))
    with pytest.raises(InputError, match=r"IMAGE_MISSING a\.txt:1"):
        found(tmp_path, name, by)
    assert found(tmp_path, name, by, "keep") == [name]
    assert found(tmp_path, name, by, "skip") == []


@pytest.mark.parametrize("name", ["/home/u/a.png", "C:\\home\\u\\a.png", "../home/u/a.png"])
def test_path_of_another_machine__without_images_is_the_part_inside_the_folder(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, name, "name", "keep") == ["home/u/a.png"]


def test_name__that_means_several_is_reported_unless_it_is_the_whole_name_of_one(tmp_path: Path, write: Any) -> None:
    write("01/a.png", (4, 3))
    write("01/a.jpg", (4, 3))
    write("02/a.png", (4, 3))
    assert found(tmp_path, "01/a.png", "stem") == ["01/a.png"]
    with pytest.raises(InputError, match=r"IMAGE_TWICE a.txt:1 .* 2 images fit this name: 01/a.jpg, 01/a.png"):
        found(tmp_path, "01/a.ppm", "stem")
    with pytest.raises(InputError, match="IMAGE_TWICE"):
        found(tmp_path, "a.png", "basename", "keep")


ROWS = pl.DataFrame({"file": ["t"] * 3, "line": [1, 2, 3], "image": ["b", "a", "c"], "x1": [0.0] * 3, "y1": [0.0] * 3})


def test_table__rows_without_image_are_counted_and_two_names_may_mean_one(tmp_path: Path, write: Any) -> None:
    write("one.png", (4, 3))
    names = pl.col("image").replace({"a": "one.png", "b": "./one.png"})
    source = Source(tmp_path, "a folder", missing_images="skip")
    rows = Rows(
        ROWS.with_columns(names, x2=pl.lit(1.0), y2=pl.lit(1.0), category_id=pl.lit(1)), tmp_path, source.errors
    )
    table = source.table(rows, ["sign"], split=lambda name: "val")
    assert table.images.select("file_name", "width", "split").rows() == [("one.png", 4, "val")]
    assert table.boxes["source"].to_list() == ["t:1", "t:2"]
    left_out = [(line.kind, line.count, line.examples) for line in table.reading]
    assert left_out == [("image", 1, ("c",)), ("box", 1, ("t:3",))]


def test_checks__report_the_row_and_leave_it_out(tmp_path: Path) -> None:
    errors = ErrorCollector("skip-row")
    data = ROWS.with_columns(x2=pl.Series([1.0, -1.0, 1.0]), y2=pl.lit(1.0), kind=pl.Series(["p", "q", "r"]))
    rows = Rows(data, tmp_path, errors).box("x1", "y1", "x2", "y2").category("kind", {"p": 7})
    assert rows.data["category_id"].to_list() == [7]
    assert [error.code for error in errors.skipped_rows] == ["BOX_INVALID", "CLASS_UNKNOWN"]
    assert [error.where for error in errors.skipped_rows] == [f"{tmp_path}/t:2", f"{tmp_path}/t:3"]


def test_name__by_the_folder_that_a_link_leads_to_means_the_image_as_listed(tmp_path: Path, write: Any) -> None:
    write("v2/a.png", (4, 3))
    (tmp_path / "latest").symlink_to("v2")
    assert found(tmp_path, "v2/a.png", "name") == found(tmp_path, "v2/a.ppm", "stem") == ["latest/a.png"]
