"""Weights on data of others: which class counts as which, whose thresholds, and at which input size."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.cli import main
from detect_transfer.config import Synthetic
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import draw_data
from detect_transfer.data.used_images import head_digest
from detect_transfer.evaluation import METRIC_NAMES
from detect_transfer.models import load_weights, save_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.evaluate_weights import meet_classes

pytestmark = pytest.mark.usefixtures("one_thread")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run a command; return its exit code and what it shows."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0), "".join(capsys.readouterr())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "data"
    draw_data(Synthetic(task="source", train_images=1, val_images=12, size=256), folder, seed=3)
    return folder


def merged(data: Path, folder: Path, name: str, classes: tuple[str, ...]) -> Path:
    """Return the validation file with these classes as one of another name."""
    document = json.loads((data / "annotations" / "instances_val.json").read_text())
    ids = {c["id"] for c in document["categories"] if c["name"] in classes}
    for box in document["annotations"]:
        box["category_id"] = min(ids) if box["category_id"] in ids else box["category_id"]
    document["categories"] = [
        {**c, "name": name if c["id"] in ids else c["name"]}
        for c in document["categories"]
        if c["id"] not in ids - {min(ids)}
    ]
    path = folder / "instances_val.json"
    path.write_text(json.dumps(document))
    return path


def run_folder(folder: Path, thresholds: dict[str, float]) -> Path:
    """Return a run folder of the embedded weights that stored these thresholds."""
    (folder / "weights").mkdir(parents=True)
    shutil.copyfile(EMBEDDED, folder / "weights" / "best.safetensors")
    points = {name: {"best_f1": {"score_threshold": value}} for name, value in thresholds.items()}
    (folder / "operating_points.json").write_text(json.dumps({"default": "best_f1", "per_class": points}))
    return folder / "weights" / "best.safetensors"


def test_merged_classes__each_obeys_its_own_threshold(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes that the thresholds let nothing through of change nothing, whichever is named last."""
    low, high, names = 0.05, 1.0, ("no_entry", "no_parking")
    truth = merged(data, tmp_path, "forbidden", names)
    counts = []
    for number, values in enumerate([(low, high), (high, low), (low, low)]):
        weights = run_folder(tmp_path / f"run{number}", dict(zip(names, values, strict=True)))
        words = ("--data", truth, "--images", data / "images", "--out", tmp_path / f"out{number}")
        code, shown = run(
            capsys, "evaluate", weights, *words, "--class-map", ",".join(f"forbidden={name}" for name in names)
        )
        assert code == 0, shown
        row = json.loads((tmp_path / f"out{number}" / "metrics.json").read_text())["at_thresholds"]["forbidden"]
        counts.append(row["tp"] + row["fp"])
        assert [row[f"score_threshold/{name}"] for name in names] == list(values)
        assert row["score_threshold"] is None
        assert "forbidden from the stored scores of its classes on: precision" in shown
    assert counts[0] > 0
    assert counts[1] > 0
    assert max(counts[:2]) < counts[2] <= counts[0] + counts[1]


def test_merged_classes__two_labels_of_one_box_count_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = load_weights(EMBEDDED)
    tensors = dict(source.tensors)
    for name, tensor in tensors.items():  # both classes say the same of every box
        if name.startswith("model.23.cv3.") and name.split(".")[4] == "2":
            tensors[name] = tensor.clone()
            tensors[name][1] = tensor[0]
    weights = tmp_path / "w.safetensors"
    save_weights(weights, tensors, source.metadata)
    found = {}
    for classes in (("no_entry",), ("no_entry", "no_parking")):
        (tmp_path / str(len(classes))).mkdir()
        truth = merged(data, tmp_path / str(len(classes)), "forbidden", ("no_entry", "no_parking"))
        mapped = ",".join(f"forbidden={name}" for name in classes) + ",__rest__=__drop__"
        words = ("--data", truth, "--images", data / "images", "--out", tmp_path / f"out{len(classes)}")
        assert run(capsys, "evaluate", weights, *words, "--class-map", mapped)[0] == 0
        rows = json.loads((tmp_path / f"out{len(classes)}" / "detections.json").read_text())
        found[len(classes)] = sum(row["category_name"] == "forbidden" for row in rows)
    assert found[2] == found[1] > 0


def test_class_of_the_weights__that_is_mapped_away_does_not_count_by_its_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The map says that `no_entry` of the data is `no_parking`; then `no_entry` of the weights is nothing of it."""
    truth = data / "annotations" / "instances_val.json"
    words = ("--data", truth, "--images", data / "images", "--out", tmp_path / "out")
    mapped = "no_entry=no_parking,__rest__=__drop__"
    assert run(capsys, "evaluate", EMBEDDED, *words, "--class-map", mapped)[0] == 0
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())
    words = ("--data", truth, "--images", data / "images", "--out", tmp_path / "plain")
    assert run(capsys, "evaluate", EMBEDDED, *words)[0] == 0
    plain = json.loads((tmp_path / "plain" / "detections.json").read_text())
    count = sum(row["category_name"] == "no_entry" for row in rows)
    assert 0 < count == sum(row["category_name"] == "no_parking" for row in plain)


def table(*names: str) -> AnnotationTable:
    categories = {"category_id": range(1, len(names) + 1), "name": names}
    images = {"image_id": [1], "file_name": ["a.png"], "width": [9], "height": [9]}
    return AnnotationTable.from_columns(images=images, boxes={}, categories=categories)


def test_meeting__takes_the_very_name_first() -> None:
    _, meeting = meet_classes(table("8_1_1", "8_11"), ["8_1_1", "8_11", "811"])
    assert meeting == {"8_1_1": "8_1_1", "8_11": "8_11"}
    _, meeting = meet_classes(table("<", ">"), [">", "<"])
    assert meeting == {"<": "<", ">": ">"}


@pytest.mark.parametrize(
    ("truth", "weights"),
    [(("8_11",), ("8_1_1",)), (("Car",), ("car", "CAR")), (("car", "Car"), ("CAR",)), (("<",), (">",))],
)
def test_meeting__refuses_what_may_be_another(truth: tuple[str, ...], weights: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="CLASS_UNMET"):
        meet_classes(table(*truth), weights)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_input_size__is_said_with_where_it_comes_from(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    source = load_weights(EMBEDDED)
    sizeless = tmp_path / "w.safetensors"
    save_weights(sizeless, source.tensors, {k: v for k, v in source.metadata.items() if k != "imgsz"})
    own = (data / "images/val",) if command == "predict" else ("--data", data, "--split", "val")
    metrics = {}
    for number, (weights, words, expected) in enumerate(
        [
            (EMBEDDED, (), "input: 320 px, as it was trained"),
            (sizeless, (), "input: 640 px, the default, as the weights do not say at which they were trained; --imgsz"),
            (EMBEDDED, ("--imgsz", 192), "input: 192 px, as --imgsz asks"),
        ]
    ):
        out = tmp_path / str(number)
        code, shown = run(capsys, command, weights, *own, "--out", out, *words)
        assert code == 0, shown
        assert expected in " ".join(shown.split())
        metrics[number] = (out / "detections.json").read_text()
    assert len(set(metrics.values())) == 3, "the size that is said is the one that is used"


def test_imgsz__is_refused_for_a_run_on_its_own_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = run(capsys, "evaluate", tmp_path, "--imgsz", 320, "--out", tmp_path / "out")
    assert (code, "USAGE --imgsz" in shown) == (2, True), shown


def test_ultralytics_checkpoint__brings_the_size_it_was_trained_at(tmp_path: Path) -> None:
    source = load_weights(EMBEDDED)
    content: dict[str, Any] = {"state_dict": source.tensors, "train_args": {"imgsz": 320}}
    for train_args, expected in (
        *(({"imgsz": 320}, "320"), ({"imgsz": [256, 320]}, "256x320")),
        *(({"imgsz": 0}, None), ({"imgsz": "x"}, None), (None, None)),
    ):
        torch.save({**content, "train_args": train_args}, tmp_path / "w.pt")
        assert load_weights(tmp_path / "w.pt").metadata.get("imgsz") == expected


def test_images_that_were_trained_on__are_warned_of(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever they lie and whatever they are called: a score on them says little of new images."""
    weights = run_folder(tmp_path / "run", {})
    images = sorted((data / "images" / "val").iterdir())
    digests = [head_digest(path.read_bytes()) for path in images]
    used = tmp_path / "run" / "used_images.json"
    for stored, warning in (
        ({"train": digests[:5], "val": digests[5:7]}, "5 of 12 images the weights were trained on, 2 of 12 images"),
        ({"train": digests[:1] * 2, "val": []}, "1 of 12 images the weights were trained on: on new images"),
        ({"train": ["0"], "val": []}, ""),
    ):
        used.write_text(json.dumps(stored))
        out = tmp_path / f"scored {len(warning)}"
        code, shown = run(capsys, "evaluate", weights, "--data", data, "--out", out, "--imgsz", 64)
        assert code == 0, shown
        stored_warnings = json.loads((out / "metrics.json").read_text()).get("warnings", [])
        assert len(stored_warnings) == bool(warning)
        assert warning in " ".join(shown.split())
        assert all(warning in said for said in stored_warnings)


def test_tiles__score_what_predict_detects_in_tiles(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiles, images = ("--tile", 160, "--overlap", 0.3, "--imgsz", 256), data / "images" / "val"
    code, shown = run(capsys, "evaluate", EMBEDDED, "--data", data, "--out", tmp_path / "scored", *tiles)
    assert code == 0, shown
    assert "whole images and tiles of 160 px, overlap 0.3" in shown
    assert run(capsys, "predict", EMBEDDED, images, "--no-draw", "--out", tmp_path / "predicted", *tiles)[0] == 0
    words = ("--truth", data, "--detections", tmp_path / "predicted" / "detections.json")
    assert run(capsys, "evaluate", *words, "--out", tmp_path / "again")[0] == 0
    scored, again = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("scored", "again"))
    assert [scored[k] for k in METRIC_NAMES] == pytest.approx([again[k] for k in METRIC_NAMES], abs=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--truth", "DATA", "--detections", "DATA", "--tile", 640), "detections of a file are scored as they are"),
        ((EMBEDDED, "--data", "DATA", "--overlap", 0.3), "add --tile 1024"),
        ((EMBEDDED, "--data", "DATA", "--tile", 8), "32 pixels or more"),
    ],
    ids=["of-a-file", "overlap-alone", "too-small"],
)
def test_tiles__wrong_words_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], said: str
) -> None:
    given = [data if word == "DATA" else word for word in words]
    code, shown = run(capsys, "evaluate", *given, "--out", tmp_path / "scored")
    assert code == 2
    assert said in " ".join(shown.split())
