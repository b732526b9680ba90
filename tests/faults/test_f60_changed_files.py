"""F60: a file of a data folder that is no longer what was written is seen by whoever reads it, by its whole content."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from detect_transfer.config import Data
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import sha256_file
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.run_data import load_run_data
from detect_transfer.workflows.changed_images import note_changed_images
from detect_transfer.workflows.run_folder import RunFolder


def flip(path: Path, position: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= bit
    path.write_bytes(data)


@pytest.fixture
def written(data_folder: Path) -> Path:
    """A data folder whose first training image is larger than 64 KB, as it was written."""
    path = sorted((data_folder / "images" / "train").iterdir())[0]
    path.write_bytes(path.read_bytes() + bytes(70_000))  # a JPEG may have bytes behind its end
    manifest = json.loads((data_folder / "manifest.json").read_text())
    facts = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    manifest["files"][path.relative_to(data_folder).as_posix()] = facts
    (data_folder / "manifest.json").write_text(json.dumps(manifest))
    return data_folder


def test_image_edited_behind_its_first_64_kb__is_seen(written: Path) -> None:
    path = sorted((written / "images" / "train").iterdir())[0]
    none = written / "none"
    before = load_run_data(Data(path=written), drawn=none).fingerprint
    flip(path, -1)
    with pytest.raises(InputError, match=f"DATA_CHANGED {path}"):
        load_run_data(Data(path=written), drawn=none)
    as_coco = load_run_data(Data(path=written, format="coco"), drawn=none)  # which is compared with nothing
    assert as_coco.fingerprint != before


@pytest.mark.parametrize("name", ["annotations/instances_train.json", "annotations/instances_val.json"])
def test_annotations__are_compared_whoever_reads_them(data_folder: Path, name: str) -> None:
    path = data_folder / name
    flip(path, path.read_bytes().index(b"bbox") + 8)
    for read in (
        lambda: read_dataset(data_folder),
        lambda: load_run_data(Data(path=data_folder), drawn=data_folder / "none"),
    ):
        with pytest.raises(InputError, match=f"DATA_CHANGED {path}"):
            read()


@pytest.mark.parametrize("line", ["check {} --format coco", "convert coco {} --out {out}"])
def test_remedy_of_a_change__works_as_typed(data_folder: Path, tmp_path: Path, command: Callable, line: str) -> None:
    path = data_folder / "annotations/instances_val.json"
    flip(path, path.read_bytes().index(b"bbox") + 8)
    words = line.format(data_folder, out=tmp_path / "out")
    ended = command(*words.replace(" --format coco", "").replace("convert coco", "convert auto").split())
    named = "check --format coco" if "check" in line else "convert coco"
    assert (ended.code, "DATA_CHANGED" in ended.err, named in ended.err) == (2, True, True), ended
    assert "DATA_CHANGED" not in command(*words.split()).err


def test_evaluating_weights__compares_the_images(data_folder: Path, tmp_path: Path, command: Callable) -> None:
    path = sorted((data_folder / "images" / "val").iterdir())[0]
    flip(path, path.read_bytes().index(b"\xff\xdb") + 10)  # of a table, where no decoder notices it
    ended = command("evaluate", "embedded", "--data", data_folder, "--out", tmp_path / "out")
    assert (ended.code, f"DATA_CHANGED {path}" in ended.err) == (2, True), ended


def test_image_changed_while_a_run_goes_on__is_told(few_data: Path, tmp_path: Path) -> None:
    """It would be scored on other pixels than those that its manifest vouches for."""
    from detect_transfer.config import RunConfig
    from detect_transfer.workflows.train import train
    from detect_transfer.workflows.watch import Watch

    data, said = Path(shutil.copytree(few_data, tmp_path / "data")), []
    first, second = sorted((data / "images" / "val").iterdir())[:2]

    def on_stage(text: str) -> None:
        said.append(text)
        if text == "training":
            first.write_bytes(second.read_bytes())

    config = {"data": {"path": data}, "model": {"weights": "embedded"}, "out": tmp_path / "run"}
    config |= {"train": {"epochs": 1, "imgsz": 64, "batch": 8}, "transfer": {"strategy": "epoch0"}}
    train(RunConfig.model_validate(config), name="test", command="test", watch=Watch(on_stage=on_stage))
    lines = [line for line in said if "DATA_CHANGED (1)" in line and "val/00000.jpg" in line]
    assert len(lines) == 1, said
    assert lines == RunFolder(tmp_path / "run").read_findings()[-1:]


def test_images_that_were_written_as_they_were__are_no_change(few_data: Path, tmp_path: Path) -> None:
    data, folder = Path(shutil.copytree(few_data, tmp_path / "data")), RunFolder(tmp_path)
    read = load_run_data(Data(path=data), drawn=tmp_path / "none")
    folder.findings.write_text("[]")
    first, second = sorted((data / "images" / "train").iterdir())[:2]
    os.utime(folder.findings, (0, 0))  # so that all are looked at
    first.write_bytes(first.read_bytes())
    assert note_changed_images(folder, read) == []
    second.unlink()
    assert "DATA_CHANGED (1)" in note_changed_images(folder, read)[0]
    assert len(json.loads(folder.findings.read_text())) == 1
