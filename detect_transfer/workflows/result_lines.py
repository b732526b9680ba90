"""What a run came to, in lines for the console and the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from detect_transfer.core.counted import counted
from detect_transfer.core.io import read_json
from detect_transfer.workflows.run_folder import RunFolder

if TYPE_CHECKING:
    from detect_transfer.training.checkpoint import Progress
    from detect_transfer.workflows.train_outputs import RunScores


def result_lines(folder: RunFolder, scores: RunScores, progress: Progress) -> list[str]:
    """Return the scores of a run, what they were chosen by, and where it lies."""
    lines = []
    if scores.test is not None:
        lines.append(f"test AP {_shown(scores.test['AP'])}, AP50 {_shown(scores.test['AP50'])}")
    before = _shown(progress.history[0]["AP"])
    lines.append(f"AP {_shown(scores.val.get('AP'))}, AP50 {_shown(scores.val.get('AP50'))}: {scores.selection}")
    lines.append(f"{progress.best_weights} is the best; untrained AP {before}")
    lines += threshold_notes(read_json(folder.thresholds))
    if scores.test is not None:
        lines.append(read_json(folder.test.metrics).get("at_thresholds_note", ""))
    paths = (("weights", folder.best), ("images", folder.images), ("report", folder.report))
    return [*filter(None, lines), *(f"{name + ':':9s} {path}" for name, path in paths)]


def threshold_notes(points: dict[str, Any]) -> list[str]:
    """Return the notes on the goal that `predict` obeys, and how many there are on other goals."""
    notes = points["bounds"].get("notes", [])
    own = [note for note in notes if note.removeprefix("warning: ").startswith(f"{points['default']}:")]
    others = len(notes) - len(own)
    return [
        *own,
        *([f"{counted(others, 'note')} on other goals for score thresholds: operating_points.json"] if others else []),
    ]


def notes_once(notes: Sequence[str]) -> list[str]:
    """Return notes that begin with their goal; those of the same words are one that names all their goals."""
    goals: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        text = note.removeprefix("warning: ")
        goal, _, words = text.partition(": ")
        goals.setdefault((note.removesuffix(text), words), []).append(goal)
    return [f"{start}{', '.join(names)}: {words}" for (start, words), names in goals.items()]


def _shown(value: float | None) -> str:
    return "null" if value is None else f"{value:.3f}"
