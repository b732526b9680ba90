"""What the page tells of further metrics: rows by hand, intervals, reasons where numbers are missing."""

from dataclasses import replace

from detect_transfer.evaluation import MetricResult, score
from detect_transfer.report import sections


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


def test_protocol_blocks__numbers_of_classes_fold_and_reasons_are_told():
    values = {"AP": 0.5, "MR": None, **{f"AP/{i}": 0.1 for i in range(20)}}
    result = MetricResult("voc", values, {"MR": "no object"}, {"overlap": ">= 0.5"})
    whole, parts = sections.protocol_blocks({"voc": result, "slices": result})
    assert whole.rows == (("AP", "0.5"), ("MR", "– (no object)"))
    assert whole.note == "overlap: >= 0.5"
    assert (whole.folded, parts.folded, len(parts.rows)) == (False, True, 20)


def test_point_table__three_goals_and_none_where_not_met(make_scene):
    scores = score(*make_scene(["stop"]))
    values = {"best_f1_score_threshold/stop": 0.4, "best_f1_precision/stop": 0.9, "best_f1_recall/stop": 0.8}
    result = MetricResult("operating_points", values, {}, {"target_precision": 0.9, "target_fppi": 0.1})
    (row,) = sections.point_table({"operating_points": result}, scores)
    assert row.points == ((0.4, 0.9, 0.8), (None, None, None), (None, None, None))
    assert sections.goals_of({"operating_points": result}) == ["best F1", "precision 0.9", "0.1 false alarms an image"]
