"""Builders of small tables, and pycocotools as the reference."""

import contextlib
import io

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.boxes import xyxy_to_xywh


def _table(boxes, *, n_images=1, n_classes=1, extra=None):
    """Boxes are rows (image_id, category_id, x1, y1, x2, y2[, flags]); flags holds c for crowd and i for ignore."""
    flags = [row[6] if len(row) > 6 else "" for row in boxes]
    names = ("image_id", "category_id", *XYXY)
    columns = {name: [row[i] for row in boxes] for i, name in enumerate(names)}
    return AnnotationTable.from_columns(
        images={"image_id": range(1, n_images + 1), "file_name": [f"{i}.png" for i in range(1, n_images + 1)]},
        boxes={}
        if not boxes
        else {
            "annotation_id": range(1, len(boxes) + 1),
            **columns,
            "iscrowd": ["c" in f for f in flags],
            "ignore": ["i" in f for f in flags],
            **(extra or {}),
        },
        categories={"category_id": range(1, n_classes + 1), "name": [f"class{i}" for i in range(1, n_classes + 1)]},
    )


def _detections(rows):
    """Rows are (image_id, category_id, x1, y1, x2, y2, score)."""
    names = ("image_id", "category_id", *XYXY, "score")
    return (
        Detections.from_columns(dict(zip(names, zip(*rows, strict=True), strict=True))) if rows else Detections.empty()
    )


def _pycocotools(table, detections, *, caps=(1, 10, 100), as_region=False):
    """The twelve numbers as pycocotools gives them for the same boxes; None where it says -1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rows = table.boxes.to_dicts()
    xywh = xyxy_to_xywh(table.boxes.select(XYXY).to_numpy()).tolist()
    annotations = []
    for index, (row, box) in enumerate(zip(rows, xywh, strict=True)):
        crowd = row["iscrowd"] or (as_region and row["ignore"])
        classes = table.categories["category_id"].to_list() if row["category_id"] is None else [row["category_id"]]
        if row["category_id"] is None and not as_region:
            continue
        area = row.get("area")
        area = box[2] * box[3] if area is None else area
        for category in classes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row["image_id"],
                    "category_id": category,
                    "bbox": box,
                    "area": area,
                    "iscrowd": int(crowd),
                    "ignore": int(row["ignore"]),
                    "row": index,
                }
            )
    results = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "bbox": box, "score": row["score"]}
        for row, box in zip(
            detections.rows.to_dicts(), xyxy_to_xywh(detections.rows.select(XYXY).to_numpy()).tolist(), strict=True
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in table.images["image_id"]],
            "categories": table.categories.select("category_id", "name").rename({"category_id": "id"}).to_dicts(),
            "annotations": annotations,
        }
        truth.createIndex()
        if results:
            predicted = truth.loadRes(results)
        else:  # loadRes looks at item 0
            predicted = COCO()
            predicted.dataset = {**truth.dataset, "annotations": []}
            predicted.createIndex()
        evaluator = COCOeval(truth, predicted, "bbox")
        evaluator.params.maxDets = list(caps)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [None if value == -1 else float(value) for value in np.asarray(evaluator.stats)], evaluator


def _generated(seed):
    """Make a small case with crowds, ignored boxes, empty images, absent classes, ties, empty boxes and all sizes."""
    rng = np.random.default_rng(seed)
    n_images, n_classes = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    n_boxes = int(rng.integers(0, 25))
    n_detections = int(rng.choice([0, 3, 30, 60, 260], p=[0.05, 0.15, 0.4, 0.3, 0.1]))
    grid = bool(rng.random() < 0.5)  # whole numbers make equal overlaps and overlaps of exactly one half
    image_ids = np.sort(rng.choice(np.arange(1, 50), n_images, replace=False))
    category_ids = np.sort(rng.choice(np.arange(0, 30), n_classes, replace=False))

    def boxes(n):
        size = np.exp(rng.uniform(np.log(4), np.log(160), (n, 2)))
        corner = rng.uniform(0, 150, (n, 2))
        made = np.concatenate([corner, corner + size], axis=1)
        return (made / 8).round() * 8 if grid else made

    truth = boxes(n_boxes)
    predicted = boxes(n_detections)
    if n_boxes and n_detections:
        near = rng.random(n_detections) < 0.7
        source = rng.integers(0, n_boxes, n_detections)
        moved = truth[source] + rng.normal(0, 4, (n_detections, 4)) * (rng.random((n_detections, 1)) < 0.8)
        moved = moved.round() if grid else moved
        ordered = np.concatenate(
            [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1
        )
        predicted = np.where(near[:, None], ordered, predicted)
    image = rng.choice(image_ids, n_boxes)
    category = rng.choice(category_ids[: max(1, n_classes - 1)], n_boxes)
    f_image, f_category = rng.choice(image_ids, n_detections), rng.choice(category_ids, n_detections)
    if n_boxes and n_detections:
        f_image = np.where(near, image[source], f_image)
        f_category = np.where(near & (rng.random(n_detections) < 0.8), category[source], f_category)
    ignore = rng.random(n_boxes) < 0.15
    no_class = ignore & (rng.random(n_boxes) < 0.4)
    table = AnnotationTable.from_columns(
        images={"image_id": image_ids, "file_name": [f"{i}.jpg" for i in image_ids]},
        boxes=pl.DataFrame(
            {
                "annotation_id": rng.permutation(n_boxes),  # id 0 is among them
                "image_id": image,
                "category_id": [None if n else int(c) for n, c in zip(no_class, category, strict=True)],
                **dict(zip(XYXY, truth.T, strict=True)),
                "iscrowd": rng.random(n_boxes) < 0.1,
                "ignore": ignore,
                "area": [
                    None if n else float(a)
                    for n, a in zip(rng.random(n_boxes) < 0.7, rng.uniform(0, 1.2e4, n_boxes), strict=True)
                ],
            },
            schema_overrides={"category_id": pl.Int64, "area": pl.Float64},
        ),
        categories={"category_id": category_ids, "name": [f"c{i}" for i in category_ids]},
    )
    scores = rng.random(n_detections).round(1 if rng.random() < 0.5 else 6)
    rows = {
        "image_id": f_image,
        "category_id": f_category,
        **dict(zip(XYXY, predicted.T, strict=True)),
        "score": scores,
    }
    return table, Detections.from_columns(rows)


def _detailed(seed, names=()):
    """Make a `_generated` case with image sizes, hidden shares, visible boxes and difficult flags; classes by name."""
    table, detections = _generated(seed)
    rng = np.random.default_rng(10_000 + seed)
    n = table.boxes.height

    def some(values, share):
        return [float(v) if t else None for v, t in zip(values, rng.random(n) < share, strict=True)]

    boxes = table.boxes.with_columns(
        pl.Series("occluded", some(rng.choice([0, 0, 0.1, 0.4, 0.5, 0.8], n), 0.8), dtype=pl.Float64),
        pl.Series("vis_ratio", some(rng.choice([0.1, 0.3, 0.65, 0.9, 1.0], n), 0.3), dtype=pl.Float64),
        pl.Series("truncated", some(rng.choice([0, 0, 0.1, 0.4], n), 0.8), dtype=pl.Float64),
        pl.Series("difficult", rng.random(n) < 0.2) & pl.col("category_id").is_not_null(),
        pl.Series("occlusion_level", rng.integers(0, 4, n)),
    )
    seen = (pl.col("x1"), pl.col("y1"), pl.col("x2"), pl.col("y1") + (pl.col("y2") - pl.col("y1")) * 0.6875)
    has_visible = pl.Series("has_visible", rng.random(n) < 0.3)
    boxes = boxes.with_columns(
        pl.when(has_visible).then(value).alias(f"vis_{c}") for c, value in zip(XYXY, seen, strict=True)
    )
    images = table.images.with_columns(width=pl.lit(200, pl.Int32), height=pl.lit(180, pl.Int32))
    called = [*names, *table.categories["name"][len(names) :]][: table.categories.height]
    categories = table.categories.with_columns(pl.Series("name", called))
    return AnnotationTable(images, boxes, categories), detections


@pytest.fixture(scope="session")
def generated():
    return _generated


@pytest.fixture(scope="session")
def detailed():
    return _detailed


@pytest.fixture
def make_table():
    return _table


@pytest.fixture
def make_detections():
    return _detections


@pytest.fixture(scope="session")
def pycocotools():
    return _pycocotools
