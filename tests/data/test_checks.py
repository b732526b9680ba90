"""Checks: each finding by hand, on images and annotations made for it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.data.checks import check
from detect_transfer.data.image_checks import fill_sizes, inspect_images


def image(path, value, size_wh=(20, 10)):
    rng = np.random.default_rng(value)
    Image.fromarray(rng.integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8)).save(path)


def make(boxes, *, root=None, n_images=4, **images):
    """Boxes are (image_id, category_id, x1, y1, x2, y2); images are 20 x 10, half train, half val."""
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2")
    columns = dict(zip(names, map(list, zip(*boxes, strict=True)), strict=True)) if boxes else {n: [] for n in names}
    half = n_images // 2
    return AnnotationTable.from_columns(
        images={
            "image_id": list(range(1, n_images + 1)),
            "file_name": [f"{i}.png" for i in range(1, n_images + 1)],
            "width": [20] * n_images,
            "height": [10] * n_images,
            "split": ["train"] * half + ["val"] * (n_images - half),
            **images,
        },
        boxes={
            **columns,
            "annotation_id": list(range(1, len(boxes) + 1)),
            "source": [f"s:{i}" for i in range(1, len(boxes) + 1)],
        },
        categories={"category_id": [1, 2], "name": ["a", "b"]},
        image_root=root,
    )


GOOD = [(i, c, 1.0, 1.0, 9.0, 9.0 - c) for i in (1, 2, 3, 4) for c in (1, 2)]


def codes(report):
    return {(f.level, f.code): f.count for f in report.findings}


def test_check__nothing_to_say():
    report = check(make(GOOD), read_images=False)
    assert (report.ok, report.findings) == (True, ())
    assert report.as_dict() == {
        "ok": True,
        "n_images": 4,
        "n_boxes": 8,
        "n_classes": 2,
        "images_read": False,
        "findings": [],
    }


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        pytest.param([*GOOD, (1, 1, 5.0, 5.0, 5.0, 9.0)], {("error", "BOX_EMPTY"): 1}, id="no-width"),
        pytest.param([*GOOD, (1, 1, 20.0, 0.0, 26.0, 9.0)], {("error", "BOX_OUTSIDE"): 1}, id="right-of-the-image"),
        pytest.param([*GOOD, (1, 1, 10.0, 0.0, 26.0, 9.0)], {("warning", "BOX_OVER_EDGE"): 1}, id="over-by-six"),
        pytest.param([*GOOD, (1, 1, -4.0, 0.0, 26.0, 9.0)], {("warning", "BOX_LARGER"): 1}, id="wider-than-the-image"),
        pytest.param(
            [*GOOD, (1, 1, 0.0, 0.0, 20.0, 0.19)],
            {("warning", "BOX_ASPECT"): 1, ("warning", "BOX_SUBPIXEL"): 1, ("warning", "BOX_TINY"): 1},
            id="a-line",
        ),
        pytest.param([*GOOD, (1, 1, -1.0, 0.0, 6.0, 9.0)], {("note", "BOX_ON_EDGE"): 1}, id="over-by-one"),
        pytest.param([*GOOD, (1, 1, 0.0, 0.0, 3.9, 9.0)], {("warning", "BOX_TINY"): 1}, id="tiny"),
        pytest.param([*GOOD, (1, 1, 0.0, 0.0, 4.0, 9.0)], {}, id="four-pixels-are-not-tiny"),
        pytest.param([*GOOD, GOOD[0]], {("warning", "BOX_DUPLICATE"): 1}, id="duplicate"),
        pytest.param([*GOOD, (1, 2, *GOOD[0][2:])], {("warning", "BOX_TWO_CLASSES"): 1}, id="two-classes"),
        pytest.param([b for b in GOOD if b[1] == 1], {("warning", "CLASS_EMPTY"): 1}, id="class-without-boxes"),
        pytest.param(
            [b for b in GOOD if b[:2] not in ((3, 2), (4, 2))], {("note", "CLASS_ABSENT"): 1}, id="class-not-in-val"
        ),
        pytest.param(
            [b for b in GOOD if b[0] < 3],
            {("error", "SPLIT_NO_POSITIVES"): 1, ("note", "CLASS_ABSENT"): 2, ("note", "IMAGE_NO_BOXES"): 2},
            id="val-without-positives",
        ),
        pytest.param(
            GOOD + [(1, 1, 0.0, i / 100, 9.0, 9.0) for i in range(401)],
            {("warning", "CLASS_IMBALANCE"): 1},
            id="405-against-4",
        ),
        pytest.param(GOOD + [(1, 1, 0.0, i / 100, 9.0, 9.0) for i in range(396)], {}, id="400-against-4"),
    ],
)
def test_check__annotations(boxes, expected):
    assert codes(check(make(boxes), read_images=False)) == expected


def test_check__classes_that_may_be_one():
    table = make(GOOD)
    names = table.categories.with_columns(name=pl.Series(["Stop sign", "stop_sign"]))
    report = check(replace(table, categories=names), read_images=False)
    assert codes(report) == {("warning", "CLASS_ALIKE"): 1}


@pytest.mark.parametrize(("imgsz", "count"), [(None, 0), (24, 4), (20, 8), (100, 0)])
def test_check__what_is_tiny_once_images_are_scaled(imgsz, count):
    report = check(make([*GOOD, (1, 1, 0.0, 0.0, 20.0, 10.0)]), read_images=False, imgsz=imgsz)
    assert codes(report) == ({("note", "BOX_TINY_AT_IMGSZ"): count} if count else {})


def test_check__tells_what_the_reader_skipped():
    lines = (LedgerLine("box", "dropped", "skipped: LABEL_NUMBER", 7, ("a.txt:1", "a.txt:2")),)
    report = check(replace(make(GOOD), reading=lines), read_images=False)
    assert codes(report) == {("warning", "READ_SKIPPED"): 7}


def test_check__what_the_reader_noted_is_no_warning():
    lines = (LedgerLine("image", "noted", "pixels are counted from 1: one_based= says otherwise", 2, ()),)
    report = check(replace(make(GOOD), reading=lines), read_images=False)
    assert codes(report) == {("note", "READ_NOTED"): 2}


def test_check__groups_and_names():
    table = make(GOOD, group=["g", None, "g", None], file_name=["1.png", "1.png", "3.png", "4.png"])
    report = check(table, read_images=False)
    assert codes(report) == {("error", "SPLIT_CUTS_GROUP"): 1, ("error", "FILE_NAME_DUPLICATE"): 1}
    assert next(f for f in report.findings if f.code == "SPLIT_CUTS_GROUP").examples == ("g: train, val",)


@pytest.fixture
def root(tmp_path):
    for i in (1, 2, 3, 4):
        image(tmp_path / f"{i}.png", i)
    return tmp_path


def test_check__good_images(root):
    assert check(make(GOOD, root=root), read_images=True).findings == ()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(lambda p: p.unlink(), "IMAGE_MISSING", id="missing"),
        pytest.param(lambda p: p.write_bytes(b""), "IMAGE_EMPTY", id="empty"),
        pytest.param(lambda p: p.write_bytes(p.read_bytes()[:-60]), "IMAGE_TRUNCATED", id="truncated"),
        pytest.param(lambda p: p.write_text("text"), "IMAGE_TYPE", id="text"),
        pytest.param(lambda p: (p.unlink(), p.mkdir()), "FILE_KIND", id="folder"),
        pytest.param(lambda p: image(p, 9, (10, 20)), "IMAGE_SIZE", id="turned"),
    ],
)
def test_check__bad_image(root, spoil, expected):
    spoil(root / "2.png")
    report = check(make(GOOD, root=root), read_images=True)
    assert codes(report) == {("error", expected): 1}
    assert "2.png" in report.findings[0].examples[0]
    assert not report.ok


def scene(seed, size_wh=(200, 150)):
    """An image of some coloured shapes, which no other seed gives."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size_wh, Image.Resampling.BICUBIC)


def test_check__images_that_look_alike(tmp_path):
    for i in (1, 2, 3, 4):
        scene(i).save(tmp_path / f"{i}.png")
    scene(1).resize((100, 75)).save(tmp_path / "4.png")
    scene(3).save(tmp_path / "x.jpg", quality=40)
    sizes = {"width": [200, 200, 200, 100], "height": [150, 150, 150, 75]}
    report = check(make(GOOD, root=tmp_path, **sizes), read_images=True)
    assert codes(report) == {("warning", "NEAR_LEAK"): 1}
    assert report.findings[0].image_pairs == ((1, 4),)
    assert report.findings[0].examples[0].startswith("train/1.png ~ val/4.png (")
    named = {"file_name": ["1.png", "2.png", "3.png", "x.jpg"], "width": [200] * 4, "height": [150] * 4}
    report = check(make(GOOD, root=tmp_path, **named), read_images=True)
    assert codes(report) == {("note", "NEAR_DUPLICATE"): 1}
    assert report.findings[0].image_pairs == ((3, 4),)
    report = check(make(GOOD, root=tmp_path, **named, group=[None, None, "g", "g"]), read_images=True)
    assert codes(report) == {}, "frames of one group are known to look alike"


def test_check__copies(root):
    (root / "2.png").write_bytes((root / "1.png").read_bytes())
    assert codes(check(make(GOOD, root=root), read_images=True)) == {("warning", "IMAGE_DUPLICATE"): 1}
    (root / "4.png").write_bytes((root / "1.png").read_bytes())
    report = check(make(GOOD, root=root), read_images=True)
    assert codes(report) == {("error", "SPLIT_LEAK"): 1, ("warning", "IMAGE_DUPLICATE"): 2}
    assert report.findings[0].examples == ("train/1.png = val/4.png",)


def test_check__name_that_leads_out(root):
    table = make(GOOD, root=root, file_name=["1.png", "../2.png", "3.png", "4.png"])
    assert codes(check(table, read_images=True)) == {("error", "PATH_OUTSIDE"): 1}


def test_inspect__a_bad_video_is_reported_once(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    table = make(GOOD, root=tmp_path, file_name=[f"a.mp4#{i:05d}" for i in range(4)])
    report = check(table, read_images=True)
    assert codes(report) == {("error", "VIDEO_TYPE"): 1}


def test_inspect__sizes_are_filled_in_and_progress_is_reported(root):
    table = make(GOOD, root=root, width=[None] * 4, height=[None] * 4)
    calls = []
    inspection = inspect_images(table, progress=lambda *call: calls.append(call))
    assert fill_sizes(table, inspection).images.select("width", "height").rows() == [(20, 10)] * 4
    assert calls == [("images", i, 4) for i in (1, 2, 3, 4)]


def test_inspect__needs_a_folder():
    with pytest.raises(InputError, match="IMAGE_ROOT_MISSING"):
        inspect_images(make(GOOD))
