"""Runs and files compared: inputs, refusals, what is written and printed."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
import yaml
from paths import BENCHMARKS

from detect_transfer.cli import main
from detect_transfer.config import RunConfig, Synthetic, dump_config
from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.run_data import draw_data, load_run_data
from detect_transfer.evaluation import score
from detect_transfer.evaluation.comparison import Plan
from detect_transfer.evaluation.same_truth import in_ids_of, what_differs
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.workflows.compare import compare, compare_and_write
from detect_transfer.workflows.comparison_inputs import Run, RunGroup, groups_of_files, groups_of_runs, truth_of_run

HISTORY = [{"epoch": 0, "AP": 0.1, "epoch_seconds": 2.0}, {"epoch": 1, "AP": None, "epoch_seconds": 3.0}]
PHASE = {"number": 1, "first_epoch": 1, "epochs": 1, "rates": {"head": 1e-3, "neck": 1e-3}, "trained_epochs": [1, 1]}


def found_in(truth: AnnotationTable, noise: float, seed: int) -> Detections:
    rng = np.random.default_rng(seed)
    boxes = truth.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd"))
    xyxy = boxes.select(XYXY).to_numpy() + rng.normal(0, noise, (len(boxes), 4))
    xyxy = np.hstack([np.minimum(xyxy[:, :2], xyxy[:, 2:]), np.maximum(xyxy[:, :2], xyxy[:, 2:])])
    columns = {name: boxes[name] for name in ("image_id", "category_id")}
    return Detections.from_columns({**columns, **dict(zip(XYXY, xyxy.T, strict=True)), "score": rng.random(len(boxes))})


def make_run(folder: Path, data: Path, *, noise: float, seed: int = 0, lr: float = 1e-3) -> Path:
    """Leave what a run leaves, as far as a comparison reads it."""
    config = RunConfig.model_validate({"data": {"path": data}, "train": {"seed": seed, "lr": lr}, "out": folder})
    read = load_run_data(config.data, drawn=folder / "data")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(dump_config(config))
    (folder / "manifest.json").write_text(json.dumps({"data_sha256": read.fingerprint}))
    (folder / "metrics.jsonl").write_bytes(b"\n".join(map(orjson.dumps, HISTORY)))
    (folder / "transfer.json").write_text(json.dumps({"strategy": "full", "phases": [PHASE], "source": None}))
    write_results(found_in(read.val, noise, seed), read.val, folder / "detections.json")
    return folder


@pytest.fixture
def runs(tmp_path: Path, tiny_data: Path):
    def made(name: str, noise: float, **more) -> str:
        return str(make_run(tmp_path / name, tiny_data, noise=noise, **more))

    return made


def test_compare__two_runs_leave_json_and_page(runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [runs("sharp", 0.0), runs("blurred", 8.0, lr=1e-4)]
    with pytest.raises(SystemExit) as left:
        main(["compare", *words, "--out", str(tmp_path / "out"), "--draws", "200"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "blurred against sharp" in said
    assert re.search(r"AP +1\.0000 -> 0\.\d+ +-0\.\d+ \[-0\.\d+, -0\.\d+\], p .*: worse", said)
    record = json.loads((tmp_path / "out" / "compare.json").read_text())
    ap = record["comparisons"][0]["metrics"][0]
    assert (ap["name"], ap["first"], ap["verdict"]) == ("AP", pytest.approx(1.0), "worse")
    assert ap["interval"][0] <= ap["difference"] <= ap["interval"][1] < 0
    assert record["groups"][0]["runs"][0]["phases"] == "epochs 1-1: head, neck 1.0e-03"
    assert record["groups"][0]["runs"][0]["seconds"] == 5.0
    assert {row["class"] for row in record["comparisons"][0]["classes"]} >= {"stop"}
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count('class="plot"') == 4  # differences of the metrics and of the classes, two learning curves
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    for text in (" ".join(said.split()), page, record["comparisons"][0]["seeds"]):
        assert "say nothing about other seeds" in text


def test_groups__seeds_of_one_plan_go_together(runs) -> None:
    words = [runs("a0", 1.0, seed=0), runs("b0", 2.0, seed=0, lr=1e-4), runs("a1", 1.0, seed=1)]
    groups = groups_of_runs(words)
    assert [[e.name for e in group.runs] for group in groups] == [["a0", "a1"], ["b0"]]
    assert groups[0].name == "a0 and 1 more"
    assert [len(group.runs) for group in groups_of_runs([words[0], words[2]])] == [1, 1]
    given = groups_of_runs([words[0], "vs", words[1], words[2]])
    assert [[e.name for e in group.runs] for group in given] == [["a0"], ["b0", "a1"]]


def test_two_dashes__part_the_sides(runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [runs("a0", 1.0, seed=0), runs("a1", 1.0, seed=1), "--", runs("b0", 1.0, seed=2)]
    with pytest.raises(SystemExit):
        main(["compare", "--out", str(tmp_path / "out"), "--draws", "100", *words])
    assert "b0 against a0 and 1 more" in capsys.readouterr().out


def test_runs_of_other_data__are_refused_with_what_differs(runs, tmp_path: Path) -> None:
    draw_data(Synthetic(task="target", train_images=4, val_images=5, size=96), tmp_path / "other", seed=4)
    other = str(make_run(tmp_path / "run", tmp_path / "other", noise=1.0))
    with pytest.raises(InputError, match=r"COMPARE_DATA run .*than a0: 13 images are in the first alone; e\.g\. val/"):
        groups_of_runs([runs("a0", 1.0), other])


def test_data_that_changed_since__are_refused(runs, tmp_path: Path) -> None:
    run = Path(runs("a0", 1.0))
    (run / "manifest.json").write_text('{"data_sha256": "0"}')
    with pytest.raises(InputError, match="RUN_DATA_CHANGED"):
        truth_of_run(run)


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        pytest.param("metrics.jsonl", '{"AP": 1}', "HISTORY_ROW .*metrics.jsonl:1", id="no-epoch"),
        pytest.param("metrics.jsonl", '{"epoch": 0}\n[', "HISTORY_ROW .*metrics.jsonl:2", id="cut-short"),
        pytest.param("transfer.json", '{"phases": [{"epochs": [1, 2]}]}', "TRANSFER_RECORD", id="older-form"),
        pytest.param("transfer.json", "[]", "TRANSFER_RECORD", id="a-list"),
        pytest.param("manifest.json", "[]", "FILE_CHANGED", id="manifest"),
        pytest.param("detections.json", "{}", "RESULTS", id="detections"),
    ],
)
def test_damaged_run__is_reported_in_one_line(runs, name: str, text: str, code: str) -> None:
    run = Path(runs("a0", 1.0))
    (run / name).write_text(text)
    with pytest.raises(InputError, match=code):
        groups_of_runs([str(run), str(run)])


@pytest.mark.parametrize("words", [[], ["one"], ["a", "vs"], ["vs", "a"]])
def test_too_few_runs__are_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="USAGE"):
        groups_of_runs(words)


def test_no_run_folder__is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"FILE_MISSING .*config\.yaml"):
        groups_of_runs([str(tmp_path / "empty")] * 2)


def test_folder_of_evaluate__is_told_from_a_run_with_what_compares_it(tmp_path: Path) -> None:
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "detections.json").write_text("[]")
    with pytest.raises(
        InputError, match=r"RUN_MISSING .*scored - .*no config.yaml; .*compare --truth TRUTH --detections"
    ):
        groups_of_runs([str(tmp_path / "scored"), str(tmp_path)])


def test_what_differs__images_classes_boxes(tiny_data: Path) -> None:
    truth = load_run_data(RunConfig.model_validate({"data": {"path": tiny_data}}).data, drawn=tiny_data).val
    assert what_differs(truth, truth) is None
    assert what_differs(truth, replace(truth, boxes=truth.boxes.sample(fraction=1.0, shuffle=True, seed=0))) is None
    fewer = truth.select_images(truth.images["image_id"][1:])
    assert what_differs(truth, fewer).startswith("1 images are in the first alone; e.g. ")
    renamed = replace(truth, categories=truth.categories.with_columns(pl.col("name") + "?"))
    assert "the classes are" in what_differs(truth, renamed)
    half = replace(
        truth, boxes=truth.boxes.with_columns(ignore=pl.col("annotation_id") == truth.boxes["annotation_id"][0])
    )
    assert what_differs(truth, half) == "the boxes of 1 images"


def renumbered(truth: AnnotationTable, *, folder: str = "images/") -> AnnotationTable:
    """The same truth as another reader would count it, with boxes as label files keep them."""
    images = truth.images.sort("file_name", descending=True).with_columns(
        image_id=pl.int_range(500, 500 + pl.len(), dtype=pl.Int64), file_name=folder + pl.col("file_name")
    )
    back = truth.images.sort("file_name", descending=True)["image_id"]
    boxes = truth.boxes.with_columns(
        pl.col("image_id").replace_strict(back, images["image_id"]),
        pl.col(XYXY) + 0.004,
        category_id=90 - pl.col("category_id"),
        source=pl.lit("elsewhere"),
    )
    classes = truth.categories.with_columns(category_id=90 - pl.col("category_id"), supercategory=pl.lit("sign"))
    return replace(truth, images=images, boxes=boxes, categories=classes)


def test_same_truth__under_other_ids(tiny_data: Path) -> None:
    truth = load_run_data(RunConfig.model_validate({"data": {"path": tiny_data}}).data, drawn=tiny_data).val
    other = renumbered(truth)
    assert what_differs(truth, other) is None
    first, second = found_in(truth, 0.0, 1), found_in(other, 0.0, 1)
    held = in_ids_of(truth, other, second).rows
    assert held.select("image_id", "category_id").equals(first.rows.select("image_id", "category_id"))
    assert score(truth, Detections(held)).metrics["AP"] == pytest.approx(1.0)
    assert what_differs(truth, replace(other, boxes=other.boxes[1:])) == "the boxes of 1 images"
    far = pl.when(pl.int_range(pl.len()) == 0).then(pl.col("x2") + 0.02).otherwise("x2").alias("x2")
    assert what_differs(truth, replace(other, boxes=other.boxes.with_columns(far))) == "the boxes of 1 images"
    wider = other.images.with_columns(pl.col("width") + 1)
    assert what_differs(truth, replace(other, images=wider)) == "the sizes of 18 images"
    twice = pl.concat([truth.boxes, truth.boxes[:1].with_columns(annotation_id=pl.lit(10**6, pl.Int64))])
    assert what_differs(truth, replace(truth, boxes=twice)) == "how often some boxes are there"
    assert what_differs(replace(truth, boxes=twice), other) == "how often some boxes are there"


def test_same_truth__equal_names_in_two_folders_are_distinguished() -> None:
    def table(names: list[str]) -> AnnotationTable:
        return AnnotationTable.from_columns(
            images={"image_id": range(len(names)), "file_name": names}, boxes={}, categories={}
        )

    assert what_differs(table(["a/1.png", "b/1.png"]), table(["x/b/1.jpg", "x/a/1.jpg"])) is None
    assert what_differs(table(["a/1.png", "b/1.png"]), table(["a/1.jpg", "c/1.jpg"])) == (
        "1 images are in the first alone; e.g. b/1.png, 1 in the second alone; e.g. c/1.jpg"
    )
    assert what_differs(table(["1.png", "1.jpg"]), table(["1.jpg", "1.png"])) is None


def test_sides__one_split_read_through_two_formats(runs, tmp_path: Path, tiny_data: Path) -> None:
    """The second run reads the same images from the data.yaml, which knows them by other names and ids."""
    other = make_run(tmp_path / "yolo", tiny_data / "data.yaml", noise=0.0)
    groups = groups_of_runs([runs("folder", 0.0), str(other)])
    numbers = compare(groups, plan=Plan(n_draws=100)).numbers
    assert [row["AP"] for side in numbers for row in side] == pytest.approx([1.0, 1.0])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A truth with 12 images, and two files of detections: one finds half of the objects, one finds all."""
    boxes = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0} for i in range(1, 13)
    ]
    images = [{"id": i, "file_name": f"{i}.png", "width": 20, "height": 20} for i in range(1, 13)]
    truth = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "<b>sign"}]}
    paths = [tmp_path / name for name in ("t.json", "half.json", "all.json")]
    found = [{"image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5} for i in range(1, 13)]
    for path, value in zip(paths, (truth, found[:6], found), strict=True):
        path.write_text(json.dumps(value))
    return paths


def test_files__are_compared_without_images_and_names_are_harmless(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--truth", *files[:1], "--detections", files[1], "--detections", files[2]]
    with pytest.raises(SystemExit) as left:
        main([*map(str, words), "--out", str(tmp_path / "out")])
    assert left.value.code == 0
    assert "all.json against half.json" in capsys.readouterr().out
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<b>sign" not in page
    assert "&lt;b&gt;sign" in page


def test_files__one_alone_and_a_wrong_policy_are_refused(files: list[Path]) -> None:
    with pytest.raises(InputError, match="USAGE"):
        groups_of_files(read_ground_truth(files[0]), files[1:2])
    with pytest.raises(InputError, match="IGNORE_POLICY ignore_policy=none"):
        compare(groups_of_files(read_ground_truth(files[0]), files[1:]), plan=Plan(n_draws=100), ignore_policy="none")


def test_nothing_to_score__is_null_with_a_reason(files: list[Path], tmp_path: Path) -> None:
    record = json.loads(files[0].read_text())
    files[0].write_text(json.dumps({**record, "annotations": []}))
    compared = compare(groups_of_files(read_ground_truth(files[0]), files[1:]), plan=Plan(n_draws=100)).as_dict()
    ap = compared["comparisons"][0]["metrics"][0]
    assert (ap["difference"], ap["verdict"], ap["reason"]) == (None, "cannot tell", "no object")
    assert compared["groups"][0]["runs"][0]["AP"] is None


def test_truth_without_images__is_refused(tmp_path: Path) -> None:
    entry = Run("a", AnnotationTable.from_columns(images={}, boxes={}, categories={}), Detections.empty())
    with pytest.raises(InputError, match="TRUTH_EMPTY"):
        compare([RunGroup("a", (entry,))] * 2, plan=Plan())


def test_explain__is_written_and_printed_a_step_a_line(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for i in range(1, 13):
        if i != 12:
            (labels / f"{i}.txt").write_text("0 .2 .2 .4 .4\n")
    words = ["evaluate", "--truth", files[0], "--detections", files[1], "--explain", "--labels", labels]
    with pytest.raises(SystemExit) as left:
        main([*map(str, words), "--out", str(tmp_path / "out")])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert re.search(r"^missing labels +\+0\.\d+ .*1 boxes are in images without a label file", said, re.MULTILINE)
    assert re.search(r"^AP +0\.5050 \[0\.\d+, 0\.\d+\]$", said, re.MULTILINE)
    record = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert record["coco"]["AP"] == pytest.approx(51 / 101)
    assert record["ultralytics"]["AP"] == pytest.approx(
        np.trapezoid(np.interp(np.linspace(0, 1, 101), [0, 6 / 11, 6 / 11, 1], [1, 1, 0, 0]), dx=0.01), abs=0.006
    )
    gap = record["ultralytics"]["AP"] - record["coco"]["AP"]
    assert sum(step["part"] for step in record["steps"]) == pytest.approx(gap)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["interval"]["AP"][0] < metrics["AP"] < metrics["interval"]["AP"][1]


def test_explain__class_indices_are_reported_although_scoring_refuses_them(
    files: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(files[2].read_text())
    files[2].write_text(json.dumps([{**row, "category_id": 0} for row in found]))
    words = ["evaluate", "--truth", files[0], "--detections", files[2], "--explain", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    assert left.value.code == 2
    assert re.search(r"^class ids +\+1\.0000", said.out, re.MULTILINE)
    assert not (tmp_path / "out").exists()


def test_explain__labels_of_other_images_are_refused(files: list[Path], tmp_path: Path) -> None:
    from detect_transfer.workflows.explain import explain_files

    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="LABELS_MISSING"):
        explain_files(read_ground_truth(files[0]), files[1], labels=tmp_path / "none")


def test_config_of_the_fabricated_run__is_one_that_a_run_writes(runs) -> None:
    path = Path(runs("a0", 1.0)) / "config.yaml"
    assert set(yaml.safe_load(path.read_text())) == set(RunConfig.model_fields)


def test_the_page__has_its_verdicts_on_a_phone_and_leaves_out_what_has_no_objects(runs, tmp_path: Path) -> None:
    sys.path.append(str(BENCHMARKS))
    from webdriver import CHROMIUM, DRIVER, Browser

    groups = groups_of_runs([runs("sharp", 0.0), runs("blurred", 8.0)])
    compared = compare_and_write(groups, tmp_path / "out", plan=Plan(n_draws=100))
    text = (tmp_path / "out" / "compare.html").read_text()
    empty = sum(d.first is None and d.second is None for d in compared.comparisons[0].classes)
    assert (f"{empty} classes without an object in these images are left out" in text) == (empty > 0)
    assert "Everything else that is known of them" in text
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium with chromedriver in PATH")
    with Browser(width=390, height=800) as browser:
        browser.open(tmp_path / "out" / "compare.html")
        right = (
            "return Math.max(...[...document.querySelectorAll('td.words')].map(e => e.getBoundingClientRect().right))"
        )
        assert browser.run(right) <= 390
        assert browser.run("return document.documentElement.scrollWidth") == 390
