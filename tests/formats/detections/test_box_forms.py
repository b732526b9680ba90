"""Boxes of another form than their layout says: seen in most rows, and by the objects of the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.choices import BoxForm, ClassNumbers
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.resolve import DetectionOptions

SIZE_WH = (640, 480)
N_IMAGES, N_EACH = 20, 3
Boxes = Sequence[Sequence[float]]


def make_truth() -> AnnotationTable:
    rng = np.random.default_rng(3)
    n = N_IMAGES * N_EACH
    corners, sizes = rng.uniform((20, 20), (400, 300), (n, 2)), rng.uniform(20, 160, (n, 2))
    xyxy = np.concatenate([corners, corners + sizes], axis=1)
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, N_IMAGES + 1),
            "file_name": [f"{i}.jpg" for i in range(1, N_IMAGES + 1)],
            "width": [SIZE_WH[0]] * N_IMAGES,
            "height": [SIZE_WH[1]] * N_IMAGES,
        },
        boxes={
            "annotation_id": range(1, n + 1),
            "image_id": [1 + i // N_EACH for i in range(n)],
            "category_id": [1] * n,
            **{name: xyxy[:, i] for i, name in enumerate(XYXY)},
        },
        categories={"category_id": [1], "name": ["car"]},
    )


TRUTH = make_truth()
X1, Y1, X2, Y2 = TRUTH.boxes.select(XYXY).to_numpy().T
W, H = X2 - X1, Y2 - Y1
SCALE = np.array([*SIZE_WH, *SIZE_WH])
CORNERS = np.stack([X1, Y1, X2, Y2], axis=1)
CENTRES = np.stack([X1 + W / 2, Y1 + H / 2, W, H], axis=1)
IMAGES = TRUTH.boxes["image_id"].to_list()


def write_coco(path: Path, boxes: np.ndarray, images: Sequence[int] = IMAGES, score: float = 0.9) -> Path:
    rows = [
        {"image_id": int(i), "category_id": 1, "bbox": [float(v) for v in box], "score": score}
        for i, box in zip(images, boxes, strict=True)
    ]
    path.write_text(json.dumps(rows))
    return path


def write_csv(path: Path, boxes: np.ndarray, header: str = "x,y,width,height") -> Path:
    lines = [f"{i}.jpg,car,{','.join(map(str, box))},0.9" for i, box in zip(IMAGES, boxes, strict=True)]
    path.write_text("\n".join([f"file_name,class,{header},score", *lines]))
    return path


def with_one(boxes: np.ndarray, box: Sequence[float]) -> np.ndarray:
    return np.concatenate([[box], boxes[1:]])


@pytest.mark.parametrize(
    ("boxes", "form"),
    [
        pytest.param(with_one(CORNERS, (300, 300, 900, 500)), BoxForm.XYXY, id="corners-one-outside"),
        pytest.param(with_one(CORNERS, (300, 300, 300, 400)), BoxForm.XYXY, id="corners-one-of-width-0"),
        pytest.param(with_one(CENTRES / SCALE, (0.8, 0.5, 1.6, 0.2)), BoxForm.CXCYWH_NORM, id="shares-one-to-1.6"),
    ],
)
def test_numbers__one_odd_row_hides_nothing(tmp_path: Path, boxes: np.ndarray, form: BoxForm) -> None:
    path = write_coco(tmp_path / "d.json", boxes)
    empty = AnnotationTable(TRUTH.images, TRUTH.boxes.clear(), TRUTH.categories)  # the numbers alone show it
    with pytest.raises(InputError, match=r"DETECTION_BOXES .*(of|all) 60 boxes "):
        read_detections(path, empty)
    with pytest.raises(InputError, match=rf"DETECTION_BOXES .*(of|all) 60 boxes .*--box-form {form.value};"):
        read_detections(path, TRUTH)
    assert read_detections(path, TRUTH, DetectionOptions(boxes=form)).rows.height == len(boxes)


@pytest.mark.parametrize("write", [write_coco, write_csv], ids=["coco", "csv"])
@pytest.mark.parametrize(
    ("boxes", "form"),
    [
        pytest.param(CENTRES, BoxForm.CXCYWH, id="centres"),
        pytest.param(np.stack([Y1, X1, H, W], axis=1), BoxForm.YXHW, id="y-first"),
        pytest.param(np.stack([Y1, X1, Y2, X2], axis=1), BoxForm.YXYX, id="y-first-corners"),
    ],
)
def test_objects__name_the_form_that_lies_on_them(
    tmp_path: Path, write: Callable[[Path, np.ndarray], Path], boxes: np.ndarray, form: BoxForm
) -> None:
    path = write(tmp_path / f"d.{'json' if write is write_coco else 'csv'}", boxes)
    with pytest.raises(InputError, match=rf"DETECTION_BOXES .*--box-form {form.value}; .*--box-form xywh$"):
        read_detections(path, TRUTH)
    rows = read_detections(path, TRUTH, DetectionOptions(boxes=form)).rows
    np.testing.assert_allclose(rows.select(XYXY).to_numpy(), CORNERS, atol=1e-6)
    read_detections(path, TRUTH, DetectionOptions(boxes=BoxForm.XYWH))  # who says so is believed


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param(np.stack([X1, Y1, W, H], axis=1) * 0.5, id="network-input"),
        pytest.param(np.stack([X1, Y1, W, H], axis=1) / SCALE * 1000, id="per-mille"),
    ],
)
def test_objects__no_form_reads_scaled_boxes_and_a_warning_tells(tmp_path: Path, boxes: np.ndarray) -> None:
    (warning,) = read_detections(write_coco(tmp_path / "d.json", boxes), TRUTH).reading
    assert warning.startswith("WARNING: ")
    assert "of the 60 best detections lie on an object" in warning


@pytest.mark.parametrize("seed", range(20))
def test_objects__poor_detectors_are_read_as_they_are(tmp_path: Path, seed: int) -> None:
    """Boxes at random, also large ones on large objects, noisy ones and few good ones among many bad ones."""
    rng = np.random.default_rng(seed)
    n = 200
    images = rng.integers(1, N_IMAGES + 1, n)
    sizes = rng.uniform(10, 300, (n, 2))
    anywhere = np.concatenate([rng.uniform(0, 1, (n, 2)) * (np.array(SIZE_WH) - sizes), sizes], axis=1)
    own = np.stack([X1, Y1, W, H], axis=1)
    noisy = np.abs(own + rng.normal(0, 0.25, own.shape) * np.stack([W, H, W, H], axis=1))
    path = tmp_path / "d.json"
    for boxes, where, score in (
        (anywhere, images, 0.1),
        (anywhere[:12], images[:12], 0.9),
        (noisy, IMAGES, 0.9),
        (np.concatenate([own[:20], anywhere]), [*IMAGES[:20], *images], 0.5),
    ):
        found: Detections = read_detections(write_coco(path, boxes, where, score), TRUTH)
        assert found.reading == ()
        assert found.rows.height == len(boxes)


@pytest.mark.parametrize("seed", range(20))
def test_objects__random_boxes_on_large_objects_are_read_as_they_are(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(0, 0.3, (N_IMAGES, 2)) * SIZE_WH, rng.uniform(0.6, 1, (N_IMAGES, 2)) * SIZE_WH
    corners = np.concatenate([low, high], axis=1)
    boxes = TRUTH.boxes.head(N_IMAGES).with_columns(image_id=TRUTH.images["image_id"])
    boxes = boxes.with_columns(**{name: corners[:, i] for i, name in enumerate(XYXY)})
    truth = AnnotationTable(TRUTH.images, boxes, TRUTH.categories)
    sizes = rng.uniform(0.1, 0.9, (60, 2)) * SIZE_WH
    anywhere = np.concatenate([rng.uniform(0, 1, (60, 2)) * (np.array(SIZE_WH) - sizes), sizes], axis=1)
    path = write_coco(tmp_path / "d.json", anywhere, rng.integers(1, N_IMAGES + 1, 60), 0.1)
    assert read_detections(path, truth).rows.height == 60


def write_texts(folder: Path, boxes: np.ndarray, *, score_last: bool, label: str = "0") -> Path:
    """Write detections of score 0.5 as a text an image."""
    folder.mkdir()
    for image in dict.fromkeys(IMAGES):
        rows = [" ".join(map(str, box)) for box, i in zip(boxes, IMAGES, strict=True) if i == image]
        lines = [f"{label} {row} 0.5\n" if score_last else f"{label} 0.5 {row}\n" for row in rows]
        (folder / f"{image}.txt").write_text("".join(lines))
    return folder


@pytest.mark.parametrize("label", ["0", "car"])
@pytest.mark.parametrize("score_last", [True, False])
def test_texts__objects_tell_where_the_score_stands(tmp_path: Path, score_last: bool, label: str) -> None:
    path = write_texts(tmp_path / "texts", CENTRES / SCALE, score_last=score_last, label=label)
    rows = read_detections(path, TRUTH).rows.sort("image_id", maintain_order=True)
    np.testing.assert_allclose(rows.select(XYXY).to_numpy(), CORNERS, atol=1e-6)
    assert rows["score"].unique().to_list() == [0.5]


def test_texts__where_nothing_tells_the_place_of_the_score_the_format_is_asked_for(tmp_path: Path) -> None:
    boxes = np.tile((0.5, 0.5, 0.3, 0.2), (len(IMAGES), 1))
    path = write_texts(tmp_path / "texts", boxes, score_last=False)
    empty = AnnotationTable(TRUTH.images, TRUTH.boxes.clear(), TRUTH.categories)
    with pytest.raises(InputError, match=r"DETECTIONS_FORMAT .*give --detections-format yolo .*, or text for"):
        read_detections(path, empty)
    options = DetectionOptions("text", classes=ClassNumbers.FROM_0)
    assert read_detections(path, empty, options).rows["score"].unique().to_list() == [0.5]
    assert read_detections(path, empty, DetectionOptions("yolo")).rows["score"].unique().to_list() == [0.2]
