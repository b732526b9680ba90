"""What a command answers: one JSON object where that is wanted, and one line with a remedy that works as typed."""

import json
import shutil
from pathlib import Path

import pytest
from paths import DATASETS

from detect_transfer.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        shown = capsys.readouterr()
        return int(left.value.code or 0), shown.out, shown.err

    return run


def test_json__is_all_that_stands_on_stdout(run, tmp_path: Path, few_data: Path) -> None:
    words = ("--out", tmp_path / "data", "--bad-boxes", "fix")
    code, out, err = run("--json", "convert", "coco", DATASETS / "coco" / "sample", *words)
    answer = json.loads(out)
    assert (code, answer["out"]) == (0, str(tmp_path / "data"))
    assert sum(part["images"] for part in answer["splits"].values()) > 0
    assert "data folder:" in err
    small = (f"data.path={few_data}", "train.imgsz=64", "train.epochs=1", "train.device=cpu", "model.weights=embedded")
    code, out, err = run("train", *small, f"out={tmp_path / 'run'}", "--json")
    answer = json.loads(out)
    assert (code, answer["run"]) == (0, str(tmp_path / "run"))
    assert set(answer["metrics"]) >= {"AP", "AP50"}
    log = (tmp_path / "run" / "log.txt").read_text()
    assert f"{answer['best']} is the best; untrained AP" in log, "the end of a run stands in its log"
    assert f"report:   {answer['report']}" in log
    images = few_data / "images" / "val"
    code, out, err = run("predict", tmp_path / "run", images, "--out", tmp_path / "predicted", "--json", "--no-draw")
    assert (code, json.loads(out)["images"]) == (0, 6)
    code, out, err = run("evaluate", tmp_path / "run", "--out", tmp_path / "scored", "--json")
    assert json.loads(out)["AP"] == pytest.approx(answer["metrics"]["AP"], abs=1e-6)
    code, out, err = run("compare", tmp_path / "run", tmp_path / "run", "--out", tmp_path / "compared", "--json")
    assert json.loads(out)["page"].endswith("compare.html")


def test_json__says_what_was_wrong_too(run, tmp_path: Path) -> None:
    code, out, err = run("convert", "voc", tmp_path / "no", "--out", tmp_path / "out", "--json")
    answer = json.loads(out)
    assert (code, answer["exit_code"]) == (2, 2)
    assert answer["error"] == err.strip()
    code, out, err = run("check", tmp_path, "--json")
    assert (code, out) == (2, "")
    assert "No such option: --json" in err
    assert "USAGE --json - this command gives no JSON" in run("--json", "check", tmp_path)[2]


def test_data_where_a_config_is_expected__names_what_to_write(run, few_data: Path) -> None:
    for name in ("data.yaml", "annotations/instances_val.json"):
        code, _, err = run("train", few_data / name)
        assert code == 2
        assert "FILE_KIND" in err
        assert f"write 'data.path={few_data / name}'" in err or f"write data.path={few_data / name}" in err


def test_evaluate_data__tries_the_readers_as_train_does(run, tmp_path: Path) -> None:
    sample = tmp_path / "mine"
    shutil.copytree(DATASETS / "penn_fudan" / "sample", sample)
    _, out, err = run("evaluate", "embedded", "--data", sample, "--out", tmp_path / "scored", "--device", "cpu")
    assert "truth: mine (pascal_v1)" in out, err
    assert "CLASS_UNMET" in err
    _, _, err = run("evaluate", "embedded", "--data", tmp_path / "scored", "--out", tmp_path / "other")
    assert "FILE_MISSING" in err


def test_remedy_for_images_without_labels__works_as_typed(run, tmp_path: Path, few_data: Path) -> None:
    folder = tmp_path / "yolo"
    shutil.copytree(few_data / "images", folder / "images")
    shutil.copytree(few_data / "labels", folder / "labels")
    shutil.copyfile(few_data / "data.yaml", folder / "data.yaml")
    for split in ("train", "val"):
        next((folder / "labels" / split).iterdir()).unlink()
    code, _, err = run("convert", "yolo", folder, "--out", tmp_path / "out")
    assert code == 2
    assert "--option allow_missing=true" in err
    code, _, err = run("convert", "yolo", folder, "--out", tmp_path / "out", "--option", "allow_missing=true")
    assert code == 0, err
    code, _, err = run("train", f"data.path={folder / 'data.yaml'}", "model.weights=embedded", "--dry-run")
    assert (err.count("data.options.allow_missing=true"), "--option" in err) == (2, False), err
