"""A conversion of annotations alone: no images are looked at or written, and what is not known is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from paths import DATASETS

from detect_transfer.cli import main
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.reading import read_dataset
from detect_transfer.formats import get_format
from detect_transfer.formats.coco import data_folder
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.writing.targets import WRITERS
from detect_transfer.workflows.check import CheckOptions, check_table

PLAN = ConvertOptions(format="test", bad_boxes="fix", source="signs", split="source", image_mode="none")
NAMES = ["images/a.ppm", "b.png", "clips/c.mp4#00012"]
WRITTEN = ["train/a.png", "train/b.png", "val/clips/c_00012.png"]


def make(*, sized: bool, root: Path | None = None) -> AnnotationTable:
    """Three images with a box each that reaches past x = 30, and a region in the first."""
    return AnnotationTable.from_columns(
        images={
            "image_id": [1, 2, 3],
            "file_name": NAMES,
            "width": pl.Series([30, 30, 30 if sized else None], dtype=pl.Int32),
            "height": pl.Series([20, 20, 20 if sized else None], dtype=pl.Int32),
            "split": ["train", "train", "val"],
        },
        boxes={
            "annotation_id": [1, 2, 3, 4],
            "image_id": [1, 2, 3, 3],
            "category_id": [1, 1, 1, None],
            **{"x1": [20.0] * 4, "y1": [2.0] * 4, "x2": [33.0] * 4, "y2": [12.0] * 4},
            "ignore": [False, False, False, True],
            "ignore_reason": [None, None, None, "far away"],
            "source": ["ann:1", "ann:2", "ann:3", "ann:4"],
        },
        categories={"category_id": [1], "name": ["sign"]},
        image_root=root,
    )


def steps_of(out: Path) -> dict[str, list[tuple[str, str, int]]]:
    steps = json.loads((out / "ledger.json").read_text())["steps"]
    return {step["step"]: [(line["kind"], line["reason"], line["count"]) for line in step["lines"]] for step in steps}


def test_sizes_unknown__coco_alone_and_the_ledger_says_why(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = convert(make(sized=False, root=tmp_path), out, options=replace(PLAN, check=True))
    assert sorted(path.name for path in out.iterdir()) == [
        *("annotations", "ledger.json", "manifest.json", "round_trip.json", "splits.json")
    ]
    steps = steps_of(out)
    assert ("image", "size not known: boxes are not clipped", 1) in steps["clean"]
    assert steps["yolo"] == [("image", "size not known: no labels are written for any image", 1)]
    assert steps["images"] == [("image", "no image is written: --image-mode none", 3)]
    options = json.loads((out / "manifest.json").read_text())["options"]
    assert (options["image_mode"], options["targets"]) == ("none", ["coco"])
    assert result.table.image_root is None
    assert "width" not in json.loads((out / "annotations/instances_val.json").read_text())["images"][0]


def test_labels__without_images_come_with_the_names_of_the_classes(tmp_path: Path) -> None:
    table = make(sized=True)
    result = convert(table, tmp_path / "out", options=replace(PLAN, targets=("yolo",), check=True))
    assert (tmp_path / "out/classes.txt").read_text().splitlines() == table.class_names
    assert not (tmp_path / "out/data.yaml").exists(), "it would point at images that are not there"
    assert result.round_trip is not None
    assert [leg.target for leg in result.round_trip.legs] == ["YOLO"]


@pytest.mark.parametrize(
    ("format", "place", "options"), [("coco", "", {}), ("voc", "voc", {}), ("cvat", "cvat", {"images": "images"})]
)
def test_links__to_the_images_of_the_source_are_followed_in_what_was_written(
    format: str, place: str, options: dict[str, str], tmp_path: Path
) -> None:
    source = DATASETS / "createml" / "sample"
    mode = ConvertOptions("createml", image_mode="link", targets=("coco", "voc", "cvat"), split="source")
    made = convert(get_format("createml").read(source), tmp_path / "made", options=mode)
    images = {key: tmp_path / "made" / value for key, value in options.items()}
    table = get_format(format).read(tmp_path / "made" / place, **images)
    assert table.images["width"].to_list() == [40, 40, 40]
    again = convert(table, tmp_path / "again", options=ConvertOptions(format, split="source", targets=("coco",)))
    assert (len(again.table.images), len(again.table.boxes)) == (len(made.table.images), len(made.table.boxes))
    copy = Path(shutil.copytree(tmp_path / "made", tmp_path / "copy", symlinks=True))
    (copy / "manifest.json").unlink()  # nothing vouches for the links
    images = {key: copy / value for key, value in options.items()}
    with pytest.raises(InputError, match="PATH_OUTSIDE"):  # noqa: PT012 the reader of COCO does not look at images
        table = get_format(format).read(copy / place, **images)
        convert(table, tmp_path / "never", options=ConvertOptions(format, split="source", targets=("coco",)))


def test_data_folder__without_images_is_read_checked_and_converted_again(tmp_path: Path) -> None:
    convert(make(sized=False), tmp_path / "one", options=PLAN)
    table = data_folder.read(tmp_path / "one", verify=True)
    assert table.image_root is None
    assert table.images["file_name"].to_list() == WRITTEN
    assert table.images["width"].to_list() == [30, 30, None]
    assert table.boxes["x2"].to_list() == [30, 30, 33, 33], "clipped where the size is known"
    report, trip = check_table(table, options=CheckOptions("t", round_trip=True))
    found = {finding.code: finding.count for finding in report.findings}
    assert (found["IMAGES_ABSENT"], found["IMAGE_NO_SIZE"]) == (3, 1)
    assert report.ok
    assert trip is not None
    assert trip.ok
    convert(table, tmp_path / "two", options=PLAN)
    for split in ("train", "val"):
        name = f"annotations/instances_{split}.json"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with pytest.raises(InputError, match=r"IMAGE_ROOT_MISSING .*--image-mode none"):
        convert(table, tmp_path / "three", options=replace(PLAN, image_mode="copy"))


def test_data_folder__that_lost_its_images_is_no_such_folder(tmp_path: Path) -> None:
    convert(make(sized=False), tmp_path / "out", options=PLAN)
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"none"', '"copy"'))
    with pytest.raises(InputError, match="FOLDER_MISSING"):
        data_folder.read(tmp_path / "out")


def test_sizes_known__every_format_is_written_without_images(tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(make(sized=True), out, options=replace(PLAN, targets=tuple(WRITERS)))
    assert (out / "labels/val/clips/c_00012.txt").read_text() == "0 0.83333333 0.35000000 0.33333334 0.50000000\n"
    assert sorted(path.name for path in (out / "voc").iterdir()) == ["Annotations", "ImageSets", "labelmap.txt"]
    devkit = read_voc(out / "voc", missing_images="keep")
    assert devkit.images["file_name"].to_list() == WRITTEN
    assert devkit.boxes["x2"].to_list() == [30, 30, 30]
    assert read_parquet(out / "parquet").image_root is None
    assert (out / "cvat/annotations.xml").is_file()
    convert(make(sized=True), tmp_path / "usual", options=PLAN)
    assert (tmp_path / "usual/labels").is_dir()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"targets": ("coco", "yolo")}, "SIZE_UNKNOWN .*yolo .*images", id="yolo"),
        pytest.param({"targets": ("cvat",)}, "SIZE_UNKNOWN .*cvat .*images", id="cvat"),
        pytest.param({"ignored_regions": "drop-image", "split": {"train": 1.0}}, "SIZE_UNKNOWN", id="drop-image"),
        pytest.param({"ignored_regions": "mask"}, "OPTION ignored_regions=mask", id="mask"),
    ],
)
def test_what_needs_images__is_one_error_and_nothing_is_written(
    tmp_path: Path, change: dict[str, object], code: str
) -> None:
    with pytest.raises(InputError, match=code) as caught:
        convert(make(sized=False), tmp_path / "out", options=replace(PLAN, **change))  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_auto__takes_the_one_split_of_the_source(tmp_path: Path) -> None:
    table = make(sized=True)
    table = replace(table, images=table.images.with_columns(split=pl.lit("test")))
    assert convert(table, tmp_path / "out", options=replace(PLAN, split="auto")).table.splits == ["test"]
    unsplit = replace(table, images=table.images.with_columns(split=pl.lit(None, dtype=pl.String)))
    assert convert(unsplit, tmp_path / "by_share", options=replace(PLAN, split="auto")).table.splits == ["train", "val"]


def test_images_that_are_not_there__the_remedy_names_the_way_without(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    table = make(sized=True, root=tmp_path / "source").select_images([1, 2])
    with pytest.raises(InputError, match=r"IMAGE_MISSING .*--image-mode none"):
        convert(table, tmp_path / "out", options=replace(PLAN, image_mode="copy"))


def test_command__reads_without_images_and_says_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"v/{i}.png;stop;1;2;9;8;0,0;o{i};{i};v{i};1\n" for i in range(8))
    head = "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y;"
    head += "Occluded,On another road;Origin file;Origin frame number;Origin track;Origin track frame number"
    source = tmp_path / "lisa"
    source.mkdir()
    (source / "allAnnotations.csv").write_text(f"{head}\n{rows}")
    words = ["convert", "lisa", str(source), "--out", str(tmp_path / "out"), "--split-ratio", "train=0.5,val=0.5"]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "IMAGE_MISSING" in (said := capsys.readouterr().err)
    assert "--image-mode none" in said
    with pytest.raises(SystemExit) as left:
        main([*words, "--image-mode", "none"])
    assert left.value.code == 0
    assert "note: 8 images (yolo): size not known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "counts", "in_two"),
    [
        # a row of LISA and four of Bosch stand twice
        pytest.param("lisa", (6618, 7855, 47), 1, id="lisa"),
        pytest.param("bosch_lights", (8334, 13486, 13), 4, id="bosch"),
        pytest.param("citypersons", (500, 5795, 5), 0, id="citypersons"),
    ],
)
def test_real_annotations__come_through_with_their_published_counts(
    shared: Path, tmp_path: Path, name: str, counts: tuple[int, ...], in_two: int
) -> None:
    root = shared / "data" / "annotations_only" / name
    table = read_dataset(root, format=name, need_images=False)
    assert (len(table.images), len(table.boxes), len(table.categories)) == counts
    plan = ConvertOptions(format=name, image_mode="none", check=True)
    result = convert(table, tmp_path / "out", options=plan)
    assert result.round_trip is not None
    assert result.round_trip.ok
    back = data_folder.read(tmp_path / "out")
    assert (len(back.images), len(back.boxes)) == (counts[0], counts[1] - in_two)
    assert (tmp_path / "out" / "labels").is_dir() == (name in ("citypersons", "bosch_lights")), "what tells sizes"
