"""Why two mAPs differ: ultralytics' numbers are met, and the parts add up to the gap."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import coco_metrics
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.explain import explain
from detect_transfer.evaluation.ultralytics_map import interpolated_ap, match_as_ultralytics


def sized(table: AnnotationTable, width: int = 400, height: int = 400) -> AnnotationTable:
    return replace(
        table,
        images=table.images.with_columns(
            pl.lit(width, pl.Int32).alias("width"), pl.lit(height, pl.Int32).alias("height")
        ),
    )


def part(result, name: str):
    return next(step for step in result.steps if step.name == name)


def by_ultralytics(truth: AnnotationTable, detections: Detections) -> dict[str, float]:
    """The mAP of ultralytics' own code for boxes that are all objects, image by image."""
    import torch

    from detect_transfer.models.yolo.ultralytics import load_ultralytics

    load_ultralytics()  # behind its fence
    from ultralytics.engine.validator import BaseValidator
    from ultralytics.utils.metrics import ap_per_class, box_iou

    class Judge(BaseValidator):
        def __init__(self) -> None:
            self.iouv = torch.linspace(0.5, 0.95, 10)

    judge, parts = Judge(), []
    for image_id in truth.images["image_id"].sort():
        objects = truth.boxes.filter(pl.col("image_id") == image_id)
        rows = detections.rows.filter((pl.col("image_id") == image_id) & (pl.col("score") >= 0.001))
        rows = rows.sort("score", descending=True, maintain_order=True).head(300)
        truth_class = torch.tensor(objects["category_id"].to_numpy())
        tp = np.zeros((len(rows), 10), bool)
        if len(objects) and len(rows):
            boxes = [torch.tensor(part.select(XYXY).to_numpy()) for part in (objects, rows)]
            tp = judge.match_predictions(
                torch.tensor(rows["category_id"].to_numpy()), truth_class, box_iou(*boxes)
            ).numpy()
        parts.append((tp, rows["score"].to_numpy(), rows["category_id"].to_numpy(), truth_class.numpy()))
    tp, score, category, target = (np.concatenate(column) for column in zip(*parts, strict=True))
    ap = ap_per_class(tp, score, category, target)[5]
    return {"AP": float(ap.mean()), "AP50": float(ap[:, 0].mean())}


@pytest.mark.yolo
def test_ultralytics__its_own_code_gives_the_same_numbers(generated) -> None:
    n_scored = 0
    for seed in range(75):
        truth, detections = generated(seed)
        rows = detections.rows
        plain = truth.with_boxes(truth.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd")))
        result = explain(sized(truth, 10_000, 10_000), detections)
        if plain.boxes.is_empty():
            assert result.ultralytics["AP"] is None
            continue
        if rows["score"].n_unique() == len(rows):  # of tied scores, the order of ultralytics is not fixed
            unique = plain.with_boxes(plain.boxes.unique(["image_id", "category_id", *XYXY], maintain_order=True))
            assert result.ultralytics == pytest.approx(by_ultralytics(unique, detections), abs=1e-9), seed
            n_scored += bool(len(rows))
    assert n_scored > 20


def test_parts__add_up_to_the_gap_and_begin_at_coco(generated) -> None:
    for seed in range(30):
        truth, detections = generated(seed)
        result = explain(sized(truth, 120, 120), detections, without_label=truth.images["image_id"].to_list()[:1])
        metrics = coco_metrics(truth, detections)
        for name, parts in (
            ("AP", [s.part for s in result.steps]),
            ("AP50", [s.part50 for s in result.steps]),
        ):
            assert result.coco[name] == (None if metrics[name] is None else pytest.approx(metrics[name], abs=1e-9))
            if result.ultralytics[name] is not None:
                assert sum(parts) == pytest.approx(result.ultralytics[name] - result.coco[name], abs=1e-12)


@pytest.mark.parametrize(
    ("detections", "coco", "ultralytics"),
    [
        pytest.param([(1, 0.9), (2, 0.8)], 1.0, 0.995, id="perfect"),
        pytest.param([(1, 0.9)], 51 / 101, 0.495, id="one-of-two"),
        pytest.param([(1, 0.9), (3, 0.85), (2, 0.8)], 0.8350, 0.8283, id="right-wrong-right"),
        pytest.param([], 0.0, 0.0, id="none"),
    ],
)
def test_integration__known_values(make_table, make_detections, detections, coco: float, ultralytics: float) -> None:
    """Two objects; a detection in the third place is a false positive. Values of formats.md 4.11."""
    truth = sized(make_table([(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in (1, 2)]))
    result = explain(truth, make_detections([(1, 1, 20 * i, 0, 20 * i + 10, 10, s) for i, s in detections]))
    assert result.coco["AP"] == pytest.approx(coco, abs=5e-5)
    assert result.ultralytics["AP"] == pytest.approx(ultralytics, abs=5e-5)
    assert part(result, "integration").part == pytest.approx(result.ultralytics["AP"] - result.coco["AP"])


def test_ignored__a_detection_in_a_crowd_becomes_a_false_positive(make_table, make_detections) -> None:
    truth = sized(make_table([(1, 1, 0, 0, 10, 10), (1, 1, 100, 100, 200, 200, "c")]))
    result = explain(truth, make_detections([(1, 1, 110, 110, 120, 120, 0.9), (1, 1, 0, 0, 10, 10, 0.8)]))
    step = part(result, "ignored boxes")
    assert result.coco["AP"] == pytest.approx(1.0)
    assert (step.affected, step.AP) == (1, pytest.approx(0.5))


def test_refused_labels__the_whole_image_is_left_out(make_table, make_detections) -> None:
    """The second image has a box whose middle lies outside; it was missed."""
    truth = sized(make_table([(1, 1, 0, 0, 10, 10), (2, 1, 395, 0, 425, 10)], n_images=2))
    result = explain(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.9), (2, 1, 50, 50, 60, 60, 0.95)]))
    step = part(result, "refused labels")
    assert (step.affected, step.AP) == (1, pytest.approx(1.0))
    assert part(explain(make_table([(1, 1, 0, 0, 10, 10)]), make_detections([])), "refused labels").affected == 0


def test_missing_label__its_objects_are_gone(make_table, make_detections) -> None:
    truth = sized(make_table([(1, 1, 0, 0, 10, 10), (2, 1, 0, 0, 10, 10)], n_images=2))
    detections = make_detections([(2, 1, 0, 0, 10, 10, 0.9), (1, 1, 0, 0, 10, 10, 0.8)])
    step = part(explain(truth, detections, without_label=[2]), "missing labels")
    assert (step.affected, step.AP) == (1, pytest.approx(0.5))


def test_duplicates__one_of_two_equal_boxes_counts(make_table, make_detections) -> None:
    truth = sized(make_table([(1, 1, 0, 0, 10, 10), (1, 1, 0, 0, 10, 10)]))
    step = part(explain(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.9)])), "duplicate rows")
    assert (step.affected, step.AP) == (1, pytest.approx(1.0))


def test_floor_and_cap__what_comes_and_goes(make_table, make_detections) -> None:
    """120 fp before the only tp: COCO's cap of 100 hides it, ultralytics' 300 does not; its floor might."""
    truth = sized(make_table([(1, 1, 0, 0, 10, 10)]))
    fp = [(1, 1, 100, 100, 120, 120, 0.9 - i / 1000) for i in range(120)]
    result = explain(truth, make_detections([*fp, (1, 1, 0, 0, 10, 10, 0.5)]))
    assert result.coco["AP"] == 0
    assert part(result, "detection cap").affected == 21
    assert pytest.approx(1 / 121) == part(result, "detection cap").AP
    low = explain(truth, make_detections([(1, 1, 0, 0, 10, 10, 0.0009)]))
    assert (part(low, "score floor").affected, low.coco["AP"], low.ultralytics["AP"]) == (1, pytest.approx(1.0), 0.0)


def test_cap__is_raised_for_an_image_with_more_objects(make_table, make_detections) -> None:
    boxes = [(1, 1, 12 * (i % 20), 12 * (i // 20), 12 * (i % 20) + 10, 12 * (i // 20) + 10) for i in range(320)]
    result = explain(sized(make_table(boxes)), make_detections([(*b, 0.9 - i / 1000) for i, b in enumerate(boxes)]))
    assert result.ultralytics["AP"] == pytest.approx(0.995)
    assert "320 detections an image" in part(result, "detection cap").text


def test_class_ids__indices_from_0_are_distinguished_from_ids(make_table, make_detections) -> None:
    truth = sized(make_table([(1, c, 20 * c, 0, 20 * c + 10, 10) for c in (1, 2)], n_classes=2))
    as_index = make_detections([(1, c - 1, 20 * c, 0, 20 * c + 10, 10, 0.9) for c in (1, 2)])
    result = explain(truth, as_index)
    assert result.coco["AP"] == 0
    assert part(result, "class ids").part == pytest.approx(1.0)
    other = explain(truth, make_detections([(1, 1, 20, 0, 30, 10, 0.9), (1, 77, 0, 0, 9, 9, 0.9)]))
    assert part(other, "class ids").affected == 0
    assert "1 detections of classes" in part(other, "class ids").text


def test_class_ids__indices_from_1_are_distinguished_from_sparse_ids(make_table, make_detections) -> None:
    """Classes 3, 7 and 20 counted as 1, 2, 3 or, without the last one, as 1 and 2, which could count from 0 as well."""
    spread = {1: 3, 2: 7, 3: 20}
    for classes in ((1, 2, 3), (1, 2)):
        boxes = [(1, c, 20 * c, 0, 20 * c + 10, 10) for c in classes]
        truth = sized(make_table(boxes, n_classes=3))
        ids = pl.col("category_id").replace_strict(spread, return_dtype=pl.Int64)
        truth = replace(truth, boxes=truth.boxes.with_columns(ids), categories=truth.categories.with_columns(ids))
        result = explain(truth, make_detections([(*box, 0.9) for box in boxes]))
        assert pytest.approx(1.0) == part(result, "class ids").AP
        assert "from 1" in part(result, "class ids").text


def test_matching__of_equal_overlaps_the_first_box(make_table, make_detections) -> None:
    """Two boxes overlap the first detection alike; the second detection can only match one of them.

    COCO gives the later box to the first detection and leaves the earlier one, which the second detection misses.
    """
    truth = make_table([(1, 1, 0, 0, 10, 10), (1, 1, 4, 0, 14, 10)])
    detections = make_detections([(1, 1, 2, 0, 12, 10, 0.9), (1, 1, 4, 0, 14, 10, 0.8)])
    matches = match_as_ultralytics(Case(truth, detections))
    assert matches.tp[0].tolist() == [True, True]
    assert matches.tp[5].tolist() == [False, True]
    result = explain(sized(truth), detections)
    assert part(result, "matching").part50 == pytest.approx(1.0 - 51 / 101)


def test_no_object_and_unknown_image(make_table, make_detections) -> None:
    result = explain(sized(make_table([])), make_detections([(1, 1, 0, 0, 9, 9, 0.9)]))
    assert result.as_dict()["reason"]
    assert {step.part for step in result.steps} == {None}
    with pytest.raises(InputError, match="DETECTION_UNKNOWN_ID"):
        explain(make_table([]), make_detections([(5, 1, 0, 0, 9, 9, 0.9)]))


def test_all_images_refused__nothing_is_left(make_table, make_detections) -> None:
    result = explain(sized(make_table([(1, 1, 395, 0, 425, 10)])), make_detections([]))
    assert result.coco["AP"] == 0
    assert result.ultralytics == {"AP": None, "AP50": None}


def test_interpolated_ap__class_without_object_is_nan(make_table) -> None:
    matches = match_as_ultralytics(Case(make_table([(1, 1, 0, 0, 9, 9)], n_classes=2), Detections.empty()))
    ap = interpolated_ap(matches)
    assert (ap[0] == 0).all()
    assert np.isnan(ap[1]).all()
