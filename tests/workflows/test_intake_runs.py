"""A run on images of sixteen bits: the window goes with the weights, so that prediction and scoring see what it saw."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detect_transfer import evaluate, load_detector, predict, train
from detect_transfer.config import Data, Model, Transfer
from detect_transfer.config.parts import Intake
from detect_transfer.core import intake
from detect_transfer.data.run_data import load_run_data
from detect_transfer.models import build_detector, load_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.source_choice import box_features


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, few_data: Path) -> Path:
    """The drawn scenes as grey images of sixteen bits whose values lie between 8000 and 10040, as thermal ones do."""
    folder = tmp_path_factory.mktemp("deep")
    for split in ("train", "val"):
        document = json.loads((few_data / "annotations" / f"instances_{split}.json").read_text())
        for image in document["images"]:
            grey = np.asarray(Image.open(few_data / "images" / split / image["file_name"]).convert("L"), np.uint16)
            image["file_name"] = str(Path(image["file_name"]).with_suffix(".png"))
            path = folder / "images" / split / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((8000 + 8 * grey).astype(np.uint16)).save(path)
        (folder / f"instances_{split}.json").write_text(json.dumps(document))
    return folder


def test_choice_of_a_source__sees_images_by_the_window(deep: Path) -> None:
    paths = {f"{split}_json": deep / f"instances_{split}.json" for split in ("train", "val")}
    data = load_run_data(Data(**paths, images=deep / "images", intake=Intake()), drawn=deep)
    model, transfer = Model(weights="embedded"), Transfer(class_map="none")
    detector, _ = build_detector(model, transfer, data.train.class_names, load_weights(EMBEDDED))
    detector.module.eval()
    seen, nearly_black = (box_features(detector, each, imgsz=96)[0] for each in (data, replace(data, intake=None)))
    assert seen.std(axis=0).mean() > 2 * nearly_black.std(axis=0).mean()


def test_window_of_a_run__goes_with_its_weights(
    tmp_path: Path, deep: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(intake, "_said_dark", [])
    config = {
        "data": {
            "train_json": str(deep / "instances_train.json"),
            "val_json": str(deep / "instances_val.json"),
            "images": str(deep / "images"),
            "intake": {"window": "per_camera", "low": 0, "high": 100},
        },
        "model": {"weights": "embedded"},
        "transfer": {"class_map": "none", "interpolate": "off"},
        "train": {"imgsz": 96, "epochs": 1, "device": "cpu"},
    }
    run = train(config, out=tmp_path / "run")
    stored = json.loads(load_weights(run.folder / "weights" / "best.safetensors").metadata["intake"])
    assert "nearly black" not in caplog.text
    drawn = np.asarray(Image.open(next(each for each in (run.folder / "images").rglob("*.*g") if each.is_file())))
    assert (drawn > 128).mean() > 0.1, "drawings for people are black"
    low, high = stored["windows"][""]
    assert 8000 <= low < high <= 8000 + 8 * 255
    images = deep / "images" / "val"
    found = predict(run.folder, images, tmp_path / "predicted", device="cpu", draw=False)
    own = json.loads((run.folder / "detections.json").read_text())
    assert found.rows["score"].max() == pytest.approx(max(row["score"] for row in own), abs=1e-3)
    scores = evaluate(deep / "instances_val.json", tmp_path / "predicted" / "detections.json", tmp_path / "scored")
    assert scores.metrics["AP"] == pytest.approx(run.metrics["AP"], abs=2e-3)
    detector = load_detector(run.folder, device="cpu")
    path = sorted(images.iterdir())[0]
    values = np.asarray(Image.open(path))
    by_path, by_array = (detector(given, score=0.0) for given in (path, values))
    np.testing.assert_array_equal(by_path.scores, by_array.scores)
    assert by_path.image_rgb.std() > 20, "the window has spread the values"
    shutil.rmtree(run.folder)
