"""Scoring files of anybody: results JSON read strictly, metrics and a report written."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.choices import UnseenImages
from detect_transfer.core.errors import InputError
from detect_transfer.data.load import GroundTruth, read_ground_truth
from detect_transfer.formats.detections.reader import read_results
from detect_transfer.formats.detections.resolve import DetectionOptions
from detect_transfer.workflows.evaluate import EvaluateOptions, data_set_of, evaluate_files, has_own_classes
from detect_transfer.workflows.thresholds import above_thresholds, read_thresholds

GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"score": None}, "score=None", id="no-score"),
        pytest.param({"score": 1.5}, "score=1.5", id="score-range"),
        pytest.param({"score": "high"}, "score=high", id="score-text"),
        pytest.param({"bbox": [1, 2, 3]}, "bbox=", id="three-numbers"),
        pytest.param({"bbox": [1, 2, -3, 4]}, "bbox=", id="negative-width"),
        pytest.param({"bbox": [1, 2, None, 4]}, "bbox=", id="null"),
        pytest.param({"image_id": "1"}, "image_id=1", id="text-id"),
        pytest.param({"image_id": 1.5}, "image_id=1.5", id="float-id"),
        pytest.param({"category_id": True}, "category_id=True", id="boolean-id"),
    ],
)
def test_wrong_result__is_reported_with_its_pointer(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([GOOD, {**GOOD, **change}]))
    with pytest.raises(InputError, match=r"RESULTS_ENTRY .*d\.json#/1 ") as caught:
        read_results(path)
    assert message in str(caught.value)


def test_results__missing_key_other_kind_and_none_at_all(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{k: v for k, v in GOOD.items() if k != "bbox"}]))
    with pytest.raises(InputError, match=r"bbox=\(missing\)"):
        read_results(path)
    path.write_text('{"a": 1}')
    with pytest.raises(InputError, match="RESULTS_KIND"):
        read_results(path)
    path.write_text("[]")
    assert read_results(path).rows.height == 0


def truth_file(folder: Path, annotations: list[dict]) -> Path:
    path = folder / "t.json"
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    categories = [{"id": 1, "name": "sign"}, {"id": 2, "name": "<script>alert(1)</script>"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def annotation(i: int, bbox: list[float], **more) -> dict:
    return {"id": i, "image_id": 1, "category_id": 1, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0, **more}


def test_evaluate_files__ignored_object_is_excused_and_strict_is_shown(tmp_path: Path) -> None:
    """One object found, one ignored and not found: AP 1 by region; strict asks for both: recall .5, AP .505."""
    truth = truth_file(tmp_path, [annotation(1, [0, 0, 10, 10]), annotation(2, [50, 50, 20, 20], ignore=1)])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([{**GOOD, "bbox": [0, 0, 10, 10]}]))
    scores = evaluate_files(read_ground_truth(truth), found, tmp_path / "out")
    assert scores.metrics["AP"] == pytest.approx(1.0)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["strict"]["AP"] == pytest.approx(51 / 101)
    assert "<script>alert(1)</script>" not in (tmp_path / "out" / "report.html").read_text()


def test_evaluate_files__no_positives_give_null_and_a_reason(tmp_path: Path) -> None:
    truth = truth_file(tmp_path, [])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([GOOD]))
    scores = evaluate_files(read_ground_truth(truth), found, tmp_path / "out")
    assert scores.metrics["AP"] is None
    assert scores.reasons["AP"]


def test_evaluate_files__unknown_ids_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    truth = truth_file(tmp_path, [annotation(1, [0, 0, 10, 10])])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([{**GOOD, "image_id": 77}]))
    with pytest.raises(InputError, match="77"):
        evaluate_files(read_ground_truth(truth), found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def scored(tmp_path: Path, **options) -> dict:
    truth = truth_file(tmp_path, [annotation(1, [0, 0, 10, 10]), annotation(2, [40, 40, 30, 30], occluded=0.5)])
    found = tmp_path / "d.csv"
    rows = ("1.png,sign,0,0,10,10,.8", "1.png,sign,40,40,30,30,.6", "1.png,sign,9,9,1,1,.3")
    found.write_text("\n".join(("image,class,x,y,w,h,score", *rows)))
    evaluate_files(read_ground_truth(truth), found, tmp_path / "out", **options)
    return json.loads((tmp_path / "out" / "metrics.json").read_text())


def test_evaluate_files__metrics_by_name_with_bounds_and_reasons(tmp_path: Path) -> None:
    """Both objects are found above the one false positive, so every AP is 1."""
    metrics = scored(tmp_path, options=EvaluateOptions(metrics=["voc", "kitti"]))
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["metrics"].keys() == {"voc", "kitti", "slices", "tide", "calibration", "operating_points"}
    for name, result in metrics["metrics"].items():
        missing = {key for key, value in result["values"].items() if value is None}
        assert set(result["reasons"]) == missing, name
        assert result["bounds"], name
    page = (tmp_path / "out" / "report.html").read_text()
    for words in ("Further protocols", "voc", "kitti", "By kind of error", "By slice", "best F1"):
        assert words in page


def test_evaluate_files__slices_by_name(tmp_path: Path) -> None:
    values = scored(tmp_path, options=EvaluateOptions(slices=["visibility"]))["metrics"]["slices"]["values"]
    names = {key.partition("/")[2] for key in values}
    assert "all" in names
    assert all(name == "all" or name.startswith("visible [") for name in names)
    assert len(names) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"metrics": ["vok"]}, "METRIC_UNKNOWN --metrics=vok .*did you mean 'voc'", id="metric"),
        pytest.param({"slices": ["heigth"]}, "SLICE_UNKNOWN slices=heigth .*did you mean 'height'", id="slice"),
        pytest.param({"detections": DetectionOptions("yolo")}, "DETECTIONS_FORMAT", id="layout"),
    ],
)
def test_evaluate_files__unknown_names_leave_nothing(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(tmp_path, options=EvaluateOptions(**options))
    assert not (tmp_path / "out").exists()


def test_evaluate_files__the_protocol_of_the_data_set(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "citypersons"}))
    assert data_set_of(tmp_path / "annotations" / "t.json") == "citypersons"
    assert data_set_of(tmp_path) == "citypersons"
    assert "miss_rate_citypersons" in scored(tmp_path)["metrics"]
    assert data_set_of(None) == ""
    assert data_set_of(tmp_path / "data.yaml", "yolo") == "citypersons"
    assert data_set_of(tmp_path, "kitti") == "kitti"


def test_own_classes__are_those_that_no_class_map_changed(tmp_path: Path) -> None:
    assert has_own_classes(None)
    for class_map, own in ((None, True), ({"sign": ["stop"]}, False)):
        (tmp_path / "manifest.json").write_text(json.dumps({"options": {"class_map": class_map}}))
        assert has_own_classes(tmp_path / "annotations" / "t.json") is own


def test_thresholds__are_stored_by_class_and_obeyed(tmp_path: Path) -> None:
    """The best F1 of all takes both objects and not the false positive: .6; so few objects have no own threshold."""
    scored(tmp_path)
    thresholds = read_thresholds(tmp_path / "out")
    assert (thresholds["sign"], set(thresholds.values())) == (0.6, {0.6})
    assert read_thresholds(tmp_path / "out" / "weights" / "best.safetensors") == thresholds
    categories = pl.DataFrame({"category_id": [1, 2], "name": ["sign", "other"]})
    found = Detections.from_columns(
        {
            "image_id": [1] * 4,
            "category_id": [1, 1, 2, 2],
            **{c: [v] * 4 for c, v in zip(XYXY, (0, 0, 1, 1), strict=True)},
            "score": [0.59, 0.6, 0.24, 0.26],
        }
    )
    assert above_thresholds(found, categories, thresholds).rows["score"].to_list() == [0.6]  # "other" has none


def test_thresholds__missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FILE_MISSING"):
        read_thresholds(tmp_path)
    (tmp_path / "operating_points.json").write_text('{"default": "best_f1", "per_class": {"a": {}}}')
    with pytest.raises(InputError, match="OPERATING_POINTS"):
        read_thresholds(tmp_path)


def predicted(folder: Path, names: list[str] | None, splits: tuple[str, ...] = ()) -> tuple[GroundTruth, Path]:
    """Write four images with an object each, of which the first two have detections that `predict` wrote."""
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in range(1, 5)]
    objects = [{**annotation(i, [10, 10, 50, 50]), "image_id": i} for i in range(1, 5)]
    path = folder / "t.json"
    stated = {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "sign"}]}
    path.write_text(json.dumps(stated))
    (folder / "p").mkdir()
    found = folder / "p" / "detections.json"
    found.write_text(json.dumps([{**GOOD, "image_id": i, "bbox": [10, 10, 50, 50]} for i in (1, 2)]))
    if names is not None:
        rows = [{"image_id": 9 + i, "file_name": name, "width": 100, "height": 100} for i, name in enumerate(names)]
        (folder / "p" / "images.json").write_text(json.dumps(rows))
    truth = read_ground_truth(path)
    if splits:
        table = truth.table
        images_of_splits = table.images.with_columns(split=pl.Series(splits))
        truth = replace(truth, table=AnnotationTable(images_of_splits, table.boxes, table.categories))
    return truth, found


@pytest.mark.parametrize(
    ("splits", "remedy"),
    [
        pytest.param((), r"give --unseen-images leave-out .*, or --unseen-images score", id="no-splits"),
        pytest.param(("val", "val", "train", "train"), r"give --split val, ", id="a-split"),
        pytest.param(("val", "val", "val", "train"), r"give --unseen-images leave-out", id="part-of-a-split"),
    ],
)
def test_unseen__images_that_were_not_predicted_are_an_error(
    tmp_path: Path, splits: tuple[str, ...], remedy: str
) -> None:
    truth, found = predicted(tmp_path, ["1.png", "2.png", "other.png"], splits)
    with pytest.raises(InputError, match=rf"IMAGES_UNSEEN .*images\.json .*2 of 4 images .*{remedy}"):
        evaluate_files(truth, found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unseen__are_left_out_or_counted_when_told(tmp_path: Path) -> None:
    truth, found = predicted(tmp_path, ["1.png", "2.png"])
    for unseen, ap, n_images in ((UnseenImages.LEAVE_OUT, 1.0, 2), (UnseenImages.SCORE, 51 / 101, 4)):
        options = EvaluateOptions(detections=DetectionOptions(unseen=unseen))
        scores = evaluate_files(truth, found, tmp_path / unseen, options)
        assert scores.metrics["AP"] == pytest.approx(ap)
        assert f"{n_images} images" in (tmp_path / unseen / "report.html").read_text()


@pytest.mark.parametrize("names", [None, ["1.png", "2.png", "3.png", "4.png"]], ids=["no-list", "all-seen"])
def test_unseen__without_a_list_images_without_detections_are_counted(tmp_path: Path, names: list[str] | None) -> None:
    truth, found = predicted(tmp_path, names)
    evaluate_files(truth, found, tmp_path / "out")
    reading = json.loads((tmp_path / "out" / "metrics.json").read_text()).get("reading", [])
    assert [sentence[:45] for sentence in reading] == (
        [] if names else ["2 of 4 images have no detection at all: their"]
    )
    assert ("no detection at all" in (tmp_path / "out" / "report.html").read_text()) == (names is None)
