"""Images of a data folder: names, copies, links, and what ultralytics cannot read."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.image_checks import inspect_images
from detect_transfer.data.image_plan import plan_images
from detect_transfer.data.image_writing import ImageStage, write_images
from detect_transfer.formats.writing.ignored_regions import plan_ignored

NOISE = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)


def make(root, names, *, splits=None, region=False):
    n = len(names)
    return AnnotationTable.from_columns(
        images={
            "image_id": list(range(1, n + 1)),
            "file_name": names,
            "split": splits or ["train"] * n,
            "width": [8] * n,
            "height": [6] * n,
        },
        boxes={
            "annotation_id": [1, 2],
            "image_id": [1, 1],
            "category_id": [1, 1],
            **{"x1": [0.0, 2.0], "y1": [0.0, 2.0], "x2": [2.0, 8.0], "y2": [2.0, 6.0]},
            "ignore": [False, region],
        },
        categories={"category_id": [1], "name": ["a"]},
        image_root=root,
    )


def planned(table, *, link=False, policy="drop", transcoded=(), ledger=None):
    return plan_images(plan_ignored(table, policy), transcoded=transcoded, link=link, ledger=ledger or Ledger())


def write(table, out, *, link=False, policy="drop", ledger=None, progress=None):
    """Inspect, stage, plan and write the images of a table, whose sizes need not be right."""
    out.mkdir()
    stage = ImageStage(out / ".staged", link=link)
    stage.check_room(table)
    unsized = table.images.with_columns(pl.lit(None, pl.Int32).alias(side) for side in ("width", "height"))
    inspect_images(replace(table, images=unsized), on_image=stage.add)
    plan = planned(table, link=link, policy=policy, transcoded=stage.transcoded, ledger=ledger)
    facts = write_images(plan, out, stage=stage, progress=progress)
    assert [path.name for path in out.iterdir()] == ["images"], "nothing is left of the stage"
    for name, fact in facts.items():
        data = (out / "images" / name).read_bytes()
        assert (fact.n_bytes, fact.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    return plan


def save(path, image=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.fromarray(NOISE)).save(path)


@pytest.mark.parametrize(
    ("names", "splits", "expected"),
    [
        pytest.param(["a.png"], ["train"], ["train/a.png"], id="plain"),
        pytest.param(["sub/a.png", "a.png"], None, ["train/sub/a.png", "train/a.png"], id="folders-stay"),
        pytest.param(["images/a.png", "x/images/b.png"], None, ["train/a.png", "train/x/b.png"], id="images-left-out"),
        pytest.param(["train/a.png", "val/b.png"], ["train", "val"], ["train/a.png", "val/b.png"], id="not-doubled"),
        pytest.param(["train/a.png", "b.png"], None, ["train/train/a.png", "train/b.png"], id="only-one-has-it"),
        pytest.param(["a.png", "b/a.png"], ["train", "val"], ["train/a.png", "val/b/a.png"], id="one-stem-two-splits"),
    ],
)
def test_names(names, splits, expected, tmp_path):
    for name in names:
        save(tmp_path / name)
    assert [p.target for p in planned(make(tmp_path, names, splits=splits)).images] == expected


@pytest.mark.parametrize(
    ("names", "code"),
    [
        pytest.param(["a.png", "a.jpg"], "EXPORT_STEM", id="one-stem-two-suffixes"),
        pytest.param(["a.png", "images/a.png"], "EXPORT_STEM", id="images-left-out"),
        pytest.param([".a.png"], "EXPORT_NAME", id="hidden"),
        pytest.param([".x/a.png"], "EXPORT_NAME", id="in-a-hidden-folder"),
        pytest.param(["../a.png"], "PATH_OUTSIDE", id="leads-out"),
    ],
)
def test_names__refused(names, code, tmp_path):
    for name in names:
        save(tmp_path / "root" / name)
    with pytest.raises(InputError) as caught:
        planned(make(tmp_path / "root", names))
    assert caught.value.code == code
    if code == "EXPORT_STEM":
        assert f"'{names[0]}' and '{names[1]}'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        pytest.param("a.ppm", Image.fromarray(NOISE), id="ppm"),
        pytest.param("a.pgm", Image.fromarray(NOISE[..., 0]), id="pgm"),
        pytest.param("a.pgm", Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257), id="pgm-16-bit"),
        pytest.param("a.gif", Image.fromarray(NOISE).quantize(16), id="gif"),
        pytest.param("a.jp2", Image.fromarray(NOISE), id="jpeg-2000"),
        pytest.param("a.pbm.png", None, id="ppm-under-another-name"),
        pytest.param("a.image", None, id="unknown-suffix"),
    ],
)
@pytest.mark.parametrize("link", [False, True])
def test_write__what_ultralytics_refuses_becomes_the_same_png(name, image, link, tmp_path):
    source = tmp_path / "root" / name
    source.parent.mkdir()
    if image is None:
        kind = "PPM" if name.endswith(".png") else "PNG"
        Image.fromarray(NOISE).save(source, kind)
    else:
        image.save(source)
    ledger = Ledger()
    plan = write(make(source.parent, [name]), tmp_path / "out", link=link, ledger=ledger)
    target = tmp_path / "out" / "images" / plan.ignored.table.images["file_name"][0]
    assert target.suffix == ".png"
    assert not target.is_symlink()
    assert target.read_bytes().startswith(b"\x89PNG")
    assert (read_rgb(target) == read_rgb(source)).all()
    assert [(line.kind, line.action, line.count) for line in ledger.steps[0].lines] == [("image", "changed", 1)]


def test_write__sixteen_bits_are_not_lost(tmp_path):
    deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1001
    save(tmp_path / "root" / "a.pgm", Image.fromarray(deep))
    write(make(tmp_path / "root", ["a.pgm"]), tmp_path / "out")
    with Image.open(tmp_path / "out" / "images" / "train" / "a.png") as image:
        assert (np.asarray(image) == deep).all()


@pytest.mark.parametrize("link", [False, True])
def test_write__copies_or_links_the_same_bytes(link, tmp_path):
    save(tmp_path / "root" / "a.jpg")
    calls = []
    write(make(tmp_path / "root", ["a.jpg"]), tmp_path / "out", link=link, progress=lambda *call: calls.append(call))
    target = tmp_path / "out" / "images" / "train" / "a.jpg"
    assert target.is_symlink() == link
    assert target.read_bytes() == (tmp_path / "root" / "a.jpg").read_bytes()
    assert calls == [("writing", 1, 1)]


def refused_by_windows(*_):
    error = OSError(22, "A required privilege is not held by the client")
    error.winerror = 1314
    raise error


def refused_by_a_stick(*_):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("refuse", [refused_by_windows, refused_by_a_stick])
def test_write__says_how_to_do_without_links_where_there_are_none(refuse, tmp_path, monkeypatch):
    save(tmp_path / "root" / "a.jpg")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(ResourceError, match=r"^LINK_REFUSED .*a\.jpg - .*developer mode.* convert auto YOUR_DATA"):
        write(make(tmp_path / "root", ["a.jpg"]), tmp_path / "out", link=True)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(("split", "is_painted"), [("train", True), ("val", False)])
def test_write__mask_paints_a_copy_in_train_alone(split, is_painted, link, tmp_path):
    source = tmp_path / "root" / "a.bmp"
    save(source)
    before = source.read_bytes()
    table = make(source.parent, ["a.bmp"], splits=[split], region=True)
    plan = write(table, tmp_path / "out", policy="mask", link=link)
    expected = NOISE.copy()
    if is_painted:
        expected[2:6, 2:8] = 114
    target = tmp_path / "out" / "images" / plan.ignored.table.images["file_name"][0]
    assert target.name == ("a.png" if is_painted else "a.bmp")
    assert (read_rgb(target) == expected).all()
    assert source.read_bytes() == before


def test_write__no_room_is_reported_before_the_first_byte(tmp_path, monkeypatch):
    save(tmp_path / "root" / "a.jpg")
    usage = type("Usage", (), {"free": 3})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="DISK_FULL"):
        write(make(tmp_path / "root", ["a.jpg"]), tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def write_video(path, n):
    """A video of grey frames, each brighter than the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 16))
    for number in range(n):
        writer.write(np.full((16, 32, 3), 10 * number, np.uint8))
    writer.release()


@pytest.mark.parametrize("link", [False, True])
def test_write__frames_of_videos_become_images_of_their_own(tmp_path, link):
    names = ["clips/a.avi#00007", "clips/a.avi#00002", "b.png", "clips/b.avi#00000"]
    for name in ("a", "b"):
        write_video(tmp_path / "root" / "clips" / f"{name}.avi", 9)
    save(tmp_path / "root" / "b.png")
    table = make(tmp_path / "root", names)
    calls, ledger = [], Ledger()
    plan = write(table, tmp_path / "out", link=link, ledger=ledger, progress=lambda *call: calls.append(call))
    targets = ["train/clips/a_00007.png", "train/clips/a_00002.png", "train/b.png", "train/clips/b_00000.png"]
    assert plan.ignored.table.images["file_name"].to_list() == targets
    assert [(line.action, line.count) for line in ledger.steps[0].lines] == [("changed", 3)]
    for target, bright in zip(targets, (70, 20, None, 0), strict=True):
        rgb = read_rgb(tmp_path / "out" / "images" / target)
        if bright is not None:
            assert abs(int(rgb[8, 16, 0]) - bright) < 5
    assert calls[-1] == ("writing", 4, 4)


def test_write__a_frame_is_painted_like_a_image(tmp_path):
    write_video(tmp_path / "root" / "a.avi", 3)
    write(make(tmp_path / "root", ["a.avi#00001"], region=True), tmp_path / "out", policy="mask")
    rgb = read_rgb(tmp_path / "out" / "images" / "train" / "a_00001.png")
    assert (rgb[2:6, 2:8] == 114).all()
    assert abs(int(rgb[10, 20, 0]) - 10) < 5


def test_write__a_frame_that_the_video_lacks_is_an_error(tmp_path):
    write_video(tmp_path / "root" / "a.avi", 3)
    with pytest.raises(InputError, match="FRAME_MISSING"):
        write(make(tmp_path / "root", ["a.avi#00001", "a.avi#00009"]), tmp_path / "out")


def test_names__of_one_stem_are_fine_where_no_file_a_stem_is_written(tmp_path):
    for name in ("a.png", "a.jpg", "a.gif"):
        save(tmp_path / name, Image.fromarray(NOISE).quantize(16) if name.endswith("gif") else None)
    ignored = plan_ignored(make(tmp_path, ["a.png", "a.jpg"]), "drop")
    images = plan_images(ignored, transcoded=(), link=False, ledger=Ledger(), by_stem=False).images
    assert [image.target for image in images] == ["train/a.png", "train/a.jpg"]
    both = plan_ignored(make(tmp_path, ["a.png", "a.gif"]), "drop")
    with pytest.raises(InputError, match=r"'a\.png' and 'a\.gif' would both be train/a\.png"):
        plan_images(
            both, transcoded=both.table.images["image_id"].to_list()[1:], link=False, ledger=Ledger(), by_stem=False
        )
