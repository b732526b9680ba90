"""A run at the command line: it holds from any folder, and says from the start what it does and how long it takes."""

import shutil
from pathlib import Path

import pytest

from detect_transfer.cli import main

SMALL = ["model.weights=embedded", "train.imgsz=64", "train.batch=8", "train.epochs=1", "transfer.strategy=head_only"]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command line in this process; return the exit code, and what it said on stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.fixture
def trained(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A run on data by a relative path, and what it said; the command goes on in another folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shutil.copytree(tiny_data, tmp_path / "a" / "mine")
    monkeypatch.chdir(tmp_path / "a")
    status, out, err = run(capsys, "train", "data.path=mine", *SMALL)
    assert status == 0, err
    monkeypatch.chdir(tmp_path / "b")
    return tmp_path / "a" / "runs" / "mine", out


def test_a_run_made_elsewhere__is_evaluated_compared_and_gone_on_with(
    trained: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path("../a/runs/mine")
    assert run(capsys, "evaluate", folder, "--out", "scored")[0] == 0
    assert run(capsys, "compare", folder, folder, "--out", "compared")[0] == 0
    shutil.move(tmp_path / "a" / "mine", tmp_path / "b" / "moved")
    assert run(capsys, "train", "--resume", folder, "train.epochs=2")[2].startswith("DATA_MISSING")
    status, out, err = run(capsys, "train", "--resume", folder, "train.epochs=2", "data.path=moved")
    assert (status, "epoch   2" in out) == (0, True), err


def test_a_run__says_at_its_start_what_it_does_and_keeps_it_in_its_log(trained: tuple[Path, str]) -> None:
    folder, out = trained
    log = (folder / "log.txt").read_text()
    lines = [
        "run folder: runs/mine",
        "device: cpu, ",
        "images: 20 training, 18 validation, ",
        "batch 8, 64 px",
        "strategy head_only: 1 epoch",
        "of training to go",
        "epoch   1  AP ",
    ]
    for line in lines:
        assert line in out
        assert line in log, line
    assert out.index(lines[0]) < out.index(lines[1]) < out.index("epoch   0") < out.index("about ")
