from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from detect_transfer.cli.main import main
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.voc.writer import write_voc

BOX = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>15</xmax><ymax>16</ymax></bndbox>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(*objects: str, size: str = SIZE) -> str:
    return (
        f"<annotation><filename>a.png</filename>{size}{''.join(f'<object>{o}</object>' for o in objects)}</annotation>"
    )


def box(x1: float, y1: float, x2: float, y2: float) -> str:
    return f"<name>a</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"


def dropped(table: AnnotationTable) -> list[LedgerLine]:
    return [line for line in table.reading if line.action == "dropped"]


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Annotations/a.xml", xml(f"<name>dog</name>{BOX}"))
    write("images/a.png", (40, 30))
    return tmp_path


OBJECTS = [
    pytest.param(BOX, "OBJECT_NAME", "", id="no-name"),
    pytest.param(f"<name> </name>{BOX}", "OBJECT_NAME", "", id="blank-name"),
    pytest.param("<name>dog</name>", "OBJECT_BOX", "0 <bndbox>", id="no-box"),
    pytest.param(f"<name>dog</name><part><name>head</name>{BOX}</part>", "OBJECT_BOX", "0 <bndbox>", id="box-of-part"),
    pytest.param(f"<name>dog</name>{BOX}{BOX}", "OBJECT_BOX", "2 <bndbox>", id="two-boxes"),
    pytest.param(f"<name>dog</name>{BOX.replace('ymax', 'bottom')}", "XML_NUMBER", "ymax", id="no-ymax"),
    *[
        pytest.param(f"<name>a</name>{BOX.replace('>15<', f'>{bad}<')}", "XML_NUMBER", f"xmax={bad}", id=f"num-{i}")
        for i, bad in enumerate(("nan", "inf", "1e999", "1_0", "٠", "1,5", "", "ten", "0x10"))
    ],
    pytest.param(f"<name>dog</name>{BOX.replace('>15<', '>4<')}", "BOX_INVALID", "bndbox=", id="swapped"),
    pytest.param(f"<name>dog</name><difficult>2</difficult>{BOX}", "XML_NUMBER", "difficult=2", id="difficult-2"),
    pytest.param(f"<name>dog</name><difficult>.5</difficult>{BOX}", "XML_NUMBER", "difficult=.5", id="difficult-half"),
    pytest.param(f"<name>dog</name><truncated>yes</truncated>{BOX}", "XML_NUMBER", "truncated=yes", id="truncated-yes"),
    pytest.param(f"<name>dog</name>{BOX}<part><name>head</name></part>", "OBJECT_BOX", "part[1]", id="part-no-box"),
]


@pytest.mark.parametrize(("broken", "code", "part"), OBJECTS)
def test_object__fault_names_file_and_number(
    broken: str, code: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    path = write("Annotations/a.xml", xml(f"<name>cat</name>{BOX}", broken))
    check_error(lambda: read_voc(root), code, f"{path}#object[2]", part)


FILES = [
    pytest.param("", "XML_SYNTAX", "a.xml:1", id="empty"),
    pytest.param("\n\n<annotation>\n<object></annotation>", "XML_SYNTAX", "a.xml:4", id="unclosed"),
    pytest.param(xml(f"<name>dog</name>{BOX}")[:-5], "XML_SYNTAX", "a.xml:1", id="cut"),
    pytest.param("<html/>", "XML_ROOT", "element=html", id="other-root"),
    pytest.param('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "XML_DTD", "a.xml", id="dtd"),
    *(
        pytest.param(
            f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><annotation/>'.encode(encoding),
            *("XML_DTD", "a.xml"),
            id=encoding,
        )
        for encoding in ("utf-8", "utf-16", "latin-1", "us-ascii")
    ),
    pytest.param("<!-- c --><!DOCTYPE a><annotation/>", "XML_DTD", "a.xml", id="dtd-after-comment"),
    pytest.param("<annotation>&b;</annotation>", "XML_SYNTAX", "a.xml:1", id="entity-undefined"),
    pytest.param(
        '<?xml version="1.0" encoding="cp037"?><annotation/>'.encode("cp037"), "XML_SYNTAX", "a.xml:1", id="ebcdic"
    ),
    pytest.param(
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>',
        "XML_DTD",
        "a.xml",
        id="entity",
    ),
    pytest.param('<?xml version="1.0" encoding="klingon"?><annotation/>', "XML_SYNTAX", "a.xml", id="encoding"),
    pytest.param(b"<annotation><name>\xe9</name></annotation>", "XML_SYNTAX", "a.xml:1", id="latin-1"),
    pytest.param(b"<annotation>\0</annotation>", "XML_SYNTAX", "a.xml:1", id="nul"),
    pytest.param(xml(size=SIZE.replace("40", "wide")), "XML_NUMBER", "a.xml#size width=wide", id="size-text"),
    pytest.param(xml(size=SIZE.replace("40", "4.5")), "XML_NUMBER", "a.xml#size width=4.5", id="size-fraction"),
    pytest.param(xml(size=SIZE.replace("40", "41")), "IMAGE_SIZE", "41 x 30, 'a.png' has 40 x 30", id="size-other"),
    pytest.param(
        xml(size="<size><width>30</width><height>40</height></size>"), "IMAGE_SIZE", "EXIF", id="size-transposed"
    ),
]


@pytest.mark.parametrize(("content", "code", "part"), FILES)
def test_file__faults(content: str | bytes, code: str, part: str, root: Path, write: Any, check_error: Any) -> None:
    write("Annotations/a.xml", content)
    check_error(lambda: read_voc(root), code, part)


def test_file__a_hundred_thousand_deep_ends_well(root: Path, write: Any, error_of: Any) -> None:
    write("Annotations/a.xml", "<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>")
    assert read_voc(root).boxes.is_empty()


def test_size__may_be_kept_or_not_stated(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name>dog</name>{BOX}", size=SIZE.replace("40", "41")))
    table = read_voc(root, size_mismatch="keep")
    assert table.images.select("width", "height").row(0) == (40, 30)
    for unstated in ("", "<size><width>0</width><height>0</height></size>"):
        write("Annotations/a.xml", xml(f"<name>dog</name>{BOX}", size=unstated))
        assert len(read_voc(root).boxes) == 1


def test_option__of_another_value_is_refused(root: Path, check_error: Any) -> None:
    check_error(lambda: read_voc(root, size_mismatch="ignore"), "OPTION_VALUE", "size_mismatch=ignore", "error, keep")


def test_layout__missing_parts(tmp_path: Path, root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: read_voc(tmp_path / "no"), "FOLDER_MISSING", "no")
    write("VOCdevkit/VOC2007/Annotations/a.xml", xml())
    check_error(lambda: read_voc(tmp_path / "VOCdevkit"), "VOC_LAYOUT", "this one holds: VOC2007")


def test_pairs__missing_on_either_side(root: Path, write: Any, check_error: Any) -> None:
    write("Annotations/b.xml", xml())
    check_error(lambda: read_voc(root), "IMAGE_MISSING", "Annotations/b.xml", "stem=b")
    (root / "Annotations/b.xml").unlink()
    write("images/c.png", (40, 30))
    check_error(lambda: read_voc(root), "ANNOTATION_MISSING", "images/c.png", "allow_missing=true")
    assert len(read_voc(root, allow_missing=True).images) == 2


def test_pairs__two_images_of_one_stem(root: Path, write: Any, check_error: Any) -> None:
    write("images/a.jpg", (40, 30))
    check_error(lambda: read_voc(root), "STEM_TWICE", "a.jpg", "a.png")


def test_folders__are_found_in_any_case_and_depth(write: Any, tmp_path: Path) -> None:
    write("ANNOTATIONS/day/a.XML", xml(f"<name>dog</name>{BOX}"))
    write("Images/day/a.PNG", (40, 30))
    table = read_voc(tmp_path)
    assert table.images["file_name"].to_list() == ["day/a.PNG"]
    assert table.boxes["source"].to_list() == ["ANNOTATIONS/day/a.XML#object[1]"]


FRACTIONS = box(5.5, 5.25, 10.5, 10.75)
CONVENTIONS = [
    pytest.param("images", [box(0, 5, 10, 10)], False, id="flat-zero"),
    pytest.param("JPEGImages", [box(0, 5, 10, 10), box(1, 1, 40, 30)], False, id="devkit-zero"),
    pytest.param("JPEGImages", [box(5, 0.5, 10, 10)], False, id="below-one"),
    pytest.param("images", [box(1, 5, 10, 10), box(5, 5, 40, 10)], True, id="flat-touches-both"),
    pytest.param("images", [box(5, 1, 10, 30)], True, id="flat-touches-top-and-bottom"),
    pytest.param("images", [box(5, 5, 40, 10)], False, id="flat-touches-right-alone"),
    pytest.param("images", [box(1, 5, 10, 10)], False, id="flat-touches-left-alone"),
    pytest.param("images", [box(5, 5, 10, 10)], False, id="flat-undecided"),
    pytest.param("JPEGImages", [box(5, 5, 10, 10)], True, id="devkit-undecided"),
    pytest.param("JPEGImages", [], True, id="devkit-nothing"),
]


@pytest.mark.parametrize(("folder", "objects", "one_based"), CONVENTIONS)
def test_convention__is_found(folder: str, objects: list[str], one_based: bool, write: Any, tmp_path: Path) -> None:
    write("Annotations/a.xml", xml(*objects))
    write(f"{folder}/a.png", (40, 30))
    table = read_voc(tmp_path)
    name = "one_based_inclusive" if one_based else "zero_based_exclusive"
    assert table.images["pixel_convention"].to_list() == [name]
    forced = read_voc(tmp_path, one_based=not one_based)
    assert forced.images["pixel_convention"][0] != name
    if objects:
        shift = 1 if one_based else -1
        assert (forced.boxes["x1"] - table.boxes["x1"]).to_list() == [shift] * len(objects)
        assert (forced.boxes["x2"] - table.boxes["x2"]).to_list() == [0] * len(objects)


ROBOFLOW = "<source><database>roboflow.ai</database></source>"
MAKERS = [
    pytest.param("<source><database>The VOC2007 Database</database></source>", [], "images", True, id="voc"),
    pytest.param("<source><database>Unknown</database></source>", [], "JPEGImages", False, id="labelimg"),
    pytest.param("<source><database>roboflow.com</database></source>", [], "JPEGImages", False, id="roboflow"),
    pytest.param("<owner><name>Label Studio</name></owner>", [], "JPEGImages", False, id="label-studio"),
    pytest.param(f"<folder>VOC</folder>{ROBOFLOW}", [], "images", True, id="supervision"),
    pytest.param(f"<folder/><path>a.png</path>{ROBOFLOW}", [], "JPEGImages", False, id="roboflow-has-a-path"),
    pytest.param("<path>C:\\a.png</path>", [box(1, 5, 40, 10)], "JPEGImages", False, id="path-beats-corners"),
    pytest.param("", [FRACTIONS], "JPEGImages", False, id="fractions"),
    pytest.param("", [FRACTIONS, box(5, 5, 9, 9), box(5, 5, 9, 9)], "JPEGImages", True, id="few-fractions"),
]


@pytest.mark.parametrize(("head", "objects", "folder", "one_based"), MAKERS)
def test_convention__by_who_wrote_it(
    head: str, objects: list[str], folder: str, one_based: bool, write: Any, tmp_path: Path
) -> None:
    write("Annotations/a.xml", xml(*(objects or [box(5, 5, 10, 10)]), size=SIZE + head))
    write(f"{folder}/a.png", (40, 30))
    table = read_voc(tmp_path)
    assert table.images["pixel_convention"][0].startswith("one" if one_based else "zero")
    (line,) = table.reading
    assert line.action == "noted"
    assert line.reason.startswith(f"pixels are counted from {int(one_based)}: ")
    write("labelmap.txt", "# label:color_rgb:parts:actions\n")
    if one_based and not head:
        assert read_voc(tmp_path).images["pixel_convention"][0].startswith("zero")


def test_convention__is_not_looked_for_where_numbers_are_no_corners_in_pixels(write: Any, tmp_path: Path) -> None:
    write("Annotations/a.xml", xml(box(1, 1, 20, 10)))
    write("JPEGImages/a.png", (40, 30))
    assert [line.reason[:27] for line in read_voc(tmp_path).reading] == ["pixels are counted from 1: "]
    sized = read_voc(tmp_path, box_format="xywh")
    assert sized.boxes.select(XYXY).row(0) == (1, 1, 21, 11)
    assert not sized.reading


def test_shapes__without_an_upright_box(root: Path, write: Any, check_error: Any) -> None:
    name = "<name>car</name>"
    turned = "<w>8</w><h>2</h><angle>1.5707963267948966</angle><cx>20</cx><cy>15</cy>"  # in any order
    attributes = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>"
    shapes = [
        "<polygon><x1>10</x1><y1>11</y1><x2>20</x2><y2>11</y2><x3>20</x3><y3>21</y3></polygon>",
        "<polygon><pt><x>10</x><y>11</y></pt><pt><x>20</x><y>11</y></pt><pt><x>20</x><y>21</y></pt></polygon>",
        f"<robndbox>{turned}</robndbox>",
        f"{attributes}<bndbox><xmin>16</xmin><ymin>14</ymin><xmax>24</xmax><ymax>16</ymax></bndbox>",
    ]
    write("Annotations/a.xml", xml(*(name + shape for shape in shapes)))
    boxes = read_voc(root).boxes
    corners = [(10, 11, 20, 21), (10, 11, 20, 21), (19, 11, 21, 19), (19, 11, 21, 19)]
    assert boxes.select("x1", "y1", "x2", "y2").rows() == [pytest.approx(row) for row in corners]
    assert all("drawn" in json.loads(text) for text in boxes["attributes"])
    write("Annotations/a.xml", xml(f"{name}<polygon><x1>10</x1></polygon>"))
    check_error(lambda: read_voc(root), "OBJECT_BOX", "a.xml#object[1]", "shape")


def test_filename__of_another_image_that_is_there_is_noted(root: Path, write: Any) -> None:
    write("images/b.png", (40, 30))
    write("Annotations/b.xml", xml(f"<name>dog</name>{BOX}"))  # whose filename is a.png
    table = read_voc(root)
    lines = [line for line in table.reading if "filename" in line.reason]
    assert [(line.action, line.count, line.examples) for line in lines] == [("noted", 1, ("b",))]
    assert table.boxes["image_id"].to_list() == [1, 2]


def test_layout__of_roboflow_and_labelimg(write: Any, tmp_path: Path, check_error: Any) -> None:
    for folder in ("train", "valid"):
        write(f"{folder}/{folder}.xml", xml(f"<name>dog</name>{BOX}"))
        write(f"{folder}/{folder}.png", (40, 30))
    table = read_voc(tmp_path)
    assert table.images.select("file_name", "split").rows() == [
        ("train/train.png", "train"),
        ("valid/valid.png", "val"),
    ]
    assert read_voc(tmp_path / "train").images["file_name"].to_list() == ["train.png"]
    write("train/other.xml", "<annotations/>")  # of another format
    assert len(read_voc(tmp_path).images) == 2
    write("train/b.xml", xml(f"<name>dog</name>{BOX}"))
    check_error(lambda: read_voc(tmp_path), "IMAGE_MISSING", "train/b.xml")
    (tmp_path / "train/b.xml").unlink()
    write("train/c.png", (40, 30))
    check_error(lambda: read_voc(tmp_path), "ANNOTATION_MISSING", "train/c.png", "allow_missing=true")


def test_object__what_no_column_holds_is_in_attributes(root: Path, write: Any) -> None:
    one = f"<name>man</name><pose>Left</pose><truncated>Unspecified</truncated><id>7</id>{BOX}"
    one += f"<part><name>head</name>{BOX}</part><point><x>3</x><y>4</y></point>"
    write("Annotations/a.xml", xml(one))
    row = read_voc(root, one_based=True).boxes.row(0, named=True)
    assert row["truncated"] is None
    assert json.loads(row["attributes"]) == {
        "pose": "Left",
        "parts": [{"name": "head", "xyxy": [4, 5, 15, 16]}],
        "id": "7",
        "point": {"x": "3", "y": "4"},
    }


def test_pose__comes_back_from_our_own_files(root: Path, write: Any, tmp_path: Path) -> None:
    write("Annotations/a.xml", xml(*(f"<name>dog</name><pose>{pose}</pose>{BOX}" for pose in ("Left", "&lt;", ""))))
    write_voc(read_voc(root), tmp_path / "out")
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert re.findall("<pose>(.*)</pose>", text) == ["Left", "Unspecified", "Unspecified"]


def test_difficult__is_ignored_with_a_reason(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name>man</name><difficult>1</difficult><occluded>1</occluded>{BOX}"))
    row = read_voc(root).boxes.row(0, named=True)
    assert (row["difficult"], row["ignore"], row["ignore_reason"], row["occluded"]) == (True, True, "difficult", 1.0)


def test_sets__name_the_splits(root: Path, write: Any, check_error: Any) -> None:
    write("ImageSets/Main/train.txt", "a\n\n")
    write("ImageSets/Main/trainval.txt", "a\n")
    write("ImageSets/Main/dog_train.txt", "a  1\n")
    assert read_voc(root).images["split"].to_list() == ["train"]
    write("ImageSets/Main/val.txt", "\na\n")
    check_error(lambda: read_voc(root), "SPLIT_TWICE", "ImageSets/Main/val.txt:2 stem=a", "'train'")
    write("ImageSets/Main/val.txt", "b\n")
    check_error(lambda: read_voc(root), "IMAGE_MISSING", "ImageSets/Main/val.txt:1 stem=b")


@pytest.mark.parametrize(("broken", "code", "part"), OBJECTS)
def test_object_at_fault__leaves_by_wish_and_is_counted(
    broken: str, code: str, part: str, root: Path, write: Any
) -> None:
    write("Annotations/a.xml", xml(f"<name>cat</name>{BOX}", broken))
    write("Annotations/b.xml", xml(f"<name>cat</name>{BOX}"))
    write("images/b.png", (40, 30))
    table = read_voc(root, on_error="skip-row")
    assert (len(table.images), len(table.boxes)) == (2, 2)
    assert [(line.kind, line.reason, line.count) for line in dropped(table)] == [("box", f"skipped: {code}", 1)]
    assert part in dropped(table)[0].examples[0]
    whole = read_voc(root, on_error="skip-image")
    assert (whole.images["file_name"].to_list(), len(whole.boxes)) == (["b.png"], 1)
    counts = [sum(line.count for line in dropped(whole) if line.kind == kind) for kind in ("image", "box")]
    assert counts == [1, 2]


def test_object__with_two_faults_is_counted_once(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name> </name><difficult>2</difficult>{BOX}"))
    assert sum(line.count for line in dropped(read_voc(root, on_error="skip-row"))) == 1


@pytest.mark.parametrize(("content", "code", "part"), FILES)
def test_file_at_fault__leaves_with_its_image(
    content: str | bytes, code: str, part: str, root: Path, write: Any, error_of: Any
) -> None:
    write("Annotations/a.xml", content)
    write("Annotations/b.xml", xml(f"<name>cat</name>{BOX}"))
    write("images/b.png", (40, 30))
    table = read_voc(root, on_error="skip-image")
    assert (table.images["file_name"].to_list(), len(table.boxes)) == (["b.png"], 1)
    assert dropped(table)[0].reason == f"skipped: {code}"
    error_of(lambda: read_voc(root, on_error="skip-row"))


def test_image__with_two_faults_is_counted_once(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name> </name>{BOX}", size=SIZE.replace("40", "41")))
    write("Annotations/b.xml", xml(f"<name>cat</name>{BOX}"))
    write("images/b.png", (40, 30))
    reading = dropped(read_voc(root, on_error="skip-image"))
    assert [(line.kind, line.count) for line in reading] == [("image", 1), ("box", 1)]


def test_images__that_are_missing_are_kept_or_skipped_by_wish(root: Path, write: Any) -> None:
    gone = xml(f"<name>cat</name>{BOX}", f"<name>cat</name>{BOX}")
    write("Annotations/day/b.xml", gone.replace("a.png", "b.JPEG"))
    write("ImageSets/Main/val.txt", "day/b\n")
    kept = read_voc(root, missing_images="keep")
    columns = ("file_name", "width", "height", "split")
    assert kept.images.select(columns).rows() == [("a.png", 40, 30, None), ("day/b.JPEG", 40, 30, "val")]
    skipped = read_voc(root, missing_images="skip")
    assert (skipped.images["file_name"].to_list(), len(skipped.boxes)) == (["a.png"], 1)
    assert [(line.kind, line.count) for line in dropped(skipped)] == [("image", 1), ("box", 2)]
    left = read_voc(root, on_error="skip-image")
    assert (left.images["file_name"].to_list(), len(left.boxes)) == (["a.png"], 1)


def test_images__none_at_all(write: Any, tmp_path: Path, check_error: Any) -> None:
    write("Annotations/a.xml", xml(f"<name>dog</name>{BOX}", size=""))
    check_error(lambda: read_voc(tmp_path), "VOC_LAYOUT", str(tmp_path))
    table = read_voc(tmp_path, missing_images="keep")
    assert table.images.select("file_name", "width").rows() == [("a.png", None)]
    assert table.image_root is None


def test_lists__may_name_what_is_skipped(root: Path, write: Any, check_error: Any) -> None:
    write("ImageSets/Main/train.txt", "a\nb\n")
    check_error(lambda: read_voc(root, missing_images="keep"), "IMAGE_MISSING", "train.txt:2 stem=b")
    assert [line.examples for line in dropped(read_voc(root, missing_images="skip"))] == [("b",)]


def test_convention__and_its_reason_are_in_the_manifest(root: Path, capsys: Any) -> None:
    out = root / "out"
    with pytest.raises(SystemExit):
        main(["convert", "voc", str(root), "--out", str(out), "--split-ratio", "train=1"])
    reason = "pixels are counted from 0: no corner decides, so the layout does"
    assert reason in capsys.readouterr().out
    assert [line.startswith(reason) for line in json.loads((out / "manifest.json").read_text())["reading"]] == [True]


def test_images_of_another_folder__are_named_by_an_option(tmp_path: Path) -> None:
    text = (
        "<annotation><object><name>person</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>11</xmax><ymax>12</ymax>"
        "</bndbox></object></annotation>"
    )
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "190001.xml").write_text(text)
    for kind in ("visible", "infrared"):  # as in LLVIP
        (tmp_path / kind / "train").mkdir(parents=True)
        Image.new("RGB", (40, 30)).save(tmp_path / kind / "train" / "190001.jpg")
    table = read_voc(tmp_path, images=tmp_path / "infrared", one_based=False)
    assert table.images.select("file_name", "split").rows() == [("train/190001.jpg", "train")]
    assert table.image_root == tmp_path / "infrared"
    assert len(table.boxes) == 1
