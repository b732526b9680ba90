"""What commands show."""

from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress, TaskID

from detect_transfer.cli.console import training_watch
from detect_transfer.workflows.result_lines import notes_once, threshold_notes


def test_threshold_notes__are_those_of_the_goal_that_predict_obeys() -> None:
    notes = ["best_f1: a recall of: stop 0.5", "warning: best_f1: stop: low", "target_fppi: a recall of: stop 0.1"]
    points = {"default": "best_f1", "bounds": {"notes": notes}}
    assert threshold_notes(points) == [*notes[:2], "1 note on other goals for score thresholds: operating_points.json"]
    assert threshold_notes({"default": "best_f1", "bounds": {"notes": notes[:1]}}) == notes[:1]
    assert threshold_notes({"default": "best_f1", "bounds": {}}) == []


def test_bar_of_a_training__never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    update = Progress.update

    def noted(bars: Progress, task: TaskID, **fields: Any) -> None:
        shown.extend([fields["completed"]] if "completed" in fields else [])
        update(bars, task, **fields)

    monkeypatch.setattr(Progress, "update", noted)
    with training_watch(Console(quiet=True)) as watch:
        for step, left in enumerate((1e-9, 100.0, 50.0, 0.0), 1):
            watch.on_step(1, step, 4, 0.5, step / 4, left)
    assert shown == sorted(shown)
    assert shown[-1] == 1


def test_notes_of_the_same_words__are_said_once_with_all_their_goals() -> None:
    same = "stop: 4 objects are too few"
    notes = [f"warning: best_f1: {same}", "target_fppi: other words", f"warning: target_fppi: {same}"]
    assert notes_once(notes) == [f"warning: best_f1, target_fppi: {same}", "target_fppi: other words"]
