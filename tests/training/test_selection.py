"""Which numbers are shown of a run: those of the test split where there is one, else how the best was chosen."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from manifests import restamp

from detect_transfer.cli.console import print_result
from detect_transfer.config import Evaluate
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.evaluation import coco_metrics
from detect_transfer.evaluation.selection import Candidates
from detect_transfer.workflows import train_outputs
from detect_transfer.workflows.selection import ScoredDetections
from detect_transfer.workflows.trained_detector import TrainedDetector


@pytest.fixture(scope="module")
def three_splits(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data with half of the validation images as a test split."""
    data = tmp_path_factory.mktemp("three") / "data"
    shutil.copytree(tiny_data, data)
    path = data / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    for name, images in (("val", content["images"][::2]), ("test", content["images"][1::2])):
        ids = {image["id"] for image in images}
        boxes = [a for a in content["annotations"] if a["image_id"] in ids]
        part = {**content, "images": [{**image, "split": name} for image in images], "annotations": boxes}
        (data / "annotations" / f"instances_{name}.json").write_text(json.dumps(part))
    restamp(data)
    return data


@pytest.mark.usefixtures("page")
def test_test_split__is_scored_once_with_the_thresholds_of_val(
    config, run, three_splits: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"speed_30": 0.125}
    monkeypatch.setattr(train_outputs, "read_thresholds", lambda _: chosen)  # the few images of val support none
    model = {"weights": "embedded"}
    scored_with: list[TrainedDetector] = []
    score = train_outputs.score_table
    monkeypatch.setattr(train_outputs, "score_table", lambda *a, **k: scored_with.append(a[0]) or score(*a, **k))
    data = {"path": three_splits, "test_split": "test", "intake": {"window": "fixed", "low": 7.0}}
    settings = config(model=model, data=data, train={"epochs": 1, "imgsz": 160})
    result = run(settings)
    folder = result.folder
    test = json.loads((folder / "test" / "metrics.json").read_text())
    assert test["AP"] == result.scores.test["AP"] != result.scores.val["AP"]
    assert {name: row["score_threshold"] for name, row in test["at_thresholds"].items()} == chosen
    assert not (folder / "test" / "operating_points.json").exists()
    assert [each.intake and each.intake.window for each in scored_with] == ["fixed"], "images are read as in training"
    print_result(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"test AP {test['AP']:.3f}")
    assert "best of 2 epochs on val, and scored once on test" in lines[1]
    assert "AP on the test split, scored once" in (folder / "report.html").read_text()


@pytest.mark.usefixtures("page")
def test_test_split__without_any_threshold_it_is_said(config, run, three_splits: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(train_outputs, "read_thresholds", lambda _: {})
    result = run(config(data={"path": three_splits, "test_split": "test"}, train={"epochs": 1, "imgsz": 64}))
    test = json.loads((result.folder / "test" / "metrics.json").read_text())
    assert test["at_thresholds"] == {}
    assert "6 of 6 classes have no stored score threshold" in test["at_thresholds_note"]
    assert not (result.folder / "test" / "operating_points.json").exists()
    print_result(result)
    assert test["at_thresholds_note"] in capsys.readouterr().out
    assert "classes have no stored score threshold" in (result.folder / "test" / "report.html").read_text()


@pytest.mark.usefixtures("page")
def test_without_a_test_split__the_choice_and_its_optimism_are_reported(config, run, capsys) -> None:
    result = run(config(model={"weights": "embedded"}, train={"epochs": 3, "imgsz": 128}))
    selection = json.loads((result.folder / "metrics.json").read_text())["selection"]
    assert (selection["candidates"], selection["split"]) == (4, "val")
    assert abs(selection["optimism"]) < 0.3
    print_result(result)
    out = capsys.readouterr().out
    assert f"best of 4 epochs on this split; the choice alone adds about {selection['optimism']:+.3f}" in out
    assert selection["text"] in (result.folder / "report.html").read_text()
    assert not (result.folder / "weights" / "epochs").exists()


def test_a_resumed_run__still_knows_what_each_epoch_detected(config, run, stopped_in_epoch_2: Path) -> None:
    assert len(list((stopped_in_epoch_2 / "weights" / "epochs").iterdir())) == 2
    result = run(config(), resume=True)
    assert json.loads((result.folder / "metrics.json").read_text())["selection"]["candidates"] == 3


def test_test_split__that_shares_images_or_is_not_there_is_refused(config, run, three_splits: Path) -> None:
    for split, message in (
        ("train", r"SPLIT_SHARED .*data\.test_split .*test split"),
        ("tset", "SPLIT_MISSING .*tset"),
    ):
        with pytest.raises(InputError, match=message):
            run(config(f"run-{split}", data={"path": three_splits, "test_split": split}))


def test_optimism__is_near_what_the_choice_among_equals_gains(tmp_path: Path) -> None:
    """Sixteen detectors that find half of the objects by chance: the best owes its lead to luck alone."""
    rng = np.random.default_rng(0)
    n_images, n_epochs = 60, 16
    ids, zeros = list(range(1, n_images + 1)), np.zeros(n_images)
    boxes = {"annotation_id": ids, "image_id": ids, "category_id": [1] * n_images}
    boxes |= {"x1": zeros, "y1": zeros, "x2": zeros + 20, "y2": zeros + 20}
    images = {"image_id": ids, "file_name": [f"{i}.jpg" for i in ids]}
    images |= {"width": [64] * n_images, "height": [64] * n_images}
    truth = AnnotationTable.from_columns(images=images, boxes=boxes, categories={"category_id": [1], "name": ["a"]})
    epochs, aps = ScoredDetections(tmp_path), []
    for epoch in range(n_epochs):
        rows = truth.boxes.select("image_id", "category_id", "x1", "y1", "x2", "y2")
        scored = rows.with_columns(score=pl.Series(rng.random(n_images)))
        detections = Detections.from_columns(scored.filter(pl.Series(rng.random(n_images) < 0.5)))
        epochs.add(f"{epoch:06d}", detections)
        aps.append(coco_metrics(truth, detections)["AP"])
    selection = epochs.selection(truth, Candidates(n_epochs), Evaluate())
    assert selection.optimism == pytest.approx(max(aps) - np.mean(aps), abs=0.1)
    assert selection.optimism > 0.05
    assert epochs.selection(truth, Candidates(n_epochs + 1), Evaluate()).optimism is None
