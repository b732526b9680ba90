from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.data.reading import read_dataset
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.yolo.parse import RowRules
from detect_transfer.formats.yolo.reader import read as read_yolo
from detect_transfer.formats.yolo.rows import read_rows

YAML = "train: images/train\nval: images/val\nnames: [car, dog]\n"
ROW = "0 0.5 0.5 0.25 0.2\n"


ROWS = [
    pytest.param("0 0.5 0.5 0.25", "LABEL_COLUMNS", "row=0 0.5 0.5 0.25 - found 4 columns, expected 5", id="4-columns"),
    pytest.param("0 0.5 0.5 0.25 0.2 0.9", "LABEL_COLUMNS", "prediction", id="6-columns"),
    pytest.param("0 .1 .1 .2 .1 .2 .2 .3", "LABEL_COLUMNS", "found 8 columns", id="8-columns"),
    pytest.param("0,0.5,0.5,0.25,0.2", "LABEL_COLUMNS", "blanks, not by commas", id="commas"),
    pytest.param("# a comment", "LABEL_COLUMNS", "row=# a comment", id="comment"),
    *[
        pytest.param(f"0 0.5 0.5 0.25 {bad}", "LABEL_NUMBER", f"height={bad}", id=f"number-{i}")
        for i, bad in enumerate(("nan", "NaN", "inf", "-inf", "1e999", "1_0", "0.", "0x1", "٠.٥", "０.５", "--1", "1e"))
    ],
    pytest.param("0 0.1 0.2 0.3 0.4 0.5 nan", "LABEL_NUMBER", "y3=nan", id="polygon-nan"),
    pytest.param("2 0.5 0.5 0.25 0.2", "LABEL_CLASS", "class=2 - expected a class from 0 to 1", id="class-too-high"),
    pytest.param("-1 0.5 0.5 0.25 0.2", "LABEL_CLASS", "class=-1 - expected a class from 0 to 1", id="class-negative"),
    pytest.param("1.5 0.5 0.5 0.25 0.2", "LABEL_CLASS", "class=1.5", id="class-float"),
    pytest.param("car 0.5 0.5 0.25 0.2", "LABEL_CLASS", "class=car", id="class-text"),
    pytest.param("9999999999 0.5 0.5 0.25 0.2", "LABEL_CLASS", "class=9999999999", id="class-huge"),
    pytest.param("2 .1 .1 .2 .1 .2 .2", "LABEL_CLASS", "class=2", id="polygon-class"),
    pytest.param("0 0.5 0.5 -0.25 0.2", "BOX_INVALID", "width=-0.25", id="negative-width"),
    pytest.param("0 20 15 10 6", "BOX_FORMAT", "cx=20", id="pixels"),
    pytest.param("0 0.5 -1.5 0.1 0.1", "BOX_FORMAT", "cy=-1.5", id="far-out"),
    pytest.param("0 12 5 20 5 20 9", "BOX_FORMAT", "x1=12", id="polygon-pixels"),
]


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row__fault_names_file_line_and_field(
    row: str, code: str, part: str, yolo_root: Path, write: Any, check_error: Any
) -> None:
    path = write("labels/train/b.txt", f"{ROW}\n{row}\n{ROW}")
    check_error(lambda: read_yolo(yolo_root), code, f"{path}:3 ", part)


def test_rows__all_faults_of_all_files_are_reported_at_once(yolo_root: Path, write: Any, error_of: Any) -> None:
    for name in ("train/a", "train/b", "val/c"):
        write(f"labels/{name}.txt", "7 0.5 0.5 0.1 0.1\n0 nan 0.5 0.1 0.1\n")
    assert str(error_of(lambda: read_yolo(yolo_root))).count("\n") == 5


def test_rows__a_little_outside_are_kept_as_they_are(yolo_root: Path, write: Any) -> None:
    write("labels/train/a.txt", "0 0.95 0.5 0.3 0.2\n0 -0.01 0.5 0.1 0.1\n1 0.5 0.5 0 0.1\n")
    boxes = read_yolo(yolo_root).boxes
    assert boxes["x2"][0] == pytest.approx(44.0)
    assert boxes["x1"][1] == pytest.approx(-2.4)
    assert boxes["x1"][2] == boxes["x2"][2] == 20.0


def test_rows__of_polygons_become_their_extent(yolo_root: Path, write: Any) -> None:
    write("labels/train/a.txt", f"{ROW}1 0.1 0.2 0.4 0.2 0.4 0.6\n{ROW}")
    boxes = read_yolo(yolo_root).boxes.head(3)
    assert boxes["attributes"].to_list() == [None, '{"polygon":true}', None]
    assert boxes["source"].to_list() == [f"labels/train/a.txt:{line}" for line in (1, 2, 3)]
    assert boxes.select("x1", "y1", "x2", "y2").row(1) == pytest.approx((4, 6, 16, 18))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + ROW.encode(), id="bom"),
        pytest.param(b"0 0.5 0.5 0.25 0.2\r\n\r\n", id="crlf"),
        pytest.param(b"0 0.5 0.5 0.25 0.2\r", id="cr"),
        pytest.param(b"\n\n  0\t0.5  0.5\t 0.25 +2e-1 \n", id="blanks"),
        pytest.param(b"0 0.5 0.5 0.25 0.2", id="no-last-line-end"),
    ],
)
def test_text__dialects_are_read(data: bytes, yolo_root: Path, write: Any) -> None:
    write("labels/train/a.txt", data)
    boxes = read_yolo(yolo_root).boxes
    assert len(boxes) == 3
    assert boxes.select("x1", "y1", "x2", "y2").row(0) == pytest.approx((15, 12, 25, 18))


@pytest.mark.parametrize("data", [ROW.encode("utf-16"), b"0 0.5 0.5 0.25 0.2\0", b"0 0.5 0.5 0.25 0.2 \xff"])
def test_text__of_another_encoding_is_refused(data: bytes, yolo_root: Path, write: Any, check_error: Any) -> None:
    path = write("labels/train/b.txt", data)
    check_error(lambda: read_yolo(yolo_root), "TEXT_ENCODING", str(path))


def test_truncated__label_never_loses_a_box(yolo_root: Path, write: Any, error_of: Any) -> None:
    text = "0 0.512500 0.433333 0.018750 0.033333\n1 0.25 0.25 0.125 0.5\n"
    read = 0
    for cut in range(len(text) + 1):
        write("labels/train/b.txt", text[:cut])
        try:
            table = read_yolo(yolo_root)
        except DetectTransferError:
            error_of(lambda: read_yolo(yolo_root))
            continue
        read += 1
        assert len(table.boxes) == 2 + len(text[:cut].split()) // 5
    assert read > 3


def test_label__empty_missing_misspelt_or_folder_are_four_things(yolo_root: Path, write: Any, check_error: Any) -> None:
    label = yolo_root / "labels/train/b.txt"
    write("labels/train/b.txt", "")
    assert len(read_yolo(yolo_root).boxes) == 2
    label.rename(yolo_root / "labels/train/b.TXT")
    check_error(lambda: read_yolo(yolo_root, allow_missing=True), "LABEL_NAME", "labels/train/b.TXT", "'b.txt'")
    (yolo_root / "labels/train/b.TXT").unlink()
    check_error(lambda: read_yolo(yolo_root), "LABEL_MISSING", "labels/train/b.txt", "allow_missing=true")
    assert len(read_yolo(yolo_root, allow_missing=True).images) == 3
    label.mkdir()
    check_error(lambda: read_yolo(yolo_root, allow_missing=True), "LABEL_KIND", "labels/train/b.txt")


def test_label__of_another_unicode_form_is_named(yolo_root: Path, write: Any, check_error: Any) -> None:
    write(f"images/train/{unicodedata.normalize('NFC', 'é')}.png", (40, 30))
    write(f"labels/train/{unicodedata.normalize('NFD', 'é')}.txt", ROW)
    check_error(lambda: read_yolo(yolo_root), "LABEL_NAME", "labels/train")


def test_label__without_image_names_the_nearest(yolo_root: Path, write: Any, check_error: Any) -> None:
    write("images/train/road_0001.png", (40, 30))
    write("labels/train/road_0001.txt", ROW)
    write("labels/train/road_001.txt", ROW)
    check_error(
        lambda: read_yolo(yolo_root), "LABEL_ORPHAN", "labels/train/road_001.txt", "'images/train/road_0001.png'"
    )


def test_label__that_no_list_needs_is_no_orphan(yolo_root: Path, write: Any) -> None:
    write("train.txt", "images/train/a.png\n")
    write("data.yaml", "train: train.txt\nnames: [car, dog]\n")
    assert read_yolo(yolo_root).images["file_name"].to_list() == ["images/train/a.png"]


def test_label__pipe_does_not_block(yolo_root: Path, check_error: Any) -> None:
    (yolo_root / "labels/train/b.txt").unlink()
    os.mkfifo(yolo_root / "labels/train/b.txt")
    check_error(lambda: read_yolo(yolo_root), "LABEL_KIND", "labels/train/b.txt")


def test_link__out_of_the_data_set_is_refused(yolo_root: Path, check_error: Any, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text(ROW)
    (yolo_root / "labels/train/b.txt").unlink()
    (yolo_root / "labels/train/b.txt").symlink_to(outside)
    check_error(lambda: read_yolo(yolo_root), "PATH_OUTSIDE", "labels/train/b.txt")


def test_link__that_loops_ends(yolo_root: Path) -> None:
    (yolo_root / "images/train/loop").symlink_to(yolo_root / "images", target_is_directory=True)
    assert len(read_yolo(yolo_root).images) == 3


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "IMAGE_EMPTY"), (b"no image", "IMAGE_TYPE"), (b"\x89PNG\r\n\x1a\n", "IMAGE_TYPE")]
)
def test_image__damaged_is_an_error(content: bytes, code: str, yolo_root: Path, write: Any, check_error: Any) -> None:
    path = write("images/train/b.png", content)
    check_error(lambda: read_yolo(yolo_root), code, str(path))


def test_image__two_of_one_stem_are_named(yolo_root: Path, write: Any, check_error: Any) -> None:
    write("images/train/a.jpg", (40, 30))
    check_error(lambda: read_yolo(yolo_root), "STEM_TWICE", "'images/train/a.jpg'", "'images/train/a.png'")


def test_label_of__replaces_the_last_folder() -> None:
    from detect_transfer.formats.yolo.files import label_of

    assert label_of("images/train/a.b.jpg") == "labels/train/a.b.txt"
    assert label_of("images/x/images/a.jpg") == "images/x/labels/a.txt"
    assert label_of("train/a.jpg") == "train/a.txt"
    assert label_of("my_images/a.jpg") == "my_images/a.txt"


def test_labels__beside_the_images(write: Any) -> None:
    write("data/a.png", (40, 30))
    write("data/a.txt", ROW)
    write("data/list.txt", "data/a.png\n")
    root = write("data.yaml", "train: data/list.txt\nnames: [car]\n").parent
    assert len(read_yolo(root).boxes) == 1


def test_rows__are_the_same_in_portions(yolo_root: Path, monkeypatch: Any) -> None:
    whole = read_yolo(yolo_root).boxes
    monkeypatch.setattr("detect_transfer.formats.yolo.rows._CHUNK_BYTES", 1)
    assert read_yolo(yolo_root).boxes.equals(whole)


def test_rows__none_at_all(tmp_path: Path) -> None:
    assert read_rows(tmp_path, [], RowRules(1), ErrorCollector()).is_empty()


@pytest.mark.parametrize(("row", "code", "part"), ROWS)
def test_row_at_fault__leaves_by_wish_and_is_counted(
    row: str, code: str, part: str, yolo_root: Path, write: Any
) -> None:
    write("labels/train/b.txt", f"{ROW}\n{row}\n{ROW}")
    table = read_yolo(yolo_root, on_error="skip-row")
    assert (len(table.images), len(table.boxes)) == (3, 4)
    assert [(line.kind, line.reason, line.count) for line in table.reading] == [("box", f"skipped: {code}", 1)]
    assert part in table.reading[0].examples[0]
    whole = read_yolo(yolo_root, on_error="skip-image")
    assert whole.images["file_name"].to_list() == ["images/train/a.png", "images/val/c.png"]
    assert [(line.kind, line.count) for line in whole.reading] == [("image", 1), ("box", 3)]


def test_image_at_fault__leaves_with_its_rows(yolo_root: Path, write: Any) -> None:
    write("images/train/a.png", b"no image")
    write("labels/train/b.txt", ROW.encode("utf-16"))
    table = read_yolo(yolo_root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["images/val/c.png"]
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [pytest.approx((15, 12, 25, 18))]
    assert {line.reason: line.count for line in table.reading} == {
        "skipped: IMAGE_TYPE": 1,
        "skipped: TEXT_ENCODING": 1,
        "skipped with their image": 1,
    }


def test_listed_images__that_are_missing(yolo_root: Path, write: Any, check_error: Any) -> None:
    write("train.txt", "images/train/a.png\nimages/train/gone.png\n")
    write("labels/train/gone.txt", ROW + ROW)
    write("labels/val/orphan.txt", ROW)
    write("data.yaml", "train: train.txt\nval: images/val\nnames: [car, dog]\n")
    check_error(lambda: read_yolo(yolo_root), "IMAGE_MISSING", "train.txt:2 image=images/train/gone.png")
    check_error(lambda: read_yolo(yolo_root, missing_images="keep"), "IMAGE_MISSING", "shares of its size")
    check_error(lambda: read_yolo(yolo_root), "LABEL_ORPHAN", "labels/val/orphan.txt")
    table = read_yolo(yolo_root, missing_images="skip")
    assert table.images["file_name"].to_list() == ["images/train/a.png", "images/val/c.png"]
    assert sum(line.count for line in table.reading if line.kind == "image") == 2
    assert sum(line.count for line in table.reading if line.kind == "box") == 3
    table = read_yolo(yolo_root, on_error="skip-image")
    assert table.images["file_name"].to_list() == ["images/train/a.png", "images/val/c.png"]
    assert sum(line.count for line in table.reading if line.kind == "image") == 2


def test_predictions__are_read_by_wish(yolo_root: Path, write: Any, check_error: Any) -> None:
    path = write("labels/train/a.txt", "0 0.5 0.5 0.25 0.2 0.75\n" + ROW)
    kept = read_yolo(yolo_root, predictions="keep-score")
    assert kept.boxes["attributes"].to_list() == ['{"score":0.75}', None, None, None]
    dropped = read_yolo(yolo_root, predictions="drop-score")
    assert dropped.boxes["attributes"].null_count() == 4
    assert [(line.action, line.count) for line in dropped.reading] == [("noted", 1)]
    write("labels/train/a.txt", "0 0.5 0.5 0.25 0.2 1.5\n")
    check_error(lambda: read_yolo(yolo_root, predictions="keep-score"), "LABEL_SCORE", f"{path}:1 score=1.5")
    check_error(lambda: read_yolo(yolo_root, predictions="yes"), "OPTION_VALUE", "predictions=yes")


def test_skipping__that_leaves_no_image_is_an_error(yolo_root: Path, write: Any, check_error: Any) -> None:
    write("train.txt", "images/train/gone.png\n")
    write("data.yaml", "train: train.txt\nnames: [car, dog]\n")
    write("labels/train/gone.txt", ROW)
    check_error(lambda: read_yolo(yolo_root, missing_images="skip"), "IMAGES_NONE", "gone.png")
    check_error(lambda: read_yolo(yolo_root, on_error="skip-image"), "IMAGES_NONE", "gone.png")


def test_image__that_two_splits_reach_by_a_link_and_by_its_folder_is_there_twice(yolo_root: Path) -> None:
    (yolo_root / "images/again").symlink_to("train", target_is_directory=True)
    (yolo_root / "labels/again").symlink_to("train", target_is_directory=True)
    text = (yolo_root / "data.yaml").read_text(encoding="utf-8")
    (yolo_root / "data.yaml").write_text(text.replace("val: images/val", "val: images/again"), encoding="utf-8")
    with pytest.raises(DetectTransferError, match="IMAGE_TWICE"):
        read_yolo(yolo_root)


def test_split__that_is_not_there_is_left_out_where_the_command_makes_its_own(yolo_root: Path, tmp_path: Path) -> None:
    text = (yolo_root / "data.yaml").read_text(encoding="utf-8")
    (yolo_root / "data.yaml").write_text(text.replace("val: images/val", "val: images/none"), encoding="utf-8")
    with pytest.raises(DetectTransferError, match=r"FOLDER_MISSING .*--option absent_splits=skip"):
        read_yolo(yolo_root)
    assert read_yolo(yolo_root, absent_splits="skip").splits == ["train"]
    assert read_dataset(yolo_root, format="yolo", need_splits=False).splits == ["train"]
    (yolo_root / "data.yaml").write_text("train: a\nval: b\nnames: [car, dog]\n", encoding="utf-8")
    with pytest.raises(DetectTransferError, match="FOLDER_MISSING"):
        read_yolo(yolo_root, absent_splits="skip")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a/" * 2500 + "b.png", "/" + "x" * 300 + ".png"])
@pytest.mark.parametrize("place", ["list", "train", "path"])
def test_name__that_no_disk_can_have_is_an_error_of_the_data(yolo_root: Path, place: str, name: str) -> None:
    (yolo_root / "list.txt").write_text(f"images/train/a.png\n{name}\n", encoding="utf-8")
    head = {"list": "train: list.txt", "train": f"train: {name}", "path": f"path: {name}\ntrain: list.txt"}[place]
    (yolo_root / "data.yaml").write_text(f"{head}\nnames: [car, dog]\n", encoding="utf-8")
    with pytest.raises(DetectTransferError, match=r"MISSING|PATH_OUTSIDE"):
        read_yolo(yolo_root)
