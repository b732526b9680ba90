"""F46: a file of a finished run that has changed is seen by the commands that read it, by the hash in its manifest."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

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
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["files"][name], manifest["content_sha256"]  # as the remedy says
    (run / "manifest.json").write_text(json.dumps(manifest))
    RunFolder(run).as_written(run / name)


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
