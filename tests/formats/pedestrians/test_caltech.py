from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from detect_transfer.core.video import frames_at
from detect_transfer.formats.pedestrians import caltech

KEEP: dict[str, Any] = {"missing_images": "keep"}
SEEN = [0, 0, 0, 0]
BOX = (1, [11, 21, 30, 40], 0, 0, SEEN)
FIELDS = ("id", "pos", "occl", "lock", "posv")
OBJECT = {"id": 0, "pos": [11, 21, 30, 40], "occl": 0, "lock": 0, "posv": SEEN, "lbl": "person", "hide": 0}
TEXT = "set06_V000_I00029.txt"


def save_vbb(root: Path, frames: list[list[Any]], *, name: str = "set06/V000.vbb", **changes: Any) -> Path:
    lists = np.empty((1, len(frames)), object)
    for i, boxes in enumerate(frames):
        lists[0, i] = np.empty((1, len(boxes)), [(key, object) for key in FIELDS]) if boxes else np.empty((0, 0))
        for j, box in enumerate(boxes):
            lists[0, i][0, j] = box
    labels = np.empty((1, 2), object)
    labels[0, :] = ["person", "person?"]
    whole = {"nFrame": len(frames), "objLists": lists, "objLbl": labels, "objHide": np.array([[0, 1]]), **changes}
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"A": whole, "vers": 1.4}, appendmat=False)
    return path


def dump(frames: dict[str, Any], count: int = 60) -> str:
    return json.dumps({"set06": {"V000": {"nFrame": count, "frames": frames}}})


def test_visible__is_the_whole_box_where_four_zeros_stand(tmp_path: Path) -> None:
    half = (2, [101, 51, 20, 50], 1, 1, [101, 51, 20, 20])
    wide = (2, [101, 51, 20, 50], 1, 0, [91, 51, 40, 50])
    save_vbb(tmp_path, [[BOX, half, wide]])
    boxes = caltech.read(tmp_path, stride=1, **KEEP).boxes
    assert boxes["occluded"].to_list() == pytest.approx([0, 0.6, 0])
    assert boxes.select("vis_x1", "vis_y1", "vis_x2", "vis_y2").rows()[:2] == [(10, 20, 40, 60), (100, 50, 120, 70)]
    assert boxes["track_id"].to_list() == ["set06/V000/1", "set06/V000/2", "set06/V000/2"]
    assert [json.loads(one) for one in boxes["attributes"][:2]] == [
        {"occl": 0, "lock": 0, "hide": 0},
        {"occl": 1, "lock": 1, "hide": 1},
    ]
    assert boxes["source"][1] == "set06/V000.vbb#A.objLists{1}(2)"


def test_origin__is_an_option(tmp_path: Path) -> None:
    save_vbb(tmp_path, [[BOX]])
    boxes = caltech.read(tmp_path, stride=1, one_based=False, **KEEP).boxes
    assert boxes.select("x1", "y1", "x2", "y2").rows() == [(11, 21, 41, 61)]


def test_stride__takes_every_nth_frame_and_tells_the_others(tmp_path: Path, check_error: Any) -> None:
    save_vbb(tmp_path, [[BOX]] * 61)
    table = caltech.read(tmp_path, **KEEP)
    assert table.images["file_name"].to_list() == ["set06/V000.seq#00029", "set06/V000.seq#00059"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 59), ("box", 59)]
    assert len(caltech.read(tmp_path, stride=3, **KEEP).images) == 20
    assert caltech.read(tmp_path, stride=1, **KEEP).reading == ()
    check_error(lambda: caltech.read(tmp_path, stride=0), "OPTION_VALUE", "stride=0")


def test_frames__come_from_the_video(tmp_path: Path, check_error: Any) -> None:
    save_vbb(tmp_path, [[BOX], []], name="annotations/set06/V000.vbb")
    check_error(lambda: caltech.read(tmp_path, stride=1), "VIDEO_MISSING", "set06/V000.seq", "V000.vbb#A.objLists{1}")
    packed = []
    for grey in (10, 200):
        stream = io.BytesIO()
        Image.new("L", (640, 480), grey).save(stream, "PNG")
        packed.append(struct.pack("<I", len(stream.getvalue()) + 4) + stream.getvalue() + bytes(8))
    head = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le")
    sizes = struct.pack("<9I", 640, 480, 8, 8, 640 * 480, 1, 2, 0, 0)
    (tmp_path / "videos/set06").mkdir(parents=True)
    video = tmp_path / "videos/set06/V000.seq"
    video.write_bytes(head.ljust(548, b"\0") + sizes.ljust(1024 - 548, b"\0") + b"".join(packed))
    images = caltech.read(tmp_path, stride=1).images
    assert images.select("file_name", "width", "group").rows() == [
        ("videos/set06/V000.seq#00000", 640, "set06/V000"),
        ("videos/set06/V000.seq#00001", 640, "set06/V000"),
    ]
    assert [frame[0, 0, 0] for _, frame in frames_at(video, [0, 1])] == [10, 200]


def test_image__of_a_frame_is_there_once_and_has_one_size(tmp_path: Path, write: Any, check_error: Any) -> None:
    save_vbb(tmp_path, [[BOX]])
    write("a/set06_V000_I00000.png", (640, 480))
    assert caltech.read(tmp_path, stride=1).images["file_name"].to_list() == ["a/set06_V000_I00000.png"]
    write("a/set06/V000/0.jpg", (640, 480))
    check_error(lambda: caltech.read(tmp_path, stride=1), "IMAGE_TWICE", "a/set06_V000_I00000.png", "same frame")
    (tmp_path / "a/set06/V000/0.jpg").unlink()
    write("a/set06_V000_I00000.png", (320, 240))
    check_error(lambda: caltech.read(tmp_path, stride=1), "IMAGE_SIZE", "640 x 480")


VBB_FAULTS = [
    pytest.param((3, *BOX[1:]), "OBJECT_NAME", "(1) ", "label=None", id="id-without-label"),
    pytest.param((1.5, *BOX[1:]), "OBJECT_NAME", "(1) ", "label=None", id="half-an-id"),
    pytest.param((1, [1, 2, -3, 4], 0, 0, SEEN), "BOX_INVALID", "(1) ", "negative", id="negative"),
    pytest.param((1, [1, 2, 3], 0, 0, SEEN), "ROW_NUMBER", "(1) ", "finite", id="three-numbers"),
    pytest.param((1, [1, 2, 3, np.nan], 0, 0, SEEN), "ROW_NUMBER", "(1) ", "finite", id="nan"),
    pytest.param((1, "box", 0, 0, SEEN), "ROW_NUMBER", "(1) ", "finite", id="text"),
]


@pytest.mark.parametrize(("box", "code", "place", "part"), VBB_FAULTS)
def test_vbb__fault_has_its_place(box: Any, code: str, place: str, part: str, tmp_path: Path, check_error: Any) -> None:
    path = save_vbb(tmp_path, [[BOX], [box, BOX]])
    where = f"{path}#A.objLists{{2}}{place}"
    check_error(lambda: caltech.read(tmp_path, stride=1, **KEEP), code, where, part)
    skipped = caltech.read(tmp_path, stride=1, on_error="skip-row", **KEEP)
    assert (len(skipped.boxes), [line.count for line in skipped.reading]) == (2, [1])
    skipped = caltech.read(tmp_path, stride=1, on_error="skip-image", **KEEP)
    assert skipped.images["file_name"].to_list() == ["set06/V000.seq#00000"]


def test_vbb__of_another_structure(tmp_path: Path, check_error: Any) -> None:
    path = save_vbb(tmp_path, [[BOX]], nFrame=2)
    check_error(lambda: caltech.read(tmp_path, stride=1, **KEEP), "VBB_FRAMES", f"{path}#A nFrame=", "has 1 frames")
    save_vbb(tmp_path, [[BOX]], objLists=5.0)
    check_error(lambda: caltech.read(tmp_path, stride=1, **KEEP), "VBB_STRUCT", f"{path}#A ", "objLists")
    boxes = np.empty((1, 1), [("id", object)])
    boxes[0, 0] = (1,)
    lists = np.empty((1, 1), object)
    lists[0, 0] = boxes
    save_vbb(tmp_path, [[BOX]], objLists=lists)
    check_error(lambda: caltech.read(tmp_path, stride=1, **KEEP), "VBB_STRUCT", "#A.objLists{1} ", "posv")
    path.rename(tmp_path / "video.vbb")
    check_error(lambda: caltech.read(tmp_path, stride=1, **KEEP), "VBB_STRUCT", "video.vbb#A", "setNN/VNNN.vbb")


JSON_FAULTS = [
    pytest.param({"29": [{**OBJECT, "lbl": ""}]}, "OBJECT_NAME", "/frames/29/0 label=", id="label"),
    pytest.param({"29": [{**OBJECT, "pos": [1, 2, 3]}]}, "JSON_NUMBER", "/frames/29/0/pos", id="three"),
    pytest.param({"29": [{**OBJECT, "id": "a"}]}, "JSON_NUMBER", "/frames/29/0/id", id="id"),
    pytest.param({"29": {}}, "JSON_TYPE", "/frames/29 ", id="no-list"),
    pytest.param({"60": []}, "JSON_KEY", "/frames/60 ", id="frame-past-the-end"),
    pytest.param({"029": []}, "JSON_KEY", "/frames/029 ", id="frame-with-zeros"),
]


@pytest.mark.parametrize(("frames", "code", "pointer"), JSON_FAULTS)
def test_json__fault_has_its_pointer(
    frames: Any, code: str, pointer: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    write("annotations.json", dump(frames))
    check_error(lambda: caltech.read(tmp_path, **KEEP), code, f"annotations.json#/set06/V000{pointer}")


def test_json__is_as_the_vbb(tmp_path: Path, write: Any, check_error: Any) -> None:
    save_vbb(tmp_path / "vbb", [[]] * 29 + [[BOX]])
    write("json/annotations.json", dump({"29": [{**OBJECT, "posv": 0}]}, count=30))
    one, other = (caltech.read(tmp_path / form, **KEEP) for form in ("vbb", "json"))
    assert one.images.equals(other.images)
    assert one.boxes.drop("source").equals(other.boxes.drop("source"))
    write("json/annotations.json", dump({}, count=2**40))
    check_error(lambda: caltech.read(tmp_path / "json", **KEEP), "JSON_NUMBER", "/nFrame", "1,000,000")
    write("json/annotations.json", json.dumps({"set06": {"../V0": {"nFrame": 1, "frames": {}}}}))
    check_error(lambda: caltech.read(tmp_path / "json", **KEEP), "JSON_KEY", "#/set06 ", "such as set06 and V000")


TEXT_FAULTS = [
    pytest.param("% bbGt version=4\n", "BBGT_VERSION", ":1 ", "0, 1, 2 or 3", id="version"),
    pytest.param("% bbGt version=3\nperson 1 1 2 2 0 0 0 0 0 0", "ROW_COLUMNS", ":2 ", "expected 12", id="eleven"),
    pytest.param("person 1 1 2 2 0 0 0 0 0 0", "ROW_COLUMNS", ":1 ", "expected 10", id="eleven-in-version-0"),
    pytest.param("% bbGt version=1\nperson 1 1 nan 2 0 0 0 0 0", "ROW_NUMBER", ":2 ", "w=nan", id="nan"),
    pytest.param("% bbGt version=1\nperson 1 1 -2 2 0 0 0 0 0", "BOX_INVALID", ":2 ", "negative", id="negative"),
]


@pytest.mark.parametrize(("content", "code", "line", "part"), TEXT_FAULTS)
def test_text__fault_names_the_line(
    content: str, code: str, line: str, part: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    path = write(TEXT, content)
    check_error(lambda: caltech.read(tmp_path, **KEEP), code, f"{path}{line}", part)


def test_text__of_one_frame_is_there_once(tmp_path: Path, write: Any, check_error: Any) -> None:
    write(TEXT, "person 1 1 2 2 0 0 0 0 0\n")
    write("new/set06/V000/I00029.jpg.txt", "person 1 1 2 2 0 0 0 0 0\n")
    check_error(lambda: caltech.read(tmp_path, **KEEP), "ID_DUPLICATE", f"{TEXT}:1", "is annotated at")


def test_form__must_be_chosen_where_several_are_there(tmp_path: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: caltech.read(tmp_path), "CALTECH_MISSING", str(tmp_path))
    write(TEXT, "person 1 1 2 2 0 0 0 0 0\n")
    write("annotations.json", dump({}))
    check_error(lambda: caltech.read(tmp_path, **KEEP), "FORM_SEVERAL", "form=json or form=text")
    assert len(caltech.read(tmp_path, form="text", **KEEP).boxes) == 1
