"""Errors as JSON, for programs that call the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.workflows import convert as module

KEYS = {"code", "where", "field", "value", "what", "remedy", "exit_code"}


def _objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_problems__are_an_object_a_line(command: Callable[..., Any], yolo_set: Path, tmp_path: Path) -> None:
    (yolo_set / "labels" / "train" / "0.txt").write_text("9 0.5 0.5 0.2 0.2\n0 0.5 0.5 nan 0.2\n")
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out", "--json-errors")
    assert ended.code == 2
    first, second = _objects(ended.err)
    assert first.keys() == second.keys() == KEYS
    assert (first["code"], first["field"], first["value"]) == ("LABEL_CLASS", "class", "9")
    assert first["where"].endswith("labels/train/0.txt:1")
    assert (second["code"], second["value"], second["exit_code"]) == ("LABEL_NUMBER", "nan", 2)


@pytest.mark.parametrize(
    ("raised", "code", "exit_code"),
    [
        pytest.param(PermissionError(13, "Permission denied", "data"), "OS_ERROR", 3, id="machine"),
        pytest.param(MemoryError(), "OUT_OF_MEMORY", 3, id="memory"),
        pytest.param(KeyError("x"), "BUG", 4, id="bug"),
        pytest.param(None, "USAGE", 2, id="usage"),
    ],
)
def test_other_failures__have_the_same_keys(
    command: Callable[..., Any],
    yolo_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception | None,
    code: str,
    exit_code: int,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        assert raised is not None
        raise raised

    monkeypatch.setattr(module, "scan_dataset", fail)
    more = ["--no-such"] if raised is None else []
    ended = command("--json-errors", "convert", "yolo", yolo_set, "--out", tmp_path / "out", *more)
    (shown,) = _objects(ended.err)
    assert ended.code == exit_code == shown["exit_code"]
    assert shown["code"] == code
    assert shown.keys() == KEYS
