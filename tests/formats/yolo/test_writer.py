"""The YOLO writer: rows by hand, back within a hundredth of a pixel, never outside [0, 1]."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.writing.ignored_regions import plan_ignored
from detect_transfer.formats.yolo.writer import label_path, write_labels


def make(boxes, *, size_wh=(200, 100), names=("train/a.jpg", "val/b.png"), splits=("train", "val")):
    """Boxes are (image_id, category_id, x1, y1, x2, y2) with an optional dict of further columns."""
    rows = [dict(zip(KEYS, box[:6], strict=True), **(box[6] if len(box) > 6 else {})) for box in boxes]
    keys = {*KEYS, *(key for row in rows for key in row)}
    columns = {key: [row.get(key, False if key in ("ignore", "iscrowd") else None) for row in rows] for key in keys}
    return AnnotationTable.from_columns(
        images={
            "image_id": [1, 2],
            "file_name": list(names),
            "split": list(splits),
            "width": [size_wh[0]] * 2,
            "height": [size_wh[1]] * 2,
        },
        boxes={
            **columns,
            "annotation_id": list(range(1, len(rows) + 1)),
            "source": [f"s:{i}" for i in range(len(rows))],
        },
        categories={"category_id": [9, 4], "name": ["yes", "b: c"]},
    )


KEYS = ("image_id", "category_id", "x1", "y1", "x2", "y2")


def write(table, out, ledger=None):
    ledger = ledger or Ledger()
    write_labels(plan_ignored(table, "drop", ledger=ledger), out, ledger)


def labels(folder):
    return {p.relative_to(folder / "labels").as_posix(): p.read_text() for p in (folder / "labels").rglob("*.txt")}


@pytest.mark.parametrize(
    ("box", "row"),
    [
        pytest.param((1, 4, 0.0, 0.0, 200.0, 100.0), "0 0.50000000 0.50000000 1.00000000 1.00000000", id="whole"),
        pytest.param((1, 9, 20.0, 10.0, 60.0, 40.0), "1 0.20000000 0.25000000 0.20000000 0.30000000", id="inside"),
        pytest.param(
            (1, 4, 199.0, 99.0, 200.0, 100.0), "0 0.99750000 0.99500000 0.00500000 0.01000000", id="last-pixel"
        ),
        pytest.param((1, 4, 0.0, 0.0, 0.001, 0.001), "0 0.00000250 0.00000500 0.00000500 0.00001000", id="tiny"),
        pytest.param((1, 4, -20.0, 50.0, 20.0, 130.0), "0 0.05000000 0.75000000 0.10000000 0.50000000", id="clipped"),
    ],
)
def test_row__by_hand(box, row, tmp_path):
    write(make([box]), tmp_path)
    assert labels(tmp_path) == {"train/a.txt": f"{row}\n", "val/b.txt": ""}


def test_rows__keep_their_order_and_their_image(tmp_path):
    boxes = [(i, c, x, 0.0, x + 1, 1.0) for i, c, x in ((2, 4, 5.0), (1, 9, 3.0), (2, 9, 1.0), (1, 4, 7.0))]
    write(make(boxes), tmp_path)
    found = {name: [line.split()[0] for line in text.splitlines()] for name, text in labels(tmp_path).items()}
    assert found == {"train/a.txt": ["1", "0"], "val/b.txt": ["0", "1"]}


def test_data_yaml__is_relative_and_names_stay_text(tmp_path):
    write(make([]), tmp_path)
    found = yaml.safe_load((tmp_path / "data.yaml").read_text())
    assert found == {"train": "images/train", "val": "images/val", "names": {0: "b: c", 1: "yes"}}
    assert list(found) == ["train", "val", "names"]


def test_row__without_area_leaves_and_is_counted(tmp_path):
    ledger = Ledger()
    boxes = [(1, 4, 5.0, 5.0, 5.0, 9.0), (1, 4, 5.0, 5.0, 5.0 + 1e-9, 9.0), (1, 4, 300.0, 0.0, 400.0, 9.0)]
    write(make(boxes), tmp_path, ledger)
    assert labels(tmp_path)["train/a.txt"] == ""
    assert [(line.action, line.count, line.examples) for line in ledger.steps[-1].lines] == [
        ("dropped", 3, ("s:0", "s:1", "s:2"))
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"names": ("train/a.jpg", "train/a.png")}, "EXPORT_STEM", id="one-stem-two-suffixes"),
        pytest.param({"names": ("train/../../a.jpg", "b.jpg")}, "PATH_OUTSIDE", id="name-leads-out"),
        pytest.param({"size_wh": (None, None)}, "EXPORT_SIZE", id="size-unknown"),
        pytest.param({"size_wh": (0, 5)}, "EXPORT_SIZE", id="size-zero"),
    ],
)
def test_write__refuses(change, code, tmp_path):
    with pytest.raises(InputError) as caught:
        write(make([(1, 4, 1.0, 1.0, 2.0, 2.0)], **change), tmp_path / "out")
    assert caught.value.code == code
    assert not (tmp_path / "out" / "labels" / "a.txt").exists()
    assert not (tmp_path / "a.txt").exists()
    if code == "EXPORT_STEM":
        assert "'train/a.jpg' and 'train/a.png'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("train/a.jpg", "train/a.txt", id="plain"),
        pytest.param("train/a.b.jpg", "train/a.b.txt", id="dot-in-the-stem"),
        pytest.param("val/sub dir/\u00e9%.PNG", "val/sub dir/\u00e9%.txt", id="folder-blank-accent"),
    ],
)
def test_label_path(name, expected):
    assert label_path(name) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_round_trip__within_a_hundredth_of_a_pixel(data):
    width, height = data.draw(st.integers(1, 4096)), data.draw(st.integers(1, 4096))
    boxes = []
    for _ in range(data.draw(st.integers(1, 5))):
        x1, y1 = data.draw(st.floats(0, width * 0.99)), data.draw(st.floats(0, height * 0.99))
        x2 = data.draw(st.floats(x1 + width * 0.001, width) | st.just(float(width)))
        y2 = data.draw(st.floats(y1 + height * 0.001, height) | st.just(float(height)))
        boxes.append((1, data.draw(st.sampled_from([4, 9])), x1, y1, x2, y2))
    with tempfile.TemporaryDirectory() as folder:
        write(make(boxes, size_wh=(width, height)), Path(folder))
        rows = np.array(labels(Path(folder))["train/a.txt"].split(), dtype=float).reshape(-1, 5)
    assert rows[:, 0].tolist() == [0 if box[1] == 4 else 1 for box in boxes]
    low, high = rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2
    corners = np.concatenate([low, high], axis=1) * [width, height, width, height]
    assert np.abs(corners - np.array(boxes)[:, 2:]).max() < 0.01
    assert low.min() > -1e-12
    assert high.max() < 1 + 1e-12
