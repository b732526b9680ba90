"""What is scored are the boxes as published: a data folder clips for training and keeps what it clipped."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from detect_transfer.config import Data
from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.load import read_dataset, read_ground_truth
from detect_transfer.data.run_data import load_run_data
from detect_transfer.evaluation import Case, evaluate_metrics

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
    options = ConvertOptions(format="test", split="source", image_mode="none", targets=("coco", "parquet"))
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
    convert(native, tmp_path / "data", options=ConvertOptions(format="test", split="source", image_mode="none"))
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
    options = ConvertOptions(format="data_folder", split="source")
    convert(native.with_boxes(over.drop("area")), tmp_path / "data", options=options)
    data = load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    assert data.train.boxes["x2"].max() == 96
    val = native.split_of("val").boxes
    assert data.val.boxes["x2"].to_list() == pytest.approx((val["x2"] + 60).to_list())
    assert data.val.boxes["x2"].max() > 96  # type: ignore[operator]
