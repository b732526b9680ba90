"""Rows of delimited text: header, comments, quotes, ragged rows, and what `on_error` makes of faults."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detect_transfer.core.errors import InputError, InternalError
from detect_transfer.formats.parsing.delimited import Dialect, read_delimited
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.rows import Rows

FIELDS = ("name", "x", "y")


def read(root: Path, text: str, dialect: Dialect, problems: ErrorCollector | None = None) -> list[tuple[object, ...]]:
    (root / "rows.txt").write_text(text, encoding="utf-8")
    found = read_delimited(root, {"rows.txt": None}, FIELDS, dialect, problems or ErrorCollector())
    return found.select("line", *FIELDS).rows()


def test_read__strips_skips_and_numbers_lines(tmp_path: Path) -> None:
    text = "# made by hand\r\n\r\na ; 1;2\r\n  b;3 ;4;\r\n"
    assert read(tmp_path, text, Dialect(";", comment="#", trailing=True)) == [(3, "a", "1", "2"), (4, "b", "3", "4")]


def test_comments__may_begin_in_several_ways(tmp_path: Path) -> None:
    text = "source:x\nscale:1\na 1 2\n"
    assert read(tmp_path, text, Dialect(" ", comment=("source:", "scale:"))) == [(3, "a", "1", "2")]


def test_read__blanks_of_any_number(tmp_path: Path) -> None:
    assert read(tmp_path, " a  1 \t 2\n", Dialect(" ")) == [(1, "a", "1", "2")]


def test_header__finds_columns_in_any_order_and_leaves_others_aside(tmp_path: Path) -> None:
    dialect = Dialect(",", header=True)
    assert read(tmp_path, "\ufeffy,more,Name,x\n2,?,a,1\n", dialect) == [(2, "a", "1", "2")]


@pytest.mark.parametrize(("text", "count"), [("name,x,y\na,1,2\n", 1), ("a,1,2\nb,1,2\n", 2)])
def test_header__may_be_there(tmp_path: Path, text: str, count: int) -> None:
    assert len(read(tmp_path, text, Dialect(",", header=None))) == count


def test_header__that_misses_a_column_is_reported(tmp_path: Path) -> None:
    problems = ErrorCollector("skip-row")
    assert read(tmp_path, "name,x,z\na,1,2\n", Dialect(",", header=True), problems) == []
    with pytest.raises(InputError, match=r"CSV_HEADER .*rows.txt:1 - the header does not name y"):
        problems.raise_any()


def test_quotes__hold_separators_and_the_plain_way_agrees(tmp_path: Path) -> None:
    quoted = Dialect(",", header=True, quoted=True)
    assert read(tmp_path, 'name,x,y\n"a,b",1,"2"\n', quoted) == [(2, "a,b", "1", "2")]
    assert read(tmp_path, "name,x,y\na,1,2\n", quoted) == [(2, "a", "1", "2")]


def test_quotes__that_never_close_are_reported(tmp_path: Path) -> None:
    problems = ErrorCollector()
    read(tmp_path, 'name,x,y\n"a,1,2\n', Dialect(",", header=True, quoted=True), problems)
    with pytest.raises(InputError, match="CSV_SYNTAX"):
        problems.raise_any()


def test_ragged_row__is_a_fault_of_its_image(tmp_path: Path) -> None:
    dialect = Dialect(";", image_field="name")
    problems = ErrorCollector("skip-image")
    assert read(tmp_path, "a;1;2\nb;1\nc;1;2\n", dialect, problems) == [(1, "a", "1", "2"), (3, "c", "1", "2")]
    assert list(problems.skipped_images) == ["b"]
    failing = ErrorCollector()
    read(tmp_path, "a;1;2\nb;1\n", dialect, failing)
    with pytest.raises(InputError, match=r"ROW_COLUMNS .*rows.txt:2 row=b;1 - found 2 fields, expected 3"):
        failing.raise_any()


def test_optional_fields__are_null(tmp_path: Path) -> None:
    assert read(tmp_path, "a;1\n", Dialect(";", optional=1)) == [(1, "a", "1", None)]


def test_files__of_different_headers_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,x,y\na,1,2\n")
    (tmp_path / "b.csv").write_text("x,y,name\n3,4,b\n")
    names = {"a.csv": "a.jpg", "b.csv": "b.jpg"}
    found = read_delimited(tmp_path, names, FIELDS, Dialect(",", header=True), ErrorCollector())
    assert found.rows() == [("a.csv", 2, "a.jpg", "a", "1", "2"), ("b.csv", 2, "b.jpg", "b", "3", "4")]


@pytest.mark.parametrize("word", ["1_0", "nan", "inf", "", "0.", "1e999", "٣", "--1", "0x10"])
def test_numbers__take_no_liberties(tmp_path: Path, word: str) -> None:
    (tmp_path / "rows.txt").write_text(f"a;1;-2.5\nb;{word};4\n", encoding="utf-8")
    problems = ErrorCollector("skip-row")
    rows = read_delimited(tmp_path, {"rows.txt": "p.jpg"}, FIELDS, Dialect(";"), problems)
    numbers = Rows(rows, tmp_path, problems).numbers("x", "y").data
    assert numbers.select("line", "x", "y").rows() == [(1, 1.0, -2.5)]
    (error,) = problems.skipped_rows
    assert (error.code, error.field, error.value) == ("ROW_NUMBER", "x", word)


def test_check__keeps_what_is_good_and_null(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a;1;2\nb;3;4\n")
    rows = read_delimited(tmp_path, {"rows.txt": None}, FIELDS, Dialect(";"), ErrorCollector())
    problems = ErrorCollector("skip-row")
    kept = Rows(rows, tmp_path, problems).check(pl.col("name") != "b", "NAME", "no b", "name").data
    assert kept["name"].to_list() == ["a"]
    assert len(problems.skipped_rows) == 1
    elsewhere = rows.select("name", image=pl.lit("b.png"), source=pl.lit("rows.mat#A(1)"))
    Rows(elsewhere, tmp_path, problems).check(pl.col("name") != "b", "NAME", "no b", "name")
    assert problems.skipped_rows[1].where == f"{tmp_path}/rows.mat#A(1)"
    unknown = pl.lit(None, dtype=pl.Boolean)
    assert_frame_equal(Rows(rows, tmp_path, problems).check(unknown, "NAME", "no b", "name").data, rows)


def test_row__longer_than_its_header_is_reported(tmp_path: Path) -> None:
    problems = ErrorCollector("skip-row")
    assert read(tmp_path, "name,x,y,z\na,1,2\nb,1,2,3,4\n", Dialect(",", header=True), problems) == [(2, "a", "1", "2")]
    (error,) = problems.skipped_rows
    assert (error.code, error.what[:34]) == ("ROW_COLUMNS", "found 5 fields, expected 3 to 4: n")


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment\n"])
def test_header__that_must_be_there(tmp_path: Path, text: str) -> None:
    problems = ErrorCollector("skip-image")
    assert read(tmp_path, text, Dialect(",", header=True, comment="#"), problems) == []
    with pytest.raises(InputError, match=r"CSV_HEADER .*rows.txt - the file is empty"):
        problems.raise_any()


def test_images__are_named_relative_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("p.jpg;1;2\nq.jpg;1\n")
    (tmp_path / "b.csv").write_text('"p.jpg";3;4\n')
    problems = ErrorCollector("skip-image")
    dialect = Dialect(";", image_field="name", quoted=True)
    found = read_delimited(tmp_path, {"a.csv": "one", "b.csv": None}, FIELDS, dialect, problems)
    assert sorted(found["image"]) == ["one/p.jpg", "p.jpg"]
    assert list(problems.skipped_images) == ["one/q.jpg"]
    assert found.n_chunks() == 1


@pytest.mark.parametrize("field", ["file", "line"])
def test_field__cannot_have_the_name_of_a_column_of_ours(tmp_path: Path, field: str) -> None:
    (tmp_path / "rows.txt").write_text("a.png;1;2\n")
    with pytest.raises(InternalError, match=rf"FIELD_RESERVED .*the field {field} of a reader"):
        read_delimited(tmp_path, {"rows.txt": None}, (field, "x", "y"), Dialect(";"), ErrorCollector())


def test_field__named_image_may_name_the_image(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a.png;1;2\n")
    dialect = Dialect(";", image_field="image")
    for folder, image in ((None, "a.png"), ("one", "one/a.png")):
        rows = read_delimited(tmp_path, {"rows.txt": folder}, ("image", "x", "y"), dialect, ErrorCollector())
        assert rows["image"].to_list() == [image]
