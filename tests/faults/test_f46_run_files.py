"""F46: a file of a finished run that has changed is seen by the commands that read it, by the hash in its manifest."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from manifests import unstate

from detect_transfer.core.errors import InputError
from detect_transfer.workflows.run_folder import RunFolder


@pytest.fixture(scope="module")
def finished(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    from detect_transfer.config import RunConfig
    from detect_transfer.workflows.train import train

    out = tmp_path_factory.mktemp("finished") / "run"
    config = {"data": {"path": few_data}, "model": {"weights": "embedded"}, "out": out}
    config |= {"train": {"epochs": 1, "imgsz": 64, "batch": 8}, "transfer": {"strategy": "full", "interpolate": "off"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detect_transfer.workflows.evaluate.write_report", lambda path, _: path.write_text(""))
        train(RunConfig.model_validate(config), name="test", command="test")
    return out


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("detections.json", "compare RUN RUN2 --out OUT"),
        ("metrics.jsonl", "compare RUN RUN2 --out OUT"),
        ("transfer.json", "compare RUN RUN2 --out OUT"),
        ("operating_points.json", "predict RUN DATA/images/val --out OUT"),
        ("operating_points.json", "pre-annotate RUN --images DATA/images --out OUT"),
        ("used_images.json", "evaluate RUN --data DATA --out OUT"),
        ("findings.json", "evaluate RUN --out OUT"),
    ],
)
def test_changed_file__is_seen(
    name: str, words: str, finished: Path, few_data: Path, tmp_path: Path, command: Callable
) -> None:
    """Of another value that reads as well: a digit."""
    run, again = (Path(shutil.copytree(finished, tmp_path / each)) for each in ("run", "again"))
    text = (run / name).read_text()
    digit = next((i for i, c in enumerate(text) if c in "12345678"), None)
    (run / name).write_text(f"{text} " if digit is None else f"{text[:digit]}9{text[digit + 1 :]}")
    for key, path in {"RUN2": again, "RUN": run, "DATA": few_data, "OUT": tmp_path / "out"}.items():
        words = words.replace(key, str(path))
    ended = command(*words.split())
    assert (ended.code, f"RUN_CHANGED {run / name} - " in ended.err) == (2, True), ended
    assert not (tmp_path / "out").exists()
    unstate(run, name)
    RunFolder(run).as_written(run / name)


@pytest.mark.parametrize(
    "words",
    [
        "predict RUN DATA/images/val --out OUT",
        "predict BEST DATA/images/val --out OUT",
        "evaluate RUN --out OUT",
        "export RUN --out OUT",
        "check RUN --out OUT",
        "average RUN RUN2 --out OUT",
        "train --resume RUN train.epochs=2",
    ],
)
def test_weights_of_another_epoch__are_seen(
    words: str, finished: Path, few_data: Path, tmp_path: Path, command: Callable
) -> None:
    """They are whole, and have another hash than the manifest states."""
    run, again = (Path(shutil.copytree(finished, tmp_path / each)) for each in ("run", "again"))
    best = run / "weights" / "best.safetensors"
    shutil.copyfile(run / "weights" / "last.safetensors", best)
    for key, path in {"RUN2": again, "RUN": run, "DATA": few_data, "OUT": tmp_path / "out", "BEST": best}.items():
        words = words.replace(key, str(path))
    ended = command(*words.split())
    assert (ended.code, f"RUN_CHANGED {best} - " in ended.err) == (2, True), ended
    assert not (tmp_path / "out").exists()


def test_verify__lists_what_has_changed_and_goes_on(finished: Path, tmp_path: Path, command: Callable) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / "findings.json").write_text('["x"]')
    (run / "operating_points.json").write_text("{}")
    ended = command("verify", run, "--stored-only")
    assert ended.code == 2
    assert "VERIFY_DENIED" in ended.err
    assert "file findings.json" in ended.out
    assert "file operating_points.json" in ended.out


@pytest.mark.parametrize("files", [[], 5, None, {"metrics.json": 5}, {"metrics.json": {}}])
def test_manifest_of_another_form__confirms_nothing(files: object, finished: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(finished, tmp_path / "run")))
    run.read_metrics()
    run.manifest.write_text(json.dumps({**run.read_manifest(), "files": files}))
    with pytest.raises(InputError, match="RUN_CHANGED"):
        run.read_metrics()


@pytest.mark.parametrize("name", ["operating_points.json", "used_images.json", "findings.json", "metrics.jsonl"])
def test_file_that_is_gone__is_missed(name: str, finished: Path, few_data: Path, tmp_path: Path) -> None:
    """Without it a run would count as one that never had it: other thresholds, no image that it was trained on."""
    from detect_transfer.workflows.thresholds import has_thresholds

    run = Path(shutil.copytree(finished, tmp_path / "run"))
    folder = RunFolder(run)
    reads = {
        "operating_points.json": lambda: has_thresholds(run / "weights" / "best.safetensors"),
        "used_images.json": folder.read_used_images,
        "findings.json": folder.read_findings,
        "metrics.jsonl": folder.read_history,
    }
    reads[name]()
    (run / name).unlink()
    with pytest.raises(InputError, match=f"RUN_CHANGED {run / name} - it is not there"):
        reads[name]()
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["files"][name], manifest["content_sha256"]  # as the remedy says
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert not reads[name]()


@pytest.mark.parametrize("content", ["[]", "{", '{"files": ["operating_points.json"]}'])
def test_manifest_of_something_else__says_nothing_of_weights(content: str, tmp_path: Path) -> None:
    from detect_transfer.workflows.thresholds import has_thresholds

    (tmp_path / "manifest.json").write_text(content)
    assert not has_thresholds(tmp_path / "models" / "mine.safetensors")
    assert RunFolder.of(tmp_path / "models" / "mine.safetensors").read_used_images() == {}


def test_data_that_were_split_anew__are_told(finished: Path, few_data: Path, tmp_path: Path, command: Callable) -> None:
    """The images that a run learned from may be among those that it is scored on then."""
    other, runs = tmp_path / "other", [tmp_path / "a", tmp_path / "b"]
    words = ("convert", "data_folder", few_data, "--split-ratio", "train=0.3,val=0.7", "--out", other)
    assert command(*words).code == 0
    for run in runs:
        shutil.copytree(finished, run)
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace(str(few_data), str(other)))
    ended = command("evaluate", runs[0], "--out", tmp_path / "scored")
    said = r"warning: the data are not those that the run was trained with; it was trained on \d+ of the \d+ images"
    assert ended.code == 0
    assert re.search(said, " ".join(ended.out.split())), ended
    assert json.loads((tmp_path / "scored" / "metrics.json").read_text())["warnings"]
    ended = command("average", *runs, "--out", tmp_path / "averaged")
    assert ended.code == 2
    assert f"RUN_DATA_CHANGED {runs[0]} data - it was trained on" in ended.err
    assert not (tmp_path / "averaged").exists()
