"""What is predicted is scored right whatever the truth numbers and wherever its files lie: names join both sides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.cli import main
from detect_transfer.config import Synthetic
from detect_transfer.data.run_data import draw_data
from detect_transfer.models.checkpoints import EMBEDDED

Coco = dict[str, Any]


def cli(capsys: pytest.CaptureFixture[str] | None, *words: object) -> tuple[int, str]:
    """Run a command; return its exit code and, where it is captured, what it shows."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    shown = "" if capsys is None else "".join(capsys.readouterr())
    return int(left.value.code or 0), shown


def ap_of(folder: Path) -> float:
    ap = json.loads((folder / "metrics.json").read_text())["AP"]
    assert isinstance(ap, float)
    return ap


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of drawn scenes, a run folder with weights that find its signs, what they predict, and its AP."""
    root = tmp_path_factory.mktemp("world")
    draw_data(Synthetic(task="source", train_images=8, val_images=10, size=256), root / "data", seed=3)
    run = root / "run"
    (run / "weights").mkdir(parents=True)
    shutil.copyfile(EMBEDDED, run / "weights" / "best.safetensors")
    (run / "config.yaml").write_text(f"data: {{path: {root / 'data'}}}\n")
    assert cli(None, "evaluate", run, "--out", root / "of_run") == (0, "")
    assert cli(None, "predict", run, root / "data" / "images", "--out", root / "predicted", "--device", "cpu")[0] == 0
    assert 0.02 < ap_of(root / "of_run") < 0.98
    return root


def edited(world: Path, folder: Path, edit: Callable[[Coco], None]) -> Path:
    """Return the validation file of the data folder, changed."""
    document = json.loads((world / "data" / "annotations" / "instances_val.json").read_text())
    edit(document)
    folder.mkdir(exist_ok=True)
    path = folder / "instances_val.json"
    path.write_text(json.dumps(document))
    return path


def permute_images(document: Coco) -> None:
    ids = [image["id"] for image in document["images"]]
    new = dict(zip(ids, [*ids[3:], *ids[:3]], strict=True))
    for image in document["images"]:
        image["id"] = new[image["id"]]
    for box in document["annotations"]:
        box["image_id"] = new[box["image_id"]]


def swap_classes(document: Coco) -> None:
    ids = [category["id"] for category in document["categories"]]
    new = dict(zip(ids, reversed(ids), strict=True))
    for category in document["categories"]:
        category["id"] = new[category["id"]]
    for box in document["annotations"]:
        box["category_id"] = new[box["category_id"]]


def spread_classes(document: Coco) -> None:
    for category in document["categories"]:
        category["id"] = 7 * category["id"] + 3
    for box in document["annotations"]:
        box["category_id"] = 7 * box["category_id"] + 3


def keep(document: Coco) -> None:
    """Change nothing."""


def reverse_images(document: Coco) -> None:
    document["images"].reverse()
    document["annotations"].reverse()


@pytest.mark.parametrize("edit", [keep, permute_images, swap_classes, spread_classes, reverse_images])
def test_ids__may_be_any(world: Path, tmp_path: Path, edit: Callable[[Coco], None]) -> None:
    truth = edited(world, tmp_path / "truth", edit)
    detections = world / "predicted_val"
    if not detections.exists():
        assert cli(None, "predict", world / "run", world / "data/images/val", "--out", detections)[0] == 0
    words = ("--truth", truth, "--detections", detections / "detections.json", "--out", tmp_path / "out")
    assert cli(None, "evaluate", *words)[0] == 0
    assert ap_of(tmp_path / "out") == pytest.approx(ap_of(world / "of_run"), abs=1e-9)


@pytest.mark.parametrize(
    ("truth", "options"),
    [
        pytest.param("data", ("--split", "all"), id="data-folder"),
        pytest.param("data/data.yaml", ("--split", "all"), id="data-yaml"),
        pytest.param("data/data.yaml", ("--split", "all", "--truth-format", "yolo"), id="native"),
    ],
)
def test_truth__may_be_of_any_format(world: Path, tmp_path: Path, truth: str, options: tuple[str, ...]) -> None:
    """All images were predicted; the truth counts those of both splits in its own order."""
    found = world / "predicted" / "detections.json"
    words = ("--truth", world / truth, *options, "--detections", found, "--out", tmp_path / "out")
    assert cli(None, "evaluate", *words)[0] == 0
    whole = ("evaluate", world / "run", "--data", world / "data", "--split", "all", "--out", tmp_path / "direct")
    assert cli(None, *whole)[0] == 0
    assert ap_of(tmp_path / "out") == pytest.approx(ap_of(tmp_path / "direct"), abs=2e-3)  # labels are rounded
    if truth == "data":
        assert ap_of(tmp_path / "out") == pytest.approx(ap_of(tmp_path / "direct"), abs=1e-9)


def test_detections__of_another_split_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every id of the file is an id of the training split as well; the names are not."""
    found = world / "predicted" / "detections.json"
    words = ("--truth", world / "data", "--split", "train", "--detections", found, "--out", tmp_path / "out")
    status, shown = cli(capsys, "evaluate", *words)
    assert status == 2
    assert "DETECTION_UNKNOWN_ID " in shown
    assert "image=val/" in shown


def test_detections__have_names_and_the_ids_that_the_weights_keep(world: Path, tmp_path: Path) -> None:
    from detect_transfer.models import load_weights, save_weights

    source = load_weights(EMBEDDED)
    ids = [10 * i for i, _ in enumerate(source.class_names, start=1)]
    weights = tmp_path / "w.safetensors"
    save_weights(weights, source.tensors, {**source.metadata, "category_ids": json.dumps(ids)})
    assert cli(None, "predict", weights, world / "data/images/val", "--out", tmp_path / "out")[0] == 0
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert rows
    names = dict(zip(ids, source.class_names, strict=True))
    for row in rows:
        assert names[row["category_id"]] == row["category_name"]
        assert (world / "data/images/val" / row["file_name"]).is_file()


def test_weights__score_alike_as_run_as_file_and_by_predict(world: Path, tmp_path: Path) -> None:
    """The validation split of the run, by the weights themselves and by their detections."""
    for name, source in (
        ("run", world / "run"),
        ("file", world / "run/weights/best.safetensors"),
        ("name", "embedded"),
    ):
        out = tmp_path / name
        assert cli(None, "evaluate", source, "--data", world / "data", "--split", "val", "--out", out)[0] == 0
        assert ap_of(out) == pytest.approx(ap_of(world / "of_run"), abs=1e-9)


def test_weights__stored_thresholds_are_applied_unchanged(world: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(world / "run", run)
    shutil.copyfile(world / "of_run" / "operating_points.json", run / "operating_points.json")
    points = json.loads((run / "operating_points.json").read_text())["per_class"]
    chosen = {name: goals["best_f1"]["score_threshold"] for name, goals in points.items() if goals["best_f1"]}
    out = tmp_path / "out"
    assert cli(None, "evaluate", run, "--data", world / "data", "--split", "train", "--out", out)[0] == 0
    applied = json.loads((out / "metrics.json").read_text())["at_thresholds"]
    assert {name: row["score_threshold"] for name, row in applied.items()} == chosen
    assert all(row["tp"] + row["fn"] >= 0 for row in applied.values())
    assert not (out / "operating_points.json").exists(), "thresholds of the scored split would flatter it"


def test_weights__without_any_stored_threshold_it_is_said(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(world / "run", run)
    (run / "operating_points.json").write_text(json.dumps({"default": "best_f1", "per_class": {}}))
    words = ("evaluate", run, "--data", world / "data", "--split", "train", "--out", tmp_path / "out")
    status, shown = cli(capsys, *words)
    assert status == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["at_thresholds"] == {}
    assert metrics["at_thresholds_note"] in shown
    assert not (tmp_path / "out" / "operating_points.json").exists()


@pytest.mark.parametrize(
    ("class_map", "status", "message"),
    [
        pytest.param(None, 2, "CLASS_UNMET --class-map - 1 of 15 classes .*: deer;", id="unmet"),
        pytest.param("deer=diamond_deer", 0, "", id="mapped"),
        pytest.param("deer=diamond_dear", 2, "CLASS_UNKNOWN --class-map=diamond_dear .*'diamond_deer'", id="unknown"),
        pytest.param("no_entry=no_entry,__rest__=__drop__", 0, "", id="dropped"),
        pytest.param("no_entry=no_entry,__rest__=keep", 0, "", id="never-found"),
    ],
)
def test_classes__meet_by_name_by_a_map_or_are_refused(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], class_map: str | None, status: int, message: str
) -> None:
    import re

    def rename(document: Coco) -> None:
        next(c for c in document["categories"] if c["name"] == "diamond_deer")["name"] = "deer"

    truth = edited(world, tmp_path / "truth", rename)
    words = ["evaluate", "embedded", "--data", truth, "--images", world / "data/images", "--out", tmp_path / "out"]
    code, shown = cli(capsys, *words, *(["--class-map", class_map] if class_map else []))
    assert code == status, shown
    assert re.search(message, shown), shown
    if class_map == "deer=diamond_deer":
        assert ap_of(tmp_path / "out") == pytest.approx(ap_of(world / "of_run"), abs=1e-9)


def test_weights__of_others_are_scored_untrained(world: Path, coco_weights: Path, shared: Path, tmp_path: Path) -> None:
    """COCO weights on a few images of COCO: by the weights themselves, and by what they predict, is one AP."""
    source = next((shared / "data" / "coco64" / "annotations").glob("instances_*.json"))
    document = json.loads(source.read_text())
    document["images"] = document["images"][:5]
    ids = {image["id"] for image in document["images"]}
    document["annotations"] = [box for box in document["annotations"] if box["image_id"] in ids]
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps(document))
    images = shared / "data" / "coco64" / "train2017"
    given = ("--images", images, "--out", tmp_path / "direct")
    assert cli(None, "evaluate", coco_weights, "--data", truth, *given)[0] == 0
    few = tmp_path / "few"
    few.mkdir()
    for image in document["images"]:
        shutil.copyfile(images / image["file_name"], few / image["file_name"])
    assert cli(None, "predict", coco_weights, few, "--out", tmp_path / "predicted")[0] == 0
    words = ("--truth", truth, "--detections", tmp_path / "predicted" / "detections.json", "--out", tmp_path / "scored")
    assert cli(None, "evaluate", *words)[0] == 0
    assert ap_of(tmp_path / "direct") > 0.3
    assert ap_of(tmp_path / "scored") == pytest.approx(ap_of(tmp_path / "direct"), abs=1e-9)


def test_shown_boxes__have_one_label_unless_asked(world: Path) -> None:
    from detect_transfer.core.annotations import Detections
    from detect_transfer.workflows.thresholds import one_label

    found = Detections.from_columns(
        {
            "image_id": [1, 1, 1, 1, 2],
            "category_id": [1, 2, 1, 2, 2],
            "x1": [0.0, 0.0, 0.0, 50.0, 0.0],
            "y1": [0.0] * 5,
            "x2": [40.0, 40.0, 39.0, 90.0, 40.0],
            "y2": [40.0] * 5,
            "score": [0.5, 0.9, 0.4, 0.3, 0.2],
        }
    )
    kept = one_label(found).rows
    assert kept["score"].to_list() == [0.9, 0.3, 0.2], "another label of the best box leaves, wherever it stands"


def test_predict__agnostic_boxes_suppress_each_other(world: Path, tmp_path: Path) -> None:
    found = {}
    for name, words in (("plain", ()), ("agnostic", ("--agnostic",)), ("labels", ("--multi-label",))):
        out = tmp_path / name
        source = (world / "run", world / "data/images/val", "--score", "0.01", "--out", out, *words)
        assert cli(None, "predict", *source)[0] == 0
        found[name] = json.loads((out / "detections.json").read_text())
    drawn = {name: [row.pop("drawn") for row in rows] for name, rows in found.items()}
    assert found["plain"] == found["labels"], "the file holds everything; what is drawn differs"
    assert sum(drawn["plain"]) <= sum(drawn["labels"])
    assert len(found["agnostic"]) <= len(found["plain"])
