"""What the rows of labels mean: what the data set states decides, and where nothing does, the user is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.formats.yolo.darknet import read as read_darknet
from detect_transfer.formats.yolo.reader import read as read_yolo

BOX = "0.5 0.5 0.2 0.4"
CORNERS = (80, 30, 120, 70)
POSE_2D = f"{BOX} {' '.join(['0.45 0.4', '0.55 0.6', '0 0'])}"  # 11 columns with the class: odd, as of a polygon
POSE_3D = f"{BOX} {' '.join(['0.45 0.4 2', '0.55 0.6 1', '0 0 0'])}"  # 14 columns: even
TRACK = f"{BOX} 0.9 7"
SQUARE = "0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7"
HEXAGON = "0.4 0.3 0.6 0.3 0.6 0.5 0.6 0.7 0.5 0.7 0.4 0.7"
TRIANGLE = "0.4 0.3 0.6 0.3 0.5 0.7"


@pytest.fixture(params=["yolo", "darknet", "classes.txt"])
def read_rows(request: Any, write: Any, tmp_path: Path) -> Any:
    """Write a label of rows, each of class 0, and read it by each reader that shares them."""

    def _read(*rows: str, head: str = "", **options: Any) -> AnnotationTable:
        write("images/a.png", (200, 100))
        write("labels/a.txt", "".join(f"0 {row}\n" for row in rows))
        if request.param == "yolo":
            write("data.yaml", f"train: images\n{head}names: [car]\n")
            return read_yolo(tmp_path, **options)
        if request.param == "classes.txt":
            write("classes.txt", "car\n")
            return read_yolo(tmp_path, **options)
        write("obj.data", "classes = 1\ntrain = train.txt\nnames = obj.names\n")
        write("obj.names", "car\n")
        write("train.txt", "images/a.png\n")
        return read_darknet(tmp_path, **options)

    return _read


def corners(table: AnnotationTable) -> Sequence[Any]:
    return [pytest.approx(row) for row in table.boxes.select(XYXY).rows()]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        pytest.param([POSE_2D], "pose", id="pose-2d"),
        pytest.param([POSE_3D], "pose", id="pose-3d"),
        pytest.param([TRACK], "track", id="track-with-confidence"),
        pytest.param([f"{BOX} 7"], "track", id="track"),
        pytest.param([SQUARE], "obb", id="obb"),
        pytest.param([TRIANGLE], "polygon", id="triangle"),
        pytest.param([HEXAGON, TRIANGLE], None, id="polygons"),
        pytest.param([SQUARE], None, id="four-points"),
        pytest.param([BOX], "pose", id="box-among-poses"),
    ],
)
def test_rows__of_a_kind_that_is_stated(rows: list[str], kind: Any, read_rows: Any) -> None:
    table = read_rows(*rows, rows=kind)
    assert corners(table) == [CORNERS] * len(rows)
    if kind == "track":
        assert table.boxes["track_id"].to_list() == ["7"]


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        pytest.param(TRACK, "rows=polygon, rows=obb (four corners), rows=pose", id="track"),
        pytest.param(POSE_2D, "or rows=track", id="pose-2d"),
        pytest.param(POSE_3D, "rows=pose", id="pose-3d"),
        pytest.param(f"{BOX} 0.9", "rows=track", id="confidence-or-id"),
    ],
)
def test_rows__that_may_be_of_two_kinds_are_refused_with_the_choices(
    row: str, answer: str, read_rows: Any, check_error: Any
) -> None:
    check_error(lambda: read_rows(row, row), "LABEL_COLUMNS", "labels/a.txt:1", answer)


@pytest.mark.parametrize(("row", "shape"), [(POSE_2D, "[3, 2]"), (POSE_3D, "[3, 3]")])
def test_pose__by_kpt_shape(row: str, shape: str, write: Any, tmp_path: Path, check_error: Any) -> None:
    write("images/a.png", (200, 100))
    write("labels/a.txt", f"0 {row}\n0 {BOX}\n")
    write("data.yaml", f"train: images\nkpt_shape: {shape}\nnames: [person]\n")
    table = read_yolo(tmp_path)
    assert corners(table) == [CORNERS] * 2
    assert [(line.action, line.count) for line in table.reading] == [("noted", 1)]
    write("labels/a.txt", f"0 {row} 0.5\n")
    check_error(lambda: read_yolo(tmp_path), "LABEL_COLUMNS", "as kpt_shape says")


@pytest.mark.parametrize("shape", ["[3]", "[3, 4]", "x", "[0, 2]", "[a, b]"])
def test_kpt_shape__at_fault(shape: str, yolo_root: Path, check_error: Any) -> None:
    path = yolo_root / "data.yaml"
    path.write_text(path.read_text() + f"kpt_shape: {shape}\n")
    check_error(lambda: read_yolo(yolo_root), "YAML_TYPE", "data.yaml:4", "kpt_shape")


def test_prediction_of_a_polygon__has_a_score(yolo_root: Path, write: Any) -> None:
    write("labels/train/a.txt", f"0 {HEXAGON} 0.75\n0 {TRIANGLE} 0.5\n")
    table = read_yolo(yolo_root, predictions="keep-score")
    assert table.boxes.height == 4
    assert read_yolo(yolo_root, predictions="drop-score").boxes["attributes"].drop_nulls().len() == 2
