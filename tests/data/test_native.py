"""Native data of a run: what they are is recognised by reading, and they become a data folder where that is needed."""

import shutil
from pathlib import Path

import pytest
import yaml
from paths import DATASETS

from detect_transfer.config import Data
from detect_transfer.core.errors import InputError
from detect_transfer.data.native import convert_native, format_of, is_trainable, read_native
from detect_transfer.data.run_data import load_run_data

ROAD_SIGNS = DATASETS / "road_signs" / "sample"


@pytest.mark.parametrize(
    ("sample", "format", "shown"),
    [
        ("road_signs", "voc", True),
        ("kitti", "kitti", False),
        ("labelme", "labelme", True),
        ("roboflow_csv", "roboflow_csv", False),
        ("via_json", "via", True),
    ],
)
def test_native_data__are_of_the_format_whose_reader_can_read_them(sample: str, format: str, shown: bool) -> None:
    native = read_native(Data(path=DATASETS / sample / "sample"))
    assert (native.format, native.shown) == (format, shown)


def test_what_shows__is_taken_without_reading_others() -> None:
    native = read_native(Data(path=DATASETS / "coco" / "sample"))
    assert (native.format, native.shown) == ("coco", True)


def test_what_no_reader_can_read__says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").write_text("<annotation>")
    with pytest.raises(InputError, match="VOC_LAYOUT"):
        read_native(Data(path=tmp_path))
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(InputError, match=r"DATA_UNKNOWN .* name the format with data\.format=NAME; it may be coco, "):
        read_native(Data(path=tmp_path))


def test_options_of_the_reader__are_typed_and_their_remedy_is_a_key(tmp_path: Path) -> None:
    shifted = read_native(Data(path=ROAD_SIGNS, format="voc", options={"one_based": True})).table
    plain = read_native(Data(path=ROAD_SIGNS, format="voc", options={"one_based": "false"})).table
    assert (plain.boxes["x1"] - shifted.boxes["x1"]).to_list() == [1.0] * plain.boxes.height
    with pytest.raises(InputError, match="OPTION_UNKNOWN"):
        read_native(Data(path=ROAD_SIGNS, format="voc", options={"one_base": True}))


def test_data_without_the_splits__are_converted_and_read_from_there(tiny_data: Path, tmp_path: Path) -> None:
    data = Data(path=tiny_data / "annotations" / "instances_train.json", images=tiny_data / "images")
    native = read_native(data)
    assert not is_trainable(data, native.table)
    folder, source = tmp_path / "data", Path("mine")
    first = convert_native(native, source, folder)
    again = convert_native(native, source, tmp_path / "again")
    assert first.table.images.equals(again.table.images), "the split depends on the data alone"
    run = load_run_data(data, drawn=folder)
    assert run.train.images.height + run.val.images.height == native.table.images.height
    assert all(path.is_symlink() for path in (folder / "images").rglob("*.*"))


def test_data_with_the_splits__are_taken_as_they_are(tiny_data: Path) -> None:
    data = Data(path=tiny_data)
    assert is_trainable(data, read_native(data).table)


@pytest.mark.parametrize("sample", ["bdd100k", "bdd100k_frames", "cure_tsd", "darknet", "labelbox", "dota"])
def test_folder_above__is_no_other_format_and_the_right_one_is_offered(sample: str, tmp_path: Path) -> None:
    shutil.copytree(DATASETS / sample / "sample", tmp_path / "export")
    kind = yaml.safe_load((DATASETS / sample / "dataset.yaml").read_text(encoding="utf-8"))["format"]
    for ask in (format_of, lambda path: read_native(Data(path=path))):
        with pytest.raises(InputError, match=rf"give {tmp_path}/export, which is {kind} \("):
            ask(tmp_path)
