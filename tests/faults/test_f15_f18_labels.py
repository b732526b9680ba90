"""F15, F18: labels with rows of several kinds, and labels that were cut short."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

POLYGON = "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2"
TOLD = "its last number may be cut"


def test_boxes_and_polygons__in_one_label_are_noted(command: Callable[..., Any], yolo_set: Path) -> None:
    label = yolo_set / "labels" / "train" / "0.txt"
    label.write_text(label.read_text() + POLYGON + "\n")
    assert "(1) image rows: label with boxes and polygons" in command("check", yolo_set).out
    label.write_text(POLYGON + "\n")
    assert "boxes and polygons" not in command("check", yolo_set).out


def test_label__cut_anywhere_in_its_last_row_is_an_error_or_noted(command: Callable[..., Any], yolo_set: Path) -> None:
    label = yolo_set / "labels" / "train" / "0.txt"
    whole = "0 0.5 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25"
    for cut in range(whole.index("\n") + 2, len(whole)):
        label.write_text(whole[:cut])
        ended = command("check", yolo_set)
        assert ended.code == 2 or TOLD in ended.out, whole[:cut]


@pytest.mark.parametrize(
    ("row", "is_noted"),
    [
        pytest.param("0 0.512345 0.412345 0.212345 0.312345", False, id="as-the-tool-writes"),
        pytest.param("0 0.512345 0.412345 0.212345 0.3123", True, id="fewer-decimals"),
    ],
)
def test_labels__that_all_lack_the_last_line_break(
    command: Callable[..., Any], yolo_set: Path, row: str, is_noted: bool
) -> None:
    for label in yolo_set.glob("labels/*/*.txt"):
        label.write_text("0 0.512345 0.412345 0.212345 0.312345")
    (yolo_set / "labels" / "train" / "0.txt").write_text(row)
    assert (TOLD in command("check", yolo_set).out) is is_noted
