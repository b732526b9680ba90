"""A detector called from Python: every form of an image gives the same boxes, and what is not clear is refused."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detect_transfer import InputError, ResourceError, load_detector, predict
from detect_transfer.workflows.loaded_detector import LoadedDetector
from detect_transfer.workflows.predict import PredictOptions


@pytest.fixture(scope="module")
def detector() -> LoadedDetector:
    return load_detector("embedded", device="cpu", imgsz=96)


@pytest.fixture(scope="module")
def path(tiny_data: Path) -> Path:
    return sorted((tiny_data / "images" / "val").iterdir())[0]


def test_every_form_of_an_image__gives_the_same(detector: LoadedDetector, path: Path) -> None:
    rgb = np.asarray(Image.open(path))
    expected = detector(path, score=0.005)
    assert len(expected) > 0
    forms = [
        *(str(path), Image.open(path), rgb, rgb / 255, (rgb / 255).astype(np.float32)),
        *(torch.from_numpy(rgb.copy()).permute(2, 0, 1), torch.from_numpy(rgb.copy()).permute(2, 0, 1).float() / 255),
        np.dstack([rgb, np.zeros_like(rgb[..., :1])]),
    ]
    for given in forms:
        detected = detector(given, score=0.005)
        np.testing.assert_array_equal(detected.xyxy, expected.xyxy)
        assert detected.names == expected.names
    half = torch.from_numpy(rgb.copy()).permute(2, 0, 1).bfloat16() / 255  # numpy has no such numbers
    np.testing.assert_array_equal(detector(half).xyxy, detector(half.float()).xyxy)
    batches = [[path, rgb], np.stack([rgb, rgb]), torch.from_numpy(np.stack([rgb, rgb])).permute(0, 3, 1, 2)]
    for batch in batches:
        detected = detector(batch, score=0.005)
        assert [each.names for each in detected] == [expected.names] * 2
        np.testing.assert_allclose(detected[1].xyxy, expected.xyxy, atol=1e-3)
    assert detector([]) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.full((8, 8, 3), 200.0), r"IMAGE_INPUT image .*from 200 to 200; \[0, 1\].*divide by 255"),
        (np.full((8, 8, 3), np.nan), r"from nan to nan"),
        (np.full((8, 8, 3), -0.5), r"from -0.5"),
        (np.zeros((8, 8, 3), np.uint16), r"numbers of type uint16"),
        (np.zeros((3, 8, 8), np.uint8), r"shape \(3, 8, 8\).*channels last"),
        (torch.zeros(8, 8, 3), r"shape \(8, 8, 3\).*permute"),
        (np.zeros((0, 8, 3), np.uint8), r"shape \(0, 8, 3\)"),
        (3.5, r"float is no image"),
        ("no_such.jpg", r"IMAGE_MISSING no_such.jpg"),
    ],
)
def test_what_is_no_clear_image__is_refused(detector: LoadedDetector, given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        detector(given)


def test_result__goes_on_to_other_tools(detector: LoadedDetector, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detected = detector(path, score=0.005)
    rows = detected.to_coco(image_id=7)
    assert [row["category_name"] for row in rows] == list(detected.names)
    assert rows[0]["image_id"] == 7
    assert rows[0]["bbox"][:2] == detected.xyxy[0, :2].tolist()
    shown = detected._repr_html_()
    assert "data:image/jpeg;base64," in shown
    assert detected.names[0] in shown
    assert repr(detected).startswith(f"ImageDetections({len(detected)}: {detected.names[0]}")
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ResourceError, match=r"EXTRA_MISSING.*pip install supervision"):
        detected.to_supervision()
    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace(Detections=dict))
    given = detected.to_supervision()
    assert given["xyxy"].shape == (len(detected), 4)
    assert list(given["data"]["class_name"]) == list(detected.names)


def test_choices__out_of_range_are_refused(detector: LoadedDetector, path: Path) -> None:
    assert len(detector(path, score=0.0, max_detections=3)) <= 3
    for name, value in (
        ("score", 2),
        ("score", "x"),
        ("score", float("nan")),
        ("batch", 0),
        ("max_detections", "many"),
    ):
        with pytest.raises(InputError, match=rf"OPTION {name}={value}"):
            detector(path, **{name: value})
    with pytest.raises(InputError, match=r"OPTION nms_iou=x.*config --explain evaluate.nms_iou"):
        detector(path, iou="x")
    with pytest.raises(InputError, match=r"OPTION batch=0"):
        PredictOptions(batch=0)


def test_single_word__needs_no_list(path: Path, tmp_path: Path) -> None:
    choices = {"targets": "csv", "classes": "no_entry", "device": "cpu", "imgsz": 96, "draw": False}
    predict("embedded", path, tmp_path / "out", **choices)
    assert {"detections.csv", "detections.json"} <= {each.name for each in (tmp_path / "out").iterdir()}
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN --classes=nothing"):
        predict("embedded", path, tmp_path / "other", **{**choices, "classes": "nothing"})
