"""Asking the source: which images are looked at, what a dry run shows, what a source without classes says."""

from pathlib import Path

import polars as pl
import pytest
import torch

from detect_transfer.config import Data, Model, Transfer, make_config
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import RunData, load_run_data
from detect_transfer.models import build_detector, load_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.workflows.class_evidence import ENOUGH_BOXES, MOST_IMAGES, ask_source, choose_images
from detect_transfer.workflows.train import dry_run, train
from detect_transfer.workflows.watch import Watch

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tiny_data: Path) -> RunData:
    return load_run_data(Data(path=tiny_data), drawn=tiny_data)


def table(rows: list[tuple[int, int]]) -> AnnotationTable:
    """Boxes as (image_id, category_id)."""
    n = len(rows)
    images = sorted({image_id for image_id, _ in rows})
    return AnnotationTable.from_columns(
        images={"image_id": images, "file_name": [f"{i}.png" for i in images]},
        boxes={
            **{"annotation_id": range(n), "image_id": [i for i, _ in rows], "category_id": [c for _, c in rows]},
            **{"x1": [0.0] * n, "y1": [0.0] * n, "x2": [5.0] * n, "y2": [5.0] * n},
        },
        categories={"category_id": [1, 2, 3], "name": ["a", "b", "c"]},
    )


def test_choose_images__takes_no_more_than_it_needs_and_sees_the_rare_class() -> None:
    many = [(i, 1) for i in range(2000)] + [(i, 2) for i in range(1990, 2000)]
    chosen = choose_images(table(many))
    assert set(range(1990, 2000)) <= set(chosen)
    assert len(chosen) == ENOUGH_BOXES
    assert chosen == choose_images(table(many[::-1])), "whatever the order of the rows"
    crowded = [(i, 1) for i in range(3) for _ in range(60)]
    assert len(choose_images(table(crowded))) == 2


def test_choose_images__takes_500_at_most() -> None:
    rows = [(i, 1 + i % 3) for i in range(3 * MOST_IMAGES)]
    boxes = table(rows)
    few = AnnotationTable(boxes.images, boxes.boxes.with_columns(ignore=pl.lit(True)), boxes.categories)
    assert len(choose_images(boxes)) == 3 * ENOUGH_BOXES
    assert choose_images(few) == []
    wide = [(i, 1) for i in range(90)] + [(100 + i, 2) for i in range(90)]
    assert len(choose_images(table(wide))) == 180


def test_ask_source__finds_the_own_classes_of_the_embedded_weights(tmp_path: Path) -> None:
    """Scenes of the task that the weights were trained on: each class is most like itself."""
    from detect_transfer.config import Synthetic
    from detect_transfer.data.run_data import draw_data

    draw_data(Synthetic(task="source", train_images=30, val_images=4, size=160), tmp_path / "data", seed=5)
    own = load_run_data(Data(path=tmp_path / "data"), drawn=tmp_path)
    source = load_weights(EMBEDDED)
    said: list[str] = []
    seen = ask_source(source, own, imgsz=160, device=CPU, on_stage=said.append)
    matched = [each for each in seen.matches if each.sources]
    assert len(matched) >= 3
    assert all(each.target in each.sources for each in matched)
    assert "running the source over 29 training images" in said[0]  # one shows nothing
    assert seen.sentence == said[1]
    again = ask_source(source, own, imgsz=160, device=CPU)
    assert again.matches == seen.matches


def test_ask_source__without_classes_or_whole_says_why(data: RunData) -> None:
    source = load_weights(EMBEDDED)
    features = SourceWeights({}, "", (), Path("features.safetensors"), "", family="torchvision")
    seen = ask_source(features, data, imgsz=96, device=CPU)
    assert (seen.matches, seen.note) == ((), "features.safetensors is no detector and has no class of its own")
    parts = {name: t for name, t in source.tensors.items() if ".cv2." not in name or "model.23" not in name}
    broken = SourceWeights(parts, source.arch, source.class_names, Path("part.pt"), "")
    seen = ask_source(broken, data, imgsz=96, device=CPU)
    assert seen.note == "part.pt is no whole detector (WEIGHTS_ARCH)"
    _, report = build_detector(Model(weights="embedded"), Transfer(), data.train.class_names, broken, seen)
    assert report.evidence is seen
    assert not any("evidence" in row.how for row in report.rows)


@pytest.mark.parametrize("class_map", ["auto", "none"])
def test_dry_run__asks_unless_it_is_told_not_to(tiny_data: Path, tmp_path: Path, class_map: str) -> None:
    said: list[str] = []
    config = make_config(
        {"data": {"path": str(tiny_data)}, "model": {"weights": "embedded"}, "train": {"imgsz": 96}},
        [f"transfer.class_map={class_map}"],
    )
    _, _, report = dry_run(config, scratch=tmp_path, on_stage=said.append)
    assert (report.evidence is None) == (class_map == "none")
    assert any("the source ran over" in line for line in said) == (class_map == "auto")


def test_a_misspelt_class_map__is_refused_before_the_source_is_asked(tiny_data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    config = make_config(
        {"data": {"path": str(tiny_data)}, "model": {"weights": "embedded"}, "train": {"imgsz": 96}},
        ["transfer.class_map={tyop: []}", f"out={tmp_path / 'run'}"],
    )
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN transfer\.class_map=tyop"):
        dry_run(config, scratch=tmp_path / "scratch", on_stage=said.append)
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN transfer\.class_map=tyop"):
        train(config, name="run", command="test", watch=Watch(on_stage=said.append))
    assert not any("running the source" in line for line in said)
