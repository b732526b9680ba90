"""Detections of anybody: every layout gives the same boxes, faults have their place, names meet in one manner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.reader import DETECTION_FORMATS, read_detections
from detect_transfer.formats.detections.resolve import DetectionOptions

TRUTH = AnnotationTable.from_columns(
    images={
        "image_id": [10, 20, 30],
        "file_name": ["val/00007.jpg", "val/b.c.png", "val/empty.jpg"],
        "width": [200, 100, 50],
        "height": [100, 50, 50],
    },
    boxes={},
    categories={"category_id": [3, 5], "name": ["stop sign", "Person"]},
)
EXPECTED = Detections.from_columns(
    {
        "image_id": [10, 10, 20],
        "category_id": [3, 5, 5],
        "x1": [20.0, 0.0, 25.0],
        "y1": [10.0, 0.0, 12.5],
        "x2": [60.0, 100.0, 75.0],
        "y2": [30.0, 50.0, 37.5],
        "score": [0.9, 0.25, 1.0],
    }
)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder if len(files) > 1 else folder / next(iter(files))


def coco(image: object, category: object, bbox: list[float], score: float) -> dict[str, object]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


BOXES = [[20, 10, 40, 20], [0, 0, 100, 50], [25, 12.5, 50, 25]]
CSV = (
    "file_name,class,x1,y1,x2,y2,score\n"
    "val/00007.jpg,stop sign,20,10,60,30,0.9\n"
    'val/00007.jpg,"Person",0,0,100,50,.25\n\n'
    "val/b.c.png,Person,25,12.5,75,37.5,1\n"
)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([(10, 3), (10, 5), (20, 5)], id="ids"),
        pytest.param([("val/00007.jpg", 3), ("val/00007.jpg", 5), ("val/b.c.png", 5)], id="file-names"),
        pytest.param([("val/00007", "stop sign"), ("val/00007", "person"), ("val/b.c", "person")], id="stems-any-case"),
        pytest.param([("00007", "stop_sign"), ("00007", "Person"), ("b.c", "Person")], id="last-parts-underscores"),
        pytest.param([("00007.png", 3), ("00007.png", 5), ("b.c.jpg", 5)], id="another-suffix"),
        pytest.param([("C:\\x\\00007.jpg", 3), ("C:\\x\\00007.jpg", 5), ("C:\\x\\b.c.png", 5)], id="paths-elsewhere"),
    ],
)
def test_coco__images_and_classes_in_any_manner(tmp_path: Path, entries: list[tuple[object, object]]) -> None:
    rows = [coco(i, c, b, s) for (i, c), b, s in zip(entries, BOXES, (0.9, 0.25, 1), strict=True)]
    path = write(tmp_path, {"d.json": json.dumps(rows)})
    assert_frame_equal(read_detections(path, TRUTH).rows, EXPECTED.rows)


@pytest.mark.parametrize("folder", ["", "images/"])
def test_coco__file_names_as_the_split_of_a_data_folder_has_them(tmp_path: Path, folder: str) -> None:
    """Two images whose last parts are alike, at two depths."""
    names = pl.Series([f"{folder}val/{name}" for name in ("a.jpg", "train/a.jpg", "empty.jpg")])
    truth = replace(TRUTH, images=TRUTH.images.with_columns(split=pl.lit("val"), file_name=names))
    entries = [coco(name, 3, [0, 0, 50, 50], 0.5) for name in ("a.jpg", "train/a.jpg", "empty.jpg")]
    path = write(tmp_path, {"dets.json": json.dumps(entries)})
    assert read_detections(path, truth).rows["image_id"].to_list() == [10, 20, 30]


@pytest.mark.parametrize("n_val", [0, 2])
def test_coco__images_of_another_split_are_not_taken_for_those_of_their_names(tmp_path: Path, n_val: int) -> None:
    """As `predict` writes them of a whole data folder, where names begin again in each split."""
    names = ["train/00007.jpg", "train/b.c.png", "val/00007.jpg", "val/b.c.png"][: 2 + n_val]
    path = write(tmp_path, {"dets.json": json.dumps([coco(name, 3, [0, 0, 50, 50], 0.5) for name in names])})
    with pytest.raises(InputError, match=r"2 detections name an image .*'train/00007.jpg'.*it is of another split"):
        read_detections(path, TRUTH)


def test_coco__two_names_do_not_mean_one_image(tmp_path: Path) -> None:
    entries = [coco(name, 3, [0, 0, 50, 50], 0.5) for name in ("a/00007.jpg", "b/00007.jpg")]
    path = write(tmp_path, {"dets.json": json.dumps(entries)})
    with pytest.raises(InputError, match="DETECTION_UNKNOWN_ID"):
        read_detections(path, TRUTH)


def test_coco__numbers_that_ultralytics_makes_of_names(tmp_path: Path) -> None:
    path = write(tmp_path, {"d.json": json.dumps([coco(7, 3, BOXES[0], 0.9)])})
    assert read_detections(path, TRUTH).rows["image_id"].to_list() == [10]


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        pytest.param("csv", {"d.csv": CSV}, id="csv"),
        pytest.param("csv", {"d.txt": CSV.replace(",", ";")}, id="csv-semicolons"),
        pytest.param(
            "csv",
            {
                "d.csv": "score,h,w,y,x,category_id,image_id\n.9,20,40,10,20,3,10\n"
                ".25,50,100,0,0,5,10\n1,25,50,12.5,25,5,20\n"
            },
            id="csv-sizes-ids",
        ),
        pytest.param(
            "text",
            {"00007.txt": "stop_sign 0.9 20 10 60 30\nperson 0.25 0 0 100 50\n", "b.c.txt": "person 1 25 12.5 75 37.5"},
            id="text",
        ),
        pytest.param(
            "yolo",
            {
                "labels/00007.txt": "0 0.2 0.2 0.2 0.2 0.9\n1 0.25 0.25 0.5 0.5 0.25\n",
                "labels/b.c.txt": "1 0.5 0.5 0.5 0.5 1\n",
                "labels/empty.txt": "",
                "classes.txt": "stop sign\nPerson\n",
            },
            id="yolo",
        ),
    ],
)
def test_layouts__are_recognised_and_equal(tmp_path: Path, kind: str, files: dict[str, str]) -> None:
    path = write(tmp_path, files)
    for chosen in (None, kind):
        found = read_detections(path, TRUTH, DetectionOptions(chosen)).rows
        assert_frame_equal(found.sort("image_id", "category_id"), EXPECTED.rows)


def test_parquet__is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    EXPECTED.rows.write_parquet(path)
    assert_frame_equal(read_detections(path, TRUTH).rows, EXPECTED.rows)
    EXPECTED.rows.drop("score").write_parquet(path)
    with pytest.raises(InputError, match=r"PARQUET_SCHEMA .*column=score"):
        read_detections(path, TRUTH)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="PARQUET_DAMAGED"):
        read_detections(path, TRUTH)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"d.csv": CSV + "val/b.c.png,Person,1,1,2,2,nan\n"}, r"ROW_NUMBER .*d\.csv:6 score=nan", id="nan"),
        pytest.param({"d.csv": CSV + "val/b.c.png,Person,1,inf,2,2,1\n"}, r"d\.csv:6 y1=inf", id="inf"),
        pytest.param({"d.csv": CSV + "val/b.c.png,Person,5,1,2,2,1\n"}, r"BOX_INVALID .*d\.csv:6", id="inverted"),
        pytest.param({"d.csv": CSV + "val/b.c.png,Person,1,1,2,2,97\n"}, r"SCORE_RANGE .*:6 score=97", id="percent"),
        pytest.param({"d.csv": CSV + "val/b.c.png,Person,1,1,2\n"}, r"ROW_COLUMNS .*d\.csv:6", id="short-row"),
        pytest.param({"d.csv": CSV.replace("score", "s")}, r"CSV_HEADER .*d\.csv:1 .*no score", id="header"),
        pytest.param({"d.csv": CSV + "val/b.d.png,Person,1,1,2,2,1\n"}, r":6 image=.*are 'val/b.c.png'", id="image"),
        pytest.param({"d.csv": CSV + "val/b.c.png,Persn,1,1,2,2,1\n"}, r":6 class=Persn.*are 'Person'", id="class"),
        pytest.param({"x.json": '[{"image_id": NaN}]'}, r"JSON_SYNTAX .*x\.json:1", id="json-nan"),
        pytest.param({"x.json": "just words"}, "DETECTIONS_FORMAT", id="nothing-known"),
        pytest.param({"00007.txt": "0 .5 .5 .1 .1 .9\n1 .5 .5 .1 .1", "b.c.txt": ""}, r"00007\.txt:2", id="no-score"),
        pytest.param({"00007.txt": "0 .5 .5 .1 .1 1.5", "b.c.txt": ""}, r"SCORE_RANGE .*00007\.txt:1", id="yolo-score"),
        pytest.param({"00007.txt": "2 .5 .5 .1 .1 .5", "b.c.txt": ""}, r"LABEL_CLASS .*00007\.txt:1", id="yolo-class"),
        pytest.param({"00007.txt": "Person .5 9 1 2 2", "b.c.txt": ""}, r"BOX_INVALID .*00007\.txt:1", id="text-box"),
        pytest.param({"00008.txt": "", "b.c.txt": ""}, r"00008\.txt image=00008.*'00007'", id="text-of-no-image"),
    ],
)
def test_faults__are_reported_with_file_and_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_detections(write(tmp_path, files), TRUTH)


def test_names__that_two_images_share_are_not_taken(tmp_path: Path) -> None:
    images = TRUTH.images.with_columns(file_name=pl.Series(["a/1.jpg", "b/1.jpg", "c/2.jpg"]))
    truth = AnnotationTable(images, TRUTH.boxes, TRUTH.categories)
    path = write(tmp_path, {"d.csv": "image,class,x1,y1,x2,y2,score\n1.jpg,Person,1,1,2,2,1\n"})
    with pytest.raises(InputError, match=r"DETECTION_UNKNOWN_ID .*d\.csv:2 image=1\.jpg"):
        read_detections(path, truth)


def test_sizes__that_the_truth_does_not_tell_are_asked_for(tmp_path: Path) -> None:
    truth = AnnotationTable(TRUTH.images.with_columns(width=pl.lit(None, pl.Int32)), TRUTH.boxes, TRUTH.categories)
    path = write(tmp_path, {"00007.txt": "0 .5 .5 .1 .1 .5", "b.c.txt": ""})
    with pytest.raises(InputError, match="IMAGE_SIZE_UNKNOWN"):
        read_detections(path, truth)


def test_empty__gives_no_detections(tmp_path: Path) -> None:
    for files in ({"d.json": "[]"}, {"d.csv": CSV.splitlines()[0] + "\n"}, {"00007.txt": "", "b.c.txt": "\n"}):
        assert read_detections(write(tmp_path / str(len(str(files))), files), TRUTH).rows.is_empty()


@pytest.mark.parametrize("name", ["detections.csv", "detections.json"])
def test_folder_that_predict_wrote__is_as_good_as_the_file(tmp_path: Path, name: str) -> None:
    content = {"detections.csv": CSV, "detections.json": "[]", "images.json": "[]", "notes.txt": "no detections"}
    folder = write(tmp_path / "f", {key: content[key] for key in (name, "images.json", "notes.txt")})
    assert read_detections(folder, TRUTH).rows.equals(read_detections(folder / name, TRUTH).rows)


def test_layout__that_is_unknown_or_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, {"d.csv": CSV})
    with pytest.raises(InputError, match="did you mean 'coco'"):
        read_detections(path, TRUTH, DetectionOptions("cocos"))
    with pytest.raises(InputError, match="a folder with a text an image was expected"):
        read_detections(path, TRUTH, DetectionOptions("yolo"))
    with pytest.raises(InputError, match="FILE_MISSING"):
        read_detections(tmp_path / "none", TRUTH)
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="RESULTS_MISSING"):
        read_detections(tmp_path / "bare", TRUTH)
    assert list(DETECTION_FORMATS) == sorted(DETECTION_FORMATS)
