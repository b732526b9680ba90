"""A run that is as it says is confirmed; whatever was changed behind its back is denied, by name."""

import json
import re
import shutil
from pathlib import Path

import pytest
from fake_runs import plan_of, write_run

from detect_transfer.cli.main import main
from detect_transfer.config import RunConfig
from detect_transfer.core.errors import InputError
from detect_transfer.workflows.study.report import report_study
from detect_transfer.workflows.study.run import prepare_store
from detect_transfer.workflows.study.verify import verify_study
from detect_transfer.workflows.train import train
from detect_transfer.workflows.verify import verify_run


@pytest.fixture(scope="module")
def trained(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch on a copy of the tiny data, with its images on the disk while it trained."""
    folder = tmp_path_factory.mktemp("verified")
    shutil.copytree(tiny_data, folder / "data")
    settings = {"epochs": 1, "imgsz": 64, "batch": 8, "precision": "fp32", "cache": "disk"}
    content = {"data": {"path": folder / "data"}, "model": {"weights": "embedded"}, "out": folder / "run"}
    train(RunConfig.model_validate({**content, "train": settings}), name="run", command="test")
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run."""
    shutil.copytree(trained / "run", tmp_path / "run")
    return tmp_path / "run"


def outcomes(run: Path, *, predict: bool = False) -> dict[str, str]:
    return {check.name: check.outcome for check in verify_run(run, predict=predict)}


def test_untouched_run__is_confirmed_and_what_cannot_be_checked_is_named(trained: Path, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(trained / "run"), "-v"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert ", 0 denied, " in text
    for name in (
        "data_sha256",
        "code_sha256",
        "weights_sha256",
        "val AP of the weights",
        "file weights/best.safetensors",
    ):
        assert f"confirmed    {name}" in text
    assert "not checked  seconds" in text
    assert "not checked  peak_memory_mb" in text
    with pytest.raises(SystemExit):
        main(["verify", str(trained / "run"), "--stored-only"])
    short = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("...")]
    assert len(short) <= 6
    assert not [line for line in short if line.startswith("confirmed")]
    assert "0 denied" in short[-1]
    assert re.search(r"not checked  .*seconds.* \(the run would have to be trained again\)", "\n".join(short))


def test_what_was_on_the_disk_only_while_a_run_trained__is_not_stated(trained: Path) -> None:
    assert not (trained / "run" / "cache").exists()
    assert not [name for name in outcomes(trained / "run") if "cache/" in name]


def test_changed_number__is_denied(copy: Path, capsys) -> None:
    metrics = json.loads((copy / "metrics.json").read_text())
    (copy / "metrics.json").write_text(json.dumps({**metrics, "AP": metrics["AP"] + 0.01}))
    denied = {name for name, outcome in outcomes(copy).items() if outcome == "denied"}
    assert denied == {"file metrics.json", "val AP of the stored detections", "AP that the best weights were chosen by"}
    with pytest.raises(SystemExit) as caught:
        main(["verify", str(copy), "--stored-only"])
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert "VERIFY_DENIED" in shown.err
    lines = [line for line in shown.out.splitlines() if not line.startswith("...")]
    assert [line.split()[0] for line in lines[:4]] == ["denied"] * 3 + ["not"]


def test_changed_code_weights_and_files__are_denied(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest |= {"code_sha256": "0", "weights_sha256": "0", "data_sha256": "0"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / "report.html").unlink()
    denied = {name for name, outcome in outcomes(copy).items() if outcome == "denied"}
    assert denied == {"manifest.json", "file report.html", "code_sha256", "weights_sha256", "data_sha256"}


@pytest.mark.parametrize(
    ("name", "change", "denied"),
    [
        ("manifest", lambda c: c["files"].pop("weights/best.safetensors"), {"file weights/best.safetensors"}),
        ("manifest", lambda c: c["files"].update({"report.html": 7}), {"file report.html"}),
        ("manifest", lambda c: c.update(weights_sha256=None), {"weights_sha256"}),
        ("manifest", lambda c: c.update(seed=7), {"seed"}),
        ("metrics", lambda c: c.update(AP75="x"), {"file metrics.json", "val AP75 of the stored detections"}),
    ],
)
def test_statement_that_was_taken_out_or_is_no_number__is_denied(copy: Path, name: str, change, denied: set) -> None:
    content = json.loads((copy / f"{name}.json").read_text())
    change(content)
    (copy / f"{name}.json").write_text(json.dumps(content))
    denied |= {"manifest.json"} if name == "manifest" else set()
    assert {each for each, outcome in outcomes(copy).items() if outcome == "denied"} == denied


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [("metrics.json", "[]", "METRICS_FILE"), ("metrics.jsonl", '{"epoch": 1, "AP": []}', "HISTORY_ROW")],
)
def test_run_whose_numbers_are_damaged__is_refused(copy: Path, name: str, text: str, code: str) -> None:
    (copy / name).write_text(text)
    with pytest.raises(InputError, match=code):
        verify_run(copy, predict=False)


def test_data_that_are_gone__are_not_checked(copy: Path) -> None:
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("/data\n", "/elsewhere\n"))
    looked_at = outcomes(copy)
    assert looked_at["data_sha256"] == "not checked"
    assert looked_at["val AP"] == "not checked"


def test_folder_that_is_no_run__is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="FILE_MISSING"):
        verify_run(tmp_path)


@pytest.fixture
def reported(tiny_data: Path, tmp_path: Path, monkeypatch):
    """A study with a report, whose runs are taken to be as they say."""
    from detect_transfer.workflows.study import verify as module

    plan = plan_of(tiny_data, {"seeds": [0, 1, 2], "sizes": [100]}, tmp_path / "store")
    prepare_store(plan)
    for run in plan.runs:
        write_run(plan, run)
    report_study(plan)
    monkeypatch.setattr(module, "verify_run", lambda path, *, data, predict: [])
    return plan


def denied_of(plan) -> list[str]:
    return [check.name for check in verify_study(plan.folder.path) if check.outcome == "denied"]


def test_study__is_denied_where_its_report_says_what_its_runs_do_not(reported) -> None:
    assert {check.outcome for check in verify_study(reported.folder.path)} == {"confirmed"}
    content = json.loads(reported.folder.answers.read_text())
    content["runs"][0]["test"]["AP"] += 0.1
    content["runs"][1]["val"]["AP"] += 0.1
    content["runs"][2]["best_epoch"] += 1
    content["against"][0]["overall"]["verdict"] = "worse"
    content["facts"]["Classes"] = "others"
    content["paragraph"] = "It is better by far."
    reported.folder.answers.write_text(json.dumps(content))
    reported.folder.report.write_text("<h1>better</h1>")
    run = "scratch, 14 images, seed"
    rows = [f"{run} 0: test of the report", f"{run} 1: val of the report", f"{run} 2: best_epoch of the report"]
    parts = [f"report: {name}" for name in ("against", "facts", "paragraph", "runs")]
    assert denied_of(reported) == ["study.html", *parts, *rows]


def test_study__whose_report_leaves_a_run_out_is_denied(reported) -> None:
    import dataclasses

    chosen = tuple(run for run in reported.runs if run.seed < 2)
    report_study(dataclasses.replace(reported, runs=chosen))
    names = denied_of(reported)
    assert names[:2] == [f"{arm}, 14 images, seed 2: counted in the report" for arm in ("scratch", "full")]


def edit(plan, change) -> None:
    """Edit what a report says, as by hand."""
    content = json.loads(plan.folder.answers.read_text())
    change(content)
    plan.folder.answers.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda c: c["runs"][0].update(epochs=7), "scratch, 14 images, seed 0: epochs of the report"),
        (lambda c: c["runs"][1].update(percent=50.0), "scratch, 14 images, seed 1: percent of the report"),
        (lambda c: c["runs"][1].update(fold=7), "scratch, 14 images, seed 1: fold of the report"),
        (lambda c: c["failed"].append({**c["runs"][0], "message": ""}), "scratch, 14 images, seed 0: counted in the"),
        (lambda c: c["files"].pop("study.html"), "study.html"),
        (lambda c: c.update(files=[]), "study.html"),
    ],
)
def test_study__whose_rows_of_runs_or_hashes_were_edited_is_denied(reported, change, name: str) -> None:
    edit(reported, change)
    assert any(each.startswith(name) for each in denied_of(reported)), denied_of(reported)


def test_study_of_another_version__is_worked_out_by_its_runs(reported) -> None:
    key = reported.runs[0].key
    reported.folder.run(key).path.rename(reported.folder.run("abc").path)
    edit(reported, lambda c: c["runs"][0].update(key="abc"))
    names = denied_of(reported)
    assert names[0] == "scratch, 14 images, seed 0: key"
    assert "report: against" not in names


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.pop("runs"),
        lambda c: c["runs"][0].pop("seed"),
        lambda c: c["runs"][0].update(seed="x"),
        lambda c: c["runs"][0].update(n_images=None),
        lambda c: c["runs"][0].update(key=["x"]),
        lambda c: c["runs"][0].update(key="../../elsewhere"),
    ],
)
def test_study__whose_report_is_damaged_is_refused(reported, damage) -> None:
    edit(reported, damage)
    with pytest.raises(InputError, match=r"STUDY_REPORT .*study report"):
        verify_study(reported.folder.path)
