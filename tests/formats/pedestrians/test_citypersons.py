from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.io import savemat

from detect_transfer.formats.pedestrians import citypersons

CITY, NAME = "lindau", "lindau_000000_000019_leftImg8bit.png"
ROW = [1, 10, 20, 30, 40, 24000, 12, 20, 15, 40]
TWIN = "gtBboxCityPersons/val/lindau/lindau_000000_000019_gtBboxCityPersons.json"
OBJECT = {"label": "pedestrian", "instanceId": 7, "bbox": [1, 2, 3, 4], "bboxVis": [1, 2, 3, 4]}
KEEP: dict[str, Any] = {"missing_images": "keep"}


def save(root: Path, *cells: tuple[object, object, object], split: str = "val") -> Path:
    aligned = np.empty((1, len(cells)), object)
    for i, (city, name, rows) in enumerate(cells):
        aligned[0, i] = np.empty((1, 1), [(key, object) for key in ("cityname", "im_name", "bbs")])
        aligned[0, i][0, 0] = (city, name, rows)
    path = root / f"anno_{split}.mat"
    savemat(path, {f"anno_{split}_aligned": aligned})
    return path


def test_real__every_row_of_val(shared: Path) -> None:
    table = citypersons.read(shared / "annotations_only" / "citypersons", **KEEP)
    assert (len(table.images), len(table.boxes)) == (500, 5795)
    counts = dict(table.boxes["category_id"].value_counts().rows())
    assert counts == {None: 1631, 1: 3157, 2: 509, 3: 185, 4: 87, 5: 226}
    assert table.boxes["ignore"].sum() == 1631 + 226
    assert table.boxes["iscrowd"].sum() == table.boxes["vis_x1"].null_count() == 226
    assert len(table.images.join(table.boxes, on="image_id", how="anti")) == 13
    assert table.images.select("width", "height", "split").unique().rows() == [(2048, 1024, "val")]
    assert sorted(table.images["group"].unique()) == ["frankfurt", "lindau", "munster"]
    assert table.images["image_id"].to_list() == table.images["native_image_id"].to_list()
    outside = (pl.col("x1") < 0) | (pl.col("y1") < 0) | (pl.col("x2") > 2048) | (pl.col("y2") > 1024)
    assert table.boxes.filter(outside).height == 60
    hidden = table.boxes.filter(pl.col("occluded") == 1)
    assert hidden.select("x1", "y1", "x2", "y2").rows() == [(1647, 359, 1694, 472)]
    first = table.boxes.row(0, named=True)
    assert [first[c] for c in ("x1", "y1", "x2", "y2", "vis_x1", "vis_y1", "vis_x2", "vis_y2")] == [
        *(947, 406, 964, 446),
        *(950, 407, 964, 446),
    ]
    assert first["source"] == "anno_val.mat#anno_val_aligned{1}.bbs(1,:)"
    assert first["occluded"] == pytest.approx(1 - 14 * 39 / (17 * 40))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_type__of_the_rows_may_be_any(tmp_path: Path, dtype: type) -> None:
    small = [5, 0, 9, 30, 40, 24, 0, 0, 0, 0]
    save(tmp_path, (CITY, NAME, np.array([small], dtype)))
    box = citypersons.read(tmp_path, **KEEP).boxes.row(0, named=True)
    assert [box[c] for c in ("x1", "y1", "x2", "y2", "vis_x1", "occluded")] == [0, 9, 30, 49, None, None]


def changed(column: int, value: float) -> Any:
    row = [float(v) for v in ROW]
    row[column] = value
    return np.array([ROW, row])


FAULTS = [
    pytest.param(changed(0, 6), "CLASS_UNKNOWN", ".bbs(2,:)", "class=6.0", id="class"),
    pytest.param(changed(0, 1.5), "CLASS_UNKNOWN", ".bbs(2,:)", "from 0 to 5", id="class-half"),
    pytest.param(changed(3, -1), "BOX_INVALID", ".bbs(2,:)", "not be negative", id="width"),
    pytest.param(changed(9, -1), "BOX_INVALID", ".bbs(2,:)", "visible box", id="visible-height"),
    pytest.param(changed(1, np.nan), "ROW_NUMBER", ".bbs(2,:)", "finite", id="nan"),
    pytest.param(changed(7, np.inf), "ROW_NUMBER", ".bbs(2,:)", "finite", id="infinity"),
    pytest.param(np.ones((2, 9)), "CITYPERSONS_ROWS", ".bbs ", "rows of 10 numbers", id="nine-columns"),
    pytest.param(np.ones((1, 10), complex), "CITYPERSONS_ROWS", ".bbs ", "rows of 10 numbers", id="complex"),
    pytest.param("rows", "CITYPERSONS_ROWS", ".bbs ", "rows of 10 numbers", id="text"),
]


@pytest.mark.parametrize(("rows", "code", "place", "part"), FAULTS)
def test_fault__names_the_cell_and_row(
    rows: Any, code: str, place: str, part: str, tmp_path: Path, check_error: Any
) -> None:
    path = save(tmp_path, (CITY, NAME, rows))
    where = f"{path}#anno_val_aligned{{1}}{place}"
    check_error(lambda: citypersons.read(tmp_path, **KEEP), code, where, part)


def test_cell__without_a_name_or_of_a_image_that_is_there_already(tmp_path: Path, check_error: Any) -> None:
    good = (CITY, NAME, np.array([ROW]))
    save(tmp_path, good, (CITY, 5.0, np.array([ROW])))
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "CITYPERSONS_CELL", "_aligned{2} ", "im_name")
    save(tmp_path, good, good)
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "ID_DUPLICATE", "_aligned{2} ", NAME)
    savemat(tmp_path / "anno_val.mat", {"anno_val_aligned": 5.0})
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "CITYPERSONS_CELL", "_aligned{1} ")


def test_on_error__leaves_out_the_row_or_the_image(tmp_path: Path) -> None:
    other = NAME.replace("19", "20")
    save(tmp_path, (CITY, NAME, changed(3, -1)), (CITY, other, np.array([ROW])))
    rows = citypersons.read(tmp_path, **KEEP, on_error="skip-row")
    assert (len(rows.images), len(rows.boxes), [line.count for line in rows.reading]) == (2, 2, [1])
    images = citypersons.read(tmp_path, **KEEP, on_error="skip-image")
    assert images.images["file_name"].to_list() == [f"leftImg8bit/val/{CITY}/{other}"]


def test_images__lie_in_any_folder_and_have_one_size(tmp_path: Path, write: Any, check_error: Any) -> None:
    save(tmp_path, (CITY, NAME, np.array([ROW])))
    check_error(lambda: citypersons.read(tmp_path), "IMAGE_MISSING", "_aligned{1} ", "missing_images=keep")
    write(f"any/{NAME}", (40, 30))
    check_error(lambda: citypersons.read(tmp_path), "IMAGE_SIZE", "2048 x 1024", "size_mismatch=keep")
    images = citypersons.read(tmp_path, size_mismatch="keep").images
    assert images.select("file_name", "width").rows() == [(f"any/{NAME}", 40)]


def test_form__must_be_chosen_where_several_are_there(tmp_path: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: citypersons.read(tmp_path), "CITYPERSONS_MISSING", str(tmp_path))
    save(tmp_path, (CITY, NAME, np.array([ROW])))
    write(TWIN, json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": []}))
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "FORM_SEVERAL", "anno_val.mat", "form=mat or form=json")
    assert len(citypersons.read(tmp_path, **KEEP, form="mat").boxes) == 1
    assert len(citypersons.read(tmp_path, **KEEP, form="json").boxes) == 0
    check_error(lambda: citypersons.read(tmp_path, form="xml"), "OPTION_VALUE", "form=xml")


TWIN_FAULTS = [
    pytest.param({"label": " "}, "OBJECT_NAME", "/objects/0/label", "no class", id="label"),
    pytest.param({"bbox": [1, 2, 3]}, "JSON_NUMBER", "/objects/0/bbox", "4 finite numbers", id="three"),
    pytest.param({"bboxVis": None}, "JSON_KEY", "/objects/0/bboxVis", "needed", id="no-visible"),
    pytest.param({"bbox": [1, 2, -3, 4]}, "BOX_INVALID", "/objects/0 ", "negative", id="negative"),
]


@pytest.mark.parametrize(("change", "code", "pointer", "part"), TWIN_FAULTS)
def test_json__fault_has_its_pointer(
    change: dict[str, Any], code: str, pointer: str, part: str, tmp_path: Path, write: Any, check_error: Any
) -> None:
    path = write(TWIN, json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": [{**OBJECT, **change}]}))
    check_error(lambda: citypersons.read(tmp_path, **KEEP), code, f"{path}#{pointer}", part)
    skipped = citypersons.read(tmp_path, **KEEP, on_error="skip-row")
    assert [line.count for line in skipped.reading] == [1]


def test_json__needs_a_size_and_one_file_a_image(tmp_path: Path, write: Any, check_error: Any) -> None:
    write(TWIN, json.dumps({"imgHeight": 0, "imgWidth": 2048, "objects": []}))
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "IMAGE_SIZE", "#/imgHeight", "imgHeight=0")
    write(TWIN, json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": [OBJECT]}))
    write(f"copy/{TWIN}", (tmp_path / TWIN).read_bytes())
    check_error(lambda: citypersons.read(tmp_path, **KEEP), "ID_DUPLICATE", TWIN, "is annotated at")


def test_gt__visible_share_and_ids_of_the_evaluation(sample: Any) -> None:
    table = citypersons.read(sample("citypersons_gt"))
    box = table.boxes.row(0, named=True)
    assert box["occluded"] == pytest.approx(1 - 14 * 39 / (17 * 40))
    assert box["vis_ratio"] == 0.803
    assert table.boxes["ignore_reason"].to_list() == [None, "ignore flag", "crowd", None]
    assert table.images.select("native_image_id", "group").rows() == [(1, "frankfurt"), (2, "lindau")]


def test_gt__keeps_its_own_ids(tmp_path: Path, write: Any) -> None:
    images = [
        {"id": 500, "im_name": "munster_000001_000019_leftImg8bit.png", "height": 1024, "width": 2048},
        {"id": 2, "im_name": "lindau_000000_000019_leftImg8bit.png", "height": 1024, "width": 2048},
        {"id": 3, "im_name": "frankfurt_000000_000294_leftImg8bit.png", "height": 1024, "width": 2048},
    ]
    box = {"id": 1, "image_id": 500, "category_id": 1, "bbox": [1, 2, 10, 20], "vis_ratio": 0.4, "height": 20}
    whole = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "pedestrian"}]}
    write("val_gt.json", json.dumps(whole))
    table = citypersons.read(tmp_path, **KEEP)
    assert table.images["image_id"].to_list() == [500, 2, 3]
    (row,) = table.boxes.to_dicts()
    assert (row["image_id"], row["category_id"], row["vis_ratio"]) == (500, 1, 0.4)
    assert row["occluded"] == pytest.approx(0.6)


def test_mat__counts_images_as_the_annotations_do(tmp_path: Path) -> None:
    save(tmp_path, ("munster", NAME.replace("lindau", "munster"), np.array([ROW])), (CITY, NAME, np.array([ROW])))
    images = citypersons.read(tmp_path, **KEEP).images
    assert images.select("image_id", "group").rows() == [(1, "munster"), (2, "lindau")]
