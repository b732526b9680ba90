"""Boxes that stay in their file are converted as those in memory are: the same folder, ledger and errors."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable, ScannedTable
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.class_map import load_class_map
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.formats.parquet.reader import read, scan
from detect_transfer.formats.parquet.writer import write_parquet

N = 12  # boxes, two an image


def make(**boxes: Any) -> AnnotationTable:
    """Six images of 40 x 30 in two splits; boxes of two classes in an order of no id."""
    return AnnotationTable.from_columns(
        images={
            "image_id": [30, 10, 20, 60, 50, 40],
            "file_name": [f"{name}.png" for name in "fbcade"],
            "width": [40] * 6,
            "height": [30] * 6,
            "split": ["val", "train", "train", "val", "train", "train"],
            "group": ["g", None, None, None, "h", "h"],
        },
        boxes={
            "annotation_id": [5, 3, 9, 1, 2, 12, 20, 7, 8, 30, 31, 32],
            "image_id": [10, 20, 30, 40, 50, 60] * 2,
            "category_id": [7, 2] * 6,
            "x1": [1.5] * 6 + [2.5] * 6,
            "y1": [2.0] * N,
            "x2": [10.25] * N,
            "y2": [9.0] * N,
            "source": [f"s:{i}" for i in range(N)],
            **boxes,
        },
        categories={"category_id": [7, 2], "name": ["sign", "person"]},
    )


FIX = {"bad_boxes": "fix"}
CASES = [
    pytest.param({}, {}, id="nothing-wrong"),
    pytest.param({"x2": [40.5, 60.0] + [10.0] * 10}, {}, id="over-the-edge-refused"),
    pytest.param({"x2": [40.5, 60.0] + [10.0] * 10}, FIX, id="over-the-edge-clipped"),
    pytest.param({"x2": [40.5, 60.0] + [10.0] * 10, "area": [9.0] * N}, FIX, id="area-limited"),
    pytest.param({"x2": [40.5, 60.0] + [10.0] * 10}, {"on_error": "skip-row"}, id="over-the-edge-row-skipped"),
    pytest.param({"x2": [40.5, 60.0] + [10.0] * 10}, {"on_error": "skip-image"}, id="over-the-edge-image-skipped"),
    pytest.param(
        {"x1": [50.0, 60.0, 9.5] + [1.0] * 9, "x2": [55.0, 60.0] + [10.0] * 10}, FIX, id="outside-empty-small"
    ),
    pytest.param({"x1": [1.5] * N}, FIX, id="duplicates"),
    pytest.param({"x1": [1.5] * N, "ignore": [False] * 6 + [True] * 6}, FIX, id="duplicates-but-for-a-flag"),
    pytest.param({"x1": [0.0] * 6 + [-0.0] * 6}, FIX, id="duplicates-at-minus-zero"),
    pytest.param({"ignore": [True, False, False] * 4, "iscrowd": [True] + [False] * 11}, {}, id="regions-left-out"),
    pytest.param({"ignore": [True, False, False] * 4}, {"ignored_regions": "keep"}, id="regions-kept"),
    pytest.param({"ignore": [True] + [False] * 11}, {"ignored_regions": "drop-image"}, id="image-dropped"),
    pytest.param(
        {"category_id": [None, 2] + [7] * 10, "ignore": [True] + [False] * 11},
        {"ignored_regions": "keep"},
        id="no-class",
    ),
    pytest.param({"ignore": [True] * N}, {}, id="no-positives"),
    pytest.param({"attributes": ['{"a": [1, 2]}', "{}"] * 6, "occluded": [0.5, None] * 6}, {}, id="fields"),
    pytest.param({"attributes": ['{"raw_box": [0, 0, 50, 9]}'] + [None] * 11}, FIX, id="clipped-before"),
    pytest.param({"x2": [1.5000001] + [10.0] * 11}, {**FIX, "min_size": 0}, id="narrower-than-a-label-row"),
    pytest.param({}, {"class_map": load_class_map("x=sign,__drop__=person")}, id="class-dropped"),
    pytest.param({}, {"class_map": load_class_map("x=sign,__ignore__=person")}, id="class-ignored"),
    pytest.param({}, {"split": {"train": 0.5, "val": 0.5}}, id="split-by-shares"),
    pytest.param({}, {"targets": ("coco", "voc", "parquet")}, id="targets-that-need-memory"),
]


def outcome(table: Any, out: Path, options: ConvertOptions) -> dict[str, Any]:
    """Return what a conversion wrote, by the names of files, or its error."""
    try:
        convert(table, out, options=options)
    except DetectTransferError as error:
        assert not out.exists()
        return {"error": str(error)}
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not [name for name in files if ".check" in name]
    return files


@pytest.mark.parametrize(("boxes", "options"), CASES)
def test_conversion__is_that_of_boxes_in_memory(boxes: dict[str, Any], options: dict[str, Any], tmp_path: Path) -> None:
    table = make(**boxes)
    write_parquet(table, tmp_path / "source")
    given = {"split": "source", "image_mode": "none", "check": True, "targets": ("parquet", "yolo"), **options}
    choices = ConvertOptions("x", **given)
    scanned = scan(tmp_path / "source")
    assert isinstance(scanned.boxes, pl.LazyFrame)
    assert outcome(scanned, tmp_path / "a", choices) == outcome(table, tmp_path / "b", choices)


FAULTS = [
    pytest.param(pl.lit(1, pl.Int64).alias("annotation_id"), "ID_DUPLICATE", id="id-twice"),
    pytest.param(pl.lit(None, pl.Int64).alias("annotation_id"), "ID_DUPLICATE", id="no-id"),
    pytest.param(pl.lit(99, pl.Int64).alias("image_id"), "ID_DANGLING", id="image-unknown"),
    pytest.param(pl.lit(99, pl.Int64).alias("category_id"), "ID_DANGLING", id="class-unknown"),
    pytest.param(pl.lit(None, pl.Int64).alias("category_id"), "ID_DANGLING", id="no-class"),
    pytest.param(pl.lit(float("nan")).alias("y1"), "BOX_INVALID", id="nan"),
    pytest.param(pl.lit(float("inf")).alias("y2"), "BOX_INVALID", id="infinite"),
    pytest.param(pl.lit(12.0).alias("x1"), "BOX_INVALID", id="inverted"),
]


@pytest.mark.parametrize(("change", "code"), FAULTS)
@pytest.mark.parametrize("n_wrong", [1, 12])
def test_fault__is_told_as_of_boxes_in_memory(change: pl.Expr, code: str, n_wrong: int, tmp_path: Path) -> None:
    table = make()
    name = change.meta.output_name()
    is_wrong = pl.int_range(pl.len()) >= N - n_wrong
    boxes = table.boxes.with_columns(pl.when(is_wrong).then(change).otherwise(name).alias(name))
    write_parquet(ScannedTable(table.images, boxes.lazy(), table.categories), tmp_path)
    messages = []
    for make_table in (lambda: scan(tmp_path), lambda: read(tmp_path), lambda: replace(table, boxes=boxes)):
        with pytest.raises(DetectTransferError, match=code) as caught:
            make_table()
        messages.append(str(caught.value))
    assert len(set(messages)) == 1


def test_rows_of_an_image_that_stand_apart__come_into_one_label_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detect_transfer.formats.writing.small_files._ROWS_AT_ONCE", 1)
    options = ConvertOptions("x", split="source", image_mode="none", check=True, targets=("yolo",))
    convert(make(), tmp_path / "out", options=options)
    labels = sorted((tmp_path / "out" / "labels").rglob("*.txt"))
    assert [len(path.read_text().splitlines()) for path in labels] == [2] * 6
    steps = json.loads((tmp_path / "out" / "ledger.json").read_text())["steps"]
    assert steps[-1]["boxes_out"] == N


def test_what_was_written__keeps_its_rows_and_types(tmp_path: Path) -> None:
    table = make(attributes=['{"a": 1}'] + [None] * 11, more=[1.5] * N)
    write_parquet(table, tmp_path, ledger=Ledger())
    assert read(tmp_path).boxes.equals(table.boxes)
    assert scan(tmp_path).n_boxes == N


def test_no_step__falls_back_to_boxes_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(name: str) -> None:
        original = getattr(pl.LazyFrame, name)

        def watched(query: pl.LazyFrame, *args: Any, **options: Any) -> Any:
            if name != "collect" or options.get("engine") == "streaming":
                graphs.append(query.show_graph(raw_output=True, engine="streaming", plan_stage="physical"))
            return original(query, *args, **options)

        monkeypatch.setattr(pl.LazyFrame, name, watched)

    write_parquet(make(x2=[40.5] * 6 + [10.0] * 6), tmp_path / "source")
    table, graphs = scan(tmp_path / "source"), []
    for name in ("collect", "sink_batches", "sink_parquet"):
        watch(name)
    class_map = load_class_map("x=sign,__ignore__=person")
    given = {"class_map": class_map, "image_mode": "none", "check": True, "targets": ("parquet", "yolo")}
    convert(table, tmp_path / "out", options=ConvertOptions("x", split="source", bad_boxes="fix", **given))
    assert len(graphs) > 30
    marked = re.compile(r'^\d+ \[label="([^"]*).*fillcolor="0\.0 ', re.MULTILINE)  # as the legend has it
    assert not [name for graph in graphs for name in marked.findall(graph)]
