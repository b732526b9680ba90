"""The truth of an evaluation: any native format, the split that is taken, and what detections may name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from paths import DATASETS

from detect_transfer.cli import main
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.load import GroundTruth, read_ground_truth
from detect_transfer.data.reading import read_dataset
from detect_transfer.workflows.evaluate import EvaluateOptions, evaluate_files
from detect_transfer.workflows.explain import explain_files

ROAD_SIGNS = DATASETS / "road_signs" / "sample"


def results_of(table: AnnotationTable, path: Path, *, named: bool) -> Path:
    """Write COCO results that find all objects, by the names of images and classes or by their ids."""
    names = dict(table.images.select("image_id", "file_name").iter_rows())
    classes = dict(table.categories.select("category_id", "name").iter_rows())
    rows = [
        {
            "image_id": names[box["image_id"]] if named else box["image_id"],
            "category_id": classes[box["category_id"]] if named else box["category_id"],
            "bbox": [box["x1"], box["y1"], box["x2"] - box["x1"], box["y2"] - box["y1"]],
            "score": 0.5,
        }
        for box in table.boxes.filter(~table.boxes["ignore"]).iter_rows(named=True)
    ]
    path.write_text(json.dumps(rows))
    return path


def coco_file(path: Path, names: list[str], *, split: bool = False) -> Path:
    images = [{"id": i, "file_name": name, "width": 9, "height": 9} for i, name in enumerate(names, start=1)]
    images = [{**image, "split": f"part{image['id']}"} if split else image for image in images]
    box = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 4], "area": 16, "iscrowd": 0}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": [box], "categories": [{"id": 7, "name": "sign"}]}))
    return path


@pytest.mark.parametrize(
    ("place", "format", "split", "n_images"),
    [
        pytest.param("coco/sample", "coco", "val", 1, id="coco-folder"),
        pytest.param("coco/sample/annotations/instances_train.json", "coco", None, 2, id="coco-file"),
        pytest.param("yolo/sample", "yolo", "val", 1, id="yolo-folder"),
        pytest.param("yolo/sample/data.yaml", "yolo", "val", 1, id="data-yaml"),
        pytest.param("parquet/sample", "parquet", "val", 1, id="tables"),
    ],
)
def test_format__is_recognised_and_validation_is_taken(place: str, format: str, split: str, n_images: int) -> None:
    truth = read_ground_truth(DATASETS / place)
    assert (truth.format, truth.split, truth.table.images.height) == (format, split, n_images)


def test_data_folder__gives_its_validation_split_or_the_one_named(tiny_data: Path) -> None:
    truth = read_ground_truth(tiny_data)
    assert truth.facts == "data (data_folder), split val, 18 images"
    assert read_ground_truth(tiny_data, split="train").table.images.height == 20
    assert read_ground_truth(tiny_data, split="all").facts == "data (data_folder), 38 images"
    with pytest.raises(InputError, match=r"SPLIT_MISSING split=vall .*there is: train, val"):
        read_ground_truth(tiny_data, split="vall")


def test_splits__test_is_taken_without_val_and_others_are_asked_for(tmp_path: Path) -> None:
    assert read_ground_truth(DATASETS / "gtsdb" / "sample", format="gtsdb").split == "test"
    (tmp_path / "whole").mkdir()
    path = coco_file(tmp_path / "whole" / "t.json", ["a.png", "b.png"], split=True)
    assert read_ground_truth(path).split is None  # a COCO file is the truth that somebody chose
    coco_file(tmp_path / "instances_day.json", ["a.png"])
    coco_file(tmp_path / "instances_night.json", ["b.png", "c.png"])
    with pytest.raises(InputError, match=r"SPLIT_UNCLEAR --split .*day \(1 image\), night \(2 images\), or all"):
        read_ground_truth(tmp_path, format="coco")


def test_coco_folder__keeps_the_ids_of_the_file_that_is_taken(tmp_path: Path) -> None:
    """Both files count from 1; read together the second would be numbered again."""
    for split, names in (("train2017", ["a.png", "b.png"]), ("val2017", ["c.png"])):
        coco_file(tmp_path / "annotations" / f"instances_{split}.json", names)
    truth = read_ground_truth(tmp_path)
    assert (truth.split, truth.table.images["image_id"].to_list()) == ("val", [1])
    assert read_ground_truth(tmp_path, split="all").table.images["image_id"].to_list() == [1, 2, 3]


@pytest.mark.parametrize(
    ("place", "options", "message"),
    [
        pytest.param("mot17det", {}, "TRUTH_UNKNOWN .*--truth-format; it may be mot17det$", id="one-hint"),
        pytest.param("kitti", {}, "TRUTH_UNKNOWN .*it may be kitti$", id="kitti"),
        pytest.param("citypersons", {}, "TRUTH_UNKNOWN .*it may be citypersons$", id="citypersons"),
        pytest.param("label_studio/images", {}, "TRUTH_UNKNOWN .*4 images and no annotations", id="nothing-known"),
        pytest.param("nowhere", {}, "FILE_MISSING", id="missing"),
        pytest.param("kitti", {"format": "kity"}, "FORMAT_UNKNOWN --truth-format=kity .*'kitti'", id="format"),
        pytest.param(
            "kitti",
            {"format": "kitti", "options": ["alow_missing=true"]},
            "OPTION_UNKNOWN .*'allow_missing'",
            id="option",
        ),
        pytest.param("kitti", {"format": "kitti", "images": DATASETS}, "OPTION_UNKNOWN --images", id="images"),
    ],
)
def test_wrong_truth__one_line_that_tells_what_to_give(place: str, options: dict, message: str) -> None:
    name, _, below = place.partition("/")
    path = DATASETS / name / "sample" / below if name != "nowhere" else DATASETS / name
    with pytest.raises(InputError, match=message) as caught:
        read_ground_truth(path, **options)
    assert "\n" not in str(caught.value)


def test_empty_folder_and_run_folder__are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"TRUTH_UNKNOWN .*the folder is empty"):
        read_ground_truth(tmp_path)
    (tmp_path / "weights").mkdir()
    for name in ("config.yaml", "manifest.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=r"TRUTH_UNKNOWN .*a run folder; give it without --truth"):
        read_ground_truth(tmp_path)


def test_images__may_be_absent_where_their_folder_is_not_named(tmp_path: Path) -> None:
    folder = tmp_path / "signs"
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    for path in (ROAD_SIGNS / "annotations").glob("*.xml"):
        (folder / "annotations" / path.name).write_bytes(path.read_bytes())
    truth = read_ground_truth(folder, format="voc")
    assert truth.table.images.height == 3
    with pytest.raises(InputError, match="IMAGE_MISSING"):
        read_ground_truth(folder, format="voc", options=["missing_images=error"])


@pytest.fixture
def signs() -> GroundTruth:
    return read_ground_truth(ROAD_SIGNS, format="voc")


def test_detections__that_name_images_and_classes_are_scored(signs: GroundTruth, tmp_path: Path) -> None:
    found = results_of(signs.table, tmp_path / "d.json", named=True)
    assert evaluate_files(signs, found, tmp_path / "out").metrics["AP"] == pytest.approx(1.0)
    assert "sample (voc), 3 images" in (tmp_path / "out" / "report.html").read_text()


def test_ids__that_the_reader_counted_are_refused(signs: GroundTruth, tmp_path: Path) -> None:
    found = results_of(signs.table, tmp_path / "d.json", named=False)
    with pytest.raises(InputError, match=r"UNKNOWN_ID .*d\.json#/0 image=.*number no image.*one of: file name, "):
        signs.read_detections(found)
    rows = json.loads(results_of(signs.table, found, named=True).read_text())
    found.write_text(json.dumps([{**row, "category_id": 1} for row in rows]))
    with pytest.raises(InputError, match=r"UNKNOWN_ID .*class=1 .*number no class, .*one of: name, "):
        signs.read_detections(found)


def test_ids__that_files_give_are_taken(tiny_data: Path, tmp_path: Path) -> None:
    truth = read_ground_truth(tiny_data)
    found = truth.read_detections(results_of(truth.table, tmp_path / "d.json", named=False))
    assert found.rows.height == truth.table.boxes.filter(~truth.table.boxes["ignore"]).height


def test_yolo_texts__need_the_order_of_classes(signs: GroundTruth, tmp_path: Path) -> None:
    (tmp_path / "road1.txt").write_text("0 .5 .5 .1 .1 .9\n1 .5 .5 .1 .1 .8\n")
    with pytest.raises(InputError, match=r"CLASS_ORDER_UNKNOWN .*classes\.txt .*a line each: "):
        signs.read_detections(tmp_path)
    names = signs.table.class_names
    (tmp_path / "classes.txt").write_text(f"{names[1]}\nlorry\n{names[0]}\n")
    with pytest.raises(InputError, match=r"UNKNOWN_ID .*road1\.txt:2 class=lorry"):
        signs.read_detections(tmp_path)
    (tmp_path / "road1.txt").write_text("0 .5 .5 .1 .1 .9\n2 .5 .5 .1 .1 .8\n")
    ids = dict(signs.table.categories.select("name", "category_id").iter_rows())
    found = signs.read_detections(tmp_path).rows
    assert found.sort("score")["category_id"].to_list() == [ids[names[0]], ids[names[1]]]


def test_metrics__are_those_of_the_format(tmp_path: Path) -> None:
    truth = read_ground_truth(DATASETS / "kitti" / "sample", format="kitti", split="all")
    found = results_of(truth.table, tmp_path / "d.json", named=True)
    evaluate_files(truth, found, tmp_path / "out", options=EvaluateOptions(slices=["occlusion_level"]))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
    assert next(iter(metrics)) == "kitti"
    names = {key.partition("/")[2] for key in metrics["slices"]["values"]} - {"all"}
    assert names
    assert all(name.startswith("attribute occlusion_level ") for name in names)


def test_explain__takes_detections_by_name(tiny_data: Path, signs: GroundTruth, tmp_path: Path) -> None:
    for truth in (signs, read_ground_truth(tiny_data)):
        found = results_of(truth.table, tmp_path / "d.json", named=True)
        assert explain_files(truth, found).coco["AP"] == pytest.approx(1.0)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out + said.err


def test_commands__take_any_truth(signs: GroundTruth, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = results_of(signs.table, tmp_path / "d.json", named=True)
    given = ("--truth", ROAD_SIGNS, "--truth-format", "voc", "--option", "one_based=false", "--detections", found)
    for command, *more in (
        ("evaluate", "--explain"),
        ("compare", "--detections", found, "--draws", 100),
        ("visualize",),
    ):
        status, said = run(capsys, command, *given, *more, "--out", tmp_path / command)
        assert (status, "truth: sample (voc), 3 images" in said) == (0, True), said
    assert len(list((tmp_path / "visualize").glob("*.jpg"))) == 3


def test_commands__refuse_options_of_no_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, field in ((["evaluate", "a"], "arguments=a"), (["compare", "a", "b"], "--split")):
        status, said = run(capsys, *command, "--split", "val", "--out", tmp_path / "out")
        assert status == 2
        assert said.startswith(f"USAGE {field} - ")
    status, said = run(capsys, "visualize", "--truth", ROAD_SIGNS, "--truth-format", "vok", "--out", tmp_path / "out")
    assert (status, said.startswith("FORMAT_UNKNOWN --truth-format=vok")) == (2, True)
    assert not (tmp_path / "out").exists()


def test_converted_truth__scores_as_the_native_one(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real images and boxes: the official validation split, read natively and in all forms of the data folder."""
    source, data = shared / "data" / "voc2007_person", tmp_path / "data"
    words = ("convert", "voc", source, "--out", data, "--split-from-source", "--to", "coco,yolo,parquet")
    assert run(capsys, *words)[0] == 0
    native = read_ground_truth(source, format="voc")
    found = results_of(native.table, tmp_path / "d.json", named=True)
    expected = evaluate_files(native, found, tmp_path / "native").metrics
    assert expected["AP"] == pytest.approx(1.0)
    for place in (data, data / "annotations" / "instances_val.json", data / "parquet"):
        truth = read_ground_truth(place)
        assert truth.table.images.height == 40
        assert evaluate_files(truth, found, tmp_path / f"scored_{place.stem}").metrics == pytest.approx(expected)
    labels = read_ground_truth(data / "data.yaml")  # which cannot tell what is ignored
    assert evaluate_files(labels, found, tmp_path / "labels").metrics["AP"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param("tju", "annotations/dhd_traffic_val.json", id="tju"),
        pytest.param("nightowls", "", id="nightowls"),
        pytest.param("citypersons_gt", "val_gt.json", id="citypersons"),
    ],
)
def test_official_results__have_the_ids_of_the_official_files(name: str, file: str, tmp_path: Path) -> None:
    """Readers number images and classes again; results for the official evaluation mean the ids of its files."""
    sample = DATASETS / name / "sample"
    path = sample / file if file else next(sample.rglob("nightowls_*.json"))
    split = path.stem.removesuffix("_gt").rpartition("_")[2].replace("validation", "val").replace("training", "train")
    truth = read_ground_truth(sample, format=name.removesuffix("_gt"), split=split)
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    names = {image["id"]: Path(image.get("file_name") or image["im_name"]).name for image in document["images"]}
    native = {category["id"]: category["name"].lower() for category in document["categories"]}
    boxes = [box for box in document["annotations"] if not native[box["category_id"]].startswith("ignore")]
    rows = [
        {"image_id": box["image_id"], "category_id": box["category_id"], "bbox": box["bbox"], "score": 0.5}
        for box in boxes
    ]
    (tmp_path / "d.json").write_text(json.dumps(rows))
    found = truth.read_detections(tmp_path / "d.json").rows
    ours = dict(truth.table.images.select("image_id", "file_name").iter_rows())
    assert [Path(ours[i]).name for i in found["image_id"]] == [names[box["image_id"]] for box in boxes]
    classes = dict(truth.table.categories.select("category_id", "name").iter_rows())
    spelt = {"pedstrian": "pedestrian"}
    expected = [spelt.get(name := native[box["category_id"]], name) for box in boxes]
    assert [classes[i] for i in found["category_id"]] == expected


def test_coco_like_truth__without_file_names_names_what_reads_it(tmp_path: Path) -> None:
    path = DATASETS / "citypersons_gt" / "sample" / "val_gt.json"
    with pytest.raises(InputError, match=r"COCO_KEY .*`im_name`; .*--option lenient=true.*citypersons"):
        read_ground_truth(path)
    truth = read_ground_truth(path, options=["lenient=true"])
    assert truth.table.images["file_name"].to_list() == [
        image["im_name"] for image in json.loads(path.read_text())["images"]
    ]


@pytest.mark.parametrize(
    ("sample", "format", "names_it"),
    [
        ("cvat_images", "cvat", True),
        ("via_json", "via", True),
        ("datumaro", "datumaro", True),
        ("kitti", "kitti", False),
    ],
)
def test_missing_images__the_remedy_names_their_folder(
    sample: str, format: str, names_it: bool, tmp_path: Path
) -> None:
    """It works as it is given, and readers without such an option do not name it."""
    source, root = DATASETS / sample / "sample", tmp_path / "annotations"
    suffixes = {".png", ".jpg", ".jpeg"}

    def no_image(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(name).suffix.lower() in suffixes]

    shutil.copytree(source, root, ignore=no_image)
    with pytest.raises(InputError, match="IMAGE_MISSING") as caught:
        read_dataset(root, format=format)
    assert ("name the folder of the images by images=DIR" in str(caught.value)) == names_it
    if names_it:
        assert len(read_dataset(root, format=format, options=[f"images={source}"]).boxes)
        with pytest.raises(InputError) as caught:
            read_dataset(root, format=format, options=[f"images={root}"])
        assert "images=DIR" not in str(caught.value)
