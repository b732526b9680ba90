"""Boxes for labelling tools, read back by the readers of their formats."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.formats import get_format
from detect_transfer.formats.writing.pre_annotations import LABELLING_TOOLS


@pytest.fixture
def predicted(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "sub dir").mkdir(parents=True)
    images = []
    for number, name in enumerate(("a.png", "sub dir/b.png"), start=1):
        Image.new("RGB", (40, 30)).save(tmp_path / "photos" / name)
        images.append({"image_id": number, "file_name": name, "width": 40, "height": 30})
    row = {"image_id": 1, "file_name": "a.png", "category_id": 3, "category_name": "a & b"}
    rows = [{**row, "bbox": [1.5, 2.0, 10.0, 8.5], "score": 0.9}, {**row, "bbox": [0, 0, 4, 4], "score": 0.1}]
    (tmp_path / "predicted").mkdir()
    (tmp_path / "predicted" / "detections.json").write_text(json.dumps(rows))
    (tmp_path / "predicted" / "images.json").write_text(json.dumps(images))
    return tmp_path / "predicted"


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_pre_annotate__is_read_back(predicted: Path, tmp_path: Path) -> None:
    out, photos = tmp_path / "out", tmp_path / "photos"
    assert run("pre-annotate", predicted, "--images", photos, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == set(LABELLING_TOOLS)
    cvat = get_format("cvat").read(out / "cvat" / "annotations.xml", images=photos)
    labelme = get_format("labelme").read(out / "labelme", images=photos)
    tasks = json.loads((out / "label_studio" / "tasks.json").read_text())
    for task in tasks:  # a person accepts what was predicted
        task["annotations"] = task.pop("predictions")
    (out / "label_studio" / "tasks.json").write_text(json.dumps(tasks))
    studio = get_format("label_studio").read(out / "label_studio" / "tasks.json", images=photos)
    for table in (cvat, labelme, studio):
        assert len(table.images) == 2
        assert table.boxes.select(pl.col("x1", "y1", "x2", "y2").round(6)).rows() == [(1.5, 2, 11.5, 10.5)]
        assert table.class_names == ["a & b"]
    assert {"model": "predicted", "score": "0.9"}.items() <= json.loads(cvat.boxes["attributes"][0]).items()
    shape = json.loads((out / "labelme" / "sub dir" / "b.json").read_text())
    assert (out / "labelme" / "sub dir" / shape["imagePath"]).resolve() == (photos / "sub dir" / "b.png").resolve()


def written(predicted: Path, out: Path, *words: object) -> list[float]:
    assert run("pre-annotate", predicted, "--images", predicted.parent / "photos", "--out", out, *words) == 0
    cvat = get_format("cvat").read(out / "cvat" / "annotations.xml", images=predicted.parent / "photos")
    return sorted(float(json.loads(text)["score"]) for text in cvat.boxes["attributes"])


def test_pre_annotate__writes_what_predict_drew_unless_a_score_is_given(predicted: Path, tmp_path: Path) -> None:
    rows = json.loads((predicted / "detections.json").read_text())
    rows = [{**rows[0], "drawn": False}, {**rows[1], "drawn": True}]
    (predicted / "detections.json").write_text(json.dumps(rows))
    assert written(predicted, tmp_path / "as_drawn") == [0.1]
    assert written(predicted, tmp_path / "by_score", "--score", 0.5) == [0.9]


def test_pre_annotate__of_a_run_takes_its_thresholds_and_one_label_a_box(
    predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads((predicted / "detections.json").read_text())
    others = [
        {**rows[0], "category_id": 4, "category_name": "c", "score": 0.8},
        {**rows[0], "category_id": 4, "category_name": "c", "score": 0.7, "bbox": [20, 20, 5, 5]},
        {**rows[1], "category_id": 5, "category_name": "never", "score": 0.99},
    ]
    (predicted / "detections.json").write_text(json.dumps([*rows, *others]))
    points = {"a & b": {"best_f1": {"score_threshold": 0.1}}, "c": {"best_f1": {"score_threshold": 0.6}}}
    stored = {"default": "best_f1", "per_class": {**points, "never": {"best_f1": None}}}
    (predicted / "operating_points.json").write_text(json.dumps(stored))
    assert written(predicted, tmp_path / "of_run") == [0.1, 0.7, 0.9]
    said = capsys.readouterr().out
    assert "2 others are left out" in said
    assert "never" in said


def test_pre_annotate__of_a_video_writes_its_frames_as_images(
    predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = predicted.parent / "photos", tmp_path / "out"
    video = cv2.VideoWriter(str(photos / "sub dir" / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (64, 48))
    for grey in (40, 120, 200):
        video.write(np.full((48, 64, 3), grey, np.uint8))
    video.release()
    listed = json.loads((predicted / "images.json").read_text())
    listed += [{"file_name": f"sub dir/clip.avi#{i:05d}", "width": 64, "height": 48} for i in range(3)]
    (predicted / "images.json").write_text(json.dumps(listed))
    row = {"file_name": "sub dir/clip.avi#00002", "category_name": "c", "bbox": [1, 2, 30, 40], "score": 0.9}
    (predicted / "detections.json").write_text(json.dumps([row]))
    assert run("pre-annotate", predicted, "--images", photos, "--out", out) == 0
    assert str(out / "images") in capsys.readouterr().out
    cvat = get_format("cvat").read(out / "cvat" / "annotations.xml", images=out / "images")
    labelme = get_format("labelme").read(out / "labelme", images=out / "images")
    for table in (cvat, labelme):
        names = dict(table.images.select("image_id", "file_name").iter_rows())
        assert {Path(name).name for name in names.values()} == {
            "a.png",
            "b.png",
            *(f"clip_0000{i}.png" for i in range(3)),
        }
        assert table.boxes.select("x1", "y1", "x2", "y2").rows() == [(1, 2, 31, 42)]
        assert names[table.boxes["image_id"][0]].endswith("sub dir/clip_00002.png")
    greys = [np.asarray(Image.open(out / "images" / "sub dir" / f"clip_0000{i}.png")).mean() for i in range(3)]
    assert np.allclose(greys, (40, 120, 200), atol=3)
    assert (out / "images" / "a.png").read_bytes() == (photos / "a.png").read_bytes()


def test_pre_annotate__refuses_two_images_that_labelme_would_read_from_one_file(
    predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = predicted.parent / "photos", tmp_path / "out"
    Image.new("RGB", (40, 30)).save(photos / "a.jpg")
    row = json.loads((predicted / "detections.json").read_text())[0]
    (predicted / "detections.json").write_text(json.dumps([row, {**row, "file_name": "a.jpg"}]))
    assert run("pre-annotate", predicted, "--images", photos, "--out", out) == 2
    said = capsys.readouterr().err
    assert "'a.png' and 'a.jpg' would share the file a.json" in said
    assert run("pre-annotate", predicted, "--images", photos, "--out", out, "--to", "cvat,label_studio") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--images", "photos", "--to", "labelimg"], "OPTION --to=labelimg - there is no such tool"),
        (["--images", "photos", "--score", "2"], "OPTION --score=2.0 - a number from 0 to 1"),
        (["--images", "nowhere"], "nowhere"),
        (["--images", "photos/sub dir"], "there is no such image; write --images "),
    ],
)
def test_pre_annotate__refuses(
    words: list[str], message: str, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("pre-annotate", predicted, "--out", "out", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value"), [("bbox", [1, 2, 3]), ("bbox", ["1", 2, 3, 4]), ("score", None), ("file_name", 3)]
)
def test_detections_that_do_not_name_what_they_are_of__are_refused(
    key: str, value: object, predicted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads((predicted / "detections.json").read_text())
    rows[1][key] = value
    (predicted / "detections.json").write_text(json.dumps(rows))
    assert run("pre-annotate", predicted, "--images", tmp_path / "photos", "--out", tmp_path / "out") == 2
    assert f"detections.json#/1 {key}=" in capsys.readouterr().err
