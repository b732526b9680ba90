"""Where the images of a YOLO data set may lie: its own folder, folders that the user allows, other machines' paths."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.cli.main import main
from detect_transfer.formats.yolo.reader import read as read_yolo


@pytest.fixture
def two_roots(write: Any, tmp_path: Path) -> Path:
    """A data.yaml whose images lie in two other folders."""
    for folder, width in (("one", 40), ("two", 50)):
        write(f"{folder}/images/{folder}.png", (width, 30))
        write(f"{folder}/labels/{folder}.txt", "0 0.5 0.5 0.25 0.2\n")
    write("set/list.txt", f"{tmp_path}/two/images/two.png\n")
    write("set/data.yaml", f"train: {tmp_path}/one/images\nval: list.txt\nnames: [car]\n")
    return tmp_path


def test_roots__that_are_allowed(two_roots: Path, check_error: Any) -> None:
    root = two_roots / "set"
    check_error(lambda: read_yolo(root), "PATH_OUTSIDE", "--allow-root DIR")
    check_error(lambda: read_yolo(root, allow_root=[str(two_roots / "one")]), "PATH_OUTSIDE", "list.txt:1")
    table = read_yolo(root, allow_root=[str(two_roots / "one"), str(two_roots / "two")])
    assert table.images.select("file_name", "split").rows() == [
        ("one/images/one.png", "train"),
        ("two/images/two.png", "val"),
    ]
    assert table.image_root == two_roots


def test_root__of_the_machine_needs_a_folder_that_is_allowed(two_roots: Path, check_error: Any) -> None:
    path = two_roots / "set" / "data.yaml"
    path.write_text(f"path: /\ntrain: {str(two_roots)[1:]}/one/images\nnames: [car]\n")
    check_error(lambda: read_yolo(path), "PATH_OUTSIDE", "data.yaml:1", "--allow-root DIR")
    assert len(read_yolo(path, allow_root=[str(two_roots / "one")]).boxes) == 1


def test_convert__copies_from_allowed_folders(two_roots: Path, capsys: Any) -> None:
    words = ["convert", "yolo", str(two_roots / "set"), "--out", str(two_roots / "out"), "--split-from-source"]
    words += ["--allow-root", str(two_roots / "one"), "--allow-root", str(two_roots / "two")]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0, capsys.readouterr().err
    assert {path.name for path in (two_roots / "out/images").rglob("*.png")} == {"one.png", "two.png"}


def test_test_split__that_is_absent_is_not_needed(yolo_root: Path, caplog: Any, check_error: Any) -> None:
    path = yolo_root / "data.yaml"
    path.write_text(path.read_text() + "test: ../test/images\n")
    with caplog.at_level(logging.WARNING):
        assert read_yolo(yolo_root).splits == ["train", "val"]
    assert "test/images" in caplog.text
    path.write_text("train: images/train\nval: images/gone\nnames: [car, dog]\n")
    check_error(lambda: read_yolo(yolo_root), "FOLDER_MISSING", "images/gone")


@pytest.mark.parametrize(
    "name",
    [
        *("/content/dataset/images/train/a.png", "C:\\data\\images\\train\\a.png", "../../data/images/train/a.png"),
        *("dataset\\images\\train\\a.png", "/a.png/images/train/a.png"),
    ],
)
def test_list__of_another_machine(name: str, yolo_root: Path, write: Any) -> None:
    write("train.txt", name + "\n")
    write("data.yaml", "path: /content/dataset\ntrain: train.txt\nval: C:\\data\\images\\val\nnames: [car, dog]\n")
    table = read_yolo(yolo_root)
    assert table.images["file_name"].to_list() == ["images/train/a.png", "images/val/c.png"]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 1)]


def test_classes_txt__of_labelimg_and_label_studio(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("a.png", (40, 30))
    write("a.txt", "1 0.5 0.5 0.5 0.2\n")
    check_error(lambda: read_yolo(tmp_path), "DATA_YAML_MISSING", "classes.txt")
    write("classes.txt", "car\ndog\n")
    table = read_yolo(tmp_path)
    assert table.class_names == ["car", "dog"]
    assert table.boxes.select("category_id", "x1", "x2").rows() == [(2, 10, 30)]
    assert table.splits == []
    for folder in ("train", "valid"):
        write(f"images/{folder}/{folder}.png", (40, 30))
        write(f"labels/{folder}/{folder}.txt", "0 0.5 0.5 0.5 0.2\n")
    (tmp_path / "classes.txt").unlink()
    write("notes.json", '{"categories": [{"id": 1, "name": "dog"}, {"id": 0, "name": "car"}], "info": {}}')
    table = read_yolo(tmp_path)
    assert table.class_names == ["car", "dog"]
    assert table.images["split"].to_list() == ["train", "val"]
    write("notes.json", '{"categories": [{"id": 2, "name": "dog"}]}')
    check_error(lambda: read_yolo(tmp_path), "CLASS_INDEX", "notes.json", "from 0 to 0")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("labels/classes.txt", "dog\ncar\n", "class 0 is 'dog'"),
        ("classes.txt", "car\ndog\nbus\n", "3 classes"),
        ("notes.json", '{"categories": [{"id": 0, "name": "dog"}, {"id": 1, "name": "car"}]}', "class 0 is 'dog'"),
    ],
)
def test_other_list_of_classes__is_warned_of(name: str, text: str, said: str, yolo_root: Path, write: Any, caplog: Any):
    write(name, text)
    assert read_yolo(yolo_root).class_names == ["car", "dog"]
    assert f"{said}; taken is data.yaml" in caplog.text
    caplog.clear()
    write(name, "car\ndog\n" if name.endswith(".txt") else "no list")
    read_yolo(yolo_root)
    assert "taken is" not in caplog.text


def test_keys__in_capital_letters_are_named(yolo_root: Path, write: Any, check_error: Any) -> None:
    write("data.yaml", "Train: images/train\nValidation: images/val\nnames: [car, dog]\n")
    check_error(lambda: read_yolo(yolo_root), "YAML_KEY", "write train, validation in small letters")
