"""The data of a run: one data set by three roads, and what is wrong with it told before anything is made."""

import json
import shutil
from pathlib import Path

import pytest

from detect_transfer.config import Data
from detect_transfer.core.errors import InputError
from detect_transfer.data.convert import ConvertOptions, convert
from detect_transfer.data.load import read_dataset
from detect_transfer.data.run_data import load_run_data


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


def test_fingerprint__changes_with_a_box_and_with_a_image(tiny_data: Path, tmp_path: Path) -> None:
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
    image = sorted((tmp_path / "data" / "images" / "val").iterdir())[0]
    image.write_bytes(image.read_bytes() + b"\0")
    assert len({first, second, fingerprint()}) == 3


def test_a_folder_that_is_no_data_set__is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(InputError, match=r"DATA_UNKNOWN .*convert it first"):
        load_run_data(Data(path=tmp_path), drawn=tmp_path)


def test_many_wrong_images__are_told_at_once_up_to_twenty(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    for image in (tmp_path / "data" / "images").rglob("*.jpg"):
        image.unlink()
    with pytest.raises(InputError) as caught:
        load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    assert str(caught.value).count("IMAGE_MISSING") == 20


def test_annotations_alone__are_told_to_be_converted_with_their_images(tiny_data: Path, tmp_path: Path) -> None:
    table = read_dataset(tiny_data)
    plan = ConvertOptions(format="data_folder", split="source", image_mode="none")
    convert(table, tmp_path / "alone", options=plan)
    with pytest.raises(InputError, match=r"IMAGES_MISSING .*data.path - .*--image-mode copy") as caught:
        load_run_data(Data(path=tmp_path / "alone"), drawn=tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_frames_of_a_video__are_told_to_be_converted_first(tiny_data: Path, tmp_path: Path) -> None:
    pair = {}
    for split in ("train", "val"):
        content = json.loads((tiny_data / "annotations" / f"instances_{split}.json").read_text())
        content["images"][0]["file_name"] = f"clips/{split}.mp4#00012"
        path = pair[f"{split}_json"] = tmp_path / f"{split}.json"
        path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"VIDEO_FRAMES file_name=clips/train.mp4#00012 - 2 .*convert") as caught:
        load_run_data(Data(**pair), drawn=tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_images_of_both_splits__are_refused(tiny_data: Path, tmp_path: Path) -> None:
    one = tiny_data / "annotations" / "instances_train.json"
    for data in (
        Data(path=tiny_data, val_split="train"),
        Data(train_json=one, val_json=one, images=tiny_data / "images"),
    ):
        with pytest.raises(InputError, match=r"SPLIT_SHARED .*\.jpg data\.val_split - 20 images .*; a score"):
            load_run_data(data, drawn=tmp_path)
