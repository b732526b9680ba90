from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.tools import labelme

SHAPE = {"label": "car", "points": [[1, 2], [9, 8]], "group_id": None, "shape_type": "rectangle", "flags": {}}


def document(*shapes: Any, **further: Any) -> str:
    stated = {
        "version": "5.5.0",
        "flags": {},
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 30,
        "imageWidth": 40,
    }
    return json.dumps({**stated, "shapes": list(shapes), **further})


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("a.png", (40, 30))
    write("a.json", document(SHAPE))
    return tmp_path


def test_shape__keeps_what_was_said_of_it(sample: Any) -> None:
    table = labelme.read(sample("labelme"))
    stated = dict(zip(table.boxes["source"], table.boxes["attributes"], strict=True))
    person = json.loads(stated["train/street one.json#/shapes/1"])
    assert person["flags"] == ["sitting"]
    assert person["description"] == "at the kerb"
    assert person["drawn"] == {"shape": "polygon", "points": [[-1e-13, 1], [8, 1.5], [4, 20.75]]}
    dog = json.loads(stated["train/street one.json#/shapes/4"])
    assert [part["xyxy"] for part in dog["parts"]] == [[1, 22, 5, 28], [7, 21, 12, 27]]
    facts = dict(table.images.select("file_name", "flags").rows())
    assert facts == {"train/b.JPG": None, "train/street one.png": '["night"]', "val/c.png": None}
    assert [(line.reason, line.count) for line in table.reading] == [("joined with another part of its object", 1)]


def test_labels_of_labelme__are_no_classes(root: Path, write: Any) -> None:
    """Its scripts leave `__ignore__` and `_background_` out of the classes."""
    labels = ("car", "__ignore__", "_background_")
    write("a.json", document(*({**SHAPE, "label": label} for label in labels)))
    table = labelme.read(root)
    assert table.categories["name"].to_list() == ["car"]
    assert table.boxes.select("category_id", "ignore", "ignore_reason").rows() == [
        (1, False, None),
        (None, True, "ignore region"),
    ]
    assert [(line.action, line.reason, line.count) for line in table.reading] == [("dropped", "it is background", 1)]


def test_other_shapes__are_left_out_when_asked(sample: Any) -> None:
    table = labelme.read(sample("labelme"), other_shapes="skip")
    assert len(table.boxes) == 4
    assert ("not an upright rectangle", 3) in [(line.reason, line.count) for line in table.reading]


@pytest.mark.parametrize("path", ["C:\\x\\a.jpg", "../other/a.png", "/home/x/a.png", "b.png"])
def test_image__beside_the_file_where_its_path_is_of_another_machine(path: str, root: Path, write: Any) -> None:
    write("a.json", document(SHAPE, imagePath=path))
    assert labelme.read(root).images["file_name"].to_list() == ["a.png"]


def test_image__in_another_folder(root: Path, write: Any) -> None:
    write("labels/x.json", document(SHAPE, imagePath="..\\images\\x.png"))
    write("images/x.png", (40, 30))
    assert labelme.read(root).images["file_name"].to_list() == ["a.png", "images/x.png"]


@pytest.mark.parametrize("path", ["x.jpg", "..\\images\\x.jpg", "C:\\work\\x.png", "../../elsewhere/x.jpg"])
def test_image__of_a_folder_of_files_alone_may_lie_elsewhere(path: str, tmp_path: Path, write: Any) -> None:
    write("labels/train/x.json", document(SHAPE, imagePath=path))
    write("images/train/x.jpeg", (40, 30))
    table = labelme.read(tmp_path)
    assert table.images.select("file_name", "split").rows() == [("images/train/x.jpeg", "train")]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 1)]
    apart = labelme.read(tmp_path / "labels", images=tmp_path / "images")
    assert apart.images["file_name"].to_list() == ["train/x.jpeg"]


def test_image__that_is_gone_is_not_that_of_another_folder(tmp_path: Path, write: Any, check_error: Any) -> None:
    write("one/a.json", document(SHAPE))
    write("one/b.png", (40, 30))
    write("two/a.png", (40, 30))
    check_error(lambda: labelme.read(tmp_path, unannotated="skip"), "IMAGE_MISSING", "one/a.json")


def test_unannotated__image_is_what_the_option_says(root: Path, write: Any, check_error: Any) -> None:
    path = write("b.png", (40, 30))
    check_error(lambda: labelme.read(root), "ANNOTATION_MISSING", f"{path} ")
    assert labelme.read(root, unannotated="negative").images["file_name"].to_list() == ["a.png", "b.png"]
    table = labelme.read(root, unannotated="skip")
    assert table.images["file_name"].to_list() == ["a.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1)]
    check_error(lambda: labelme.read(root, unannotated="no"), "OPTION_VALUE", "error, skip, negative")


FAULTS = [
    pytest.param({**SHAPE, "points": [[1, 2], [3]]}, "JSON_NUMBER", "/points", id="points"),
    pytest.param({**SHAPE, "points": [[1, 2]]}, "SHAPE_POINTS", "two corners", id="one-corner"),
    pytest.param({**SHAPE, "points": []}, "JSON_NUMBER", "/points", id="no-points"),
    pytest.param({**SHAPE, "points": [[1, "2"], [3, 4]]}, "JSON_NUMBER", "/points", id="string"),
    pytest.param({**SHAPE, "label": " "}, "OBJECT_NAME", "no class", id="no-label"),
    pytest.param({**SHAPE, "label": 7}, "JSON_TYPE", "/label", id="label-number"),
    pytest.param({**SHAPE, "shape_type": "circle", "points": [[1, 2]]}, "SHAPE_POINTS", "centre", id="circle"),
    pytest.param(
        {**SHAPE, "shape_type": "circle", "points": [[1, 2], [1.7e308, 1.7e308]]},
        "BOX_INVALID",
        "finite",
        id="infinite",
    ),
    pytest.param({**SHAPE, "shape_type": "blob"}, "SHAPE_KIND", "shape_type=blob", id="kind"),
    pytest.param({**SHAPE, "shape_type": "mask", "mask": "%"}, "MASK_BROKEN", "/mask", id="base64"),
    pytest.param({**SHAPE, "shape_type": "mask", "mask": "AAAA"}, "MASK_BROKEN", "/mask", id="png"),
    pytest.param({**SHAPE, "flags": []}, "JSON_TYPE", "/flags", id="flags"),
    pytest.param({**SHAPE, "difficult": 2}, "JSON_TYPE", "/difficult", id="difficult"),
]


@pytest.mark.parametrize(("shape", "code", "part"), FAULTS)
def test_shape__fault_names_the_pointer(
    shape: Any, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("a.json", document(SHAPE, shape))
    check_error(lambda: labelme.read(root), code, f"{path}#/shapes/1", part)
    table = labelme.read(root, on_error="skip-row")
    assert len(table.boxes) == 1
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]


def test_mask__without_pixels_is_its_corners(root: Path, write: Any) -> None:
    write("a.json", document({**SHAPE, "shape_type": "mask", "mask": None}))
    assert labelme.read(root).boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 9, 8)]


FILES = [
    pytest.param(document(imageWidth=41), "IMAGE_SIZE", "41 x 30", id="other-size"),
    pytest.param(document(imageWidth=0), "IMAGE_SIZE", "imageWidth=0", id="no-size"),
    pytest.param(document(imagePath=None), "JSON_KEY", "imagePath", id="no-path"),
    pytest.param('{"imagePath": "a.png"}', "JSON_KEY", "shapes", id="other-format"),
    pytest.param("[]", "JSON_TYPE", "an object", id="list"),
    pytest.param(document(SHAPE)[:-20], "JSON_SYNTAX", "a.json:1", id="cut"),
]


@pytest.mark.parametrize(("text", "code", "part"), FILES)
def test_file__fault_names_it(text: str, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("a.json", text)
    check_error(lambda: labelme.read(root), code, str(path), part)


def test_file__at_fault_leaves_out_its_image_when_asked(root: Path, write: Any) -> None:
    write("b.png", (40, 30))
    write("b.json", "{")
    table = labelme.read(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["a.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1)]


def test_file__alone_and_without_its_image(root: Path, write: Any) -> None:
    write("b.png", (40, 30))
    assert len(labelme.read(root / "a.json").images) == 1
    (root / "a.png").unlink()
    table = labelme.read(root / "a.json", missing_images="keep")
    assert table.images.select("file_name", "width", "height").rows() == [("a.png", 40, 30)]


def test_image__that_is_in_the_file_alone_is_said_to_be(root: Path, write: Any, check_error: Any) -> None:
    path = write("a.json", document(SHAPE, imageData="iVBORw0KGgo="))
    assert len(labelme.read(root).boxes) == 1
    (root / "a.png").unlink()
    check_error(lambda: labelme.read(root), "IMAGE_MISSING", f"{path}#/imageData image=a.png", "unpack")
    assert len(labelme.read(root, missing_images="keep").boxes) == 1
    assert labelme.read(root / "a.json", missing_images="keep").images["width"].to_list() == [40]
