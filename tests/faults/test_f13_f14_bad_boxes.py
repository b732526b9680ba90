"""F13, F14: boxes past their image, and boxes without a pixel."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detect_transfer.formats import READERS

FAR = "0 0.95 0.5 0.25 0.25"  # 7 px past the right edge
SUBPIXEL = "0 0.5 0.5 0.004 0.25"  # 0.26 px wide
BAD = [
    pytest.param(FAR, "BOX_OVER_EDGE", ("changed", "clipped by > 1 px"), id="far-out"),
    pytest.param("0 1.4 0.5 0.3 0.5", "BOX_OUTSIDE", ("dropped", "outside the image"), id="outside"),
    pytest.param("0 0.5 0.5 1.1 0.5", "BOX_LARGER", ("changed", "clipped by > 1 px"), id="larger"),
    pytest.param(SUBPIXEL, "BOX_SUBPIXEL", ("dropped", "a side below 1 px"), id="sub-pixel"),
    pytest.param("0 0.5 0.5 0 0.25", "BOX_EMPTY", ("dropped", "no width or no height as annotated"), id="empty"),
]


def _ledger(out: Path) -> dict[tuple[str, str, str], int]:
    steps = json.loads((out / "ledger.json").read_text())["steps"]
    return {(line["kind"], line["action"], line["reason"]): line["count"] for step in steps for line in step["lines"]}


def _add(root: Path, row: str) -> None:
    label = root / "labels" / "train" / "0.txt"
    label.write_text(label.read_text() + row + "\n")


@pytest.mark.parametrize(("row", "code", "counted"), BAD)
def test_bad_box__is_refused_and_with_the_option_fixed_and_counted(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, row: str, code: str, counted: tuple[str, str]
) -> None:
    _add(yolo_set, row)
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out")
    assert ended.code == 2
    assert f"{code} labels/train/0.txt:3" in ended.err
    assert "--bad-boxes fix" in ended.err
    assert not (tmp_path / "out").exists()
    checked = command("check", yolo_set)
    assert checked.code == 2
    assert f"error   {code} (1)" in checked.out
    assert command("convert", "yolo", yolo_set, "--out", tmp_path / "out", "--bad-boxes", "fix").code == 0
    assert _ledger(tmp_path / "out")["box", *counted] == 1


def test_pixel__whose_shares_were_rounded_is_one(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (1280, 720)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "data.yaml").write_text("train: .\nnames: [car]\n")
    pixel = "0 0.500391 0.500694 0.000781 0.001389"  # 0.99968 x 1.00008 px
    over = "0 0.999609 0.5 0.002344 0.25"  # 1.000 px past the edge
    exact = f"0 {1.5 / 1280!r} {1.5 / 720!r} {1 / 1280!r} {1 / 720!r}"  # 1 x 1 px up to floating point
    (tmp_path / "in" / "a.txt").write_text("\n".join([pixel, over, exact]))
    words = ("--to", "coco,yolo,voc", "--check", "--split-ratio", "train=1", "--out", tmp_path / "out")
    ended = command("convert", "yolo", tmp_path / "in", *words)
    assert ended.code == 0, ended.err
    assert len(READERS["data_folder"].read(tmp_path / "out").boxes) == 3
    assert len(READERS["voc"].read(tmp_path / "out" / "voc").boxes) == 2  # whose last pixel is not below the first
    assert (
        _ledger(tmp_path / "out")["box", "dropped", "narrower than one pixel, which is the least that VOC counts"] == 1
    )


@pytest.mark.parametrize(("on_error", "left"), [("skip-row", (4, 8)), ("skip-image", (3, 6))])
def test_bad_box__is_left_out_as_other_faults_are(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, on_error: str, left: tuple[int, int]
) -> None:
    _add(yolo_set, FAR)
    _add(yolo_set, SUBPIXEL)
    out = tmp_path / "out"
    assert command("convert", "yolo", yolo_set, "--out", out, "--on-error", on_error).code == 0
    step = next(s for s in json.loads((out / "ledger.json").read_text())["steps"] if s["step"] == "bad boxes")
    assert (step["images_out"], step["boxes_out"]) == left


@pytest.mark.parametrize(
    ("over", "code"), [pytest.param(1.0, 0, id="one-pixel"), pytest.param(1.01, 2, id="a-hundredth-more")]
)
def test_box_over_the_edge__by_a_pixel_is_clipped(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, over: float, code: int
) -> None:
    _add(yolo_set, f"0 {(54 + 64 + over) / 2 / 64:.12f} 0.5 {(10 + over) / 64:.12f} 0.25")
    assert command("convert", "yolo", yolo_set, "--out", tmp_path / "out").code == code


def test_training__refuses_a_bad_box_before_it_starts(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path
) -> None:
    _add(yolo_set, SUBPIXEL)
    words = (f"data.path={yolo_set}", f"out={tmp_path / 'run'}", "model.weights=embedded", "train.device=cpu")
    ended = command("train", *words)
    assert ended.code == 2
    assert "BOX_SUBPIXEL labels/train/0.txt:3" in ended.err
    assert "data.bad_boxes=fix" in ended.err


def test_object_that_was_never_drawn__is_left_out_and_counted(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path
) -> None:
    """COCO Annotator writes a box of zeros for it."""
    assert command("convert", "yolo", yolo_set, "--out", tmp_path / "coco").code == 0
    path = tmp_path / "coco" / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"].append({**content["annotations"][0], "id": 1000, "bbox": [0, 0, 0, 0], "area": 0})
    path.write_text(json.dumps(content))
    assert command("convert", "coco", tmp_path / "coco", "--out", tmp_path / "out").code == 0
    assert _ledger(tmp_path / "out")["box", "dropped", "no width or no height as annotated"] == 1
