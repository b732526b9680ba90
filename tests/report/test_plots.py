"""Plots: valid SVG for any names, and nothing left behind in matplotlib."""

from xml.etree import ElementTree

import matplotlib
import pytest

from detect_transfer.core.annotations import Detections
from detect_transfer.evaluation import Case, confusion, evaluate_metrics, match, score
from detect_transfer.report import curves, plots

DRAWN = {"svg", "metadata", "RDF", "Work", "type", "format"}
DRAWN |= {"defs", "style", "g", "path", "use", "clipPath", "rect", "image"}
HISTORY = [{"epoch": 0, "AP": 0.1}, {"epoch": 1, "AP": 0.2, "loss": float("nan"), "lr": 0.1}]


def all_plots(truth, detections):
    scores, matches = score(truth, detections), match(truth, detections)
    names = {row.category_id: row.name for row in scores.per_class}
    return [
        plots.pr_curves(scores),
        plots.f1_curves(matches, names),
        plots.confusion_map(confusion(Case(truth, detections))),
        plots.class_bars(scores),
        *plots.training_curves(HISTORY).values(),
        curves.threshold_curves(matches),
        curves.reliability_diagram(evaluate_metrics(Case(truth, detections), ["calibration"])["calibration"]),
    ]


def test_plots__hostile_names_give_valid_svg(make_scene, hostile):
    truth, detections = make_scene(hostile)
    for svg in all_plots(truth, detections):
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
        assert tags <= DRAWN


@pytest.mark.parametrize("detected", [True, False])
def test_plots__one_class_with_and_without_detections(make_scene, detected):
    truth, detections = make_scene(["stop"])
    svgs = all_plots(truth, detections if detected else Detections.empty())
    assert all(svg.startswith("<?xml") for svg in svgs[:-2])
    assert [svg.startswith("<?xml") for svg in svgs[-2:]] == [detected, detected]


def test_plots__the_same_input_gives_the_same_text_and_settings_stay(make_scene):
    truth, detections = make_scene(["a", "b", "c"])
    before = dict(matplotlib.rcParams)
    assert all_plots(truth, detections) == all_plots(truth, detections)
    assert dict(matplotlib.rcParams) == before


def test_training_curves__phases_are_named_where_there_are_several():
    rows = [{"epoch": 0, "AP": 0.1}, *({"epoch": e, "phase": 1 + e // 3, "AP": 0.2} for e in range(1, 5))]
    several, one = plots.training_curves(rows)["AP"], plots.training_curves(rows[:3])["AP"]
    assert several.count("<!-- phase") == 2
    assert "<!-- phase" not in one


def test_training_curves__what_is_missing_is_left_out():
    assert set(plots.training_curves(HISTORY)) == {"AP", "lr"}
    assert plots.training_curves([]) == {}
