"""The data of a run: one data set by three roads, and what is wrong with it said before anything is made."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.config import Data
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.run_checks import run_findings, small_targets
from detect_transfer.data.run_data import load_run_data
from detect_transfer.data.split_file import SplitFile, part_from_file
from detect_transfer.formats.coco.reader import read_splits


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


def test_images__come_in_the_order_of_their_names_whatever_their_ids(tiny_data: Path, tmp_path: Path) -> None:
    document = json.loads((tiny_data / "annotations" / "instances_train.json").read_bytes())
    highest = max(image["id"] for image in document["images"])
    for row in (*document["images"], *document["annotations"]):
        key = "image_id" if "image_id" in row else "id"
        row[key] = highest + 1 - row[key]
    (tmp_path / "train.json").write_text(json.dumps(document))
    of_both = [
        load_run_data(
            Data(
                train_json=path, val_json=tiny_data / "annotations" / "instances_val.json", images=tiny_data / "images"
            ),
            drawn=tmp_path,
        ).train.images["file_name"]
        for path in (tiny_data / "annotations" / "instances_train.json", tmp_path / "train.json")
    ]
    assert of_both[0].to_list() == of_both[1].to_list() == of_both[0].sort().to_list()


def split_file(folder: Path, table: AnnotationTable, n_train: int) -> Path:
    """Write a file that names some training images, half of the validation images as such and half as test images."""
    names = {split: sorted(table.split_of(split).images["file_name"]) for split in ("train", "val")}
    splits = {"train": names["train"][:n_train], "val": names["val"][::2], "test": names["val"][1::2]}
    path = folder / "part.json"
    path.write_text(json.dumps({"splits_version": 1, "rule": {}, "splits": splits}))
    return path


def test_split_file__gives_the_images_of_each_split_and_leaves_the_others_out(tiny_data: Path, tmp_path: Path) -> None:
    path = split_file(tmp_path, read_dataset(tiny_data), 7)
    loaded = load_run_data(Data(path=tiny_data, split_file=path, test_split="test"), drawn=tmp_path)
    assert loaded.test is not None
    assert [t.images.height for t in (loaded.train, loaded.val, loaded.test)] == [7, 9, 9]
    path.write_text(path.read_text().replace('"val": [', '"val": ["absent.jpg", '))
    with pytest.raises(InputError, match=r"SPLIT_FILE part.json file_name=absent.jpg - 1 images of the file are not"):
        load_run_data(Data(path=tiny_data, split_file=path), drawn=tmp_path)


def test_split_file__is_refused_where_names_do_not_tell_images_apart(tiny_data: Path) -> None:
    table = read_dataset(tiny_data)
    same = replace(table, images=table.images.with_columns(file_name=pl.lit("a.jpg")))
    with pytest.raises(InputError, match=r"SPLIT_FILE .*file_name=a.jpg - 38 images share a name"):
        part_from_file(same, SplitFile("part.json", {"a.jpg": "train"}))


def test_fingerprint__changes_with_a_box_and_with_a_image(tiny_data: Path, tmp_path: Path) -> None:
    def fingerprint() -> str:
        return load_run_data(Data(path=tmp_path / "data", format="coco"), drawn=tmp_path).fingerprint

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


def test_a_folder_that_is_no_data_set__is_reported_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no data")
    with pytest.raises(InputError, match=r"DATA_UNKNOWN .*data\.format=NAME"):
        load_run_data(Data(path=tmp_path), drawn=tmp_path)


def test_many_wrong_images__are_one_line_with_their_number(tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data, tmp_path / "data")
    for image in (tmp_path / "data" / "images").rglob("*.jpg"):
        image.unlink()
    with pytest.raises(InputError) as caught:
        load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    n_images = len(read_dataset(tiny_data).images)
    assert str(caught.value).count("IMAGE_MISSING") == 1
    assert f"({n_images} such, then " in str(caught.value)


def test_annotations_alone__must_be_converted_with_their_images(tiny_data: Path, tmp_path: Path) -> None:
    table = read_dataset(tiny_data)
    plan = ConvertOptions(format="data_folder", split="source", image_mode="none")
    convert(table, tmp_path / "alone", options=plan)
    with pytest.raises(InputError, match=r"IMAGES_MISSING .*data.path - .*--image-mode copy") as caught:
        load_run_data(Data(path=tmp_path / "alone"), drawn=tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_frames_of_a_video__must_be_converted_first(tiny_data: Path, tmp_path: Path) -> None:
    pair = {}
    for split in ("train", "val"):
        content = json.loads((tiny_data / "annotations" / f"instances_{split}.json").read_text())
        content["images"][0]["file_name"] = f"clips/{split}.mp4#00012"
        path = pair[f"{split}_json"] = tmp_path / f"{split}.json"
        path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"VIDEO_FRAMES file_name=train/clips/train.mp4#00012 - 2 .*convert") as caught:
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


def coco_pair(folder: Path, *, train: dict[int, str], val: dict[int, str]) -> Data:
    """Two COCO files over one folder of images, which are drawn by their number; a name says where each lies."""
    for names in (train, val):
        for number, name in names.items():
            path = folder / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC)
            image.save(path, **({"quality": 60} if name.endswith(".jpg") else {}))
    paths = {}
    for split, names in (("train", train), ("val", val)):
        images = [
            {"id": i, "file_name": name, "width": 96, "height": 72, "group": f"drive{number % 7}"}
            for i, (number, name) in enumerate(names.items(), start=1)
        ]
        boxes = [
            {"id": i, "image_id": i, "category_id": 1, "bbox": [5, 5, 40, 30], "area": 1200, "iscrowd": 0}
            for i in range(1, len(names) + 1)
        ]
        boxes[-1]["category_id"] = 2 if split == "val" else 1
        boxes[0]["bbox"] = [5, 5, 3, 30] if split == "train" else [5, 5, 40, 30]
        classes = [{"id": 1, "name": "sign"}, {"id": 2, "name": "light"}, {"id": 3, "name": "unused"}]
        paths[f"{split}_json"] = folder / f"{split}.json"
        paths[f"{split}_json"].write_text(json.dumps({"images": images, "annotations": boxes, "categories": classes}))
    return Data(**paths, images=folder / "images")


def test_copies_in_both_splits__are_refused_with_their_names(tmp_path: Path) -> None:
    data = coco_pair(tmp_path, train={1: "a.png", 2: "b.png", 3: "c.png"}, val={4: "d.png", 2: "again/b2.png"})
    with pytest.raises(InputError, match=r"SPLIT_LEAK .*1 images .*: train/b\.png = val/again/b2\.png"):
        load_run_data(data, drawn=tmp_path)
    other = tmp_path / "images" / "again" / "b2.png"
    other.write_bytes(other.read_bytes() + b"\0")  # other bytes at the very end
    assert len(load_run_data(data, drawn=tmp_path).paths) == 5


def test_findings__what_training_cannot_see(tmp_path: Path) -> None:
    data = coco_pair(tmp_path, train={1: "a.png", 2: "b.png", 3: "c.png"}, val={8: "d.png", 2: "b.jpg", 11: "e.png"})
    loaded = load_run_data(data, drawn=tmp_path)
    findings = {finding.code: finding for finding in run_findings(loaded, imgsz=48, smallest_px=2.0)}
    assert set(findings) == {"NEAR_LEAK", "SPLIT_CUTS_GROUP", "CLASS_NOT_TRAINED", "TARGET_TOO_SMALL"}
    assert all(finding.level == "warning" for finding in findings.values())
    assert findings["NEAR_LEAK"].examples[0].startswith("train/b.png ~ val/b.jpg (")
    assert findings["SPLIT_CUTS_GROUP"].examples == ("drive1", "drive2")
    assert findings["CLASS_NOT_TRAINED"].examples == ("light: 1 in validation",)
    assert findings["TARGET_TOO_SMALL"].examples == ("sign: 1 of 3",)
    codes = {finding.code for finding in run_findings(loaded, imgsz=96, smallest_px=2.0)}
    assert "TARGET_TOO_SMALL" not in codes


def test_findings__a_data_folder_brings_those_of_its_conversion(tmp_path: Path) -> None:
    pair = coco_pair(tmp_path, train={1: "a.png", 2: "b.png"}, val={8: "d.png", 2: "b.jpg"})
    assert pair.train_json is not None
    assert pair.val_json is not None
    table = read_splits({"train": pair.train_json, "val": pair.val_json}, images=pair.images)
    ungrouped = replace(table, images=table.images.with_columns(group=pl.lit(None, dtype=pl.String)))
    result = convert(ungrouped, tmp_path / "data", options=ConvertOptions(format="coco", split="source"))
    lines = [line for step in result.ledger.steps if step.step == "split" for line in step.lines]
    assert [(line.action, line.count) for line in lines] == [("noted", 1)]
    assert "NEAR_LEAK" in lines[0].reason
    for image in (tmp_path / "data" / "images").rglob("*.jpg"):
        image.write_bytes(image.read_bytes())
    loaded = load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    near = [f for f in run_findings(loaded, imgsz=96, smallest_px=2.0) if f.code == "NEAR_LEAK"]
    assert [finding.count for finding in near] == [1]
    assert near[0].examples[0].startswith("train/b.png ~ val/b.jpg (")


def test_small_targets__are_counted_by_class(tiny_data: Path, tmp_path: Path) -> None:
    train = load_run_data(Data(path=tiny_data), drawn=tmp_path).train
    counts = small_targets(train, imgsz=96, smallest_px=12.0)
    objects = train.boxes.filter(~pl.col("ignore"))
    side = pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1"))
    assert sum(small for small, _ in counts.values()) == objects.filter(side < 12).height > 0
    assert sum(total for _, total in counts.values()) == objects.height
    assert all(small == 0 for small, _ in small_targets(train, imgsz=960, smallest_px=12.0).values())


@pytest.mark.yolo
def test_train__says_what_it_cannot_see(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detect_transfer.cli import main

    data = coco_pair(tmp_path, train={1: "a.png", 2: "b.png", 3: "c.png"}, val={8: "d.png", 2: "b.jpg", 11: "e.png"})
    words = [f"data.{key}={getattr(data, key)}" for key in ("train_json", "val_json", "images")]
    config = tmp_path / "c.yaml"
    config.write_text("model: {weights: embedded}\ntrain: {epochs: 1, imgsz: 64, batch: 2, device: cpu}")
    with pytest.raises(SystemExit) as left:
        main(["train", str(config), *words, f"out={tmp_path / 'run'}"])
    out = capsys.readouterr().out
    assert left.value.code == 0
    for code in ("NEAR_LEAK (1)", "SPLIT_CUTS_GROUP (2)", "CLASS_NOT_TRAINED (1)", "TARGET_TOO_SMALL"):
        assert (f"warning {code}" in out) == (code != "TARGET_TOO_SMALL"), out
    found = json.loads((tmp_path / "run" / "findings.json").read_text())
    assert [row["code"] for row in found] == ["NEAR_LEAK", "SPLIT_CUTS_GROUP", "CLASS_NOT_TRAINED"]
    assert "CLASS_NOT_TRAINED (1)" in (tmp_path / "run" / "report.html").read_text()
    assert data.images is not None
    (data.images / "d.png").write_bytes((data.images / "a.png").read_bytes())  # as runs of earlier releases have it
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "again")])
    printed = capsys.readouterr()
    assert (left.value.code, "warning: 1 images lie in two splits" in printed.out) == (0, True), printed
    assert "train/a.png = val/d.png" in (tmp_path / "again" / "report.html").read_text()
    assert "train/a.png = val/d.png" in json.loads((tmp_path / "again" / "metrics.json").read_text())["warnings"][0]
