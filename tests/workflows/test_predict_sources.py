"""Predicting on every kind of source, and what is written as it goes."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import ImageSources, output_stem
from detect_transfer.workflows.predict import PredictOptions, predict_sources
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained


@pytest.fixture(scope="module")
def trained() -> TrainedDetector:
    return load_trained("embedded", device="cpu", imgsz=96)


@pytest.fixture(scope="module")
def images(tiny_data: Path) -> list[Path]:
    return sorted((tiny_data / "images" / "val").iterdir())


def names_of(*words: object, **options: object) -> list[str]:
    return [image.name for image in ImageSources(tuple(map(str, words)), **options)]  # type: ignore[arg-type]


def write_clip(path: Path, images: list[Path]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (96, 96))
    for image in images:
        writer.write(cv2.imread(str(image)))
    writer.release()
    return path


def test_sources__name_their_images_below_what_they_share(tmp_path: Path, images: list[Path]) -> None:
    for name in ("a/x.jpg", "a/deep/y.JPG", "b/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images[0], tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "list.txt").write_text(f"# a comment\na/x.jpg\n\nb/x.jpg\n{images[1]}\nb/x.jpg\n")
    a, b = tmp_path / "a", tmp_path / "b"
    assert names_of(a) == ["deep/y.JPG", "x.jpg"]
    assert names_of(a, b) == ["a/deep/y.JPG", "a/x.jpg", "b/x.jpg"]
    assert names_of(a / "x.jpg") == ["x.jpg"]
    assert names_of(a / "*.jpg") == ["x.jpg"]
    assert names_of(tmp_path / "**" / "*.jpg", limit=1) == ["a/x.jpg"]
    assert names_of(tmp_path / "list.txt") == ["a/x.jpg", "b/x.jpg", str(images[1]).lstrip("/")]
    clip = write_clip(tmp_path / "b" / "clip.mp4", images[:3])
    assert names_of(clip) == ["clip.mp4#00000", "clip.mp4#00001", "clip.mp4#00002"]
    assert ImageSources((str(a),)).count == 2
    assert ImageSources((str(a), str(a / "x.jpg"))).count == 2
    assert names_of(a / "x.jpg", a, a / ".." / "a" / "x.jpg", tmp_path / "list.txt")[:2] == ["a/x.jpg", "a/deep/y.JPG"]
    assert names_of(a, tmp_path / "list.txt")[2:] == ["b/x.jpg", str(images[1]).lstrip("/")]
    assert ImageSources((str(b),)).count is None
    assert [output_stem(name) for name in ("a/b.c.jpg", "clip.mp4#00012", "camera_0#00001")] == [
        "a/b.c",
        "clip_00012",
        "camera_0_00001",
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("no_such_folder", "IMAGES_MISSING no_such_folder - there is no such image"),
        ("*.nope", "IMAGES_MISSING .*no image or video fits this pattern"),
        ("https://example.org/a.jpg", "NETWORK https.*add --allow-network"),
        ("ftp://example.org/a.jpg", "ADDRESS_KIND ftp"),
    ],
)
def test_sources__that_are_none_are_refused_before_anything_is_loaded(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImageSources((word,))


def test_camera__that_is_not_there(tmp_path: Path, trained: TrainedDetector) -> None:
    with pytest.raises(InputError, match=r"IMAGES_UNREADABLE.*CAMERA_MISSING camera 63"):
        predict_sources(trained, "63", tmp_path / "out", PredictOptions())
    assert not (tmp_path / "out").exists()


def test_broken_images__are_listed_and_the_others_are_done(
    tmp_path: Path, images: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        shutil.copyfile(images[number], folder / f"{number}.jpg")
    (folder / "1.jpg").write_bytes(images[1].read_bytes()[:900])
    (folder / "4.png").write_bytes(b"")
    with pytest.raises(SystemExit) as left:
        main(["predict", "embedded", str(folder), "--out", str(tmp_path / "out"), "--imgsz", "96", "--device", "cpu"])
    assert left.value.code == 2
    shown = capsys.readouterr().out
    assert "2 images could not be read, see" in shown
    assert "IMAGE_TRUNCATED" in shown
    out = tmp_path / "out"
    skipped = json.loads((out / "skipped.json").read_text())
    assert [(row["file_name"], row["code"]) for row in skipped] == [
        ("1.jpg", "IMAGE_TRUNCATED"),
        ("4.png", "IMAGE_EMPTY"),
    ]
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    assert [(line["file_name"], "error" in line) for line in lines] == [
        *(("0.jpg", False), ("1.jpg", True), ("2.jpg", False)),
        ("4.png", True),
    ]
    assert [row["file_name"] for row in json.loads((out / "images.json").read_text())] == ["0.jpg", "2.jpg"]
    assert sorted(path.name for path in (out / "images").iterdir()) == ["0.jpg", "2.jpg"]


def test_every_target__says_the_same_with_names_in_every_row(
    tmp_path: Path, images: list[Path], trained: TrainedDetector
) -> None:
    out = tmp_path / "out"
    (tmp_path / "both").mkdir()
    shutil.copyfile(images[0], tmp_path / "both" / "a.jpg")
    Image.open(images[1]).save(tmp_path / "both" / "a.png")
    options = PredictOptions(0.2, targets=("jsonl", "coco", "csv", "parquet", "yolo"), crops=True, batch=2)
    done = predict_sources(trained, [tmp_path / "both", *images[2:5]], out, options)
    results = json.loads((out / "detections.json").read_text())
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    assert done.n_images == len(lines) == 5
    names = ("image_id", "file_name")
    flat = [{**{key: line[key] for key in names}, **row} for line in lines for row in line["detections"]]
    assert flat == results
    with (out / "detections.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = pl.read_parquet(out / "detections.parquet")
    assert len(rows) == table.height == len(results) > done.n_drawn > 0
    assert table["file_name"].to_list() == [row["file_name"] for row in results]
    assert table["category_name"].to_list() == [row["category_name"] for row in rows]
    assert table["x2"].to_list() == pytest.approx([row["bbox"][0] + row["bbox"][2] for row in results])
    assert table["drawn"].sum() == done.n_drawn
    texts = sorted(path.name for path in (out / "labels").rglob("*.txt"))
    assert len(texts) == 6, "a.jpg and a.png have a text each, beside the list of classes"
    n_rows = sum(
        len(path.read_text().splitlines()) for path in (out / "labels").rglob("*.txt") if path.name != "classes.txt"
    )
    assert n_rows == done.n_drawn == len([*(out / "crops").rglob("*.jpg")])
    assert len([*(out / "images").rglob("*.jpg")]) == 5


def test_options__choose_what_is_detected(tmp_path: Path, images: list[Path], trained: TrainedDetector) -> None:
    def detections(name: str, **options: object) -> list[dict[str, object]]:
        predict_sources(trained, images[:4], tmp_path / name, PredictOptions(draw=False, **options))  # type: ignore[arg-type]
        assert not (tmp_path / name / "images").exists()
        return json.loads((tmp_path / name / "detections.json").read_text())

    every = detections("every")
    wanted = str(every[0]["category_name"])
    assert {row["category_name"] for row in detections("class", classes=(wanted,))} == {wanted}
    assert len(detections("few", max_detections=2)) == 8
    assert len(detections("overlap", nms_iou=0.2)) < len(every)
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN --classes=no_entri.*did you mean 'no_entry'"):
        detections("wrong", classes=("no_entri",))
    with pytest.raises(InputError, match=r"OPTION --to=jsn"):
        PredictOptions(targets=("jsn",))


def test_video__becomes_rows_of_frames_and_a_drawn_video(
    tmp_path: Path, images: list[Path], trained: TrainedDetector
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", images[:5])
    out = tmp_path / "out"
    done = predict_sources(trained, clip, out, PredictOptions(save_video=True, batch=2))
    assert (done.n_images, done.n_skipped) == (5, 0)
    assert {row["file_name"] for row in json.loads((out / "images.json").read_text())} == {
        f"clip.mp4#{number:05d}" for number in range(5)
    }
    capture = cv2.VideoCapture(str(out / "videos" / "clip.mp4"))
    assert (capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)) == (5, 10)
    height, width = cv2.imread(str(images[0])).shape[:2]
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == width * -(-480 // max(height, width))  # enlarged, but not to 900 px
    assert not (out / "images").exists()
    done = predict_sources(trained, clip, tmp_path / "undrawn", PredictOptions())
    assert any("5 frames are not drawn: --save-video" in note for note in done.notes)


def test_interrupted__leaves_whole_files_of_what_was_seen(
    tmp_path: Path, images: list[Path], trained: TrainedDetector
) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_sources(trained, images[:8], tmp_path / "out", PredictOptions(draw=False, batch=1), stop)
    out = tmp_path / "out"
    assert len(json.loads((out / "images.json").read_text())) == 3
    assert {row["image_id"] for row in json.loads((out / "detections.json").read_text())} <= {1, 2, 3}
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_tiles__find_in_a_large_image_what_they_find_in_small_ones(
    tmp_path: Path, images: list[Path], trained: TrainedDetector
) -> None:
    from detect_transfer.core.tiles import Tiling

    large = np.vstack([np.hstack([np.asarray(Image.open(images[4 * r + c])) for c in range(4)]) for r in range(3)])
    Image.fromarray(large).save(tmp_path / "large.png")
    tiled = predict_sources(
        trained, tmp_path / "large.png", tmp_path / "t", PredictOptions(0.3, tiling=Tiling(96, 0.4))
    )
    single = predict_sources(trained, images[:12], tmp_path / "s", PredictOptions(0.3))
    whole = predict_sources(trained, tmp_path / "large.png", tmp_path / "w", PredictOptions(0.3))
    assert whole.n_drawn < single.n_drawn / 2
    assert tiled.n_drawn >= 0.7 * single.n_drawn
