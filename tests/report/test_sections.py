"""What the page tells of further metrics: rows by hand, intervals, reasons where numbers are missing."""

from dataclasses import replace

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case, MetricResult, evaluate_metrics, score
from detect_transfer.report import health, sections


def test_interval__as_words_and_none_without_one(make_scene):
    scores = score(*make_scene(["stop"]), n_draws=100)
    assert sections.interval_of(replace(scores, interval=None), "AP") == ""
    low, high = scores.interval.get("AP")
    assert sections.interval_of(scores, "AP") == f"{low:.3f} to {high:.3f}"


def test_error_table__most_costly_first():
    names = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
    values = {f"dAP_{n}": i / 10 for i, n in enumerate(names)} | {f"count_{n}": float(i) for i, n in enumerate(names)}
    rows = sections.error_table({"tide": MetricResult("tide", values, {}, {})})
    assert [row.won for row in rows] == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert (rows[0].name, rows[0].count) == ("missed", 5)
    assert sections.error_table({}) == []


def test_protocol_blocks__numbers_of_classes_fold_and_reasons_are_shown():
    values = {"AP": 0.5, "MR": None, **{f"AP/{i}": 0.1 for i in range(20)}, "AP/none": None}
    result = MetricResult("voc", values, {"MR": "no object"}, {"overlap": ">= 0.5"})
    whole, parts, bounds = sections.protocol_blocks({"voc": result, "slices": result})
    assert whole.rows == (("AP", "0.5"), ("MR", "– (no object)"))
    assert (bounds.rows, bounds.folded) == ((("overlap", ">= 0.5"),), True)
    assert (whole.folded, parts.folded, len(parts.rows)) == (False, True, 20)
    assert parts.note == "1 without objects or detections are left out"


def test_point_table__three_goals_and_none_where_not_met(make_scene):
    scores = score(*make_scene(["stop"]))
    values = {"best_f1_score_threshold/stop": 0.4, "best_f1_precision/stop": 0.9, "best_f1_recall/stop": 0.8}
    result = MetricResult("operating_points", values, {}, {"target_precision": 0.9, "target_fppi": 0.1})
    (row,) = sections.point_table({"operating_points": result}, scores)
    assert row.marks == (("", ""),) * 3
    assert row.points == ((0.4, 0.9, 0.8), (None, None, None), (None, None, None))
    assert sections.goals_of({"operating_points": result}) == [
        "best F1",
        "precision 0.9",
        "0.1 false positives an image",
    ]


def test_point_warnings__are_the_warnings_of_the_notes():
    bounds = {"notes": ["best_f1: a recall of: stop 0.000", "warning: best_f1: no detection at all of: stop"]}
    result = MetricResult("operating_points", {}, {}, bounds)
    assert sections.point_warnings({"operating_points": result}) == bounds["notes"][1:]
    assert sections.point_warnings({}) == []


def test_class_intervals__of_each_class_and_why_some_have_none(make_scene):
    truth, detections = make_scene(["stop", "yield"])
    assert sections.class_intervals(score(truth, detections)) == {}
    assert sections.missing_intervals(score(truth, detections)) == []
    first = truth.boxes["image_id"] == 1
    truth = truth.with_boxes(truth.boxes.filter(first | (truth.boxes["category_id"] == 1)))
    scores = score(truth, detections, n_draws=100)
    low, high = scores.interval.per_class[1]["AP50"]
    spans = sections.class_intervals(scores)
    assert spans[1]["AP50"] == f"{low:.3f}–{high:.3f}"
    assert spans[2] == {"AP": "", "AP50": ""}
    assert sections.missing_intervals(scores) == [
        (1, "all objects are in one image or group, so draws cannot show how the number would move")
    ]


def test_size_table__counts_objects_and_one_at_a_limit_twice():
    """Squares of 10, 32, 50 and 200 pixels; 32² is the limit of small and medium. An ignored one is no object."""
    side = [10.0, 32.0, 50.0, 200.0, 10.0]
    truth = AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"]},
        boxes={
            **{"annotation_id": range(1, 6), "image_id": [1] * 5, "category_id": [1] * 5},
            **{"x1": [0] * 5, "y1": [0] * 5, "x2": side, "y2": side, "ignore": [False] * 4 + [True]},
        },
        categories={"category_id": [1], "name": ["a"]},
    )
    scores = score(truth, Detections.empty())
    rows = sections.size_table(scores)
    assert [(row.name, row.count) for row in rows] == [("small", 2), ("medium", 2), ("large", 1)]
    assert [row.ap for row in rows] == [0.0, 0.0, 0.0]
    assert scores.sizes_note.startswith("1 of exactly 32² or 96² px are in two sizes")
    assert scores.as_dict()["counts"]["small"] == 2
    strict = score(truth, Detections.empty(), ignore_policy="strict")
    assert sections.size_table(strict)[0].count == 3


def test_slice_table__spans_in_words(make_scene):
    result = evaluate_metrics(Case(*make_scene(["stop"])), ["slices"])["slices"]
    heights = [row["slice"].replace("\N{NO-BREAK SPACE}", " ") for row in sections.slice_table({"slices": result})][1:5]
    assert heights == ["height under 20 px", "height 20 to 50 px", "height 50 to 100 px", "height 100 px and more"]
    names = {
        "occluded [0, 0]": "not occluded",
        "occluded (0, 0.4)": "occluded under 40 %",
        "visible [0.65, 1]": "visible 65 % and more",
        "weather [0, 1]": "weather [0, 1]",
    }
    values = {f"{column}/{name}": 1.0 for name in names for column in ("AP", "AP50", "recall", "n_positives")}
    rows = sections.slice_table({"slices": MetricResult("slices", values, {}, {})})
    assert [row["slice"].replace("\N{NO-BREAK SPACE}", " ") for row in rows] == list(names.values())
    assert sections.slice_table({}) == []


def test_record_blocks__wide_tables_lie_on_their_side_and_empty_things_are_dashes():
    wide = [{"number": n, **{f"k{i}": n * i for i in range(9)}, "until": {}} for n in (1, 2)]
    (block,) = health.record_blocks({"phases": wide}, "Transfer")
    assert block.columns == ("number", "1", "2")
    assert block.rows[2] == ("k2", "2", "4")
    assert "until" not in [row[0] for row in block.rows]
    (facts,) = health.record_blocks({"new": (), "word": "", "frozen": {"tensors": 0, "sha256": "e3"}}, "Transfer")
    assert facts.rows == (("new", "–"), ("word", "–"), ("Frozen tensors", "none: every tensor trained at some time"))


def test_cell__lists_end_with_what_did_not_fit_and_equal_values_are_shown_once():
    assert health.cell(["x" * 50] * 5) == ", ".join(["x" * 50] * 3) + " and 2 more"
    assert health.cell({"stem": 0.1, "neck": 0.1, "head": 0.2}) == "stem, neck 0.1; head 0.2"
