from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.pedestrians import jaad

XML = "annotations/video_0001.xml"


@pytest.fixture
def root(sample: Any) -> Path:
    path: Path = sample("jaad")
    return path


def edit(root: Path, old: str, new: str) -> Path:
    path = root / XML
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_box__behaviour_track_and_occlusion(root: Path) -> None:
    table = jaad.read(root)
    first, second, group, hidden = table.boxes.iter_rows(named=True)
    assert json.loads(first["attributes"])["action"] == "standing"
    assert (first["track_id"], first["occluded"], first["ignore_reason"]) == ("0_1_3b", 0.0, None)
    assert (group["category_id"], group["ignore_reason"]) == (None, "people")
    assert second["occluded"] == 0.25
    assert (hidden["occluded"], hidden["ignore"]) == (0.75, False)
    facts = table.images.select("group", "time_of_day", "weather", "location").unique(maintain_order=True).rows()
    assert facts == [("video_0001", "daytime", "cloudy", "plaza"), ("video_0002", "daytime", "rain", "plaza")]


def test_full_occlusion__is_ignored_when_asked(root: Path) -> None:
    boxes = jaad.read(root, fully_occluded="ignore").boxes
    assert boxes["ignore_reason"].to_list() == [None, None, "people", "fully occluded"]


def test_frames__are_those_of_videos_where_there_are_no_images(root: Path, write: Any, check_error: Any) -> None:
    for path in (root / "images").rglob("*.png"):
        path.unlink()
    names = jaad.read(root, missing_images="keep").images["file_name"].to_list()
    assert names[0] == "images/video_0001/00000.png"
    write("jaad/JAAD_clips/video_0001.mp4", b"")
    (root / "annotations/video_0002.xml").unlink()
    check_error(lambda: jaad.read(root), "VIDEO_EMPTY", "JAAD_clips/video_0001.mp4")


FAULTS = [
    pytest.param('label="pedestrian"', "", "OBJECT_NAME", "no label", id="no-label"),
    pytest.param('frame="0"', 'frame="-1"', "XML_NUMBER", "frame=-1", id="frame"),
    pytest.param('xtl="3.0"', 'xtl="nan"', "XML_NUMBER", "xtl=nan", id="number"),
    pytest.param('xtl="3.0"', "", "XML_NUMBER", "xtl=None", id="no-number"),
    pytest.param('xtl="3.0"', 'xtl="13.0"', "BOX_INVALID", "xbr must be >= xtl", id="inverted"),
    pytest.param('outside="0"', 'outside="2"', "XML_NUMBER", "outside=2", id="flag"),
]


@pytest.mark.parametrize(("old", "new", "code", "part"), FAULTS)
def test_box__fault_names_track_and_box(old: str, new: str, code: str, part: str, root: Path, check_error: Any) -> None:
    path = edit(root, old, new)
    check_error(lambda: jaad.read(root), code, f"{path}#track[1]/box[1] ", part)


def test_video__with_more_frames_than_a_video_has(root: Path, check_error: Any) -> None:
    path = edit(root, "<size>3</size>", "<size>99999999999</size>")
    check_error(lambda: jaad.read(root), "VIDEO_LENGTH", f"{path}#meta", "99,999,999,999 frames")


def test_frame__beyond_the_images(root: Path, check_error: Any) -> None:
    edit(root, 'frame="2"', 'frame="3"')
    check_error(lambda: jaad.read(root), "IMAGE_MISSING", "00003")


def test_splits__by_the_list_that_is_asked_for(root: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: jaad.read(root, split="all_videos"), "OPTION_VALUE", "split=all_videos", "default")
    path = write("jaad/split_ids/default/val.txt", "video_0001\n")
    check_error(lambda: jaad.read(root), "SPLIT_TWICE", f"{path}:1", "train.txt")


def test_real__every_box_of_two_videos(shared: Path) -> None:
    root = shared / "annotations_only" / "jaad"
    table = jaad.read(root, missing_images="keep")
    texts = {path.stem: path.read_text() for path in sorted((root / "annotations").glob("*.xml"))}
    assert len(table.boxes) == sum(text.count("<box ") for text in texts.values()) == 1077 + 1201
    frames = {stem: int(re.findall(r"<size>(\d+)</size>", text)[0]) for stem, text in texts.items()}
    assert Counter(table.images["group"]) == frames == {"video_0001": 600, "video_0005": 240}
    assert table.images.select("width", "height").unique().rows() == [(1920, 1080)]
    hidden = Counter(value for text in texts.values() for value in re.findall(r'"occlusion">(\w+)<', text))
    assert Counter(table.boxes["occluded"]) == {0.0: hidden["none"], 0.25: hidden["part"], 0.75: hidden["full"]}
    lefts = sum(float(value) for text in texts.values() for value in re.findall(r'xtl="([\d.]+)"', text))
    assert table.boxes["x1"].sum() == pytest.approx(lefts)
    assert table.boxes["track_id"].n_unique() == 12
