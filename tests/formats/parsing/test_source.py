"""The builder of readers: a toy format of rows and one of JSON, with faults, absent images and two annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.json_boxes import corners
from detect_transfer.formats.parsing.json_nodes import read_json
from detect_transfer.formats.parsing.shapes import Shape
from detect_transfer.formats.parsing.source import Source, listed, numbered

EDGES = ("left", "top", "right", "bottom")


def read_rows(root: Path, **options: Any) -> AnnotationTable:
    source = Source(root, "a folder with rows.txt", **options)
    rows = source.rows(source.files("rows.txt"), ("name", *EDGES, "class"), Dialect(";", image_field="name"))
    rows = rows.numbers(*EDGES).box(*EDGES, inclusive=True).category("class", ["car", "dog"])
    source.add_images(source.image_files())
    return source.table(rows, ["car", "dog"], stem=lambda name: name[0], group={"b.png": "night"})


def read_objects(root: Path, **options: Any) -> AnnotationTable:
    source = Source(root, "a folder of JSON files", or_file=True, **options)
    for name in source.files("*.json"):
        with source.errors.image(f"{name[:-5]}.png"):
            node = read_json(source.root, name).as_object()
            if source.add_image(node.string("image"), node.where, split="train"):
                for each in node.items("objects"):
                    with source.errors.row(node.string("image")):
                        kind = each.string("kind", "rectangle")
                        shape = Shape(each.string("label"), corners(each, EDGES), each.source, kind)
                        source.add_shape(node.string("image"), shape)
    return source.table()


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("a.png", (40, 30))
    write("b.png", (40, 30))
    write("rows.txt", "b.png;1;2;30;20;dog\n")
    return tmp_path


def test_rows__make_a_table(root: Path) -> None:
    table = read_rows(root)
    assert table.images.select("image_id", "file_name", "width", "stem", "group").rows() == [
        (1, "a.png", 40, "a", None),
        (2, "b.png", 40, "b", "night"),
    ]
    columns = ("image_id", "category_id", "x1", "y1", "x2", "y2", "source")
    assert table.boxes.select(columns).rows() == [(2, 2, 1, 2, 31, 21, "rows.txt:1")]
    assert "left" not in table.boxes.columns


def test_rows__of_absent_images_are_left_out_and_counted(root: Path, write: Any, check_error: Any) -> None:
    write("rows.txt", "b.png;1;2;30;20;dog\nc.png;1;2;30;20;dog\nb.png;1;x;30;20;dog\n")
    check_error(lambda: read_rows(root), "IMAGE_MISSING", "rows.txt:2", "image=c.png")
    table = read_rows(root, missing_images="skip", on_error="skip-row")
    assert {(line.kind, line.reason): line.count for line in table.reading} == {
        ("image", "image is not there"): 1,
        ("box", "its image is left out"): 1,
        ("box", "skipped: ROW_NUMBER"): 1,
    }
    assert len(read_rows(root, missing_images="keep", on_error="skip-row").images) == 3


def test_files__of_no_name_and_folders_that_are_not_there(root: Path, check_error: Any) -> None:
    (root / "rows.txt").unlink()
    check_error(lambda: read_rows(root), "FILE_MISSING", "it holds no rows.txt")
    check_error(lambda: read_rows(root / "no"), "FOLDER_MISSING", "a folder with rows.txt was expected")
    for option in ("missing_images", "size_mismatch", "on_error", "other_shapes"):
        check_error(lambda name=option: read_rows(root, **{name: "no"}), "OPTION_VALUE", f"{option}=no")


def test_files__of_a_folder_and_of_a_file(write: Any, tmp_path: Path, check_error: Any) -> None:
    path = write("sub/a.json", "{}")
    write("b.JSON", "{}")
    assert Source(tmp_path, "x").files("*.json") == ["b.JSON", "sub/a.json"]
    assert Source(tmp_path, "x").files("sub/a.json") == ["sub/a.json"]
    alone = Source(path, "x", or_file=True)
    assert (alone.root, alone.files("*.json")) == (path.parent, ["a.json"])
    check_error(lambda: Source(path, "a folder"), "FOLDER_MISSING", "a file is there; a folder was expected")
    check_error(lambda: Source(tmp_path, "x").files("*.csv", code="CSV_MISSING"), "CSV_MISSING", "it holds no *.csv")


def objects(image: str, *labels: str, **further: Any) -> str:
    box = {"left": 1, "top": 2, "right": 30, "bottom": 20}
    return json.dumps({"image": image, "objects": [{"label": label, **box, **further} for label in labels]})


def test_objects__make_a_table_with_sorted_classes(root: Path, write: Any) -> None:
    write("2.json", objects("a.png", "dog", " car "))
    write("1.json", objects("b.png"))
    table = read_objects(root)
    assert table.class_names == ["car", "dog"]
    assert table.images.select("image_id", "file_name", "split").rows() == [
        (1, "b.png", "train"),
        (2, "a.png", "train"),
    ]
    assert table.boxes.select("image_id", "category_id").rows() == [(2, 2), (2, 1)]
    assert len(read_objects(root / "1.json").images) == 1


def test_objects__of_one_image_in_two_files_are_a_fault(root: Path, write: Any, check_error: Any) -> None:
    write("1.json", objects("a.png", "dog"))
    write("2.json", objects("a.png", "dog"))
    check_error(lambda: read_objects(root), "ID_DUPLICATE", "2.json#", "1.json# too")
    write("2.json", objects("./a.png", "dog"))
    check_error(lambda: read_objects(root), "ID_DUPLICATE", "2.json#", "is the image of 'a.png' too")


def test_objects__that_are_no_rectangles(root: Path, write: Any, check_error: Any) -> None:
    write("1.json", objects("a.png", "dog", kind="circle"))
    assert json.loads(read_objects(root).boxes["attributes"][0]) == {"drawn": {"shape": "circle"}}
    table = read_objects(root, other_shapes="skip")
    assert [(line.reason, line.count) for line in table.reading] == [("not an upright rectangle", 1)]
    check_error(lambda: read_objects(root, other_shapes="error"), "SHAPE_KIND", "shape=circle")


def test_objects__of_an_image_at_fault_leave_with_it(root: Path, write: Any) -> None:
    write("1.json", objects("a.png", "dog", "dog", ""))
    write("2.json", objects("b.png", "dog"))
    table = read_objects(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["b.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1), ("box", 3)]


def test_names__of_a_text_and_numbers_of_names() -> None:
    assert listed("a, b (c),\n  d") == ("a", "b (c)", "d")
    classes = numbered(["a", "b"], ["x", None])
    assert [classes[key].to_list() for key in classes] == [[1, 2], ["a", "b"], ["x", None]]
