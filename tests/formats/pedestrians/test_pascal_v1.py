from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detect_transfer.formats.pedestrians import pascal_v1

TEXT = """# PASCAL Annotation Version 1.00

Image filename : "Train/pos/a.png"
Image size (X x Y x C) : 40 x 30 x 3
Objects with ground truth : 1 { "PASperson" }
# Top left pixel co-ordinates : (0, 0)

Original label for object 1 "PASperson" : "UprightPerson"
Center point on object 1 "PASperson" (X, Y) : (10, 8)
Bounding box for object 1 "PASperson" (Xmin, Ymin) - (Xmax, Ymax) : (5, 6) - (14, 25)
"""


@pytest.fixture
def root(write: Any, tmp_path: Path) -> Path:
    write("Train/annotations/a.txt", TEXT)
    write("Train/pos/a.png", (40, 30))
    return tmp_path


def test_convention__is_that_of_the_header(root: Path, write: Any) -> None:
    zero = pascal_v1.read(root).boxes.row(0, named=True)
    write("Train/annotations/a.txt", TEXT.replace("(0, 0)", "(1, 1)"))
    one = pascal_v1.read(root).boxes.row(0, named=True)
    assert [zero[c] for c in ("x1", "y1", "x2", "y2")] == [5, 6, 15, 26]
    assert [one[c] for c in ("x1", "y1", "x2", "y2")] == [4, 5, 14, 25]
    assert json.loads(zero["attributes"]) == {
        "label": "PASperson",
        "original_label": "UprightPerson",
        "centre": [10, 8],
    }
    assert json.loads(one["attributes"])["centre"] == [9, 7]
    assert zero["source"] == "Train/annotations/a.txt:10"


def test_text__may_begin_with_a_byte_order_mark(root: Path, write: Any) -> None:
    plain = pascal_v1.read(root)
    for name in ("Rhone", "Rh\xf4ne"):
        path = root / "Train" / "annotations" / "a.txt"
        path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("UprightPerson", name).encode("latin-1"))
        found = pascal_v1.read(root)
        assert found.boxes.drop("attributes").equals(plain.boxes.drop("attributes"))


LAST = "(5, 6) - (14, 25)"
FAULTS = [
    pytest.param("# PASCAL", "# OTHER", "PASCAL_VERSION", ":1 ", "", id="version"),
    pytest.param('Image filename : "Train/pos/a.png"', "", "PASCAL_LINE", ":10", "found 0 lines", id="no-image"),
    pytest.param("40 x 30 x 3", "40 x tall x 3", "PASCAL_LINE", ":10", "Image size", id="size-text"),
    pytest.param("truth : 1", "truth : 2", "PASCAL_COUNT", ":5 ", "this line states 2", id="count"),
    pytest.param("# Top left", "# Bottom right", "PASCAL_LINE", ":10", "Top left", id="no-origin"),
    pytest.param("(0, 0)", "(2, 2)", "PASCAL_LINE", ":6 ", "(0, 0) or (1, 1)", id="origin-2"),
    pytest.param("(0, 0)", "(0, 1)", "PASCAL_LINE", ":6 ", "(0, 0) or (1, 1)", id="origin-mixed"),
    pytest.param(LAST, "(5, 6) - (14)", "PASCAL_LINE", ":10 ", "not as the format has it", id="three-numbers"),
    *[
        pytest.param(LAST, f"(5, 6) - ({bad}, 25)", "PASCAL_LINE", ":10 ", "four integers", id=f"number-{i}")
        for i, bad in enumerate(("nan", "1_4", "14.5", "٣", "", "1e1"))
    ],
    pytest.param(LAST, "(5, 6) - (4, 25)", "BOX_INVALID", ":10 ", "Xmax must be >= Xmin", id="swapped"),
    pytest.param("(10, 8)", "(10, x)", "PASCAL_LINE", ":9 ", "point", id="centre"),
    pytest.param("Train/pos/a.png", "../../a.png", "PATH_OUTSIDE", ":3 ", "../../a.png", id="path-above"),
    pytest.param("Train/pos/a.png", "/etc/a.png", "PATH_OUTSIDE", ":3 ", "/etc/a.png", id="path-absolute"),
    pytest.param("Train/pos/a.png", "Train/pos/b.png", "IMAGE_MISSING", ":3 ", "missing_images=keep", id="no-file"),
    pytest.param("40 x 30", "41 x 30", "IMAGE_SIZE", ":3 ", "41 x 30, 'Train/pos/a.png' has 40 x 30", id="size-other"),
]


@pytest.mark.parametrize(("old", "new", "code", "line", "part"), FAULTS)
def test_fault__names_the_line(
    old: str, new: str, code: str, line: str, part: str, root: Path, write: Any, check_error: Any
) -> None:
    assert old in TEXT
    path = write("Train/annotations/a.txt", TEXT.replace(old, new))
    check_error(lambda: pascal_v1.read(root), code, f"{path}{line}", part)


def test_object__with_two_boxes_is_refused(root: Path, write: Any, check_error: Any) -> None:
    write("Train/annotations/a.txt", TEXT + TEXT.splitlines()[-1])
    check_error(lambda: pascal_v1.read(root), "ID_DUPLICATE", "a.txt:11 ")


def test_truncated__text_is_an_error(root: Path, write: Any, error_of: Any) -> None:
    for cut in range(0, len(TEXT) - 2, 7):
        write("Train/annotations/a.txt", TEXT[:cut])
        error_of(lambda: pascal_v1.read(root))


def test_text__of_older_encodings_and_line_ends_is_read(root: Path, write: Any, check_error: Any) -> None:
    body = TEXT.replace("# Top", "# Rhône\n# Top").replace("\n", "\r\n")
    write("Train/annotations/a.txt", body.encode("latin-1"))
    assert pascal_v1.read(root).boxes["source"].to_list() == ["Train/annotations/a.txt:11"]
    write("Train/annotations/a.txt", b"\xef\xbb\xbf" + body.encode())
    assert len(pascal_v1.read(root).boxes) == 1
    write("Train/annotations/a.txt", body.encode("utf-16-le"))
    check_error(lambda: pascal_v1.read(root), "TEXT_ENCODING", "a.txt", "NUL")


def test_image__may_be_absent_or_of_another_size_when_asked(root: Path, write: Any) -> None:
    write("Train/annotations/a.txt", TEXT.replace("40 x 30", "41 x 30"))
    assert pascal_v1.read(root, size_mismatch="keep").images["width"].to_list() == [40]
    (root / "Train/pos/a.png").unlink()
    table = pascal_v1.read(root, missing_images="keep")
    assert table.images.select("file_name", "width", "split").rows() == [("Train/pos/a.png", 41, "train")]


def test_image__of_two_texts_or_of_none(root: Path, write: Any, check_error: Any) -> None:
    write("Train/pos/b.png", (40, 30))
    check_error(lambda: pascal_v1.read(root), "ANNOTATION_MISSING", "Train/pos/b.png", "allow_missing=true")
    assert len(pascal_v1.read(root, allow_missing=True).images) == 2
    write("Train/annotations/c.txt", TEXT)
    check_error(lambda: pascal_v1.read(root), "ID_DUPLICATE", "c.txt:3 ", "Train/annotations/a.txt")


def test_negatives__come_from_folders_and_lists(root: Path, write: Any, check_error: Any) -> None:
    write("Test/neg/n.jpg", (40, 30))
    write("Train/neg.lst", "Train/neg/gone.png\n")
    check_error(lambda: pascal_v1.read(root), "IMAGE_MISSING", "Train/neg.lst:1 ", "gone.png")
    images = pascal_v1.read(root, missing_images="keep").images
    assert images.select("file_name", "width", "split").rows() == [
        ("Test/neg/n.jpg", 40, "test"),
        ("Train/neg/gone.png", None, "train"),
        ("Train/pos/a.png", 40, "train"),
    ]
    write("Train/neg.lst", "../../etc/passwd\n")
    check_error(lambda: pascal_v1.read(root), "PATH_OUTSIDE", "Train/neg.lst:1 ")


def test_folders__without_texts(tmp_path: Path, check_error: Any) -> None:
    check_error(lambda: pascal_v1.read(tmp_path), "PASCAL_MISSING", str(tmp_path))
    check_error(lambda: pascal_v1.read(tmp_path / "no"), "FOLDER_MISSING", "no")


MASKED = TEXT.replace("Center point", 'Pixel mask for object 1 "PASperson" : "masks/a.png"\nCenter point').replace(
    ' : 1 { "PASperson" }', " : 2"
)
SECOND = 'Bounding box for object 2 "PASperson" (Xmin, Ymin) - (Xmax, Ymax) : (20, 0) - (39, 29)\n'


@pytest.fixture
def masked(root: Path, write: Any, tmp_path: Path) -> Path:
    """Two objects, whose mask has the first as the text has it and the second two pixels lower."""
    write("Train/annotations/a.txt", MASKED + SECOND)
    labels = np.zeros((30, 40), np.uint8)
    labels[6:26, 5:15], labels[2:, 20:] = 1, 2
    (root / "masks").mkdir()
    Image.fromarray(labels).save(root / "masks/a.png")
    return root


def test_masks__are_compared_and_may_give_the_boxes(masked: Path) -> None:
    table = pascal_v1.read(masked)
    assert table.boxes["y1"].to_list() == [6, 0]
    (line,) = table.reading
    assert (line.kind, line.action, line.count, line.examples) == ("box", "noted", 2, ("masks/a.png#2: 2",))
    assert "1 differ, at most by 2 pixels" in line.reason
    assert pascal_v1.read(masked, masks="boxes").boxes["y1"].to_list() == [6, 2]
    assert pascal_v1.read(masked, masks="ignore").reading == ()


def test_masks__of_other_objects(masked: Path, check_error: Any) -> None:
    Image.fromarray(np.full((30, 40), 3, np.uint8)).save(masked / "masks/a.png")
    assert [line.count for line in pascal_v1.read(masked).reading] == [3]
    check_error(lambda: pascal_v1.read(masked, masks="boxes"), "MASK_OBJECT", "masks/a.png object=1", "masks=ignore")


def test_masks__that_cannot_be_used(masked: Path, write: Any, check_error: Any) -> None:
    write("masks/a.png", (40, 30))
    check_error(lambda: pascal_v1.read(masked), "IMAGE_TYPE", "masks/a.png", "mode RGB")
    Image.new("L", (30, 40)).save(masked / "masks/a.png")
    check_error(lambda: pascal_v1.read(masked), "MASK_SIZE", "masks/a.png", "30 x 40")
    (masked / "masks/a.png").unlink()
    assert pascal_v1.read(masked).reading == ()
    check_error(lambda: pascal_v1.read(masked, masks="boxes"), "MASK_MISSING", "Train/pos/a.png", "masks=ignore")
    check_error(lambda: pascal_v1.read(masked, masks="polygons"), "OPTION_VALUE", "masks=polygons")


def test_on_error__leaves_out_the_object_or_the_image(root: Path, write: Any, error_of: Any) -> None:
    write("Train/annotations/a.txt", TEXT.replace(' : 1 { "PASperson" }', " : 2") + SECOND.replace("(39", "(19"))
    write("Train/annotations/b.txt", TEXT.replace("a.png", "b.png"))
    write("Train/pos/b.png", (40, 30))
    rows = pascal_v1.read(root, on_error="skip-row")
    assert (len(rows.images), len(rows.boxes), [line.count for line in rows.reading]) == (2, 2, [1])
    images = pascal_v1.read(root, on_error="skip-image")
    assert images.images["file_name"].to_list() == ["Train/pos/b.png"]
    assert [(line.kind, line.count) for line in images.reading] == [("image", 1), ("box", 2)]
    write("Train/annotations/a.txt", TEXT.replace("# PASCAL", "# OTHER"))
    error_of(lambda: pascal_v1.read(root, on_error="skip-row"))
    images = pascal_v1.read(root, on_error="skip-image")
    assert (images.images["file_name"].to_list(), [line.count for line in images.reading]) == (["Train/pos/b.png"], [1])


def test_image__that_is_absent_may_be_left_out(root: Path, write: Any) -> None:
    write("Train/annotations/b.txt", TEXT.replace("a.png", "b.png"))
    write("Train/neg.lst", "Train/neg/gone.png\n")
    table = pascal_v1.read(root, missing_images="skip")
    assert table.images["file_name"].to_list() == ["Train/pos/a.png"]
    assert [(line.kind, line.count) for line in table.reading] == [("image", 2), ("box", 1)]
