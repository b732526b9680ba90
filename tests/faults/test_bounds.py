"""What is deep, long or large beyond reason: F22, F33, F38, F50, F54 and their like."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest
import torch
from safetensors.torch import save_file

from detect_transfer.core.errors import InputError, one_line
from detect_transfer.core.memory import is_out_of_memory
from detect_transfer.models.checkpoints import read_checkpoint
from detect_transfer.workflows import convert as module

LONG = "x" * 300


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _coco(folder: Path, **change: Any) -> Path:
    document: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": 1, "file_name": "0.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "car"}],
    }
    for part, more in change.items():
        document[part][0].update(more)
    (folder / "mine.json").write_text(json.dumps(document))
    return folder / "mine.json"


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
@pytest.mark.parametrize(("levels", "code"), [(80, 0), (253, 2), (900, 2)])
def test_nested_keys_of_others__are_carried_or_refused(
    command: Callable[..., Any], tmp_path: Path, part: str, levels: int, code: int
) -> None:
    path = _coco(tmp_path, **{part: {"theirs": _nested(levels)}})
    words = ("--image-mode", "none", "--to", "coco,parquet", "--split-ratio", "train=1")
    ended = command("convert", "coco", path, "--out", tmp_path / "out", *words)
    assert ended.code == code
    assert ("JSON_DEPTH" in ended.err) is (code == 2)


@pytest.mark.parametrize("key", ["data", "train: {epochs", "data: {options"])
def test_aliases__that_stand_for_a_billion_values_are_refused(
    command: Callable[..., Any], tmp_path: Path, key: str
) -> None:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    (tmp_path / "bomb.yaml").write_text("\n".join([*rows, f"{key}: *i{'}' * key.count('{')}", ""]))
    ended = command("train", tmp_path / "bomb.yaml", "--dry-run")
    assert ended.code == 2
    assert "YAML_SYNTAX" in ended.err
    assert len(ended.err) < 1000


def test_values_in_errors__are_short_whatever_they_are() -> None:
    bomb: Any = "x"
    for _ in range(12):
        bomb = [bomb] * 10
    assert len(one_line(bomb)) <= 80
    assert len(one_line(_nested(5000))) <= 80
    assert len(one_line(10**5000)) <= 80
    assert len(one_line("\n" * 10_000_000)) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("train", "data.path=here", "train.imgsz=100000"), "train.imgsz", id="imgsz"),
        pytest.param(("train", "data.path=here", "train.workers=100000"), "train.workers", id="workers"),
        pytest.param(("predict", "w.pt", "images", "--out", "out", "--imgsz", "100000"), "--imgsz", id="predict"),
        pytest.param(("check", "here", "--imgsz", "100000"), "--imgsz", id="check"),
    ],
)
def test_number__beyond_reason_is_refused(command: Callable[..., Any], words: tuple[str, ...], said: str) -> None:
    ended = command(*words)
    assert ended.code == 2
    assert said in ended.err


@pytest.mark.parametrize("imgsz", ["1000000000", "0", "-5", "9" * 5000, "1e3"])
def test_absurd_size_in_a_header__is_refused(tmp_path: Path, imgsz: str) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "w.safetensors", {"imgsz": imgsz})
    with pytest.raises(InputError, match="WEIGHTS_CARD"):
        read_checkpoint(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("check", LONG), id="source"),
        pytest.param(("convert", "yolo", "SET", "--out", LONG), id="out"),
        pytest.param(("train", f"{LONG}.yaml"), id="config"),
        pytest.param(("evaluate", "--truth", LONG, "--detections", "x", "--out", "out"), id="truth"),
    ],
)
def test_name__longer_than_a_disk_allows_is_wrong_input(
    command: Callable[..., Any], yolo_set: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(yolo_set.parent)
    ended = command(*[str(yolo_set) if word == "SET" else word for word in words])
    assert ended.code == 2
    assert "NAME_TOO_LONG" in ended.err
    assert len(ended.err) < 1000


def test_image__with_a_name_longer_than_a_disk_allows_is_wrong_input(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path
) -> None:
    path = _coco(tmp_path, images={"file_name": f"{LONG}.png"})
    ended = command("convert", "coco", path, "--out", tmp_path / "out", "--option", f"images={yolo_set}/images/train")
    assert ended.code == 2


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("could not create a primitive"), id="onednn"),
        pytest.param(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), id="torch"),
        pytest.param(cv2.error("(-4:Insufficient memory) Failed to allocate 9000 bytes in function"), id="opencv"),
        pytest.param(RuntimeError("std::bad_alloc"), id="c++"),
        pytest.param(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), id="cuda"),
    ],
)
def test_full_memory__in_any_words_is_said_with_advice(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    assert is_out_of_memory(error)
    monkeypatch.setattr(module, "scan_dataset", fail)
    ended = command("convert", "yolo", yolo_set, "--out", tmp_path / "out")
    assert ended.code == 3
    assert ended.err.startswith("OUT_OF_MEMORY - ")
    assert "smaller batch" in ended.err


def test_training__needs_room_on_the_disk_before_it_starts(
    command: Callable[..., Any], yolo_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    words = (f"data.path={yolo_set}", f"out={tmp_path / 'run'}", "model.weights=embedded", "train.device=cpu")
    ended = command("train", *words, "transfer.class_map=none")
    assert ended.code == 3
    assert "DISK_FULL" in ended.err
    assert not (tmp_path / "run" / "weights" / "state.pt").exists()
