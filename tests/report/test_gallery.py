"""The images of a poor model, which finds far too much: what is drawn can be told apart, and the rest is counted."""

import numpy as np
import pytest
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case
from detect_transfer.report import gallery, window


def test_detections_that_are_too_many__are_counted_and_not_drawn(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (320, 240), (90, 90, 90)).save(tmp_path / "a.png")
    count = 300
    x, y = np.arange(count) % 20 * 14.0, np.arange(count) // 20 * 14.0
    table = AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"], "width": [320], "height": [240]},
        boxes={
            "annotation_id": [1],
            "image_id": [1],
            "category_id": [1],
            "x1": [9.0],
            "y1": [9.0],
            "x2": [40.0],
            "y2": [60.0],
        },
        categories={"category_id": [1], "name": ["sign"]},
        image_root=tmp_path,
    )
    found = {"image_id": [1] * count, "category_id": [1] * count, "x1": x, "y1": y, "x2": x + 12, "y2": y + 12}
    case = Case(table, Detections.from_columns({**found, "score": np.linspace(0.3, 0.9, count)}))
    drawn: list[int] = []
    draw = window.draw_marks
    monkeypatch.setattr(
        window, "draw_marks", lambda part, marks, **k: (drawn.append(len(marks)), draw(part, marks, **k))[1]
    )
    made = gallery.build_gallery(case, 0.25)
    assert max(drawn) <= gallery._MOST_MARKS + 1
    assert made.whole[0].caption == f"1 object · {count - gallery._MOST_MARKS} more detections are not drawn"
    assert any("more detections are not drawn" in image.caption for image in made.failures)
