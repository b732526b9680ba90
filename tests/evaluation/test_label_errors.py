"""Labels that are most likely wrong, worked out by hand on one image each."""

from __future__ import annotations

import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation.label_errors import label_errors

Box = tuple[int, float, float, float, float]


def columns(boxes: tuple[Box, ...]) -> dict[str, list[float]]:
    return {name: [box[k] for box in boxes] for k, name in enumerate(("category_id", "x1", "y1", "x2", "y2"))}


def table(*labels: Box, **flags: list[bool]) -> AnnotationTable:
    ids = {"annotation_id": list(range(1, len(labels) + 1)), "image_id": [1] * len(labels)}
    return AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"]},
        boxes={**ids, **columns(labels), **flags} if labels else {},
        categories={"category_id": [1, 2], "name": ["stop", "yield"]},
    )


def detections(*rows: tuple[Box, float]) -> Detections:
    boxes = columns(tuple(box for box, _ in rows))
    return Detections.from_columns({"image_id": [1] * len(rows), **boxes, "score": [score for _, score in rows]})


LABEL = (1, 0.0, 0.0, 10.0, 10.0)
CASES = {
    # .9 of another class at IoU 1, less .2 of its own
    "class": ((LABEL,), [((2, 0.0, 0.0, 10.0, 10.0), 0.9), (LABEL, 0.2)], [("class", 1, 0.7)]),
    # IoU 5 / 15: the score .9 less .9 / 3
    "location": ((LABEL,), [((1, 5.0, 0.0, 15.0, 10.0), 0.9)], [("location", 1, 0.6)]),
    # IoU 2 / 18 is below .3: an object without a label, and a label that lies elsewhere: .8 - .8 / 9
    "both": (
        (LABEL,),
        [((1, 8.0, 0.0, 18.0, 10.0), 0.8)],
        [("missing", None, 0.8), ("location", 1, 0.8 - 0.8 / 9)],
    ),
    # the better of two on one object stands for both
    "missing": (
        (LABEL,),
        [((2, 50.0, 50.0, 60.0, 60.0), 0.6), ((1, 50.0, 50.0, 60.0, 61.0), 0.7), (LABEL, 0.9)],
        [("missing", None, 0.7), ("class", 1, -0.9)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rule__of_one_image(name: str) -> None:
    labels, found, expected = CASES[name]
    rows = label_errors(table(*labels), detections(*found))
    assert rows.select("kind", "annotation_id").rows() == [row[:2] for row in expected]
    assert rows["suspicion"].to_list() == pytest.approx([row[2] for row in expected])


def test_neighbour_of_the_same_class__is_not_taken_for_the_label() -> None:
    two = table(LABEL, (1, 8.0, 0.0, 18.0, 10.0))
    rows = label_errors(two, detections((LABEL, 0.9), ((1, 8.0, 0.0, 18.0, 10.0), 0.9)))
    assert rows["suspicion"].max() < 0


def test_ignored_regions__excuse_and_are_no_labels() -> None:
    region = table(LABEL, iscrowd=[True], ignore=[True])
    assert label_errors(region, detections(((2, 1.0, 1.0, 3.0, 3.0), 0.9))).is_empty()
    assert label_errors(table(), detections((LABEL, 0.9)))["kind"].to_list() == ["missing"]
    assert label_errors(table(LABEL), Detections.empty()).is_empty()
