from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import label_studio

VALUE = {"x": 10, "y": 20, "width": 50, "height": 40, "rotation": 0, "rectanglelabels": ["car"]}


def item(value: Any, **further: Any) -> dict[str, Any]:
    stated = {"id": "r", "type": "rectanglelabels", "original_width": 40, "original_height": 30, "image_rotation": 0}
    return {**stated, "value": value, **further}


def task(*annotations: Any, image: str = "/data/upload/1/0123abcd-a.png") -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": list(annotations)}


def given(*values: Any, **further: Any) -> dict[str, Any]:
    return {"was_cancelled": False, "result": [item(v, id=f"r{i}") for i, v in enumerate(values)], **further}


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("images/a.png", (40, 30))
    return tmp_path


def save(write: Any, *tasks: Any) -> Path:
    return write("export.json", json.dumps(list(tasks)))


def test_region__keeps_what_was_said_of_it(sample: Any) -> None:
    table = label_studio.read(sample("label_studio"))
    stated = [json.loads(text) if text else {} for text in table.boxes["attributes"]]
    assert stated[0] == {"choices": ["sitting"]}
    assert stated[1]["drawn"] == {"shape": "turned rectangle", "box": [20, 6, 28, 18], "rotation": 90}
    assert stated[3]["image_rotation"] == 90
    facts = table.images.select("tags", "data").rows()
    assert facts[0] == ('[{"choices":["rainy"]}]', '{"city":"Bonn"}')
    assert [(line.kind, line.reason, line.count) for line in table.reading if line.action == "dropped"] == [
        ("image", "without an annotation", 1),
        ("box", "of another annotation of the task", 1),
    ]
    short = label_studio.read(sample("label_studio_min")).images["data"].to_list()
    assert json.loads(short[0])["weather"] == "sunny"


def test_annotations__which_of_a_task_is_a_choice(root: Path, write: Any) -> None:
    bus = {**VALUE, "rectanglelabels": ["bus"]}
    save(write, task(given(VALUE, ground_truth=True), given(bus), given(VALUE, VALUE, was_cancelled=True)))

    def classes(annotations: str) -> list[str]:
        table = label_studio.read(root, annotations=annotations)
        assert len(table.boxes) + sum(line.count for line in table.reading if line.action == "dropped") == 2
        return table.class_names

    assert classes("last") == ["bus"]
    assert classes("all") == ["bus", "car"]
    assert classes("ground-truth") == ["car"]


def test_annotations__of_the_short_form_that_share_a_task(root: Path, write: Any) -> None:
    def short(label: str) -> dict[str, Any]:
        region = {**VALUE, "rectanglelabels": [label], "original_width": 40, "original_height": 30}
        return {"id": 1, "image": "a.png", "label": [region]}

    save(write, short("car"), short("bus"))
    assert label_studio.read(root).class_names == ["bus"]
    assert len(label_studio.read(root, annotations="all").boxes) == 2


FAULTS = [
    pytest.param({**VALUE, "x": None}, "JSON_KEY", "/value/x", id="null"),
    pytest.param({**VALUE, "x": "1"}, "JSON_NUMBER", "/value/x", id="string"),
    pytest.param({**VALUE, "width": -1}, "BOX_INVALID", "/value/width", id="negative"),
    pytest.param({**VALUE, "rectanglelabels": []}, "OBJECT_NAME", "no label", id="no-label"),
    pytest.param({**VALUE, "rectanglelabels": "car"}, "JSON_TYPE", "/rectanglelabels", id="label-string"),
    pytest.param({"points": [[1]], "polygonlabels": ["car"]}, "JSON_NUMBER", "/points", id="points"),
    pytest.param({"rle": [1, 2], "format": "rle", "brushlabels": ["car"]}, "SHAPE_KIND", "brush", id="mask"),
]


@pytest.mark.parametrize(("value", "code", "part"), FAULTS)
def test_region__fault_names_the_pointer(
    value: Any, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = save(write, task(given(VALUE, value)))
    check_error(lambda: label_studio.read(root), code, f"{path}#/0/annotations/0/result/1/value", part)
    table = label_studio.read(root, on_error="skip-row")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading if line.action == "dropped"] == [("box", 1)]


def test_other_shapes__are_left_out_when_asked(root: Path, write: Any, check_error: Any) -> None:
    mask = {"rle": [1, 2], "format": "rle", "brushlabels": ["car"]}
    save(write, task(given(VALUE, mask, {**VALUE, "rotation": 5})))
    table = label_studio.read(root, other_shapes="skip")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading if line.action == "dropped"] == [("box", 2)]
    check_error(lambda: label_studio.read(root, other_shapes="error"), "SHAPE_KIND", "shape=turned rectangle")


def test_size__of_the_image_must_be_the_one_stated(root: Path, write: Any, check_error: Any) -> None:
    result = [item(VALUE, original_width=41)]
    path = save(write, task({"result": result}))
    check_error(lambda: label_studio.read(root), "IMAGE_SIZE", f"{path}#/0", "41 x 30")
    assert label_studio.read(root, size_mismatch="keep").boxes["x1"].to_list() == pytest.approx([4.1])
    save(write, task({"result": [item(VALUE, original_width=None)]}))
    check_error(lambda: label_studio.read(root), "JSON_KEY", "original_width")


TASKS = [
    pytest.param({"id": 1, "data": {"image": 7}, "annotations": []}, "IMAGE_NAME", "#/0/data", id="no-address"),
    pytest.param({"data": {"x": "a.png", "y": "b.png"}}, "IMAGE_NAME", "such are: x, y", id="two-addresses"),
    pytest.param({"data": {"image": "a.png"}, "annotations": [{}]}, "JSON_KEY", "/annotations/0/result", id="result"),
    pytest.param({"data": {"image": "a.png"}, "annotations": {}}, "JSON_TYPE", "/annotations", id="annotations"),
    pytest.param({"data": {"image": "no.png"}, "annotations": [{"result": []}]}, "IMAGE_MISSING", "no.png", id="gone"),
    pytest.param({"id": 2}, "IMAGE_NAME", "such are: none", id="short-form"),
    pytest.param(7, "JSON_TYPE", "#/0", id="no-object"),
]


@pytest.mark.parametrize(("one", "code", "part"), TASKS)
def test_task__fault_names_the_pointer(
    one: Any, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = save(write, one)
    check_error(lambda: label_studio.read(root), code, str(path), part)


def test_image__of_two_tasks(root: Path, write: Any, check_error: Any) -> None:
    save(write, task(given()), task(given(), image="other/a.png"))
    check_error(lambda: label_studio.read(root), "ID_DUPLICATE", "#/1", "#/0")


def test_upload__prefix_is_left_out_only_where_the_name_has_none(root: Path, write: Any) -> None:
    save(write, task(given(VALUE)))
    assert label_studio.read(root).images["file_name"].to_list() == ["images/a.png"]
    write("images/0123abcd-a.png", (40, 30))
    assert label_studio.read(root).images["file_name"].to_list() == ["images/0123abcd-a.png"]


def test_options__of_other_values(root: Path, check_error: Any) -> None:
    check_error(lambda: label_studio.read(root, annotations="first"), "OPTION_VALUE", "last, all, ground-truth")


def test_size__that_no_result_states_is_that_of_the_image(root: Path, write: Any, check_error: Any) -> None:
    save(write, task({"result": [item(VALUE, original_width=None, original_height=None)]}))
    boxes = label_studio.read(root).boxes
    assert boxes.select("x1", "y1", "x2", "y2").rows() == [pytest.approx((4, 6, 24, 18))]
    (root / "images/a.png").unlink()
    check_error(lambda: label_studio.read(root, missing_images="keep"), "JSON_KEY", "original_width")


def test_address__without_suffix_means_the_image_of_that_name(root: Path, write: Any) -> None:
    save(write, task(given(VALUE), image="https://host/images/a"))
    assert label_studio.read(root).images["file_name"].to_list() == ["images/a.png"]
    (root / "images/a.png").unlink()
    assert label_studio.read(root, missing_images="keep").images["file_name"].to_list() == ["images/a"]


def video_task(frames_count: int | None = 5, **key: Any) -> list[dict[str, Any]]:
    stated = {} if frames_count is None else {"framesCount": frames_count, "duration": 0.5}
    keys = [{"frame": 1, "enabled": True, "x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0, **key}]
    result = {"id": "r", "type": "videorectangle", "value": {"sequence": keys, "labels": ["car"], **stated}}
    return [{"data": {"video": "/data/upload/7/0a1b2c3d-clip.mp4"}, "annotations": [{"result": [result]}]}]


def test_video__marks_the_boxes_between_key_frames(sample: Any) -> None:
    table = label_studio.read(sample("label_studio_video"))
    marked = [text is not None and json.loads(text) == {"interpolated": True} for text in table.boxes["attributes"]]
    assert marked == [False, True, False, False, True]
    assert table.boxes["track_id"].to_list() == ["clip.mp4/a1"] * 3 + ["clip.mp4/b2"] * 2
    assert table.images["group"].unique().to_list() == ["clip.mp4"]


def test_video__turned_boxes_are_the_boxes_around_them(sample: Any) -> None:
    root = sample("label_studio_video")
    (root / "project-7.json").write_text(json.dumps(video_task(rotation=90, x=50)))
    boxes = label_studio.read(root).boxes
    assert boxes.select("x1", "y1", "x2", "y2").unique().rows() == [pytest.approx((4, 0, 16, 16))]


def test_video__of_another_number_of_frames_is_refused(sample: Any, check_error: Any) -> None:
    root = sample("label_studio_video")
    for count, code, part in ((12, "VIDEO_FRAMES", "the video has 5"), (10**12, "VIDEO_FRAMES", "1 to 1,000,000")):
        (root / "project-7.json").write_text(json.dumps(video_task(count)))
        check_error(lambda: label_studio.read(root), code, part)
    (root / "project-7.json").write_text(json.dumps(video_task(None)))
    assert len(label_studio.read(root).images) == 1
    (root / "clip.mp4").unlink()
    check_error(lambda: label_studio.read(root), "VIDEO_MISSING", "clip.mp4")
    check_error(lambda: label_studio.read(root, missing_images="skip"), "IMAGES_NONE", "no image is left")
    check_error(lambda: label_studio.read(root, missing_images="keep"), "VIDEO_MISSING", "shares of the video")
