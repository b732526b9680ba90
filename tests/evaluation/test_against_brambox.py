"""LRP, operating points and the miss rate's curve against brambox on generated cases with regions that excuse."""

import against
import numpy as np
import pandas as pd
import pytest
from brambox import stat

from detect_transfer.evaluation import (
    METRICS,
    Case,
    match,
    threshold_curve,
)
from detect_transfer.evaluation.metrics.miss_rate import miss_rate
from detect_transfer.evaluation.metrics.protocols import CITYPERSONS, NINE_POINTS, Protocol

CASES = 100
pytestmark = [  # brambox 5.0.0 is of the days of pandas 2.1
    pytest.mark.filterwarnings("ignore:DataFrame._data is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:ChainedAssignmentError:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Setting an item of incompatible dtype is deprecated:FutureWarning"),
]


def frames(table, predictions):
    """Annotations and detections of one class as brambox has them."""
    images = pd.CategoricalDtype(table.images["image_id"].sort().to_list())
    annotations = frame(table.boxes, images)
    annotations["ignore"] = against.is_region(table.boxes).to_numpy()
    detections = frame(predictions.rows, images)
    detections["confidence"] = predictions.rows["score"].to_numpy()
    return detections, annotations


def frame(rows, images):
    names = ("x_top_left", "y_top_left", "width", "height")
    boxes = pd.DataFrame(against.xywh(rows), columns=names)
    return boxes.assign(image=pd.Series(rows["image_id"].to_list()).astype(images), class_label="")


def cases(generated, **scores):
    """Yield seed, table and detections of one class, and both as brambox has them."""
    for seed, table, predictions in against.single_classes(generated, CASES, **scores):
        yield seed, table, predictions, *frames(table, predictions)


def matched(detections, annotations):
    """Both with brambox's matching; without its bias an overlap of one half stays one half."""
    return stat.match_box(detections, annotations, 0.5, class_label=False, bias=0)


@pytest.fixture(scope="module")
def scored(generated):
    """The cases with brambox's matching."""
    made = cases(generated, in_image_only=True)
    return [(seed, table, predictions, *matched(*theirs)) for seed, table, predictions, *theirs in made]


def test_lrp__equals_brambox(scored):
    compared = 0
    for seed, table, predictions, detections, annotations in scored:
        values = METRICS["lrp"](Case(table, predictions)).values
        points = stat.lrp(detections, annotations)
        assert values["oLRP"] == pytest.approx(points["lrp"].min(), abs=1e-12), seed
        if values["localisation"] is None:
            assert values["oLRP"] == 1.0, seed
            continue
        (threshold,) = (value for name, value in values.items() if name.startswith("score_threshold/"))
        (point,) = points[points["confidence"] == threshold].to_dict("records")
        parts = [values[name] for name in ("oLRP", "localisation", "fp", "fn")]
        assert parts == pytest.approx([point[c] for c in ("lrp", "iou", "fp", "fn")], abs=1e-12), seed
        compared += 1
    assert compared > 120, compared


def test_threshold_curve__equals_brambox(scored):
    compared = 0
    for seed, table, predictions, detections, annotations in scored:
        matches = match(table, predictions)
        curve = threshold_curve(matches)
        if not (detections["tp"] | detections["fp"]).any():
            assert not len(curve.score), seed
            continue
        pr, rates = stat.pr(detections, annotations), stat.mr_fppi(detections, annotations)
        assert curve.score.tolist() == pr["confidence"].tolist(), seed
        for ours, theirs in (
            (curve.precision, pr["precision"]),
            (curve.recall, pr["recall"]),
            (curve.f1, stat.fscore(pr)["f1"]),
            (curve.fp_per_image, rates["false_positives_per_image"]),
        ):
            assert ours == pytest.approx(theirs.to_numpy(), abs=1e-12), seed
        assert matches.precision == pytest.approx(pr["precision"].iloc[-1], abs=1e-12), seed
        assert matches.recall == pytest.approx(pr["recall"].iloc[-1], abs=1e-12), seed
        assert matches.f1 == pytest.approx(stat.fscore(pr)["f1"].iloc[-1], abs=1e-12), seed
        every = rates["false_positives_per_image"].iloc[-1]
        assert matches.fp_per_image == pytest.approx(every, abs=1e-12), seed
        compared += len(curve.score) > 1
    assert compared > 120, compared


def test_operating_points__equal_brambox(scored, monkeypatch):
    for limit in ("MIN_OBJECTS", "MIN_PRECISION"):  # brambox has no such limits
        monkeypatch.setattr(f"detect_transfer.evaluation.metrics.operating_points.{limit}", 0)
    compared = dict.fromkeys(("best_f1", "target_precision", "target_fppi"), 0)
    for seed, table, predictions, detections, annotations in scored:
        values = METRICS["operating_points"](Case(table, predictions)).values
        recall_at = {name.split("_recall")[0]: value for name, value in values.items() if "_recall/" in name}
        if not detections["tp"].any():
            assert set(recall_at.values()) == {None}, seed
            continue
        pr, rates = stat.pr(detections, annotations), stat.mr_fppi(detections, annotations)
        met = {
            "best_f1": stat.peak(stat.fscore(pr)),
            "target_precision": stat.threshold(pr, "precision", 0.9, first=False),
            "target_fppi": pr[(rates["false_positives_per_image"] <= 0.1) & (pr["recall"] > 0)].max(),
        }
        for name, point in met.items():
            expected = None if point is None or np.isnan(point["recall"]) else point["recall"]
            assert recall_at[name] == (None if expected is None else pytest.approx(expected, abs=1e-12)), (seed, name)
            compared[name] += expected is not None
    assert min(compared.values()) > 30, compared


@pytest.mark.parametrize(
    ("protocol", "subset", "lowest"),
    [
        pytest.param(
            Protocol(subsets={"all": {}}, source="", fppi=NINE_POINTS, classes=()), "all", 0, id="all heights"
        ),
        pytest.param(CITYPERSONS, "reasonable", 50, id="citypersons reasonable"),
    ],
)
def test_miss_rate__equals_brambox(protocol, subset, lowest, generated):
    compared = 0
    for seed, table, predictions, detections, annotations in cases(generated):
        annotations["ignore"] |= annotations["height"] < lowest
        detections = detections[detections["height"] >= lowest / 1.25]
        rate = miss_rate(Case(table, predictions), "", protocol).values[subset]
        if annotations["ignore"].all():
            assert rate is None, seed
            continue
        curve = stat.mr_fppi(matched(detections, annotations)[0], annotations)
        # brambox draws straight lines between the points of its curve, the benchmarks read the last point before
        steps = np.searchsorted(curve["false_positives_per_image"], protocol.fppi, side="right")
        read = np.append(1.0, curve["miss_rate"])[steps]
        assert rate == pytest.approx(np.exp(np.log(np.maximum(read, 1e-10)).mean()), abs=1e-12), seed
        compared += rate < 1
    assert compared > 50, compared
