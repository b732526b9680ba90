"""What commands show."""

from detect_transfer.workflows.result_lines import threshold_notes


def test_threshold_notes__are_those_of_the_goal_that_predict_obeys() -> None:
    notes = ["best_f1: a recall of: stop 0.5", "warning: best_f1: stop: low", "target_fppi: a recall of: stop 0.1"]
    points = {"default": "best_f1", "bounds": {"notes": notes}}
    assert threshold_notes(points) == [*notes[:2], "1 notes on other goals for score thresholds: operating_points.json"]
    assert threshold_notes({"default": "best_f1", "bounds": {"notes": notes[:1]}}) == notes[:1]
    assert threshold_notes({"default": "best_f1", "bounds": {}}) == []
