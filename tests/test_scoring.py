"""Scoring files of anybody: results JSON read strictly, metrics and a report written."""

import json
from pathlib import Path

import pytest

from detect_transfer.errors import InputError
from detect_transfer.formats.results import read_results
from detect_transfer.scoring import evaluate_files

GOOD = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"score": None}, "score=None", id="no-score"),
        pytest.param({"score": 1.5}, "score=1.5", id="score-range"),
        pytest.param({"score": "high"}, "score=high", id="score-text"),
        pytest.param({"bbox": [1, 2, 3]}, "bbox=", id="three-numbers"),
        pytest.param({"bbox": [1, 2, -3, 4]}, "bbox=", id="negative-width"),
        pytest.param({"bbox": [1, 2, None, 4]}, "bbox=", id="null"),
        pytest.param({"image_id": "1"}, "image_id=1", id="text-id"),
        pytest.param({"image_id": 1.5}, "image_id=1.5", id="float-id"),
        pytest.param({"category_id": True}, "category_id=True", id="boolean-id"),
    ],
)
def test_wrong_result__is_told_with_its_pointer(tmp_path: Path, change: dict, told: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([GOOD, {**GOOD, **change}]))
    with pytest.raises(InputError, match=r"RESULTS_ENTRY .*d\.json#/1 ") as caught:
        read_results(path)
    assert told in str(caught.value)


def test_results__missing_key_other_kind_and_none_at_all(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{k: v for k, v in GOOD.items() if k != "bbox"}]))
    with pytest.raises(InputError, match=r"bbox=\(missing\)"):
        read_results(path)
    path.write_text('{"a": 1}')
    with pytest.raises(InputError, match="RESULTS_KIND"):
        read_results(path)
    path.write_text("[]")
    assert read_results(path).rows.height == 0


def truth_file(folder: Path, annotations: list[dict]) -> Path:
    path = folder / "t.json"
    images = [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 100} for i in (1, 2)]
    categories = [{"id": 1, "name": "sign"}, {"id": 2, "name": "<script>alert(1)</script>"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def annotation(i: int, bbox: list[float], **more) -> dict:
    return {"id": i, "image_id": 1, "category_id": 1, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0, **more}


def test_evaluate_files__ignored_object_is_excused_and_strict_is_told(tmp_path: Path) -> None:
    """One object found, one ignored and not found: AP 1 by region; strict asks for both: recall .5, AP .505."""
    truth = truth_file(tmp_path, [annotation(1, [0, 0, 10, 10]), annotation(2, [50, 50, 20, 20], ignore=1)])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([{**GOOD, "bbox": [0, 0, 10, 10]}]))
    scores = evaluate_files(truth, found, tmp_path / "out")
    assert scores.metrics["AP"] == pytest.approx(1.0)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["strict"]["AP"] == pytest.approx(51 / 101)
    assert "<script>alert(1)</script>" not in (tmp_path / "out" / "report.html").read_text()


def test_evaluate_files__no_positives_give_null_and_a_reason(tmp_path: Path) -> None:
    truth = truth_file(tmp_path, [])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([GOOD]))
    scores = evaluate_files(truth, found, tmp_path / "out")
    assert scores.metrics["AP"] is None
    assert scores.reasons["AP"]


def test_evaluate_files__unknown_ids_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    truth = truth_file(tmp_path, [annotation(1, [0, 0, 10, 10])])
    found = tmp_path / "d.json"
    found.write_text(json.dumps([{**GOOD, "image_id": 77}]))
    with pytest.raises(InputError, match="77"):
        evaluate_files(truth, found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
