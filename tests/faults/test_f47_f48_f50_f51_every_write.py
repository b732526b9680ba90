"""F47, F48, F50, F51: the disk fails, or the process is killed, at the first, second ... last call that writes.

A process that is killed runs no clean-up, so neither does a block that ends by `_Killed`: what it would remove stays.
"""

import errno
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.io import sha256_file, write_atomic
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.reading import read_dataset
from detect_transfer.models.checkpoints import save_weights
from detect_transfer.training.checkpoint import Progress, read_states, save_state

_MOST_CALLS = 200


class _Killed(BaseException):
    """The process is gone."""


@dataclass
class _Disk:
    """Counts the calls that write, and lets one of them fail.

    Args:
        at: Which call fails, from 1 on.
        error: What it raises.
    """

    at: int
    error: BaseException
    calls: int = 0

    def call(self, function: Callable[..., Any], *words: Any, **more: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        if self.calls > self.at and isinstance(self.error, _Killed):
            raise self.error  # nothing runs any more, in no thread
        return function(*words, **more)


@pytest.fixture
def fail_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], _Disk]:
    """Let a call that writes fail, and all clean-up of a killed process."""
    before = {name: getattr(os, name) for name in ("replace", "rename", "fsync", "link")}
    opened, removed, unlinked = io.open, shutil.rmtree, Path.unlink

    def fail(at: int, error: BaseException) -> _Disk:
        disk = _Disk(at, error)

        def open_file(file: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
            if "w" in mode and not str(file).startswith("/dev"):
                return disk.call(opened, file, mode, *words, **more)
            return opened(file, mode, *words, **more)

        def unless_killed(function: Callable[..., Any]) -> Callable[..., Any]:
            def clean_up(*words: Any, **more: Any) -> None:
                if not (isinstance(error, _Killed) and disk.calls >= at):
                    function(*words, **more)

            return clean_up

        for name, function in before.items():
            monkeypatch.setattr(os, name, lambda *w, _f=function, **m: disk.call(_f, *w, **m))
        monkeypatch.setattr(io, "open", open_file)
        monkeypatch.setattr(shutil, "rmtree", unless_killed(removed))
        monkeypatch.setattr(Path, "unlink", unless_killed(unlinked))
        return disk

    return fail


ERRORS = [
    pytest.param(lambda: OSError(errno.ENOSPC, "No space left on device"), id="full"),
    pytest.param(lambda: OSError(errno.EIO, "Input/output error"), id="broken"),
    pytest.param(_Killed, id="killed"),
]


def _tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


@pytest.mark.parametrize("error", ERRORS)
def test_conversion__leaves_all_or_nothing_at_every_write(
    yolo_set: Path,
    tmp_path: Path,
    fail_at: Callable[[int, BaseException], _Disk],
    monkeypatch: pytest.MonkeyPatch,
    error: Callable[[], BaseException],
) -> None:
    source, table = _tree(yolo_set), read_dataset(yolo_set)
    options = ConvertOptions("yolo", targets=("coco", "yolo"))
    convert(table, tmp_path / "clean", options=options)
    whole = _tree(tmp_path / "clean")
    (tmp_path / "work").mkdir()
    out = tmp_path / "work" / "out"
    codes: set[str] = set()
    for at in range(1, _MOST_CALLS):
        disk, is_clean = fail_at(at, error()), True
        try:
            convert(table, out, options=options)
        except ResourceError as failure:
            codes.add(failure.code)
            is_clean = not any(out.parent.iterdir())
        except _Killed:
            is_clean = not out.exists()
        monkeypatch.undo()
        assert is_clean, at
        if disk.calls < at:
            break
        shutil.rmtree(out.parent)
        out.parent.mkdir()
    assert at > 20
    assert codes <= {"DISK_FULL", "WRITE_FAILED"}
    assert _tree(out) == whole
    assert _tree(yolo_set) == source


def _save_text(path: Path, value: int) -> None:
    write_atomic(path, f"{value}" * 1000)


def _save_weights(path: Path, value: int) -> None:
    save_weights(path, {"a": torch.full((1000,), float(value))}, {"imgsz": "64"})


def _save_state(path: Path, value: int) -> None:
    weights = {"a": torch.full((1000,), float(value))}
    save_state(path, Progress(epoch=value), "of", {"module": weights, "average": weights})
    assert read_states(path)["progress"]["epoch"] == value


@pytest.mark.parametrize("save", [_save_text, _save_weights, _save_state])
@pytest.mark.parametrize("error", ERRORS)
def test_file__is_the_old_or_the_new_one_at_every_write(
    tmp_path: Path,
    fail_at: Callable[[int, BaseException], _Disk],
    monkeypatch: pytest.MonkeyPatch,
    save: Callable[[Path, int], None],
    error: Callable[[], BaseException],
) -> None:
    path = tmp_path / "file"
    save(path, 2)
    new = path.read_bytes()
    for at in range(1, _MOST_CALLS):
        save(path, 1)
        old = path.read_bytes()
        disk = fail_at(at, error())
        try:
            save(path, 2)
        except ResourceError:
            assert list(tmp_path.iterdir()) == [path]
        except _Killed:
            pass
        monkeypatch.undo()
        assert path.read_bytes() in (old, new)
        if disk.calls < at:
            break
    assert at > 3
    assert path.read_bytes() == new
