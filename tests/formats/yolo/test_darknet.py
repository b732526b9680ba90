from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.formats.yolo import darknet

DATA = "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\nbackup = backup/\n"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("obj.data", DATA)
    write("obj.names", "car\ndog\n")
    write("train.txt", "data/pics/a.png\n")
    write("valid.txt", "/elsewhere/data/pics/b.png\n")
    for name in "ab":
        write(f"pics/{name}.png", (40, 30))
        write(f"pics/{name}.txt", "1 0.5 0.5 0.25 0.2\n")
    return tmp_path


def test_paths__of_another_machine_are_found_by_their_tail(root: Path) -> None:
    for place in (root, root / "obj.data"):
        table = darknet.read(place)
        assert table.images.select("file_name", "split").rows() == [("pics/a.png", "train"), ("pics/b.png", "val")]
        assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [pytest.approx((15, 12, 25, 18))] * 2
        assert table.class_names == ["car", "dog"]


def test_list_val__of_datumaro_is_the_split_val(root: Path, write: Any) -> None:
    write("obj.data", DATA.replace("valid = data/valid.txt", "val = data/val.txt"))
    write("val.txt", "data/pics/b.png\n")
    images = darknet.read(root).images
    assert images.select("file_name", "split").rows() == [("pics/a.png", "train"), ("pics/b.png", "val")]
    write("obj.data", f"{DATA}val = data/valid.txt\n")
    with pytest.raises(InputError, match=r"DARKNET_DATA .*obj.data:6 .*the key stands twice"):
        darknet.read(root)


FAULTS = [
    pytest.param("obj.data", DATA.replace("classes = 2", "classes = 3"), "CLASS_COUNT", "obj.data:1 classes=3", id="n"),
    pytest.param("obj.data", DATA + "names = x\n", "DARKNET_DATA", "obj.data:6", id="key-twice"),
    pytest.param("obj.data", DATA + "what\n", "DARKNET_DATA", "expected key = value", id="no-value"),
    pytest.param("obj.data", "train = train.txt\n", "DARKNET_DATA", "names - this key is needed", id="no-names"),
    pytest.param("obj.data", DATA.replace("valid.txt", "no.txt"), "FOLDER_MISSING", "obj.data:3 val=", id="no-list"),
    pytest.param("obj.data", DATA.replace("valid.txt", "train.txt"), "SPLIT_SAME", "obj.data:3", id="same-list"),
    pytest.param("obj.data", DATA.replace("data/obj.names", "../x"), "PATH_OUTSIDE", "obj.data:4 names=", id="outside"),
    pytest.param("obj.names", "car\ncar\n", "CLASS_NAME", "obj.names", id="name-twice"),
    pytest.param("obj.names", "car\n\ndog\n", "CLASS_NAME", "class 1 has no name", id="no-name"),
    pytest.param("pics/b.txt", "2 0.5 0.5 0.25 0.2", "LABEL_CLASS", "pics/b.txt:1 class=2", id="class"),
    pytest.param("train.txt", "data/pics/gone.png\n", "IMAGE_MISSING", "train.txt:1", id="image"),
]


@pytest.mark.parametrize(("name", "content", "code", "part"), FAULTS)
def test_fault__names_file_and_line(
    name: str, content: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    write(name, content)
    check_error(lambda: darknet.read(root), code, part)


def test_data_file__none_or_several(root: Path, write: Any, check_error: Any) -> None:
    write("other.data", DATA)
    check_error(lambda: darknet.read(root), "DARKNET_DATA", "there are 2 .data files")
    check_error(lambda: darknet.read(root / "pics"), "DARKNET_DATA", "there are 0 .data files")


def test_image__missing_is_skipped_by_wish(root: Path, write: Any) -> None:
    write("train.txt", "data/pics/a.png\ndata/pics/gone.png\n")
    table = darknet.read(root, missing_images="skip")
    assert len(table.images) == 2
    assert [(line.kind, line.count) for line in table.reading if line.action == "dropped"] == [("image", 1)]
    write("pics/gone.txt", "1 0.5 0.5 0.25 0.2\n")
    table = darknet.read(root, missing_images="skip")
    dropped = [(line.kind, line.count) for line in table.reading if line.action == "dropped"]
    assert dropped == [("image", 1), ("box", 1)]
