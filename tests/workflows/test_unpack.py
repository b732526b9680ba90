"""Images inside tables, records and JSON files are brought out, and what they hold is read by a reader."""

from __future__ import annotations

import base64
import io
import json
import struct
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from tfrecords import checksum, example, field, record, sealed_record, varint

from detect_transfer.cli import main
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats import READERS
from detect_transfer.formats.unpacking.crc32c import crc32c, masked_crc32c
from detect_transfer.formats.unpacking.tfrecord import parse_example, records
from detect_transfer.workflows.unpack import unpack


def picture(kind: str = "PNG", colour: int = 9) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), (colour, 90, 120)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("write", ["write_ipc", "write_ipc_stream"])
@pytest.mark.parametrize("compression", ["uncompressed", "zstd"])
def test_arrow__with_a_buffer_of_absurd_size_is_refused(tmp_path: Path, write: str, compression: str) -> None:
    """polars would ask for as much memory, and that ends the process."""
    frame, buffer = pl.DataFrame({"image": [{"bytes": picture(), "path": "a" * 99}]}), io.BytesIO()
    getattr(frame, write)(buffer, compression=compression)
    data, absurd, refused = buffer.getvalue(), (1 << 48).to_bytes(8, "little"), 0
    for at in range(0, len(data) - 8, 8):
        if 0 < int.from_bytes(data[at : at + 8], "little") < len(data):
            (tmp_path / "a.arrow").write_bytes(data[:at] + absurd + data[at + 8 :])
            refused += 1
            with suppress(InputError):  # a count of nulls may be anything
                unpack(tmp_path / "a.arrow", tmp_path / f"out{at}")
                refused -= 1
    assert refused > 5


def boxes_of(table: AnnotationTable) -> list[tuple]:
    names = table.categories.select("category_id", "name")
    rows = table.boxes.join(table.images, on="image_id").join(names, on="category_id")
    return rows.select("file_name", "name", *[pl.col(c).round(4) for c in XYXY], "split").rows()


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrow with a footer"])
def test_tables_of_hugging_face(suffix: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "image": [{"bytes": picture(), "path": "a.png"}, {"bytes": picture("JPEG", 200), "path": None}],
            "image_id": [7, 8],
            "file_name": ["elsewhere/a.png", "elsewhere/b.jpg"],
            "objects": [{"bbox": [[1.5, 2.0, 10.0, 8.0]], "category": [1]}, {"bbox": [], "category": []}],
        }
    )
    features = {"objects": {"feature": {"category": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    source = tmp_path / "source"
    (source / "data").mkdir(parents=True)
    if suffix == "parquet":
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        frame.write_parquet(source / "data" / "validation-00000-of-00001.parquet", metadata=metadata)
    else:
        (source / "validation").mkdir()
        write = frame.write_ipc_stream if suffix == "arrow" else frame.write_ipc
        write(source / "validation" / "data-00000-of-00001.arrow")
        (source / "validation" / "dataset_info.json").write_text(json.dumps({"features": features}))
    done = unpack(source, tmp_path / "out")
    assert (done.n_images, done.n_objects, done.format) == (2, 1, "hf_imagefolder")
    table = READERS["hf_imagefolder"].read(tmp_path / "out")
    assert boxes_of(table) == [("val/a.png", "dog", 1.5, 2.0, 11.5, 10.0, "val")]
    assert table.class_names == ["cat", "dog"]
    assert len(table.images) == 2
    assert (tmp_path / "out" / "val" / "a.png").read_bytes() == picture()


def write_records(path: Path, **more: list) -> None:
    edges = {"xmin": [0.25], "ymin": [0.5], "xmax": [0.5], "ymax": [1.0]}
    shares = {f"image__object__bbox__{key}": value for key, value in edges.items()}
    head = {"image__encoded": [picture("JPEG")], "image__filename": [b"road.jpg"]}
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(record(example(**head, **shares, **more)) + record(example(image__encoded=[picture()])))


def test_records_of_tensorflow(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_records(source / "train.record-00000-of-00001", image__object__class__label=[2], image__object__is_crowd=[1])
    (source / "map.pbtxt").write_text("item {\n  id: 2\n  name: 'stop sign'\n}\n")
    assert unpack(source, tmp_path / "out").n_objects == 1
    table = READERS["hf_imagefolder"].read(tmp_path / "out")
    assert boxes_of(table) == [("train/road.jpg", "stop sign", 10.0, 10.0, 20.0, 20.0, "train")]
    assert table.boxes["iscrowd"].to_list() == table.boxes["ignore"].to_list() == [True]
    write_records(source / "train.record-00000-of-00001", image__object__class__text=[b"stop"])
    unpack(source, tmp_path / "again")
    assert READERS["hf_imagefolder"].read(tmp_path / "again").class_names == ["stop"]


NAN = float("nan")


@pytest.mark.parametrize(
    ("changed", "field_of_it"),
    [
        ({"image__object__class__label": [NAN]}, "image/object/class/label"),
        ({"image__object__class__label": [b"x"]}, "image/object/class/label"),
        ({"image__object__class__text": [7]}, "image/object/class/text"),
        ({"image__object__class__text": [b"\xff"]}, "image/object/class/text"),
        ({"image__object__bbox__xmin": [b"0.25"]}, "image/object/bbox/xmin"),
        ({"image__object__bbox__xmin": [NAN]}, "image/object/bbox/xmin"),
        ({"image__object__bbox__ymax": [float("inf")]}, "image/object/bbox/ymax"),
        ({"image__object__is_crowd": [b"no"]}, "image/object/is_crowd"),
        ({"image__object__is_crowd": [1, 0]}, "image/object/is_crowd"),
        ({"image__encoded": [7]}, "image/encoded"),
    ],
)
def test_record__with_values_of_another_kind_is_refused(tmp_path: Path, changed: dict, field_of_it: str) -> None:
    """Also values that are no numbers, and as many of them as there are not of objects."""
    edges = {f"image__object__bbox__{key}": [0.25] for key in ("xmin", "ymin", "xmax", "ymax")}
    whole = {"image__encoded": [picture()], "image__object__class__text": [b"cat"], **edges}
    if "image__object__class__label" in changed:
        del whole["image__object__class__text"]
    (tmp_path / "a.tfrecord").write_bytes(record(example(**{**whole, **changed})))
    with pytest.raises(InputError, match=rf"^TFRECORD .*a\.tfrecord:1 {field_of_it}\S* - "):
        unpack(tmp_path / "a.tfrecord", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def number(key: int, value: float) -> bytes:
    return varint(key << 3 | 1) + struct.pack("<d", value)


def integer(key: int, value: int) -> bytes:
    return varint(key << 3) + varint(value)


def waymo_frame(*, labelled: bool = True) -> bytes:
    box = number(1, 20.0) + number(2, 9.5) + number(4, 5.0) + number(5, 12.0)
    label = field(1, box) + integer(3, 3) + field(4, b"s1") + integer(5, 2)
    images = [field(4, integer(1, camera) + field(2, picture("JPEG"))) for camera in (1, 4)]
    labels = field(8, integer(1, 1) + field(2, label)) if labelled else b""
    laser = field(9, integer(1, 1) + field(2, label))  # boxes of the laser, which are none of the image
    return field(1, field(1, b"1005_segment")) + integer(2, 1234567) + b"".join(images) + labels + laser


def test_frames_of_waymo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "validation"
    source.mkdir()
    (source / "segment-1005_with_camera_labels.tfrecord").write_bytes(record(waymo_frame()))
    with pytest.raises(SystemExit):
        main(["unpack", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "not labelled, left inside: 1 image" in capsys.readouterr().out
    table = READERS["hf_imagefolder"].read(tmp_path / "out")
    assert boxes_of(table) == [("val/1005_segment_1234567_FRONT.jpg", "sign", 14.0, 7.0, 26.0, 12.0, "val")]
    assert table.images["group"].to_list() == ["1005_segment"]
    assert table.boxes["track_id"].to_list() == ["s1"]
    assert json.loads(table.boxes["attributes"][0]) == {"difficulty": "LEVEL_2"}
    damaged = waymo_frame().replace(struct.pack("<d", 9.5), struct.pack("<d", NAN))
    (source / "segment-1005_with_camera_labels.tfrecord").write_bytes(record(damaged))
    with pytest.raises(InputError, match=r"^TFRECORD .*tfrecord:1 .*no frame of Waymo"):
        unpack(source, tmp_path / "none")
    (source / "segment-1005_with_camera_labels.tfrecord").write_bytes(record(waymo_frame(labelled=False)))
    with pytest.raises(InputError, match=r"IMAGES_NONE .*no image in it is labelled"):
        unpack(source, tmp_path / "none")


def test_integers_below_zero_and_single_ones() -> None:
    assert parse_example(example(a=[-3, 300], b=[b"x", b""])) == {"a": [-3, 300], "b": [b"x", b""]}
    unpacked = field(1, field(1, field(1, b"c") + field(2, field(3, varint(1 << 3) + varint(5)))))
    assert parse_example(unpacked) == {"c": [5]}


def test_labelme_with_its_image_inside(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    shape = {"label": "cat", "points": [[1, 2], [11, 12]], "shape_type": "rectangle"}
    document = {"shapes": [shape], "imagePath": "..\\photos\\a.jpg", "imageData": base64.b64encode(picture()).decode()}
    (source / "a.json").write_text(json.dumps(document))
    assert unpack(source, tmp_path / "out").format == "labelme"
    assert boxes_of(READERS["labelme"].read(tmp_path / "out")) == [("a.png", "cat", 1.0, 2.0, 11.0, 12.0, None)]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.tfrecord", b"12345", "TFRECORD .*ends within a record"),
        ("a.tfrecord", record(b"\x0a\xff\xff\xff"), "TFRECORD .*a.tfrecord:1 .*no tf.train.Example"),
        ("a.tfrecord", record(example(a=[1])), "TFRECORD .*no image/encoded"),
        ("a.tfrecord", record(example(image__encoded=[b"x"])), "IMAGE_TYPE .*a.tfrecord:1"),
        ("a.parquet", b"PAR1", "TABLE_DAMAGED .*a.parquet"),
        ("a.json", b"{}", "UNPACK_NOTHING"),
    ],
)
def test_wrong_files__are_one_error_with_a_place(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        unpack(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command__says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "source" / "a.tfrecord", image__object__class__text=[b"stop"])
    with pytest.raises(SystemExit) as ended:
        main(["unpack", str(tmp_path / "source"), "--out", str(tmp_path / "out")])
    assert not ended.value.code
    assert "2 images, 1 object:" in (shown := capsys.readouterr().out)
    assert "detect-transfer convert hf_imagefolder" in shown


def test_checksum__is_that_of_the_standard_at_any_length() -> None:
    assert (crc32c(b"123456789"), crc32c(bytes(32)), crc32c(b"")) == (0xE3069283, 0x8A9136AA, 0)
    for n in (1, 8, 63, 64, 65, 1000):
        data = bytes(i * 37 % 256 for i in range(n))
        assert struct.pack("<I", masked_crc32c(data)) == checksum(data)


def test_record__of_which_a_bit_was_flipped_is_refused_with_its_number(tmp_path: Path) -> None:
    path, data = tmp_path / "a.tfrecord", bytes(range(100))
    whole = sealed_record(data) * 2
    path.write_bytes(whole)
    assert list(records(path)) == [data, data]
    for at in (len(whole) // 2 + 2, len(whole) - 50, len(whole) - 2):  # in a length, in data, in a checksum
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(InputError, match="TFRECORD"):
            list(records(path))


@pytest.mark.parametrize(
    ("image", "objects"),
    [
        pytest.param({"bytes": b"", "path": b"a"}, None, id="path-of-bytes"),
        pytest.param({"bytes": b"", "path": 5}, None, id="path-of-a-number"),
        pytest.param({"bytes": "abc", "path": "a"}, None, id="image-of-text"),
        pytest.param({"bytes": b"", "path": "a"}, "x", id="objects-of-text"),
        pytest.param({"bytes": b"", "path": "a"}, {"bbox": [b"x"]}, id="objects-of-bytes"),
    ],
)
def test_table__with_values_of_another_kind_is_refused(tmp_path: Path, image: dict, objects: object) -> None:
    row = {"image": {key: picture() if value == b"" else value for key, value in image.items()}}
    pl.DataFrame([row if objects is None else {**row, "objects": objects}]).write_parquet(tmp_path / "train.parquet")
    with pytest.raises(InputError, match="TABLE_TYPE"):
        unpack(tmp_path / "train.parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_table__with_a_list_of_objects_is_as_one_with_lists(tmp_path: Path) -> None:
    image = {"bytes": picture(), "path": "a"}
    objects = [{"bbox": [1.0, 2.0, 3.0, 4.0], "category": 1}, {"bbox": [2.0, 2.0, 3.0, 4.0], "category": 0}]
    pl.DataFrame([{"image": image, "objects": objects}]).write_parquet(tmp_path / "train.parquet")
    unpack(tmp_path / "train.parquet", tmp_path / "out")
    row = json.loads(next((tmp_path / "out").rglob("metadata.jsonl")).read_text())
    assert row["objects"] == {"bbox": [[1, 2, 3, 4], [2, 2, 3, 4]], "category": [1, 0]}
