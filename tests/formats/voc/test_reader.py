from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.voc.reader import read as read_voc

BOX = "<bndbox><xmin>5</xmin><ymin>6</ymin><xmax>15</xmax><ymax>16</ymax></bndbox>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"


def xml(*objects: str, size: str = SIZE) -> str:
    return (
        f"<annotation><filename>a.png</filename>{size}{''.join(f'<object>{o}</object>' for o in objects)}</annotation>"
    )


def box(x1: float, y1: float, x2: float, y2: float) -> str:
    return f"<name>a</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"


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
    check_error(lambda: read_voc(root), "IMAGE_MISSING", "Annotations/b.xml", "'b'")
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
    assert [(line.kind, line.reason, line.count) for line in table.reading] == [("box", f"skipped: {code}", 1)]
    assert part in table.reading[0].examples[0]
    whole = read_voc(root, on_error="skip-image")
    assert (whole.images["file_name"].to_list(), len(whole.boxes)) == (["b.png"], 1)
    assert [(line.kind, line.count) for line in whole.reading] == [("image", 1), ("box", 2)]


def test_object__with_two_faults_is_counted_once(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name> </name><difficult>2</difficult>{BOX}"))
    assert sum(line.count for line in read_voc(root, on_error="skip-row").reading) == 1


@pytest.mark.parametrize(("content", "code", "part"), FILES)
def test_file_at_fault__leaves_with_its_image(
    content: str | bytes, code: str, part: str, root: Path, write: Any, error_of: Any
) -> None:
    write("Annotations/a.xml", content)
    write("Annotations/b.xml", xml(f"<name>cat</name>{BOX}"))
    write("images/b.png", (40, 30))
    table = read_voc(root, on_error="skip-image")
    assert (table.images["file_name"].to_list(), len(table.boxes)) == (["b.png"], 1)
    assert table.reading[0].reason == f"skipped: {code}"
    error_of(lambda: read_voc(root, on_error="skip-row"))


def test_image__with_two_faults_is_counted_once(root: Path, write: Any) -> None:
    write("Annotations/a.xml", xml(f"<name> </name>{BOX}", size=SIZE.replace("40", "41")))
    write("Annotations/b.xml", xml(f"<name>cat</name>{BOX}"))
    write("images/b.png", (40, 30))
    reading = read_voc(root, on_error="skip-image").reading
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
    assert [(line.kind, line.count) for line in skipped.reading] == [("image", 1), ("box", 2)]
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
    assert [line.examples for line in read_voc(root, missing_images="skip").reading] == [("b",)]
