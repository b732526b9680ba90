"""Pascal VOC AP against mmeval's `VOCMeanAP` on generated cases with difficult objects."""

import against
import numpy as np
import polars as pl
import pytest
from mmeval.metrics.voc_map import VOCMeanAP, calculate_average_precision

from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.evaluation import METRICS, Case

CASES = 200


def last_pixels(rows):
    """Corners (N, 4) as VOC writes them: x2 and y2 are the last pixel, which belongs to the box."""
    return rows.select(XYXY).to_numpy() - np.array([0, 0, 1, 1])


def theirs(table, detections):
    """How many objects mmeval counts of each class, and the AP of its curve by all points and by 11."""
    ids = table.categories["category_id"].sort().to_list()
    predictions, truths = [], []
    for image_id in table.images["image_id"].sort():
        rows, boxes = (f.filter(pl.col("image_id") == image_id) for f in (detections.rows, table.boxes))
        objects, difficult = boxes.filter(~boxes["difficult"]), boxes.filter(boxes["difficult"])
        predictions.append({**labelled(rows, ids), "scores": rows["score"].to_numpy()})
        ignored = {f"{name}_ignore": value for name, value in labelled(difficult, ids).items()}
        truths.append({**labelled(objects, ids), **ignored})
    metric = VOCMeanAP(num_classes=len(ids), use_legacy_coordinate=True, nproc=1, classwise=True, drop_class_ap=False)
    by_class = metric(predictions, truths)["classwise_result"]
    return {i: (int(r["num_gts"].item()), *areas(r)) for i, r in zip(ids, by_class, strict=True)}


def areas(result):
    """AP in double precision; mmeval keeps it in single."""
    curve = result["recalls"][0, 0], result["precisions"][0, 0]
    return tuple(calculate_average_precision(*curve, mode) for mode in ("area", "11points"))


def labelled(rows, ids):
    return {"bboxes": last_pixels(rows), "labels": np.searchsorted(ids, rows["category_id"].to_numpy())}


def voc_case(detailed, seed):
    """A case without regions, which VOC has none of, and with difficult objects last, as mmeval looks at them last."""
    table, detections = detailed(seed)
    boxes = table.boxes.filter(~pl.col("iscrowd") & ~pl.col("ignore")).sort("difficult", maintain_order=True)
    detections = against.ranked_apart(detections, seed)
    return table.with_boxes(against.on_grid(boxes)), Detections(against.on_grid(detections.rows))


def test_voc__equals_mmeval(detailed):
    compared = read = 0
    for seed in range(CASES):
        table, detections = voc_case(detailed, seed)
        values = METRICS["voc"](Case(table, detections)).values
        names = dict(table.categories.select("category_id", "name").iter_rows())
        for category_id, (n_objects, area, eleven) in theirs(table, detections).items():
            name = names[category_id]
            if not n_objects:
                assert values[f"AP_all_point/{name}"] is None
                continue
            assert values[f"AP_all_point/{name}"] == pytest.approx(area, abs=1e-12), (seed, name)
            compared += 0 < area < 1
            if n_objects % 5:  # else a recall may be exactly .3, .6 or .7, where mmeval asks for .30000000000000004
                assert values[f"AP_11_point/{name}"] == pytest.approx(eleven, abs=1e-12), (seed, name)
                read += 1
    assert compared > 200, compared
    assert read > 200, read


def test_voc__a_recall_of_six_tenths_is_reached_with_3_of_5(make_table, make_detections):
    """Here the two differ: mmeval adds .1 up to .6000000000000001, which 3/5 is less than."""
    rows = [(1, 1, 20 * i, 0, 20 * i + 10, 10) for i in range(5)]
    table = make_table(rows, extra={"difficult": [False] * 5})
    detections = make_detections([(*row, 0.9 - 0.1 * i) for i, row in enumerate(rows[:3])])
    assert METRICS["voc"](Case(table, detections)).values["AP_11_point"] == pytest.approx(7 / 11)
    assert theirs(table, detections)[1] == (5, pytest.approx(3 / 5), pytest.approx(6 / 11))
