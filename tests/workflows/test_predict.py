"""Predicting with stored thresholds: what is drawn and counted obeys the operating points of the run."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from detect_transfer.cli import main
from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.models import load_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.evaluate import EvaluateOptions
from detect_transfer.workflows.predict import PredictOptions, predict_sources
from detect_transfer.workflows.thresholds import above_thresholds, least_scores


def test_predict__by_stored_thresholds_by_a_number_and_without_a_run(tmp_path: Path, tiny_data: Path) -> None:
    weights = tmp_path / "run" / "weights" / "best.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copyfile(EMBEDDED, weights)
    images = tiny_data / "images" / "val"
    with pytest.raises(InputError, match=r"FILE_MISSING .*operating_points"):
        predict_sources(weights, images, tmp_path / "out", PredictOptions("auto", multi_label=True, device="cpu"))
    assert not (tmp_path / "out").exists()
    names = load_weights(weights).class_names
    points = {name: {"best_f1": {"score_threshold": 0.0}} for name in names}
    points[names[0]] = {"best_f1": None}
    stored = {"default": "best_f1", "per_class": points}
    (tmp_path / "run" / "operating_points.json").write_text(json.dumps(stored))
    every = predict_sources(
        weights, images, tmp_path / "every", PredictOptions(0.0, multi_label=True, device="cpu")
    ).n_drawn
    done = predict_sources(weights, images, tmp_path / "auto", PredictOptions(None, multi_label=True, device="cpu"))
    n, shown, note = done.n_images, done.n_drawn, done.notes[0]
    found = json.loads((tmp_path / "auto" / "detections.json").read_text())
    assert (n, len(found)) == (18, every)
    assert shown == sum(row["category_id"] != 1 for row in found)
    assert 0 < shown < every
    assert note.startswith(f"1 of {len(names)} classes have no stored score threshold"), note
    assert len(list((tmp_path / "auto" / "images").glob("*.jpg"))) == n


def test_predict__takes_a_quarter_where_no_threshold_is_stored(tmp_path: Path, tiny_data: Path) -> None:
    image = sorted((tiny_data / "images" / "val").iterdir())[0]
    copied = shutil.copyfile(EMBEDDED, tmp_path / "mine.safetensors")
    for weights in ("embedded", copied):
        done = predict_sources(weights, image, tmp_path / Path(weights).stem, PredictOptions(None, device="cpu"))
        assert done.bound == "score 0.25"
    with pytest.raises(InputError, match=r"WEIGHTS_UNKNOWN .*yolo11m.*did you mean"):
        predict_sources("yolo11mm", image, tmp_path / "out", PredictOptions(None))


@pytest.mark.parametrize("score", [1.5, -0.1, float("nan"), "high", [0.2]])
def test_predict__refuses_a_score_that_is_none(score: object) -> None:
    with pytest.raises(InputError, match=r"OPTION score=.*a number from 0 to 1, or auto"):
        PredictOptions(score)  # type: ignore[arg-type]


def test_predict__obeys_what_the_run_stored_unless_a_score_is_given(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "run" / "weights" / "best.safetensors"
    weights.parent.mkdir(parents=True)
    shutil.copyfile(EMBEDDED, weights)
    image = sorted((tiny_data / "images" / "val").iterdir())[0]

    def printed(name: str, *words: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["predict", str(weights), str(image), "--out", str(tmp_path / name), "--device", "cpu", *words])
        assert left.value.code == 0
        return capsys.readouterr().out

    assert "from score 0.25 on" in printed("nothing_stored")
    points = {name: {"best_f1": {"score_threshold": 0.5}} for name in load_weights(weights).class_names}
    (tmp_path / "run" / "operating_points.json").write_text(json.dumps({"default": "best_f1", "per_class": points}))
    assert "from the threshold of its class on" in printed("stored")
    assert "from score 0.4 on" in printed("given", "--score", "0.4")


def test_evaluate_options__refuse_a_policy_that_there_is_not() -> None:
    with pytest.raises(InputError, match=r"IGNORE_POLICY ignore_policy=regoin .*give one of region, strict"):
        EvaluateOptions(ignore_policy="regoin")


def test_threshold__holds_for_scores_whose_last_digits_differ() -> None:
    """Fused layers and other runtimes give the very detection that a threshold is the score of another last digit."""
    least = least_scores(("stop", "yield"), {"stop": 0.7744351625442505})
    assert least[0] < 0.774434506893158
    assert least[0] > 0.774
    assert least[1] > 1
    detections = Detections.from_columns(
        {"image_id": [1], "category_id": [3], "x1": [0.0], "y1": [0.0], "x2": [9.0], "y2": [9.0], "score": [0.7744345]}
    )
    categories = pl.DataFrame({"category_id": [3], "name": ["stop"]})
    assert len(above_thresholds(detections, categories, {"stop": 0.7744351625442505}).rows) == 1
