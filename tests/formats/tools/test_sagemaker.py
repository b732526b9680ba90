from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import sagemaker

BOX = {"class_id": 0, "left": 1, "top": 2, "width": 8, "height": 6}


def line(*boxes: Any, job: str = "job", **further: Any) -> dict[str, Any]:
    about = {"class-map": {"0": "car"}, "type": "groundtruth/object-detection", "objects": [{"confidence": 0.5}]}
    stated = {"image_size": [{"width": 40, "height": 30, "depth": 3}], "annotations": list(boxes)}
    return {"source-ref": "s3://bucket/x/a.png", job: stated, f"{job}-metadata": about, **further}


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("a.png", (40, 30))
    return tmp_path


def save(write: Any, *lines: Any) -> Path:
    return write("out.manifest", "\n".join(map(json.dumps, lines)))


def test_box__has_the_confidence_of_its_line(root: Path, write: Any) -> None:
    save(write, line(BOX, {**BOX, "note": "x"}))
    table = sagemaker.read(root)
    assert table.boxes["attributes"].to_list() == ['{"confidence":0.5}', '{"note":"x"}']
    assert table.boxes["source"].to_list()[1] == "out.manifest:1#/job/annotations/1"


def test_lines__that_are_not_annotated_are_counted(sample: Any) -> None:
    reading = sagemaker.read(sample("sagemaker")).reading
    assert [(one.kind, one.reason, one.count) for one in reading if one.action == "dropped"] == [
        ("image", "not annotated", 1)
    ]


def test_label_attribute__is_asked_for_where_there_are_several(root: Path, write: Any, check_error: Any) -> None:
    first = line(BOX)
    save(write, {**first, **line(BOX, BOX, job="review")})
    check_error(lambda: sagemaker.read(root), "SAGEMAKER_LABELS", "2 jobs", "job, review")
    assert len(sagemaker.read(root, label_attribute="review").boxes) == 2
    save(write, {"source-ref": "s3://bucket/a.png"})
    check_error(lambda: sagemaker.read(root), "SAGEMAKER_LABELS", "no line has an attribute")
    check_error(lambda: sagemaker.read(root, label_attribute="job"), "IMAGES_NONE", "no image")


FAULTS = [
    pytest.param({**BOX, "class_id": 1}, "CLASS_UNKNOWN", "class_id=1", id="class"),
    pytest.param({**BOX, "class_id": "0"}, "JSON_NUMBER", "class_id", id="class-string"),
    pytest.param({**BOX, "left": None}, "JSON_KEY", "/left", id="null"),
    pytest.param({**BOX, "height": -1}, "BOX_INVALID", "the lower one", id="negative"),
]


@pytest.mark.parametrize(("box", "code", "part"), FAULTS)
def test_box__fault_names_line_and_pointer(
    box: Any, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = save(write, line(BOX, box))
    check_error(lambda: sagemaker.read(root), code, f"{path}:1#/job/annotations/1", part)
    table = sagemaker.read(root, on_error="skip-row")
    assert len(table.boxes) == 1
    assert [(one.kind, one.count) for one in table.reading if one.action == "dropped"] == [("box", 1)]


LINES = [
    pytest.param('{"source-ref": ', "JSON_SYNTAX", id="cut"),
    pytest.param("7", "JSON_TYPE", id="no-object"),
    pytest.param(json.dumps({**line(BOX), "source-ref": 7}), "JSON_TYPE", id="address"),
    pytest.param(json.dumps({**line(BOX), "source-ref": "s3://b/no.png"}), "IMAGE_MISSING", id="gone"),
    pytest.param(json.dumps(line(BOX)), "ID_DUPLICATE", id="twice"),
    pytest.param(json.dumps({**line(BOX), "job": {"annotations": 7}}), "JSON_TYPE", id="annotations"),
]


@pytest.mark.parametrize(("text", "code"), LINES)
def test_line__fault_names_it(text: str, code: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("out.manifest", json.dumps(line(BOX)) + "\n" + text)
    check_error(lambda: sagemaker.read(root), code, f"{path}:2")


def test_line__at_fault_leaves_out_its_image_when_asked(root: Path, write: Any) -> None:
    write("out.manifest", json.dumps(line(BOX)) + '\n{"source-ref": ')
    table = sagemaker.read(root, on_error="skip-image")
    assert len(table.boxes) == 1
    assert [(one.kind, one.count) for one in table.reading if one.action == "dropped"] == [("image", 1)]


def test_size__of_the_image_must_be_the_one_stated(root: Path, write: Any, check_error: Any) -> None:
    one = line(BOX)
    one["job"]["image_size"] = [{"width": 41, "height": 30}]
    path = save(write, one)
    check_error(lambda: sagemaker.read(root), "IMAGE_SIZE", f"{path}:1", "41 x 30")
    assert len(sagemaker.read(root, size_mismatch="keep").boxes) == 1
    (root / "a.png").unlink()
    assert sagemaker.read(root, missing_images="keep").images.row(0)[1:4] == ("x/a.png", 41, 30)


def test_video__labels_that_are_not_there_are_named(sample: Any, check_error: Any) -> None:
    root = sample("sagemaker_video")
    assert [(one.kind, one.reason, one.count) for one in sagemaker.read(root).reading if one.action == "dropped"] == [
        ("image", "not annotated", 1)
    ]
    labels = root / "annotations/consolidated-annotation/output/0/SeqLabel.json"
    labels.write_text(labels.read_text().replace('"annotations"', '"polygons"'))
    check_error(lambda: sagemaker.read(root), "VIDEO_TASK", "#/tracking-annotations/0", "no boxes")
    labels.unlink()
    check_error(lambda: sagemaker.read(root), "FILE_MISSING", "output.manifest:1", "annotations/ of the job")
