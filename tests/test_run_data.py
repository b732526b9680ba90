"""The data of a run: one data set by three roads, and what is wrong with it told before anything is made."""

import json
import shutil
from pathlib import Path

import pytest

from detect_transfer.config import Data
from detect_transfer.errors import InputError
from detect_transfer.run_data import load_run_data


def counts(data: Data, folder: Path) -> tuple[int, ...]:
    loaded = load_run_data(data, drawn=folder)
    tables = (loaded.train, loaded.val)
    assert all(path.is_file() for path in loaded.paths.values())
    return tuple(n for table in tables for n in (table.images.height, table.boxes.height))


def test_data_folder_yaml_and_json_pair__give_the_same_data(tiny_data: Path, tmp_path: Path) -> None:
    annotations = tiny_data / "annotations"
    pair = Data(
        train_json=annotations / "instances_train.json",
        val_json=annotations / "instances_val.json",
        images=tiny_data / "images",
    )
    by_folder = counts(Data(path=tiny_data), tmp_path)
    assert by_folder[::2] == (20, 18)
    assert by_folder[1] > 20
    assert counts(Data(path=tiny_data / "data.yaml"), tmp_path) == by_folder
    assert counts(pair, tmp_path) == by_folder


def test_fingerprint__changes_with_a_box_and_with_a_picture(tiny_data: Path, tmp_path: Path) -> None:
    def fingerprint() -> str:
        return load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path).fingerprint

    shutil.copytree(tiny_data, tmp_path / "data")
    first = fingerprint()
    assert fingerprint() == first
    path = tmp_path / "data" / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] -= 0.5
    path.write_text(json.dumps(content))
    second = fingerprint()
    picture = sorted((tmp_path / "data" / "images" / "val").iterdir())[0]
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert len({first, second, fingerprint()}) == 3


def test_a_folder_that_is_no_data_set__is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"DATA_UNKNOWN .*convert it first"):
        load_run_data(Data(path=tmp_path), drawn=tmp_path)


def test_many_wrong_pictures__are_told_at_once_up_to_twenty(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    for picture in (tmp_path / "data" / "images").rglob("*.jpg"):
        picture.unlink()
    with pytest.raises(InputError) as caught:
        load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    assert str(caught.value).count("IMAGE_MISSING") == 20
