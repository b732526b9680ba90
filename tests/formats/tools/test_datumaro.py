"""What annotations of one group are in Datumaro JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.formats.tools.datumaro import read

LEFT, RIGHT = [10.0, 10.0, 20.0, 10.0, 20.0, 30.0], [30.0, 12.0, 50.0, 12.0, 50.0, 40.0]


def polygon(points: list[float], group: int, label: int = 0) -> dict[str, Any]:
    return {"type": "polygon", "label_id": label, "group": group, "points": points, "attributes": {}}


def box(x: float, y: float, width: float, height: float, group: int = 0) -> dict[str, Any]:
    return {"type": "bbox", "label_id": 0, "group": group, "bbox": [x, y, width, height], "attributes": {}}


def table_of(write: Any, root: Path, *annotations: dict[str, Any]) -> AnnotationTable:
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("car", "sign")]
    item = {"id": "a", "annotations": annotations, "image": {"path": "a.png", "size": [60, 80]}}
    write("annotations/train.json", json.dumps({"categories": {"label": {"labels": labels}}, "items": [item]}))
    write("images/train/a.png", (80, 60))
    return read(root)


def boxes_of(table: AnnotationTable) -> list[tuple[Any, ...]]:
    return sorted(table.boxes.select("category_id", "x1", "y1", "x2", "y2").rows())


def test_group__outlines_of_a_box_are_no_further_objects(write: Any, tmp_path: Path) -> None:
    table = table_of(write, tmp_path, polygon(LEFT, 7), polygon(RIGHT, 7), box(10, 10, 40, 30, 7))
    assert boxes_of(table) == [(1, 10, 10, 50, 40)]
    assert [(line.action, line.count) for line in table.reading] == [("noted", 2)]


def test_group__parts_without_a_box_are_one_object(write: Any, tmp_path: Path) -> None:
    assert boxes_of(table_of(write, tmp_path, polygon(LEFT, 7), polygon(RIGHT, 7))) == [(1, 10, 10, 50, 40)]


def test_group__objects_stay_apart(write: Any, tmp_path: Path) -> None:
    """Two boxes, another class, an outline that no box holds, and shapes without a group are objects of their own."""
    table = table_of(write, tmp_path, box(1, 1, 2, 2, 7), box(5, 1, 2, 2, 7), polygon(RIGHT, 7), polygon(LEFT, 7, 1))
    assert boxes_of(table) == [(1, 1, 1, 3, 3), (1, 5, 1, 7, 3), (1, 30, 12, 50, 40), (2, 10, 10, 20, 30)]
    assert len(table_of(write, tmp_path, polygon(LEFT, 0), polygon(RIGHT, 0)).boxes) == 2


def test_mask__is_read_by_its_extent(write: Any, tmp_path: Path) -> None:
    runs = {"counts": [60 * 10 + 5, 20, 40, 20, 60 * 80 - 60 * 10 - 85], "size": [60, 80]}
    mask = {"type": "mask", "label_id": 0, "group": 0, "rle": runs, "attributes": {}}
    assert boxes_of(table_of(write, tmp_path, mask)) == [(1, 10, 5, 12, 25)]


def test_points__that_are_absent_are_no_part_of_an_object(write: Any, tmp_path: Path) -> None:
    """Visibility 0 is absent, 1 hidden, 2 visible; an absent point stands at the origin."""

    def points(*states: int, group: int = 0) -> dict[str, Any]:
        numbers = [0.0, 0.0, 10.0, 12.0, 20.0, 30.0]
        return {"type": "points", "label_id": 0, "group": group, "points": numbers, "visibility": list(states)}

    assert boxes_of(table_of(write, tmp_path, points(0, 1, 2))) == [(1, 10, 12, 20, 30)]
    assert boxes_of(table_of(write, tmp_path, points(0, 1, 2, group=7), box(5, 5, 40, 30, 7))) == [(1, 5, 5, 45, 35)]
    table = table_of(write, tmp_path, points(0, 0, 0, group=7), box(5, 5, 40, 30, 7))
    assert boxes_of(table) == [(1, 5, 5, 45, 35)]
    assert [(line.action, line.reason, line.count) for line in table.reading] == [("dropped", "it has no outline", 1)]
