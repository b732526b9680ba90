"""The conversion from end to end: what it writes, what it refuses, and that a killed one leaves nothing."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
import yaml
from paths import ROOT
from PIL import Image
from pycocotools.coco import COCO

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import DetectTransferError, InputError, InternalError, ProblemsError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.io import sha256_file
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.data import convert as module
from detect_transfer.data.checks import check
from detect_transfer.data.class_map import ClassMap
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.split_file import load_split_file
from detect_transfer.formats.coco import data_folder
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.cvat.reader import read as read_cvat
from detect_transfer.formats.parquet.reader import read as read_parquet
from detect_transfer.formats.voc.reader import read as read_voc
from detect_transfer.formats.writing.targets import WRITERS

SPLITS = ["train"] * 6 + ["val"] * 2
OPTIONS = ConvertOptions(format="test", bad_boxes="fix", source="some/where/signs", split="source")


def tree(folder):
    """Return the hash of every file of a folder by its name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "source"
    for i in range(1, 9):
        path = folder / f"{i}.{'ppm' if i == 1 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(path)
    return folder


def make(root, **images):
    """Eight images: a sign in 1-7, a light in 2 and 8, a region without a class in 3, a box over the edge in 4."""
    boxes = [(i, 1, 2.0, 2.0, 12.0, 12.0) for i in range(1, 8)]
    boxes += [(2, 2, 15.0, 1.0, 25.0, 9.0), (8, 2, 0.0, 0.0, 30.0, 20.0), (3, None, 20.0, 10.0, 30.0, 20.0)]
    boxes += [(4, 1, 25.0, 5.0, 40.0, 9.0), (5, 1, 8.0, 8.0, 8.0, 9.0)]
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2")
    return AnnotationTable.from_columns(
        images={
            "image_id": list(range(1, 9)),
            "file_name": ["1.ppm", *[f"{i}.png" for i in range(2, 9)]],
            "width": [30] * 8,
            "height": [20] * 8,
            "split": SPLITS,
            **images,
        },
        boxes={
            **dict(zip(names, map(list, zip(*boxes, strict=True)), strict=True)),
            "annotation_id": list(range(1, len(boxes) + 1)),
            "ignore": [box[1] is None for box in boxes],
            "source": [f"ann:{i}" for i in range(1, len(boxes) + 1)],
        },
        categories={"category_id": [1, 2], "name": ["sign", "light"]},
        image_root=root,
    )


def test_convert__writes_the_whole_folder(root, tmp_path):
    before = tree(root)
    out = tmp_path / "out"
    result = convert(make(root), out, options=OPTIONS)
    assert tree(root) == before
    stems = [f"train/{i}" for i in range(1, 7)] + [f"val/{i}" for i in (7, 8)]
    assert sorted(tree(out)) == sorted(
        [
            *(f"images/{stem}.png" for stem in stems),
            *(f"labels/{stem}.txt" for stem in stems),
            *("annotations/instances_train.json", "annotations/instances_val.json"),
            *("data.yaml", "ledger.json", "manifest.json", "splits.json"),
        ]
    )
    assert (out / "labels/train/3.txt").read_text() == "0 0.23333333 0.35000000 0.33333334 0.50000000\n"
    assert (out / "labels/train/4.txt").read_text().splitlines()[1] == "0 0.91666667 0.35000000 0.16666666 0.20000000"
    assert yaml.safe_load((out / "data.yaml").read_text())["names"] == {0: "sign", 1: "light"}
    assert result.counts["train"] == {
        "images": 6,
        "boxes": 9,
        "ignored": 1,
        "label_rows": 8,
        "classes": {"sign": 7, "light": 1},
    }
    assert result.table.image_root == out / "images"
    assert result.table.images["file_name"][0] == "train/1.png"


def test_convert__ledger_balances_from_step_to_step(root, tmp_path):
    convert(make(root), tmp_path / "out", options=OPTIONS)
    steps = json.loads((tmp_path / "out/ledger.json").read_text())["steps"]
    assert [s["step"] for s in steps] == [
        *(
            "read",
            "clean",
            "split",
            "labels, ignored: drop",
            "images",
            "coco instances_train.json",
            "coco instances_val.json",
            "yolo",
        )
    ]
    for step in steps:
        for kind in ("image", "box"):
            moved = {"dropped": -1, "added": 1}
            change = sum(moved.get(x["action"], 0) * x["count"] for x in step["lines"] if x["kind"] == kind)
            plural = {"image": "images", "box": "boxes"}[kind]
            assert step[f"{plural}_in"] + change == step[f"{plural}_out"]
    read, clean, _, labels, images, train, val, yolo = steps
    assert (read["images_in"], read["boxes_in"], read["lines"]) == (8, 12, [])
    assert clean["boxes_in"] == 12
    assert clean["boxes_out"] == labels["boxes_in"] == 11
    assert labels["boxes_out"] == yolo["boxes_in"] == yolo["boxes_out"] == 10
    assert train["boxes_in"] + val["boxes_in"] == 11
    assert train["boxes_out"] == train["boxes_in"] + 1, "the region is written once for each of two classes"
    assert [(x["action"], x["count"]) for x in images["lines"]] == [("changed", 1)]


def test_convert__manifest_vouches_for_every_file_and_tells_no_path(root, tmp_path):
    out = tmp_path / "out"
    convert(make(root), out, options=OPTIONS)
    manifest = json.loads((out / "manifest.json").read_text())
    files = tree(out)
    files.pop("manifest.json")
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == files
    assert all((out / name).stat().st_size == facts["bytes"] for name, facts in manifest["files"].items())
    assert (manifest["format"], manifest["source"], manifest["seed"]) == ("test", "signs", 0)
    written = b"".join(path.read_bytes() for path in out.rglob("*.json"))
    assert str(tmp_path).encode() not in written


def test_convert__reads_back_and_opens_in_pycocotools(root, tmp_path):
    out = tmp_path / "out"
    result = convert(make(root), out, options=OPTIONS)
    back = data_folder.read(out, verify=True)
    assert len(back.boxes) == len(result.table.boxes) == 11
    assert back.splits == ["train", "val"]
    with contextlib.redirect_stdout(io.StringIO()):
        train = COCO(out / "annotations/instances_train.json")
    assert [len(train.getAnnIds(imgIds=[i])) for i in range(1, 7)] == [1, 2, 3, 2, 1, 1]
    assert all((out / "images" / "train" / image["file_name"]).is_file() for image in train.loadImgs(train.getImgIds()))


@pytest.mark.parametrize("images", ["copy", "link"])
def test_convert__twice_gives_the_same_bytes(root, tmp_path, images):
    plan = ConvertOptions(format="test", bad_boxes="fix", image_mode=images, split={"train": 0.6, "val": 0.4}, seed=1)
    for name in ("one", "two"):
        convert(make(root), tmp_path / name, options=plan)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert (tmp_path / "one/images/train").is_dir()


def test_convert__a_linked_data_folder_converts_again(root, tmp_path):
    convert(make(root), tmp_path / "one", options=replace(OPTIONS, image_mode="link"))
    assert (tmp_path / "one/images/val/7.png").is_symlink()
    again = replace(OPTIONS, format="data_folder")
    table = data_folder.read(tmp_path / "one")
    assert check(table, read_images=True, follow_links=True).ok
    convert(table, tmp_path / "two", options=again)
    assert not (tmp_path / "two/images/val/7.png").is_symlink()
    first, second = (tree(tmp_path / name) for name in ("one", "two"))
    # label rows are the same; the ledger and the manifest tell another story
    assert {k: v for k, v in first.items() if k.startswith(("images", "labels", "data"))} == {
        k: v for k, v in second.items() if k.startswith(("images", "labels", "data"))
    }
    (tmp_path / "one/manifest.json").unlink()  # nothing says any more that the links are ours
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        convert(table, tmp_path / "three", options=OPTIONS)


def test_convert__writes_every_target_format(root, tmp_path):
    plan = replace(OPTIONS, targets=tuple(WRITERS))
    out = tmp_path / "out"
    result = convert(make(root), out, options=plan)
    with_class = result.table.boxes.filter(result.table.boxes["category_id"].is_not_null())
    folder = data_folder.read(out, verify=True)
    assert len(folder.boxes) == 11
    devkit = read_voc(out / "voc")
    assert devkit.images["pixel_convention"][0] == "one_based_inclusive"
    assert len(devkit.boxes) == len(with_class) == 10
    assert devkit.splits == ["train", "val"]
    drawn = read_cvat(out / "cvat" / "annotations.xml", missing_images="keep")
    assert (len(drawn.images), len(drawn.boxes)) == (8, 10)
    tables = read_parquet(out / "parquet")
    assert tables.boxes.equals(result.table.boxes)
    assert tables.image_root == out / "images"
    steps = {step.step: step for step in result.ledger.steps}
    assert {"voc", "cvat", "parquet", "yolo"} <= set(steps)
    assert [(line.action, line.count) for line in steps["voc"].lines if line.action == "dropped"] == [("dropped", 1)]


def test_convert__one_target_alone(root, tmp_path):
    convert(make(root), tmp_path / "out", options=replace(OPTIONS, targets=("coco",)))
    assert not (tmp_path / "out" / "labels").exists()
    assert len(read_coco(tmp_path / "out").boxes) == 11


def test_convert__check_proves_the_way_back(root, tmp_path):
    result = convert(make(root), tmp_path / "out", options=replace(OPTIONS, check=True))
    assert result.round_trip is not None
    written = json.loads((tmp_path / "out/round_trip.json").read_text())
    assert written["ok"]
    assert [leg["target"] for leg in written["legs"]] == ["COCO", "YOLO"]
    assert "round_trip.json" in json.loads((tmp_path / "out/manifest.json").read_text())["files"]


def test_convert__check_writes_nothing_when_a_field_is_lost(root, tmp_path, monkeypatch):
    from detect_transfer.data import written_check

    def spoilt(path, **options):
        back = read_coco(path, **options)
        return back.with_boxes(back.boxes.head(3))

    monkeypatch.setattr(written_check, "read_coco", spoilt)
    with pytest.raises(InputError, match="ROUND_TRIP box rows") as caught:
        convert(make(root), tmp_path / "out", options=replace(OPTIONS, check=True))
    assert caught.value.exit_code == 2
    assert "ann:8" in str(caught.value), "the line is named"
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_convert__the_ledger_begins_with_what_was_skipped(root, tmp_path):
    reading = (
        LedgerLine("box", "dropped", "skipped: LABEL_NUMBER", 2, ("a:1", "b:7")),
        LedgerLine("image", "dropped", "skipped: IMAGE_TRUNCATED", 1, ("c.png",)),
        LedgerLine("box", "noted", "corners were swapped", 3),  # these are there
    )
    convert(replace(make(root), reading=reading), tmp_path / "out", options=OPTIONS)
    first = json.loads((tmp_path / "out/ledger.json").read_text())["steps"][0]
    assert (first["step"], first["images_in"], first["images_out"]) == ("read", 9, 8)
    assert (first["boxes_in"], first["boxes_out"]) == (14, 12)
    assert [line["reason"] for line in first["lines"]] == [line.reason for line in reading]


def test_convert__writes_the_split_for_the_next_time(root, tmp_path):
    first = convert(make(root), tmp_path / "one", options=replace(OPTIONS, split={"train": 0.6, "val": 0.4}, seed=5))
    file = load_split_file(tmp_path / "one/splits.json")
    assert set(file.split_of) == {"1.ppm", *(f"{i}.png" for i in range(2, 9))}
    again = convert(make(root), tmp_path / "two", options=replace(OPTIONS, split=file, ignored_regions="keep"))
    assert again.table.images["split"].to_list() == first.table.images["split"].to_list()
    assert again.split == "as splits.json says"


def test_convert__takes_the_frames_of_videos_out(root, tmp_path):
    (root / "clips").mkdir()
    for name in ("a", "b"):
        writer = cv2.VideoWriter(str(root / f"clips/{name}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (30, 20))
        for number in range(12):
            writer.write(np.full((20, 30, 3), 20 * number + (name == "b"), np.uint8))
        writer.release()
    frames = [f"clips/{name}.avi#{number:05d}" for name in ("a", "b") for number in (1, 5, 8)]
    groups = [name.partition("#")[0] for name in frames]
    table = make(root, file_name=[*frames, "2.png", "3.png"], group=[*groups, None, None], split=[None] * 8)
    unsized = [pl.lit(None, dtype=pl.Int32).alias(side) for side in ("width", "height")]
    table = replace(table, images=table.images.with_columns(unsized))
    before = tree(root)
    found = {finding.code for finding in check(table, read_images=True).findings}
    assert not found & {"SPLIT_LEAK", "IMAGE_DUPLICATE", "NEAR_DUPLICATE", "IMAGE_SIZE"}
    result = convert(
        table,
        tmp_path / "out",
        options=ConvertOptions(format="test", bad_boxes="fix", split={"train": 0.5, "val": 0.5}),
    )
    assert tree(root) == before
    names = result.table.images.filter(result.table.images["file_name"].str.contains("clips"))
    assert sorted(n.partition("/")[2] for n in names["file_name"]) == sorted(
        f"clips/{name}_{number:05d}.png" for name in ("a", "b") for number in (1, 5, 8)
    )
    for name in names["file_name"]:
        number = int(name[-9:-4])
        assert abs(int(read_rgb(tmp_path / "out/images" / name)[10, 15, 0]) - 20 * number) < 6
    per_video = names.group_by("group").agg(n=pl.col("split").n_unique())
    assert per_video["n"].to_list() == [1, 1], "a video is not cut"


def test_convert__takes_the_split_of_the_source_by_itself(root, tmp_path):
    result = convert(make(root), tmp_path / "out", options=ConvertOptions(format="test", bad_boxes="fix"))
    assert result.split == "the source's own (train, val)"
    assert json.loads((tmp_path / "out/manifest.json").read_text())["options"]["split"] == {"kind": "source"}


def test_convert__class_map_and_min_size(root, tmp_path):
    class_map = ClassMap("m", (("any", ("sign", "light")),))
    plan = ConvertOptions(format="test", bad_boxes="fix", split="source", class_map=class_map, min_size=5)
    result = convert(make(root), tmp_path / "out", options=plan)
    assert result.counts["val"]["classes"] == {"any": 2}
    assert result.counts["train"]["classes"] == {"any": 7}, "the clipped box is four pixels high"
    assert json.loads((tmp_path / "out/manifest.json").read_text())["options"]["class_map"] == {
        "any": ["sign", "light"]
    }


def test_convert__drop_image_leaves_train_in_both_formats(root, tmp_path):
    plan = ConvertOptions(format="test", bad_boxes="fix", split="source", ignored_regions="drop-image")
    result = convert(make(root), tmp_path / "out", options=plan)
    assert result.counts["train"]["images"] == 5
    assert not list((tmp_path / "out").rglob("3.*"))
    names = [
        i["file_name"] for i in json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["images"]
    ]
    assert "3.png" not in names
    assert len(names) == 5


def test_convert__mask_keeps_the_region_in_coco(root, tmp_path):
    plan = ConvertOptions(format="test", bad_boxes="fix", split="source", ignored_regions="mask")
    convert(make(root), tmp_path / "out", options=plan)
    painted = read_rgb(tmp_path / "out/images/train/3.png")
    assert (painted[10:, 20:] == 114).all()
    assert (painted[:10] == read_rgb(root / "3.png")[:10]).all()
    annotations = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())["annotations"]
    assert sum(a["ignore"] for a in annotations) == 2


def test_convert__fills_in_sizes_that_the_source_does_not_state(root, tmp_path):
    table = make(root, width=[None] * 8, height=[None] * 8)
    result = convert(table, tmp_path / "out", options=OPTIONS)
    assert result.table.images.select("width", "height").unique().rows() == [(30, 20)]


def spoil_images(root):
    (root / "2.png").unlink()
    (root / "3.png").write_bytes(b"")
    (root / "4.png").write_bytes((root / "4.png").read_bytes()[:200])
    Image.new("RGB", (20, 30)).save(root / "5.png")


def test_convert__tells_all_bad_images_at_once(root, tmp_path):
    spoil_images(root)
    before = tree(root)
    with pytest.raises(ProblemsError) as caught:
        convert(make(root), tmp_path / "out", options=OPTIONS)
    found = [(p.code, Path(p.where).name) for p in caught.value.problems]
    assert found == [
        *(("IMAGE_MISSING", "2.png"), ("IMAGE_EMPTY", "3.png"), ("IMAGE_TRUNCATED", "4.png"), ("IMAGE_SIZE", "5.png"))
    ]
    assert tree(root) == before
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_convert__missing_images_are_one_line_with_their_number(tmp_path):
    n = 33
    table = AnnotationTable.from_columns(
        images={"image_id": list(range(n)), "file_name": [f"{i}.png" for i in range(n)]},
        boxes={},
        categories={"category_id": [1], "name": ["a"]},
        image_root=tmp_path,
    )
    with pytest.raises(InputError, match=r"^IMAGE_MISSING .*0\.png - .*\(33 such, then .*1\.png, .*2\.png\)"):
        convert(table, tmp_path / "out", options=OPTIONS)


REFUSED = [
    pytest.param({"ignored_regions": "dorp"}, {}, "OPTION", id="policy"),
    pytest.param({"image_mode": "move"}, {}, "OPTION", id="images"),
    pytest.param({"split": "sources"}, {}, "OPTION", id="split-word"),
    pytest.param({"targets": ("coco", "yola")}, {}, "OPTION", id="target"),
    pytest.param({"min_size": -1}, {}, "OPTION", id="min-size"),
    pytest.param({"max_ignored_share": float("nan")}, {}, "OPTION", id="share-nan"),
    pytest.param({"split": {"train": 0.8}}, {}, "SPLIT_RATIO", id="ratios"),
    pytest.param({}, {"split": [None] * 8}, "SPLIT_MISSING", id="no-source-split"),
    pytest.param({}, {"group": ["g"] * 8}, "SPLIT_CUTS_GROUP", id="group-cut"),
    pytest.param({}, {"file_name": [f"../{i}.png" for i in range(8)]}, "PATH_OUTSIDE", id="name-leads-out"),
    pytest.param(
        {"class_map": ClassMap("m", (("sign", ("sign",)),), drop=("light",)), "split": {"train": 0.99, "val": 0.01}},
        {},
        "SPLIT_EMPTY",
        id="empty-split",
    ),
    pytest.param(
        {"class_map": ClassMap("m", (("light", ("light",)),), drop=("sign",))},
        {"split": ["train", "train", *["val"] * 5, "train"]},
        "SPLIT_NO_POSITIVES",
        id="val-without-positives",
    ),
    pytest.param(
        {"class_map": ClassMap("m", (("light", ("light",)),), ignore=("sign",)), "ignored_regions": "drop-image"},
        {},
        "SPLIT_EMPTY",
        id="every-training-image-dropped",
    ),
    pytest.param({"class_map": ClassMap("m", (("sgin", ("sgin",)),))}, {}, "CLASS_MAP", id="class-map-typo"),
]


@pytest.mark.parametrize(("options", "images", "code"), REFUSED)
def test_convert__refuses_and_writes_nothing(root, tmp_path, options, images, code):
    table = make(root, **images)
    with pytest.raises(InputError) as caught:  # choices that are none are refused before anything is read
        convert(
            table,
            tmp_path / "out",
            options=ConvertOptions(**{"format": "test", "bad_boxes": "fix", "split": "source", **options}),
        )
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_convert__refuses_a_leak_between_given_splits_and_keeps_copies_together_otherwise(root, tmp_path):
    (root / "8.png").write_bytes((root / "2.png").read_bytes())
    with pytest.raises(InputError, match=r"SPLIT_LEAK .*train/2.png = val/8.png"):
        convert(make(root), tmp_path / "out", options=OPTIONS)
    for seed in range(6):
        plan = ConvertOptions(format="test", bad_boxes="fix", split={"train": 0.6, "val": 0.4}, seed=seed)
        split = dict(
            convert(make(root), tmp_path / f"out{seed}", options=plan).table.images.select("image_id", "split").rows()
        )
        assert split[2] == split[8]


def test_convert__leaves_a_folder_that_holds_something_alone(root, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="OUT_NOT_EMPTY"):
        convert(make(root), tmp_path / "out", options=OPTIONS)
    assert tree(tmp_path / "out").keys() == {"mine.txt"}


@pytest.mark.parametrize("step", ["write_images", "write_targets", "write_json", "write_manifest"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(OSError(28, "No space left on device"), "DISK_FULL", id="disk-full"),
        pytest.param(InternalError("BUG", "a bug", remedy="report"), "BUG", id="bug"),
        pytest.param(KeyboardInterrupt(), None, id="interrupted"),
    ],
)
def test_convert__failure_in_a_writer_leaves_nothing(root, tmp_path, monkeypatch, step, error, expected):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(KeyboardInterrupt if expected is None else DetectTransferError) as caught:
        convert(make(root), tmp_path / "out", options=OPTIONS)
    if expected is not None:
        assert caught.value.code == expected
    assert [p.name for p in tmp_path.iterdir()] == ["source"]
    monkeypatch.undo()
    convert(make(root), tmp_path / "out", options=OPTIONS)


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = {folders!r}
import test_convert as t
from detect_transfer.data import convert as module
step, root, out = sys.argv[1:]
original = getattr(module, step)
def killed(*a, **k):
    original(*a, **k)
    os._exit(9)
setattr(module, step, killed)
module.convert(t.make(Path(root)), Path(out), options=t.OPTIONS)
"""


@pytest.mark.parametrize("step", ["write_images", "write_json"])
def test_convert__killed_leaves_nothing_under_its_name_and_a_rerun_equals_a_clean_run(root, tmp_path, step):
    before = tree(root)
    code = KILLED.format(folders=[str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)])
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", code, step, str(root), str(out)], env={**os.environ}, check=False)
    assert done.returncode == 9
    assert not out.exists()
    assert tree(root) == before
    convert(make(root), out, options=OPTIONS)
    convert(make(root), tmp_path / "clean", options=OPTIONS)
    assert tree(out) == tree(tmp_path / "clean")


def test_convert__names_images_below_the_folder_of_their_split_as_other_trainers_read_them(root, tmp_path):
    """LibreYOLO and those who read `images/<split>/` and `file_name` together find them; our table stays as it was."""
    out, plan = tmp_path / "out", ConvertOptions(format="test", bad_boxes="fix")
    table = convert(make(root), out, options=plan).table
    for split in ("train", "val"):
        document = json.loads((out / "annotations" / f"instances_{split}.json").read_text())
        names = [image["file_name"] for image in document["images"]]
        assert all((out / "images" / split / name).is_file() for name in names)
        alone = read_coco(out / "annotations" / f"instances_{split}.json")
        assert alone.image_root == out / "images"
        assert alone.images["file_name"].to_list() == [f"{split}/{name}" for name in names]
    assert data_folder.read(out).images["file_name"].to_list() == table.images["file_name"].to_list()
    for images in (out / "images", out / "images" / "val"):
        given = read_coco(out / "annotations" / "instances_val.json", images=images)
        assert given.images["file_name"].to_list() == [f"val/{name}" for name in names]
    shutil.copytree(out / "images" / "val", tmp_path / "moved" / "images")
    shutil.copyfile(out / "annotations" / "instances_val.json", tmp_path / "moved" / "mine.json")
    assert read_coco(tmp_path / "moved", missing_images="error").images["file_name"].to_list() == names


def test_image_in_a_folder_called_as_another_split__is_not_taken_for_one_of_that(root, tmp_path):
    """``val/5.png`` of train and ``5.png`` of val lie as ``images/train/val/5.png`` and ``images/val/5.png``."""
    (root / "val").mkdir()
    shutil.move(root / "8.png", root / "val" / "5.png")
    names = ["1.ppm", *[f"{i}.png" for i in range(2, 8)], "val/5.png"]
    splits = ["val"] * 7 + ["train"]
    convert(make(root, file_name=names, split=splits), tmp_path / "out", options=replace(OPTIONS, check=True))
    alone = read_coco(tmp_path / "out" / "annotations" / "instances_train.json")
    assert alone.image_root / alone.images["file_name"][0] == tmp_path / "out" / "images" / "train" / "val" / "5.png"
    assert len(data_folder.read(tmp_path / "out", verify=True).images) == 8


def test_folder_of_an_older_version__is_read_as_it_was(root, tmp_path):
    """File names were relative to `images/`, and nothing said so."""
    out = tmp_path / "out"
    table = convert(make(root), out, options=ConvertOptions(format="test", bad_boxes="fix")).table
    manifest = json.loads((out / "manifest.json").read_text())
    for split in ("train", "val"):
        path = out / "annotations" / f"instances_{split}.json"
        document = json.loads(path.read_text())
        del document["info"]["images"]
        for image in document["images"]:
            image["file_name"] = f"{split}/{image['file_name']}"
        path.write_text(json.dumps(document))
        manifest["files"][f"annotations/{path.name}"] = {"bytes": path.stat().st_size, "sha256": sha256_file(path)}
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert data_folder.read(out).images["file_name"].to_list() == table.images["file_name"].to_list()
