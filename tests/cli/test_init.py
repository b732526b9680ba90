"""A config for a data set: values from its boxes, images and names, with reasons, that trains without an edit."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.config import load_config
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.input_size import InputSize
from detect_transfer.workflows.init import init_config
from detect_transfer.workflows.init_choices import (
    Choice,
    Shape,
    choose_batch,
    choose_imgsz,
    choose_shapes,
    mirrored_pairs,
)
from detect_transfer.workflows.init_text import config_text
from detect_transfer.workflows.run_config import config_of_words, name_of_data


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("longest", "small_share", "side"),
    [
        (1360, 0.013, 640),  # 17 px of 1360: 8.3 px at 640
        (1360, 0.003, 1280),  # too small even then
        (400, 0.2, 320),
        (500, 0.01, 640),  # more than the image has shows nothing new
        (3000, 0.026, 320),
    ],
)
def test_imgsz__follows_the_smaller_objects_and_ends_at_the_image(longest: int, small_share: float, side: int) -> None:
    assert choose_imgsz(Shape(longest, longest // 2, longest, small_share)).value == side


def test_imgsz__says_when_objects_stay_too_small() -> None:
    assert "tiles" in choose_imgsz(Shape(4000, 3000, 4000, 0.002)).reason


@pytest.mark.parametrize(
    ("n_train", "imgsz", "memory", "batch"),
    [(1000, 640, 60e9, 16), (40, 640, 60e9, 4), (1000, 1280, 10e9, 2), (3, 320, 60e9, 1), (1000, 640, 1e8, 1)],
)
def test_batch__fits_memory_and_leaves_steps_in_an_epoch(n_train: int, imgsz: int, memory: float, batch: int) -> None:
    assert choose_batch(n_train, imgsz, memory_bytes=memory).value == batch


@pytest.mark.parametrize(
    ("size_wh", "value", "padded"),
    [((1360, 800), "like", InputSize(384, 640)), ((800, 600), "like", InputSize(480, 640)), ((640, 600), None, None)],
)
def test_shapes__are_proposed_where_they_spare_pixels(size_wh, value, padded) -> None:
    table = AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"], "width": [size_wh[0]], "height": [size_wh[1]]},
        boxes={"annotation_id": [], "image_id": [], "category_id": [], **{name: [] for name in XYXY}},
        categories={"category_id": [1], "name": ["sign"]},
    )
    choice, size = choose_shapes(table, InputSize(640, 640))
    assert (choice and choice.value, size) == (value, padded or InputSize(640, 640))


def test_mirrored_classes__are_paired_by_their_names() -> None:
    assert mirrored_pairs(["turn_left", "stop", "turn_right", "keep left"]) == {"turn_left": "turn_right"}
    assert mirrored_pairs(["stop"]) == {}


def test_init__writes_a_config_that_trains_without_an_edit(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").symlink_to(tiny_data)
    small = ["model.weights=embedded", "train={epochs: 1, imgsz: 64}", "transfer.strategy=head_only"]
    small.append("transfer.class_map.stop=no_entry")
    status, out, err = run(capsys, "init", "mine", *small)
    assert (status, err) == (0, "")
    text = (tmp_path / "mine.yaml").read_text()
    lines = text.splitlines()
    assert lines[0] == "# yaml-language-server: $schema=config.schema.json"
    assert (tmp_path / "config.schema.json").is_file()
    for part in (
        "38 images (data_folder)",
        "splits: train 20, val 18",
        "time: about ",
        "detect-transfer train mine.yaml",
    ):
        assert part in text
        assert part in out
    assert all("#" in line for line in lines if ": " in line and not line.startswith("#") and "path" not in line)
    keys = yaml.safe_load(text)
    assert keys["data"]["path"] == "mine"
    assert (keys["train"]["imgsz"], keys["train"]["batch"]) == (64, 2)
    config = load_config(tmp_path / "mine.yaml")
    assert (config.transfer.strategy, config.transfer.class_map) == ("head_only", {"stop": "no_entry"})
    assert not (tmp_path / "runs").exists()
    assert run(capsys, "train", "mine.yaml", "--dry-run")[0] == 0
    assert run(capsys, "init", "mine", *small)[2].startswith("FILE_EXISTS mine.yaml")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nowhere"], "DATA_MISSING nowhere"),
        (["mine", "epochs=3"], "CONFIG_KEY command line epochs"),
        (["empty"], "DATA_UNKNOWN"),
        (["mine", "model.weights=none.pt"], "WEIGHTS_MISSING"),
    ],
)
def test_init__refuses_what_cannot_be_trained_on(
    tiny_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "mine").symlink_to(tiny_data)
    status, _, err = run(capsys, "init", *words)
    assert (status, len(err.splitlines())) == (2, 1)
    assert err.startswith(code)
    assert not list(tmp_path.glob("*.yaml"))


def test_shape__takes_the_tenth_smallest_object(tiny_data: Path) -> None:
    from detect_transfer.data.reading import read_dataset

    table = read_dataset(tiny_data)
    shape = Shape.of(table)
    assert (shape.width, shape.height, shape.longest) == (96, 96, 96)
    sides = table.boxes.select(pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")) / 96)
    below = sides.filter(pl.nth(0) < shape.small_share).height
    assert below == pytest.approx(0.1 * sides.height, abs=2)


def test_names_of_the_data__cannot_break_the_config(tmp_path: Path) -> None:
    text = config_text(
        {"train.imgsz": Choice(320, "a\nout: /etc"), "mirror.pairs": Choice({"a: b\n": "#c"}, "x")},
        ["1 class: a\nout: /etc"],
        source=tmp_path / "data: #1",
        out=tmp_path / "c.yaml",
    )
    keys = yaml.safe_load(text)
    assert keys == {"data": {"path": "data: #1"}, "train": {"imgsz": 320}, "mirror": {"pairs": {"a: b\n": "#c"}}}


def test_config__is_named_by_the_folder_of_the_data(tmp_path: Path) -> None:
    """A file `data.yaml` says nothing of its data, and a folder's name may have points."""
    folder = tmp_path / "signs.v2"
    folder.mkdir()
    assert [name_of_data(folder), name_of_data(folder / "data.yaml")] == ["signs.v2"] * 2
    assert name_of_data(folder / "instances_all.json") == "instances_all"
    for path in (folder, folder / "data.yaml"):  # and so is the run that it starts
        assert config_of_words(None, [f"data.path={path}", "model.weights=embedded"])[1] == "signs.v2"


def test_images_of_sixteen_bits__get_a_window(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "train", "val")):
        image, label = (tmp_path / "set" / folder / split / f"{number}" for folder in ("images", "labels"))
        image.parent.mkdir(parents=True, exist_ok=True)
        label.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(7000, 7400, (64, 64)).astype(np.uint16)
        Image.fromarray(values).save(image.with_suffix(".png"))
        label.with_suffix(".txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (tmp_path / "set" / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [car]\n")
    for words, window in (((), "percentile"), (("data.intake.window=per_camera",), "per_camera")):
        out = tmp_path / f"{window}.yaml"
        init_config(tmp_path / "set", out, words, measure=False)
        intake = load_config(out).data.intake
        assert intake is not None
        assert intake.window == window
