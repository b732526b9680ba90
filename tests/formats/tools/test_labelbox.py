"""Which labels of Labelbox count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from detect_transfer.formats.tools.labelbox import read


def label(*lefts: int, skipped: bool = False) -> dict[str, Any]:
    """A label with a box for each left edge."""
    box = {"top": 1, "height": 5, "width": 4}
    objects = [{"feature_id": str(left), "name": "cat", "bounding_box": {**box, "left": left}} for left in lefts]
    details = {"seconds_to_create": 9, "skipped": skipped}
    return {"label_kind": "Default", "performance_details": details, "annotations": {"objects": objects}}


def line(image: str, *labels: dict[str, Any]) -> str:
    return json.dumps({"data_row": {"external_id": image}, "projects": {"p": {"labels": labels}}})


def test_label__that_was_skipped_is_none_and_earlier_ones_are_counted(tmp_path: Path, write: Any) -> None:
    for name in ("a.png", "b.png", "c.png"):
        write(name, (40, 30))
    lines = (
        line("a.png", label(1, 2), label(7), label(skipped=True)),
        line("b.png", label(skipped=True)),
        line("c.png", label()),
    )
    write("export.ndjson", "\n".join(lines))
    table = read(tmp_path)
    assert table.images["file_name"].to_list() == ["a.png", "c.png"]
    assert table.boxes["x1"].to_list() == [7]
    assert [(row.action, row.reason, row.count) for row in table.reading] == [
        ("dropped", "without a label", 1),
        ("dropped", "of an earlier label of the image", 2),
    ]
