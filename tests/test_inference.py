"""Predicting with stored thresholds: what is drawn and counted obeys the operating points of the run."""

import json
import shutil
from pathlib import Path

import pytest

from detect_transfer.errors import InputError
from detect_transfer.inference import predict_folder
from detect_transfer.models import load_weights
from detect_transfer.models.weights import EMBEDDED


def test_predict__by_stored_thresholds_by_a_number_and_without_a_run(tmp_path: Path, tiny_data: Path) -> None:
    weights = tmp_path / "run" / "weights" / "best.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copyfile(EMBEDDED, weights)
    images = tiny_data / "images" / "val"
    with pytest.raises(InputError, match=r"FILE_MISSING .*operating_points"):
        predict_folder(weights, images, tmp_path / "out", score_threshold=None, device="cpu")
    assert not (tmp_path / "out").exists()
    names = load_weights(weights).class_names
    points = {name: {"best_f1": {"score_threshold": 0.0}} for name in names}
    points[names[0]] = {"best_f1": {"score_threshold": 1.0}}
    stored = {"default": "best_f1", "per_class": points}
    (tmp_path / "run" / "operating_points.json").write_text(json.dumps(stored))
    _, every = predict_folder(weights, images, tmp_path / "every", score_threshold=0.0, device="cpu")
    n, shown = predict_folder(weights, images, tmp_path / "auto", score_threshold=None, device="cpu")
    found = json.loads((tmp_path / "auto" / "detections.json").read_text())
    assert (n, len(found)) == (18, every)
    assert shown == sum(row["category_id"] != 1 for row in found)
    assert 0 < shown < every
    assert len(list((tmp_path / "auto" / "pictures").glob("*.jpg"))) == n
