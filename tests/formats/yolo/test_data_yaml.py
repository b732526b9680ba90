from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.yolo.reader import read as read_yolo

YAML = "train: images/train\nval: images/val\nnames: [car, dog]\n"


YAMLS = [
    pytest.param("", "YAML_SYNTAX", "data.yaml:1", id="empty"),
    pytest.param("train: [images/train\n", "YAML_SYNTAX", "data.yaml:2", id="open-bracket"),
    pytest.param("- a\n", "YAML_SYNTAX", "data.yaml:1", id="list"),
    pytest.param("names: [a]\npath: .\n", "YAML_KEY", "data.yaml", id="no-split"),
    pytest.param("trian: images/train\nnames: [a]\n", "YAML_KEY", "did you mean 'trian'", id="misspelt-split"),
    pytest.param(YAML + "train: images/val\n", "YAML_KEY_TWICE", "data.yaml:4 key=train", id="key-twice"),
    pytest.param(YAML + "download: https://example.org/a.zip\n", "CONFIG_DOWNLOAD", "data.yaml:4 ", id="download"),
    pytest.param("train: !!python/object/apply:os.system [ls]\nnames: [a]\n", "YAML_PLAIN", "data.yaml:1", id="tag"),
    pytest.param("a: &a [x, x]\nb: [*a, *a]\ntrain: *a\nnames: *a\n", "YAML_PLAIN", "data.yaml:2", id="alias"),
    pytest.param("names: " + "[" * 50_000, "YAML_PLAIN", "data.yaml:1", id="deep"),
    pytest.param("train: images/train\n", "YAML_KEY", "names", id="no-names"),
    pytest.param("train: images/train\nnames: []\n", "YAML_KEY", "names", id="names-empty"),
    pytest.param("train: images/train\nnames: car\n", "YAML_TYPE", "data.yaml:2 names", id="names-text"),
    pytest.param("train: images/train\nnames: [[car]]\n", "YAML_TYPE", "data.yaml:2 names", id="names-nested"),
    pytest.param("train: images/train\nnames: [car, '']\n", "CLASS_NAME", "data.yaml:2 names", id="name-empty"),
    pytest.param("train: images/train\nnames: [car, car]\n", "CLASS_NAME", "name of class 0", id="name-twice"),
    pytest.param("train: images/train\nnames: {0: a, 2: b}\n", "CLASS_INDEX", "data.yaml:2 names", id="index-gap"),
    pytest.param("train: images/train\nnames: {-1: a, 0: b}\n", "CLASS_INDEX", "data.yaml:2 names", id="index-low"),
    pytest.param("train: images/train\nnc: 3\nnames: [a, b]\n", "CLASS_COUNT", "nc=3", id="count"),
    pytest.param("train: images/train\nnc: many\nnames: [a, b]\n", "YAML_TYPE", "nc=many", id="count-text"),
    pytest.param("train: {a: b}\nnames: [a, b]\n", "YAML_TYPE", "data.yaml:1 train", id="split-mapping"),
    pytest.param("train: images/tarin\nnames: [a]\n", "FOLDER_MISSING", "train=images/tarin", id="no-folder"),
    pytest.param("path: gone\ntrain: gone\nnames: [a]\n", "FOLDER_MISSING", "data.yaml:1 path=gone", id="no-path"),
    pytest.param("train: labels/train\nnames: [a]\n", "IMAGES_NONE", "train=labels/train", id="no-images"),
    pytest.param("train: /etc\nnames: [a]\n", "PATH_OUTSIDE", "data.yaml:1 train=/etc", id="absolute"),
    pytest.param("train: ../..\nnames: [a]\n", "PATH_OUTSIDE", "data.yaml:1 train=", id="above"),
    pytest.param(
        "train: images/train\nval: images/train\nnames: [car]\n",
        "SPLIT_SAME",
        "data.yaml:2 val=images/train",
        id="same",
    ),
    pytest.param("train: images\nval: images/val\nnames: [car]\n", "IMAGE_TWICE", "data.yaml:2 val=", id="overlap"),
    pytest.param(b"train: \xff\n", "TEXT_ENCODING", "data.yaml", id="latin-1"),
]


@pytest.mark.parametrize(("text", "code", "part"), YAMLS)
def test_data_yaml__faults(
    text: str | bytes, code: str, part: str, yolo_root: Path, write: Any, check_error: Any
) -> None:
    write("data.yaml", text)
    check_error(lambda: read_yolo(yolo_root), code, part)


def test_data_yaml__missing(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: read_yolo(tmp_path), "DATA_YAML_MISSING", str(tmp_path))
    check_error(lambda: read_yolo(tmp_path / "no.yaml"), "FILE_MISSING", "no.yaml")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("path: .\n" + YAML, id="path-dot"),
        pytest.param("path: /gone/on/this/machine\n" + YAML, id="path-gone"),
        pytest.param(YAML.replace("val:", "validation:"), id="validation"),
        pytest.param("train: ../images/train\nval: ../images/val\nnames: [car, dog]\n", id="one-level-too-high"),
        pytest.param("path: images\ntrain: train\nval: val\nnames: [car, dog]\n", id="path-is-images"),
        pytest.param("train: [images/train]\nval: [images/val]\nnames: {1: dog, 0: car}\n", id="lists"),
        pytest.param("train: images/train\nval: images/val\ntest:\nnc: 2\nkpt_shape: [1, 2]\n", id="no-names"),
    ],
)
def test_data_yaml__dialects_are_read(text: str, yolo_root: Path, write: Any) -> None:
    write("data.yaml", text)
    table = read_yolo(yolo_root)
    assert table.images["file_name"].to_list() == ["images/train/a.png", "images/train/b.png", "images/val/c.png"]
    assert table.splits == ["train", "val"]
    assert table.class_names in (["car", "dog"], ["class_0", "class_1"])


def test_data_yaml__of_names_alone_takes_the_folder_images(yolo_root: Path, write: Any, check_error: Any) -> None:
    before = read_yolo(yolo_root)
    write("data.yaml", "names: [car, dog]\nnc: 2\n")
    table = read_yolo(yolo_root)
    assert table.images["file_name"].to_list() == before.images["file_name"].to_list()
    assert table.images["split"].to_list() == before.images["split"].to_list()
    write("data.yaml", "names: [car, dog]\ntrian: images/train\n")
    check_error(lambda: read_yolo(yolo_root), "YAML_KEY", "did you mean")


def test_data_yaml__absolute_path_is_taken(yolo_root: Path, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "my.yaml"
    path.write_text(f"path: {yolo_root}\n{YAML}")
    assert read_yolo(path).image_root == yolo_root


def test_names__are_what_is_written(yolo_root: Path, write: Any) -> None:
    write("data.yaml", "train: images/train\nnames: [no, 010]\n")
    assert read_yolo(yolo_root).class_names == ["no", "010"]


@pytest.mark.parametrize(
    "line", ["images/val/c.png", "./images/val/c.png", "{root}/images/val/c.png", "  images/val/c.png "]
)
def test_list__names_are_resolved(line: str, yolo_root: Path, write: Any) -> None:
    write("val.txt", "\ufeff\r\n" + line.format(root=yolo_root) + "\r\n")
    write("data.yaml", "train: images/train\nval: val.txt\nnames: [car, dog]\n")
    assert read_yolo(yolo_root).split_of("val").images["file_name"].to_list() == ["images/val/c.png"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("images/val/no.png", "IMAGE_MISSING"),
        ("../../etc/passwd.png", "PATH_OUTSIDE"),
        ("/etc/passwd", "PATH_OUTSIDE"),
        ("labels/val/c.txt", "IMAGE_TYPE"),
        ("images/train/a.png", "IMAGE_TWICE"),
    ],
)
def test_list__faults_name_the_line(line: str, code: str, yolo_root: Path, write: Any, check_error: Any) -> None:
    path = write("val.txt", f"images/val/c.png\n{line}\n")
    write("data.yaml", "train: images/train\nval: val.txt\nnames: [car, dog]\n")
    check_error(lambda: read_yolo(yolo_root), code, f"{path}:2 ")
