"""A bounded real fine-tuning by the commands that a user types; CI runs it where real data are beside the checkout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.real


def run_tool(name: str, *words: object, cwd: Path) -> str:
    command = [sys.executable, str(ROOT / "tools" / f"{name}.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def some_of(source: Path, target: Path, count: int) -> None:
    """Make a small road_signs folder of links to the first images."""
    for part in ("images", "annotations"):
        (target / part).mkdir(parents=True)
    for xml in sorted((source / "annotations").glob("*.xml"))[:count]:
        (target / "annotations" / xml.name).write_bytes(xml.read_bytes())
        image = next((source / "images").glob(f"{xml.stem}.*"))
        (target / "images" / image.name).write_bytes(image.read_bytes())


def test_road_signs__from_native_files_to_a_report(shared: Path, coco_weights: Path, tmp_path: Path) -> None:
    some_of(shared / "data" / "road_signs", tmp_path / "native", 30)
    run_tool("convert", "voc", "native", "--out", "data", "--split-ratio", "train=0.8,val=0.2", cwd=tmp_path)
    run_tool("check", "data", cwd=tmp_path)
    words = ["data.path=data", f"model.weights={coco_weights}", "train.epochs=1", "train.imgsz=320", "out=run"]
    config = tmp_path / "signs.yaml"
    config.write_text("data: {path: data}\n")
    out = run_tool("train", config, *words, cwd=tmp_path)
    assert "report.html" in out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["AP"] >= metrics["epoch_0"]["AP"]
    assert {"AP50", "AR100", "per_class"} <= metrics.keys()
    run_tool("predict", "run", "native/images", "--out", "found", cwd=tmp_path)
    assert json.loads((tmp_path / "found" / "detections.json").read_text())
    run_tool(
        "evaluate", "--truth", "data/annotations/instances_val.json", "--detections", "run/detections.json",
        "--out", "scored", cwd=tmp_path,
    )  # fmt: skip
    again = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert again["AP"] == pytest.approx(metrics["AP"], abs=1e-9)


def test_pedestrians__epoch_0_is_the_source_models_own_person(shared: Path, coco_weights: Path, tmp_path: Path) -> None:
    """Class `pedestrian` from the source class `person`: before training the AP is that of the source's `person`."""
    import polars as pl

    from detect_transfer.config import Evaluate, RunConfig
    from detect_transfer.core.annotations import Detections
    from detect_transfer.data.class_map import load_class_map
    from detect_transfer.data.convert import convert
    from detect_transfer.data.convert_options import ConvertOptions
    from detect_transfer.evaluation import score
    from detect_transfer.formats import READERS
    from detect_transfer.models import build_detector, load_detector, load_weights
    from detect_transfer.models.predict import predict, read_images

    native = READERS["voc"].read(shared / "data" / "voc2007_person")
    few = native.select_images(native.images.filter(pl.col("split") == "val")["image_id"].head(20))
    class_map = load_class_map(str(ROOT / "datasets" / "voc2007" / "dataset.yaml") + "#pedestrian")
    plan = ConvertOptions(format="voc", class_map=class_map, split={"train": 0.5, "val": 0.5})
    table = convert(few, tmp_path / "data", options=plan).table
    assert table.class_names == ["pedestrian"]
    source = load_weights(coco_weights)
    images = [(i, tmp_path / "data" / "images" / n) for i, n in table.images.select("image_id", "file_name").rows()]

    own = predict(
        load_detector(source), read_images(images, 320), settings=Evaluate(), category_ids=range(1, 81)
    ).rows.filter(pl.col("category_id") == 1)
    config = RunConfig.model_validate(
        {"data": {"path": tmp_path / "data"}, "transfer": {"class_map": {"pedestrian": "person"}}}
    )
    detector, taken = build_detector(config.model, config.transfer, table.class_names, source)
    ours = predict(detector, read_images(images, 320), settings=Evaluate(), category_ids=[1])
    assert taken.rows[0].sources == ("person",)
    expected, found = (score(table, d).metrics["AP"] for d in (Detections(own), ours))
    assert found == pytest.approx(expected, abs=0.01)
    assert found > 0.4
