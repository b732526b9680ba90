"""F55: two commands that write into one folder: the second is refused, and the first is not touched."""

import fcntl
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import new_folder
from detect_transfer.workflows.run_config import new_run_folder


@pytest.mark.parametrize("command_of", ["predict", "train"])
def test_folder_that_another_process_writes_into__is_refused(
    command_of: str, few_data: Path, tmp_path: Path, command: Callable
) -> None:
    """Both looked before either wrote, so that the folder is empty."""
    out = tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    words = {
        "predict": ("predict", "embedded", few_data / "images" / "val", "--out", out),
        "train": ("train", f"data.path={few_data}", "model.weights=embedded", "transfer.class_map=none", f"out={out}"),
    }
    ended = command(*words[command_of])
    os.close(descriptor)
    assert (ended.code, "RUN_IN_USE" in ended.err) == (2, True), ended
    assert not list(out.iterdir())


def test_folder_that_another_was_quicker_with__stays(tmp_path: Path) -> None:
    def make() -> None:
        with new_folder(tmp_path / "out") as building:
            (building / "mine").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").touch()

    with pytest.raises(InputError, match="OUT_NOT_EMPTY"):
        make()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]


def test_runs_that_begin_at_once__have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(20) as pool:
        folders = list(pool.map(lambda _: new_run_folder("mine"), range(20)))
    assert len(set(folders)) == 20
    assert all(folder.is_dir() and re.fullmatch(r"mine(-\d+)?", folder.name) for folder in folders)
