"""TIDE against tidecv on generated cases, with the three known differences put right in tidecv first."""

import against
import numpy as np
import pytest
from tidecv import TIDE, Data
from tidecv.ap import ClassedAPDataObject

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import METRICS, Case, outcomes
from detect_transfer.evaluation.metrics.tide import EXCUSED, classify

CASES = 200


def run_of(table, detections):
    """A run of tidecv; its boxes are xywh and a region of every class has the class -1."""
    truth, predicted = Data("truth"), Data("detections")
    for image_id in table.images["image_id"].sort():
        truth.add_image(image_id, str(image_id))
    for row, box in zip(table.boxes.to_dicts(), against.xywh(table.boxes), strict=True):
        if row["iscrowd"] or row["ignore"]:
            category_id = -1 if row["category_id"] is None else row["category_id"]
            truth.add_ignore_region(row["image_id"], category_id, box)
        else:
            truth.add_ground_truth(row["image_id"], row["category_id"], box)
    for row, box in zip(detections.rows.to_dicts(), against.xywh(detections.rows), strict=True):
        predicted.add_detection(row["image_id"], row["category_id"], row["score"], box)
    return TIDE().evaluate(truth, predicted, mode=TIDE.BOX)


@pytest.fixture
def agreed(monkeypatch):
    """Read both at recall k / 100, and let tidecv's mean leave out the classes that never had an object."""
    monkeypatch.setattr(outcomes, "RECALLS", np.arange(101) / 100)

    def agree(table):
        classes = set(table.boxes.filter(~against.is_region(table.boxes))["category_id"])

        def mean(self):
            values = [data.get_ap() for k, data in self.objs.items() if k in classes and not data.is_empty()]
            return sum(values) / len(values) if values else 0.0

        monkeypatch.setattr(ClassedAPDataObject, "get_mAP", mean)
        return bool(classes)

    return agree


def test_tide__equals_tidecv(generated, agreed):
    compared = dict.fromkeys(("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FalsePos", "FalseNeg"), 0)
    for seed in range(CASES):
        table, detections = generated(seed)
        detections = against.ranked_apart(detections, seed)
        if not agreed(table) or detections.rows.is_empty():
            continue
        case = Case(table, detections)
        values, left_out = METRICS["tide"](case).values, classify(case).kind == EXCUSED
        # tidecv says which detections it looks at and excuses, but counts these as errors; so it then does without
        looked_at = [p.get("used") is not None for p in run_of(table, detections).preds.annotations]
        assert looked_at == (~left_out).tolist(), seed
        run = run_of(table, Detections(detections.rows.filter(looked_at)))
        assert values["AP50"] == pytest.approx(run.ap / 100, abs=1e-12), seed
        counts = {kind.short_name: n for kind, n in run.count_errors().items()}
        counts["FalsePos"] = sum(counts.values()) - counts["Miss"]
        counts["FalseNeg"] = sum(len(missed) for missed in run.false_negatives.values())
        won = {**run.fix_main_errors(), **run.fix_special_errors()}
        for kind, gain in won.items():
            name = kind.short_name
            assert values[f"dAP_{name}"] == pytest.approx(max(gain / 100, 0.0), abs=1e-12), (seed, name)
            assert values[f"count_{name}"] == counts[name], (seed, name)
            compared[name] += gain > 0
    assert min(compared.values()) > 30, compared
