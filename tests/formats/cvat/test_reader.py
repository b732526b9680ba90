from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.formats.cvat.reader import read as read_cvat

BOX = '<box label="car" occluded="0" xtl="1" ytl="2" xbr="9" ybr="8"/>'


def xml(shapes: str = BOX, *, meta: str = "", image: str = 'name="a.png" width="40" height="30"') -> str:
    return f"<annotations>{meta}<image {image}>{shapes}</image></annotations>"


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("images/a.png", (40, 30))
    write("annotations.xml", xml())
    return tmp_path


def test_shape__keeps_what_was_said_of_it(sample: Any) -> None:
    table = read_cvat(sample("cvat_images"))
    attributes = [json.loads(text) for text in table.boxes["attributes"].drop_nulls()]
    assert attributes[0] == {"source": "manual", "z_order": "0", "pose": "walking", "old": "<1>"}
    assert attributes[2]["drawn"] == {"shape": "turned rectangle", "box": [10, 10, 20, 14], "rotation": 90}
    assert attributes[3]["drawn"] == {"shape": "polygon", "points": [[1.5, 2], [6, 2.5], [4, 9.25]]}
    assert table.boxes["occluded"].to_list() == [1.0] + [0.0] * 8
    assert json.loads(table.images["tags"][0]) == [{"label": "rainy", "source": "manual"}]
    assert table.boxes["source"][3] == "annotations.xml#image[1]/polygon[1]"


def test_attribute__that_is_a_column_becomes_it(root: Path, write: Any) -> None:
    attributes = {"iscrowd": "true", "difficult": "false", "truncated": "0.25", "track_id": "t1", "ignore": "maybe"}
    texts = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    write("annotations.xml", xml(f"{BOX[:-2]}>{texts}</box>{BOX[:-2]}><attribute name='truncated'>2</attribute></box>"))
    first, second = read_cvat(root).boxes.rows(named=True)
    columns = ("iscrowd", "ignore", "ignore_reason", "difficult", "truncated", "track_id")
    assert [first[c] for c in columns] == [True, True, "crowd", False, 0.25, "t1"]
    assert json.loads(first["attributes"]) == {"ignore": "maybe"}
    assert [second[c] for c in columns] == [False, False, None, False, None, None]
    assert json.loads(second["attributes"]) == {"truncated": "2"}


def test_other_shapes__are_left_out_or_refused_when_asked(sample: Any, check_error: Any) -> None:
    root = sample("cvat_images")
    table = read_cvat(root, other_shapes="skip")
    assert len(table.boxes) == 3
    assert [(line.kind, line.count) for line in table.reading] == [("box", 6)]
    check_error(lambda: read_cvat(root, other_shapes="error"), "SHAPE_KIND", "/mask[1]", "shape=mask")
    check_error(lambda: read_cvat(root, other_shapes="no"), "OPTION_VALUE", "extent, skip, error")


def test_cuboid__is_the_box_around_its_corners(root: Path, write: Any) -> None:
    corners = {"xtl1": 3, "ytl1": 4, "xbl1": 3, "ybl1": 9, "xtr1": 8, "ytr1": 4, "xbr1": 8, "ybr1": 9}
    corners |= {"xtl2": 5, "ytl2": 2, "xbl2": 5, "ybl2": 7, "xtr2": 11, "ytr2": 2, "xbr2": 11, "ybr2": 7}
    corner_text = " ".join(f'{key}="{value}"' for key, value in corners.items())
    write("annotations.xml", xml(f'<cuboid label="car" {corner_text}/>'))
    box = read_cvat(root).boxes.row(0, named=True)
    assert [box[c] for c in ("x1", "y1", "x2", "y2")] == [3, 2, 11, 9]
    assert json.loads(box["attributes"]).keys() == {"drawn"}
    assert box["occluded"] is None, "the element does not tell"


def test_shapes__of_one_group_are_one_object(root: Path, write: Any) -> None:
    polygon = '<polygon label="{}" occluded="0" points="{}" group_id="{}"/>'
    left, right = "1,2;4,2;4,6", "5,3;9,3;9,8"
    box = BOX.replace("/>", ' group_id="3"/>')
    write("annotations.xml", xml(box + polygon.format("car", left, 3) + polygon.format("car", right, 3)))
    table = read_cvat(root)
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 9, 8)]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 2)]
    write("annotations.xml", xml(polygon.format("car", left, 3) + polygon.format("car", right, 3)))
    assert read_cvat(root).boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 9, 8)]
    for second in (polygon.format("sign", right, 3), polygon.format("car", right, 4), polygon.format("car", right, 0)):
        write("annotations.xml", xml(polygon.format("car", left, 3) + second))
        assert len(read_cvat(root).boxes) == 2
    write("annotations.xml", xml(polygon.format("car", left, 0) + polygon.format("car", right, 0)))
    assert len(read_cvat(root).boxes) == 2
    write("annotations.xml", xml(box + box.replace('xtl="1"', 'xtl="2"')))
    assert len(read_cvat(root).boxes) == 2


@pytest.mark.parametrize(
    ("runs", "box"),
    [
        ("9,2,2,2,9", (11, 8, 13, 10)),  # 2 x 2 of 4 x 6 pixels, as Datumaro writes masks
        ("9,2,2,2", (11, 8, 13, 10)),
        ("3,2,19", (10, 6, 14, 8)),  # over the end of a row
        ("0,24", (10, 6, 14, 12)),
        ("24", (10, 6, 14, 12)),  # no pixel, more pixels, no runs: the rectangle as stated
        ("9,200", (10, 6, 14, 12)),
        ("9,x", (10, 6, 14, 12)),
        ("9,-2", (10, 6, 14, 12)),
    ],
)
def test_mask__is_the_box_of_its_pixels(runs: str, box: tuple[int, ...], root: Path, write: Any) -> None:
    mask = f'<mask label="car" occluded="0" rle="{runs}" left="10" top="6" width="4" height="6"/>'
    write("annotations.xml", xml(mask))
    assert read_cvat(root).boxes.select("x1", "y1", "x2", "y2").rows() == [box]


def test_group__is_the_task_that_was_made_of_a_video(root: Path, write: Any) -> None:
    task = "<id>3</id><name>drive</name><mode>interpolation</mode>"
    write("annotations.xml", xml(meta=f"<meta><task>{task}</task></meta>"))
    assert read_cvat(root).images["group"].to_list() == ["drive"]
    project = f"<meta><project><tasks><task>{task}</task></tasks></project></meta>"
    for task_id, group in (("3", "drive"), ("4", None)):
        write("annotations.xml", xml(meta=project, image=f'name="a.png" task_id="{task_id}"'))
        assert read_cvat(root).images["group"].to_list() == [group]


def test_track__has_an_id_and_its_places(sample: Any) -> None:
    boxes = read_cvat(sample("cvat_video")).boxes
    assert boxes["track_id"].to_list() == ["crossing 1.mp4/0", "crossing 1.mp4/0", "crossing 1.mp4/1"]
    assert boxes["source"].to_list()[1] == "annotations.xml#track[1]/box[2]"


def test_track__with_gaps_is_remarked_on(sample: Any) -> None:
    root = sample("cvat_video")
    assert read_cvat(root).reading == ()
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('frame="12"', 'frame="10"').replace('outside="1"', 'outside="0"'))
    reading = read_cvat(root).reading
    lines = [(line.kind, line.action, line.count, line.examples) for line in reading]
    assert lines == [("image", "noted", 1, ("annotations.xml#track[1]",))]


def test_end_of_a_track__that_is_damaged_is_no_row_that_could_be_left_out(sample: Any) -> None:
    root = sample("cvat_video")
    path = root / "annotations.xml"
    path.write_text(path.read_text().replace('frame="14"', 'frame="nan"'))
    with pytest.raises(InputError, match=r"XML_NUMBER .*track\[1\]/box\[3\] frame=nan"):
        read_cvat(root, on_error="skip-row")


def test_video__is_read_where_there_are_no_images(sample: Any, write: Any, check_error: Any) -> None:
    root = sample("cvat_video")
    for path in (root / "images").iterdir():
        path.unlink()
    (root / "images").rmdir()
    table = read_cvat(root, missing_images="keep")
    assert table.images["file_name"][0] == "images/frame_000010.png"
    write("cvat_video/crossing 1.mp4", b"no video")
    check_error(lambda: read_cvat(root), "VIDEO_TYPE", "crossing 1.mp4")


FAULTS = [
    pytest.param(BOX.replace('"1"', '"x"'), "XML_NUMBER", "/box[1] xtl=x", id="number"),
    pytest.param(BOX.replace('xtl="1"', ""), "XML_NUMBER", "no such attribute", id="no-number"),
    pytest.param(BOX.replace('"1"', '"10"'), "BOX_INVALID", "xbr must be >= xtl", id="inverted"),
    pytest.param(BOX.replace('"car"', '" "'), "OBJECT_NAME", "no label", id="no-label"),
    pytest.param(BOX.replace('occluded="0"', 'occluded="yes"'), "XML_NUMBER", "occluded=yes", id="flag"),
    pytest.param(BOX.replace("/>", ' rotation="nan"/>'), "XML_NUMBER", "rotation=nan", id="rotation"),
    pytest.param('<polygon label="car" points="1,2;3"/>', "XML_NUMBER", "points=1,2;3", id="points"),
    pytest.param('<polygon label="car"/>', "XML_NUMBER", "/polygon[1]", id="no-points"),
    pytest.param('<skeleton label="car"/>', "SHAPE_EMPTY", "no points", id="no-joints"),
    pytest.param('<mask label="car" left="1" top="1" width="-1" height="2"/>', "BOX_INVALID", "/mask[1]", id="mask"),
    pytest.param('<blob label="car"/>', "SHAPE_KIND", "element=blob", id="unknown-shape"),
    pytest.param("<tag/>", "OBJECT_NAME", "image[1]", id="tag"),
]


@pytest.mark.parametrize(("shape", "code", "part"), FAULTS)
def test_shape__fault_names_the_element(
    shape: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("annotations.xml", xml(shape))
    check_error(lambda: read_cvat(root), code, f"{path}#image[1]", part)


IMAGES = [
    pytest.param('width="40" height="30"', "IMAGE_NAME", id="no-name"),
    pytest.param('name="a.png" width="0" height="30"', "IMAGE_SIZE", id="no-width"),
    pytest.param('name="a.png" width="41" height="30"', "IMAGE_SIZE", id="other-size"),
    pytest.param('name="a.png" width="40"', "XML_NUMBER", id="no-height"),
    pytest.param('name="b.png" width="40" height="30"', "IMAGE_MISSING", id="no-image"),
]


@pytest.mark.parametrize(("image", "code"), IMAGES)
def test_image__fault_names_the_element(image: str, code: str, root: Path, write: Any, check_error: Any) -> None:
    path = write("annotations.xml", xml(image=image))
    check_error(lambda: read_cvat(root), code, f"{path}#image[1]")


def test_files__of_other_kinds(root: Path, write: Any, check_error: Any) -> None:
    for text, code in (("<annotation/>", "XML_ROOT"), ("<a", "XML_SYNTAX"), ("<!DOCTYPE a><a/>", "XML_DTD")):
        write("annotations.xml", text)
        check_error(lambda: read_cvat(root), code, "annotations.xml")
    write("annotations.xml", "<annotations/>")
    check_error(lambda: read_cvat(root), "IMAGES_NONE", "no image is annotated")


def test_image__twice_in_two_exports(root: Path, write: Any, check_error: Any) -> None:
    path = write("more.xml", xml())
    check_error(lambda: read_cvat(root), "ID_DUPLICATE", f"{path}#image[1]", "annotations.xml#image[1]")
    write("more.xml", xml(image='name="images/a.png"'))
    check_error(lambda: read_cvat(root), "ID_DUPLICATE", f"{path}#image[1]", "is the image of 'a.png' too")
    table = read_cvat(root / "annotations.xml")
    assert len(table.boxes) == 1


def test_on_error__leaves_out_the_row_or_the_image(root: Path, write: Any) -> None:
    write("images/b.png", (40, 30))
    good = xml(image='name="b.png"')[len("<annotations>") :]
    write("annotations.xml", xml(BOX + BOX.replace('"1"', '"x"'))[: -len("</annotations>")] + good)
    table = read_cvat(root, on_error="skip-row")
    assert [len(table.images), len(table.boxes)] == [2, 2]
    assert [(line.kind, line.count) for line in table.reading] == [("box", 1)]
    table = read_cvat(root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["images/b.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 1), ("box", 2)]


def test_project__one_name_in_two_subsets_is_two_images(tmp_path: Path, write: Any) -> None:
    write("images/Train/a.png", (40, 30))
    write("images/Test/a.png", (20, 10))
    image = '<image id="0" name="a.png" subset="{}" width="{}" height="{}"/>'
    write(
        "annotations.xml", f"<annotations>{image.format('Train', 40, 30)}{image.format('Test', 20, 10)}</annotations>"
    )
    images = read_cvat(tmp_path).images
    assert images.select("file_name", "split", "width").rows() == [
        ("images/Train/a.png", "train", 40),
        ("images/Test/a.png", "test", 20),
    ]
