from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detect_transfer.formats.traffic_signs import lisa

HEAD = (
    "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y;"
    "Occluded,On another road;Origin file;Origin frame number;Origin track;Origin track frame number\n"
)
ROW = "vid0/a.png;stop;10;5;26;21;0,0;vid0/v.avi;12;stop_1.avi;3\n"
OTHER = "vid0/b.png;yield;1;2;3;4;1,1;vid0/v.avi;99;yield_2.avi;0\n"
BAD = [
    pytest.param("10;5;26", "10;26", "ROW_COLUMNS", "found 10 fields, expected 11", id="columns"),
    pytest.param("0,0", "0;0", "ROW_COLUMNS", "found 12 fields, expected 11", id="flags-divided"),
    pytest.param("0,0", "0,2", "LISA_FLAGS", "flags=0,2", id="flags-2"),
    pytest.param(";10;", ";1_0;", "ROW_NUMBER", "x1=1_0", id="number"),
    pytest.param(";12;", ";1.5;", "ROW_NUMBER", "origin_frame_number=1.5", id="frame"),
    pytest.param(";26;", ";9;", "BOX_INVALID", "x2 must be >= x1", id="swapped"),
    pytest.param(";stop;", ";;", "ROW_EMPTY", "tag=", id="no-tag"),
    pytest.param("vid0/a.png", "", "ROW_EMPTY", "name=", id="no-name"),
    pytest.param("vid0/a.png", "vid0/c.png", "IMAGE_MISSING", "missing_images=keep", id="no-image"),
    pytest.param("vid0/a.png", "../z.png", "PATH_OUTSIDE", "../z.png", id="path-above"),
]


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("allAnnotations.csv", HEAD + OTHER + ROW)
    write("vid0/a.png", (64, 48))
    write("vid0/b.png", (64, 48))
    return tmp_path


@pytest.mark.parametrize(("old", "new", "code", "part"), BAD)
def test_fault__names_file_and_line(
    old: str, new: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("allAnnotations.csv", HEAD + OTHER + ROW.replace(old, new, 1))
    check_error(lambda: lisa.read(root), code, f"{path}:3 ", part)


@pytest.mark.parametrize(
    "text", ["", "\n\n", HEAD.replace("Annotation tag", "Tag") + ROW, HEAD.replace(";", ",") + ROW]
)
def test_header__that_is_absent_or_another(text: str, root: Path, write: Any, check_error: Any) -> None:
    write("allAnnotations.csv", text)
    check_error(lambda: lisa.read(root), "CSV_HEADER", "allAnnotations.csv")


def test_faults__are_skipped_when_asked(root: Path, write: Any) -> None:
    write("allAnnotations.csv", HEAD + OTHER + ROW + ROW.replace("10;5", "x;5"))
    skipped = lisa.read(root, on_error="skip-row")
    assert len(skipped.boxes) == 2
    assert [(line.kind, line.count) for line in skipped.reading] == [("box", 1)]
    assert lisa.read(root, on_error="skip-image").images["file_name"].to_list() == ["vid0/b.png"]


def test_row__with_too_few_fields_skips_its_image_in_parts_too(root: Path, write: Any) -> None:
    (root / "allAnnotations.csv").unlink()
    rows = OTHER.replace("vid0/b", "b", 1) + ROW.replace("vid0/a", "a", 1) + "a.png;stop\n"
    write("vid0/frameAnnotations.csv", HEAD + rows)
    table = lisa.read(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["vid0/b.png"]
    assert table.boxes["source"].to_list() == ["vid0/frameAnnotations.csv:2"]


def test_facts__have_their_columns(root: Path) -> None:
    first, second = lisa.read(root).boxes.sort("image_id").iter_rows(named=True)
    assert (first["occluded"], second["occluded"]) == (0.0, 1.0)
    assert json.loads(second["attributes"]) == {
        "origin_file": "vid0/v.avi",
        "origin_frame_number": 99,
        "origin_track": "yield_2.avi",
        "origin_track_frame_number": 0,
        "on_another_road": True,
    }


def test_group__is_the_video_or_the_track(root: Path) -> None:
    assert lisa.read(root).images["group"].to_list() == ["vid0/v.avi", "vid0/v.avi"]
    assert lisa.read(root, group_by="track").images["group"].to_list() == ["stop_1.avi", "yield_2.avi"]


@pytest.mark.parametrize(
    ("ignore", "reasons"),
    [
        ("none", [None, None, None]),
        ("other-road", [None, "on another road", None]),
        ("unreadable", [None, None, "unreadable"]),
        ("both", [None, "on another road", "unreadable"]),
    ],
)
def test_ignore__is_a_choice(ignore: str, reasons: list[str | None], root: Path, write: Any) -> None:
    write("allAnnotations.csv", HEAD + ROW + OTHER + ROW.replace("stop;", "speedLimitUrdbl;", 1))
    boxes = lisa.read(root, ignore=ignore).boxes
    assert boxes["ignore_reason"].to_list() == reasons
    assert boxes["ignore"].to_list() == [reason is not None for reason in reasons]


def test_inclusive__moves_the_far_edges_by_a_pixel(root: Path) -> None:
    edges = lisa.read(root).boxes.select("x1", "y1", "x2", "y2")
    further = lisa.read(root, inclusive=True).boxes.select("x1", "y1", "x2", "y2")
    assert further.equals(edges.with_columns(pl.col("x2", "y2") + 1))


def test_images__may_be_absent_when_asked(root: Path) -> None:
    (root / "vid0/a.png").unlink()
    kept = lisa.read(root, missing_images="keep").images
    assert kept.select("file_name", "width").rows() == [("vid0/a.png", None), ("vid0/b.png", 64)]
    left = lisa.read(root, missing_images="skip")
    assert left.images["file_name"].to_list() == ["vid0/b.png"]
    assert {(line.kind, line.count) for line in left.reading} == {("image", 1), ("box", 1)}


def test_folder__without_annotations(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: lisa.read(tmp_path), "FILE_MISSING", "allAnnotations.csv", "frameAnnotations.csv")
    check_error(lambda: lisa.read(tmp_path / "no"), "FOLDER_MISSING", "no")


@pytest.mark.parametrize("option", ["ignore", "group_by", "missing_images", "on_error"])
def test_option__with_no_such_value(option: str, root: Path, check_error: Any) -> None:
    check_error(lambda: lisa.read(root, **{option: "no"}), "OPTION_VALUE", f"{option}=no")


def test_real__every_row(shared: Path) -> None:
    root = shared / "annotations_only" / "lisa"
    table = lisa.read(root, missing_images="keep")
    lines = (root / "allAnnotations.csv").read_text().splitlines()[1:]
    assert (len(table.boxes), len(table.images), len(table.categories)) == (7855, 6618, 47)
    tags = table.boxes.join(table.categories, on="category_id")["name"]
    assert Counter(tags) == Counter(line.split(";")[1] for line in lines)
    flags = Counter(line.split(";")[6] for line in lines)
    assert table.boxes["occluded"].sum() == flags["1,0"] + flags["1,1"] == 304
    other = lisa.read(root, missing_images="keep", ignore="other-road").boxes
    assert other["ignore"].sum() == flags["0,1"] + flags["1,1"] == 182
    corners = table.boxes.select(
        pl.concat_str([pl.col(c).cast(pl.Int64) for c in ("x1", "y1", "x2", "y2")], separator=";")
    )
    assert corners.to_series().to_list() == [";".join(line.split(";")[2:6]) for line in lines]
    assert table.images["group"].n_unique() == 17
    assert lisa.read(root, missing_images="keep", group_by="track").images["group"].n_unique() == 545
