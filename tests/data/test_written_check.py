"""What a conversion wrote is read back, every target of it, from the files themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.written_check import READ_BACK
from detect_transfer.formats import READERS
from detect_transfer.formats.tools.label_studio import read as read_label_studio
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.writing import targets
from detect_transfer.formats.writing.targets import WRITERS

ALL = tuple(sorted(WRITERS))


@pytest.fixture
def table(tmp_path: Path) -> AnnotationTable:
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (40, 30), (len(name), 50, ord(name[0]))).save(tmp_path / name)
    return AnnotationTable.from_columns(
        images={"image_id": [3, 4], "file_name": ["a.jpg", "b.png"], "split": ["train", "val"], "group": ["g", "h"]},
        boxes={
            "annotation_id": [1, 2, 3, 4],
            "image_id": [3, 3, 4, 4],
            "category_id": [1, 2, None, 1],
            "x1": [1.5, 0.0, 3.0, 2.0],
            "y1": [2.0, 0.0, 3.0, 2.0],
            "x2": [10.25, 40.0, 9.0, 7.0],
            "y2": [9.0, 30.0, 9.0, 8.0],
            "ignore": [False, True, True, False],
            "iscrowd": [False, True, False, False],
            "ignore_reason": [None, "crowd", "far", None],
            "difficult": [False, False, False, True],
            "occluded": [0.5, None, None, 0.0],
            "truncated": [0.0, 1.0, None, 0.25],
            "track_id": ["t1", None, None, "t2"],
            "attributes": ['{"b": 1, "a": [2], "c": " x "}', None, None, None],
            "source": ["s:1", "s:2", "s:3", "s:4"],
        },
        categories={"category_id": [1, 2, 7], "name": ["person", "sign", "unused"]},
        image_root=tmp_path,
    )


def test_every_target_can_be_read_back() -> None:
    assert READ_BACK.keys() == WRITERS.keys()


@pytest.mark.parametrize("image_mode", ["copy", "link", "none"])
def test_check__holds_for_every_target(image_mode: str, table: AnnotationTable, tmp_path: Path) -> None:
    if image_mode == "none":
        sizes = table.images.with_columns(width=pl.lit(40, pl.Int32), height=pl.lit(30, pl.Int32))
        table = replace(table, images=sizes, image_root=None)
    options = ConvertOptions("x", split="source", targets=ALL, check=True, image_mode=image_mode)
    result = convert(table, tmp_path / "out", options=options)
    assert result.round_trip is not None
    legs = {leg.target: {field.field: field.equal for field in leg.fields} for leg in result.round_trip.legs}
    n_boxes = {
        **{"COCO": 4, "CVAT": 3, "Datumaro": 3, "FiftyOne": 4, "Hugging Face": 3, "Label Studio": 3},
        **{"Parquet": 4, "Roboflow": 4, "VOC": 3, "YOLO": 2},
    }
    assert {name: fields["box xyxy"] for name, fields in legs.items()} == n_boxes
    assert legs["Datumaro"]["box attributes"] == legs["Datumaro"]["box occluded"] == 3
    assert legs["Hugging Face"]["box ignore_reason"] == legs["Label Studio"]["box ignore"] == 3
    assert legs["CVAT"]["box attributes"] == legs["CVAT"]["box track_id"] == 3
    assert legs["VOC"]["box difficult"] == 3
    lost = {leg.target: {each.field for each in leg.not_carried} for leg in result.round_trip.legs}
    assert lost["COCO"] == lost["Parquet"] == set()
    assert {"boxes", "track_id", "attributes", "image group"} <= lost["VOC"]


@pytest.mark.parametrize(("image_mode", "chosen"), [("copy", ALL), ("none", ALL)])
def test_images_of_two_splits_with_one_name__are_read_back(
    image_mode: str, chosen: tuple[str, ...], table: AnnotationTable, tmp_path: Path
) -> None:
    for name, split in table.images.select("file_name", "split").rows():
        (tmp_path / split).mkdir()
        (tmp_path / name).rename(tmp_path / split / "same.png")
    images = table.images.with_columns(
        file_name=pl.concat_str("split", pl.lit("/same.png")),
        width=pl.lit(40, pl.Int32),
        height=pl.lit(30, pl.Int32),
    )
    table = replace(table, images=images, image_root=tmp_path)
    options = ConvertOptions("x", split="source", targets=chosen, check=True, image_mode=image_mode)
    result = convert(table, tmp_path / "out", options=options)
    assert result.round_trip is not None


@pytest.mark.parametrize("folders", [("train", "test"), ("data", "images")])
def test_folders_that_are_called_as_splits_or_of_targets__are_read_back(
    folders: tuple[str, str], table: AnnotationTable, tmp_path: Path
) -> None:
    names = [f"{folder}/{name}" for folder, name in zip(folders, ("a.jpg", "b.png"), strict=True)]
    for name in names:
        (tmp_path / name).parent.mkdir()
        (tmp_path / Path(name).name).rename(tmp_path / name)
    images = table.images.with_columns(file_name=pl.Series(names), split=pl.lit("train"))
    table = replace(table, images=images, image_root=tmp_path)
    result = convert(table, tmp_path / "out", options=ConvertOptions("x", split="source", targets=ALL, check=True))
    assert result.round_trip is not None


def one_object(table: AnnotationTable) -> AnnotationTable:
    """Return the table with its first object alone, all images in train."""
    images = table.images.with_columns(split=pl.lit("train"))
    return replace(table, images=images, boxes=table.boxes.filter(pl.col("annotation_id") == 1))


def test_corners_with_fractions_in_voc__come_back_to_who_names_no_option(
    table: AnnotationTable, tmp_path: Path
) -> None:
    convert(one_object(table), tmp_path / "out", options=ConvertOptions("x", split="source", targets=("voc",)))
    back = read_voc(tmp_path / "out" / "voc")
    assert back.boxes.select(XYXY).rows() == [(1.5, 2.0, 10.25, 9.0)]


def test_image_without_an_object__has_its_size_in_label_studio(table: AnnotationTable, tmp_path: Path) -> None:
    convert(
        one_object(table),
        tmp_path / "out",
        options=ConvertOptions("x", split="source", targets=("label_studio",), check=True),
    )
    back = read_label_studio(tmp_path / "out" / "label_studio" / "tasks.json", missing_images="keep")
    assert back.images.sort("file_name").select("width", "height").rows() == [(40, 30), (40, 30)]
    assert "data" not in back.images.columns


@pytest.mark.parametrize(
    ("target", "file", "old", "new"),
    [
        ("coco", "annotations/instances_train.json", b"8.75", b"8.5"),
        ("cvat", "cvat/annotations.xml", b'xtl="1.5"', b'xtl="1.75"'),
        ("datumaro", "datumaro/annotations/train.json", b"[1.5,", b"[1.75,"),
        ("fiftyone", "fiftyone/train/labels.json", b"8.75", b"8.5"),
        ("hugging_face", "hugging_face/train/metadata.jsonl", b"8.75", b"8.5"),
        ("label_studio", "label_studio/tasks.json", b'"x":3.75', b'"x":3.76'),
        ("roboflow", "roboflow/train/_annotations.coco.json", b"8.75", b"8.5"),
        ("voc", "voc/Annotations/train/a.xml", b"<xmin>2.5<", b"<xmin>2.75<"),
        ("yolo", "labels/train/a.txt", b"0.14687500", b"0.16687500"),
    ],
)
def test_check__sees_what_a_writer_spoils(
    target: str,
    file: str,
    old: bytes,
    new: bytes,
    table: AnnotationTable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write = targets.WRITERS[target]

    def spoilt(plan: object, out: Path, ledger: object) -> None:
        write(plan, out, ledger)  # type: ignore[arg-type]
        path = out / file
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new))

    monkeypatch.setitem(targets.WRITERS, target, spoilt)
    options = ConvertOptions("x", split="source", targets=(target,), check=True)
    with pytest.raises(InputError, match=r"ROUND_TRIP box xyxy.*s:1"):
        convert(table, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("image_mode", ["copy", "link"])
def test_what_was_written__is_read_by_its_own_folder_alone(
    image_mode: str, table: AnnotationTable, tmp_path: Path
) -> None:
    options = ConvertOptions("x", split="source", targets=ALL, image_mode=image_mode)
    convert(table, tmp_path / "out", options=options)
    own = {"coco": "data_folder", "yolo": "yolo", "hugging_face": "hf_imagefolder", "fiftyone": "coco"}
    for target in ALL:
        name = {**own, "roboflow": "coco"}.get(target, target)
        root = tmp_path / "out" / (target if (tmp_path / "out" / target).is_dir() else "")
        back = READERS[name].read(root)
        assert sorted(Path(each).stem for each in back.images["file_name"]) == ["a", "b"], target
        assert back.image_root is not None
        assert all((back.image_root / each).is_file() for each in back.images["file_name"]), target
