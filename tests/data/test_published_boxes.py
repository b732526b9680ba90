"""What is scored are the boxes as published: a data folder clips for training and keeps what it clipped."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detect_transfer.cli import main
from detect_transfer.config import Data
from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.data.class_map import class_map_from_dict
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.published import as_published
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.run_data import load_run_data
from detect_transfer.evaluation import Case, evaluate_metrics, score_case
from detect_transfer.formats.detections.writer import write_results

VISIBLE = ("vis_x1", "vis_y1", "vis_x2", "vis_y2")


def pedestrians(n_images: int = 12, seed: int = 0) -> AnnotationTable:
    """Pedestrians as of CityPersons: many reach past the image of 400 x 200, some are partly hidden."""
    rng = np.random.default_rng(seed)
    rows = []
    for image_id in range(1, n_images + 1):
        for _ in range(6):
            height = rng.uniform(60, 160)
            x, y = rng.uniform(-20, 390), rng.uniform(-60, 150)
            shown = rng.uniform(0.3, 1.0)
            rows.append((image_id, x, y, x + 0.41 * height, y + height, x, y, x + 0.41 * height, y + shown * height))
    columns = dict(zip(("image_id", *XYXY, *VISIBLE), map(list, zip(*rows, strict=True)), strict=True))
    ids = list(range(1, n_images + 1))
    return AnnotationTable.from_columns(
        images={
            "image_id": ids,
            "file_name": [f"{i}.png" for i in ids],
            "width": [400] * n_images,
            "height": [200] * n_images,
            "split": ["train", "val"] * (n_images // 2),
        },
        boxes={
            "annotation_id": list(range(1, len(rows) + 1)),
            "category_id": [1] * len(rows),
            "attributes": ['{"pose":"walking"}', None] * (len(rows) // 2),
            **columns,
        },
        categories={"category_id": [1], "name": ["pedestrian"]},
        image_root=None,
    )


def detections_of(table: AnnotationTable, *, seed: int = 1) -> Detections:
    """Detections near the published boxes, whole ones past the edge among them, and some that are wrong."""
    rng = np.random.default_rng(seed)
    boxes = table.boxes.filter(~pl.col("ignore")).select("image_id", "category_id", *XYXY)
    xyxy = boxes.select(XYXY).to_numpy()
    size = xyxy[:, 2:] - xyxy[:, :2]
    moved = xyxy + np.tile(size, 2) * rng.normal(0, 0.12, xyxy.shape)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    columns = [pl.Series(name, moved[:, i]) for i, name in enumerate(XYXY)]
    scores = pl.Series("score", rng.uniform(0.05, 1, len(boxes)))
    return Detections(boxes.with_columns(*columns, scores))


def miss_rates(table: AnnotationTable, detections: Detections) -> dict[str, float | None]:
    """Return the numbers of CityPersons by names of images, whatever their ids."""
    values = evaluate_metrics(Case(table, detections), ["miss_rate_citypersons"])["miss_rate_citypersons"].values
    assert any(value is not None for value in values.values())
    return dict(values)


@pytest.mark.parametrize("place", ["", "annotations/instances_val.json", "parquet"])
def test_miss_rate__from_a_data_folder_is_that_of_the_native_files(tmp_path: Path, place: str) -> None:
    native = pedestrians()
    options = ConvertOptions(
        format="test", bad_boxes="fix", split="source", image_mode="none", targets=("coco", "parquet")
    )
    convert(native, tmp_path / "data", options=options)
    truth = read_ground_truth(tmp_path / "data" / place, split="val").table
    val = native.split_of("val")
    detections = detections_of(val)
    expected = miss_rates(val, detections)
    assert miss_rates(truth, detections) == pytest.approx(expected, abs=1e-9)
    clipped = read_dataset(tmp_path / "data").split_of("val")
    assert miss_rates(clipped, detections) != pytest.approx(expected, abs=1e-3), "clipping matters here"


def test_rows__of_the_truth_are_the_published_ones_and_those_of_training_are_clipped(tmp_path: Path) -> None:
    native = pedestrians()
    convert(
        native,
        tmp_path / "data",
        options=ConvertOptions(format="test", bad_boxes="fix", split="source", image_mode="none"),
    )
    truth = read_ground_truth(tmp_path / "data", split="all").table
    columns = ["image_id", *XYXY, *VISIBLE, "attributes"]
    expected = native.boxes.select(columns).sort("image_id", *XYXY)
    found = truth.boxes.select(columns).sort("image_id", *XYXY)
    assert found["attributes"].to_list() == expected["attributes"].to_list()
    assert np.allclose(found.drop("attributes").to_numpy(), expected.drop("attributes").to_numpy(), atol=1e-9)
    area = (pl.col("x2") - pl.col("x1")) * (pl.col("y2") - pl.col("y1"))
    assert truth.boxes.select((pl.col("area") - area).abs().max()).item() < 1e-6
    training = read_dataset(tmp_path / "data").boxes
    assert training.filter((pl.col("x1") < 0) | (pl.col("y1") < 0) | (pl.col("x2") > 400)).is_empty()
    assert training.filter(pl.col("vis_y1") < 0).is_empty()


def test_citypersons__val_scores_as_the_native_file(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "annotations_only" / "citypersons"
    if not source.is_dir():
        pytest.skip("CityPersons is not beside this checkout")
    native = read_dataset(source, format="citypersons", need_images=False)
    options = ConvertOptions(format="citypersons", split="auto", image_mode="none")
    convert(native, tmp_path / "data", options=options)
    truth = read_ground_truth(tmp_path / "data", split="all").table
    detections = detections_of(native)
    expected = miss_rates(native, detections)
    assert miss_rates(truth, detections) == pytest.approx(expected, abs=1e-9)
    for name in ("reasonable", "heavy"):
        assert expected[name] is not None, json.dumps(expected)


def test_training__clips_and_its_validation_is_scored_as_published(tiny_data: Path, tmp_path: Path) -> None:
    native = read_dataset(tiny_data)
    over = native.boxes.with_columns(pl.col("x2") + 60, attributes=pl.lit(None, dtype=pl.String))
    options = ConvertOptions(format="data_folder", bad_boxes="fix", split="source")
    convert(native.with_boxes(over.drop("area")), tmp_path / "data", options=options)
    data = load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    assert data.train.boxes["x2"].max() == 96
    val = native.split_of("val").boxes
    assert data.val.boxes["x2"].to_list() == pytest.approx((val["x2"] + 60).to_list())
    assert data.val.boxes["x2"].max() > 96  # type: ignore[operator]


# of a sign in an image of 100 x 100: corners, then further columns
KINDS: dict[str, list[tuple[tuple[float, float, float, float], dict[str, object]]]] = {
    "clipped": [((-20, 10, 30, 60), {}), ((60, 60, 130, 101), {})],
    "outside": [((-40, 10, -5, 60), {}), ((100, 10, 140, 60), {}), ((10, -80, 60, -20), {"category_id": 2})],
    "duplicate": [((10, 10, 60, 60), {}), ((10, 10, 60, 60), {}), ((10, 10, 60, 60), {})],
    "duplicate of a clipped one": [((-10, 10, 60, 60), {}), ((-10, 10, 60, 60), {"attributes": '{"pose":"left"}'})],
    "without width": [((10, 10, 10, 60), {}), ((0, 10, 0, 60), {})],
    "sub-pixel": [((10, 10, 10.25, 60), {}), ((-30, 10, 0.125, 60), {}), ((99.875, 0, 150, 50), {})],
    "ignored": [((-40, 10, -5, 60), {"ignore": True}), ((110, 0, 150, 60), {"ignore": True, "category_id": None})],
    "crowd": [((100, 0, 150, 60), {"iscrowd": True, "ignore": True})],
    "with an area of its own": [((-40, 10, -5, 60), {"area": 100.0}), ((-20, 10, 30, 60), {"area": 2000.0})],
    "not trained on, among others": [((5, 5, 40, 40), {}), ((120, 5, 160, 40), {}), ((50, 5, 90, 40), {})],
}


def signs(kinds: list[str]) -> AnnotationTable:
    """Two images of a split for each kind of box, with a plain box each, and further ones without."""
    images, boxes = [], []
    for number, kind in enumerate([*kinds, "plain"] * 2):
        image_id, split = number + 1, "train" if number > len(kinds) else "val"
        images.append(
            {"image_id": image_id, "file_name": f"{image_id}.png", "width": 100, "height": 100, "split": split}
        )
        for corners, columns in [*KINDS.get(kind, []), ((20, 20, 80, 80), {"category_id": 2})]:
            box = {"image_id": image_id, "category_id": 1, "ignore": False, "iscrowd": False, **columns}
            box |= dict(zip(XYXY, map(float, corners), strict=True))
            boxes.append({"annotation_id": len(boxes) + 1, "source": f"signs.csv:{len(boxes) + 2}", **box})
    return AnnotationTable.from_columns(
        images=pl.DataFrame(images),
        boxes=pl.DataFrame(boxes, infer_schema_length=None),
        categories={"category_id": [1, 2, 3], "name": ["stop", "yield", "give way"]},
    )


def exact_detections(table: AnnotationTable) -> Detections:
    """Return every object as a detection of score 1."""
    rows = table.boxes.filter(~pl.col("ignore")).select("image_id", "category_id", *XYXY, score=pl.lit(1.0))
    return Detections(rows)


def all_numbers(table: AnnotationTable, detections: Detections) -> dict[str, float]:
    """Return COCO's numbers, with how many objects and regions there are."""
    case = Case(table, detections)
    counts = {"objects": float(case.gt.is_object.sum()), "regions": float(case.gt.is_region.sum())}
    scores = score_case(case)
    numbers = {**scores.metrics, **{f"strict {name}": value for name, value in (scores.strict or {}).items()}}
    return {name: -1.0 if value is None else value for name, value in numbers.items()} | counts


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), list(KINDS)], ids=[*KINDS, "all"])
def test_numbers__from_a_data_folder_are_those_of_the_source_for_any_kind_of_box(
    kinds: list[str], tmp_path: Path
) -> None:
    native = signs(kinds)
    options = ConvertOptions(
        format="test", bad_boxes="fix", split="source", image_mode="none", targets=("coco", "parquet")
    )
    convert(native, tmp_path / "data", options=options)
    again = ConvertOptions(format="data_folder", bad_boxes="fix", split="source", image_mode="none")
    convert(read_dataset(tmp_path / "data"), tmp_path / "again", options=again)
    for split in ("val", "train"):
        part = native.split_of(split)
        for detections in (exact_detections(part), detections_of(part)):
            expected = all_numbers(part, detections)
            for place in ("data", f"data/annotations/instances_{split}.json", "data/parquet", "again"):
                truth = read_ground_truth(tmp_path / place, split=split).table
                assert all_numbers(truth, detections) == pytest.approx(expected, abs=1e-12), place
                assert set(truth.images.columns) == set(native.images.columns)


def test_numbers__of_mapped_classes_count_the_boxes_that_are_not_trained_on(tmp_path: Path) -> None:
    native = signs(list(KINDS))
    class_map = class_map_from_dict({"any": ["yield", "give way"], "__drop__": "stop"}, name="map")
    options = ConvertOptions(format="test", bad_boxes="fix", split="source", image_mode="none", class_map=class_map)
    convert(native, tmp_path / "data", options=options)
    truth = read_ground_truth(tmp_path / "data", split="all").table
    assert truth.class_names == ["any"]
    expected = native.boxes.filter(pl.col("category_id") == 2)
    mapped = truth.boxes.filter(pl.col("category_id") == 1)
    assert sorted(mapped.select(XYXY).rows()) == sorted(expected.select(XYXY).rows())
    assert truth.boxes.filter(pl.col("category_id").is_null()).height == 2


def test_training__from_native_files_is_scored_on_what_it_does_not_train_on(tiny_data: Path, tmp_path: Path) -> None:
    document = {
        split: json.loads((tiny_data / f"annotations/instances_{split}.json").read_text()) for split in ("train", "val")
    }
    for split, content in document.items():
        first = content["annotations"][0]
        outside = {**first, "id": 9001, "bbox": [200.0, 5.0, 20.0, 20.0], "area": 400.0}
        content["annotations"] += [outside, {**first, "id": 9002}]
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    config = Data(
        train_json=tmp_path / "train.json", val_json=tmp_path / "val.json", images=tiny_data / "images", bad_boxes="fix"
    )
    data = load_run_data(config, drawn=tmp_path)
    n = {split: len(content["annotations"]) for split, content in document.items()}
    assert (len(data.train.boxes), len(data.val.boxes)) == (n["train"] - 2, n["val"])


def test_a_form_that_cannot_carry_them__is_said_to_hold_other_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    native = signs(["outside", "clipped"])
    inside = native.boxes.filter((pl.col("category_id") == 1).not_())
    targets = ("coco", "voc", "parquet")
    for name, boxes in (("data", native.boxes), ("clean", inside.filter(pl.col("y1") > 0))):
        options = ConvertOptions(format="test", bad_boxes="fix", split="source", image_mode="none", targets=targets)
        convert(native.with_boxes(boxes), tmp_path / name, options=options)
    assert read_ground_truth(tmp_path / "data" / "voc", format="voc", split="val").n_not_published == 5
    assert read_ground_truth(tmp_path / "data" / "voc", format="voc", split="all").n_not_published == 10
    for place in ("data", "data/parquet", "data/annotations/instances_val.json"):
        assert read_ground_truth(tmp_path / place, split="val").warning == ""
    assert read_ground_truth(tmp_path / "clean" / "voc", format="voc", split="val").warning == ""
    val = native.split_of("val")
    write_results(exact_detections(val), val, tmp_path / "d.json")
    words = ["evaluate", "--truth", tmp_path / "data/voc", "--truth-format", "voc", "--split", "val"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--detections", str(tmp_path / "d.json"), "--out", str(tmp_path / "o")])
    printed = capsys.readouterr()
    assert (ended.value.code, "warning: 5 boxes of voc were clipped" in printed.out) == (0, True), printed
    assert "5 boxes of voc were clipped" in (tmp_path / "o" / "report.html").read_text()


@pytest.mark.parametrize("truth", [".", "data.yaml"])
def test_yolo__of_a_data_folder_is_said_to_hold_other_boxes(truth: str, tiny_data: Path, tmp_path: Path) -> None:
    native = read_dataset(tiny_data)
    over = native.boxes.with_columns(pl.col("x2") + 60).drop("area")
    convert(
        native.with_boxes(over),
        tmp_path / "data",
        options=ConvertOptions(format="data_folder", bad_boxes="fix", split="source"),
    )
    n_clipped = int((native.split_of("val").boxes["x2"] + 60 > 96).sum())
    assert read_ground_truth(tmp_path / "data" / truth, format="yolo", split="val").n_not_published == n_clipped > 0


@pytest.mark.parametrize("text", ["x", "7", "[1]", '[{"x1": "a"}]', '[{"x1": 1e999}]', '"yes"', "true", '[{"x1":[]}]'])
def test_not_trained__of_another_hand_is_no_crash(text: str, tmp_path: Path) -> None:
    table = signs(["clipped"])
    images = table.images.with_columns(pl.lit(text).alias("boxes_not_trained"))
    with pytest.raises(InputError, match=r"DROPPED_BOXES|BOX_INVALID|ID_DANGLING"):
        as_published(replace(table, images=images))


@pytest.mark.parametrize("text", ["x", '[{"x1": "a"}]', '[{"x1":[]}]'])
def test_not_trained__at_fault_names_no_other_image(text: str) -> None:
    table = signs(["clipped", "outside"])
    first, second = table.images["image_id"][:2]
    good = '[{"x1":1,"y1":1,"x2":2,"y2":2}]'
    lists = pl.col("image_id").replace_strict({first: text, second: good}, default=None, return_dtype=pl.String)
    with pytest.raises(InputError, match="DROPPED_BOXES") as caught:
        as_published(replace(table, images=table.images.with_columns(boxes_not_trained=lists)))
    assert f"image_id {second} " not in caught.value.what
    assert caught.value.value != good
