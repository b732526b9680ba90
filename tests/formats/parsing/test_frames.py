from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import FoundImage, ImageLookup, ImageRef

FRAMES = {f"clips/a.mp4#{i:05d}": ImageRef("a.xml#meta", (64, 48)) for i in range(2)}


@pytest.fixture
def root(tmp_path: Path, write: Any) -> Path:
    write("b.png", (40, 30))
    (tmp_path / "clips").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "clips/a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(2):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return tmp_path


def found(root: Path, media: ImageLookup, named: dict[str, ImageRef]) -> tuple[dict[str, FoundImage], ErrorCollector]:
    problems = ErrorCollector()
    return find_media(root, named, media, problems), problems


def test_media__frames_and_images_keep_their_order(root: Path) -> None:
    first, second = FRAMES
    named = {first: FRAMES[first], "b.png": ImageRef("a.xml"), second: FRAMES[second]}
    images, problems = found(root, ImageLookup(), named)
    assert list(images) == list(named)
    assert images[second] == FoundImage(second, (64, 48))
    assert images["b.png"].size_wh == (40, 30)
    assert problems.total == 0


def test_video__of_another_size(root: Path, check_error: Any) -> None:
    refs = {name: ImageRef("a.xml#meta", (100, 48)) for name in FRAMES}
    _, problems = found(root, ImageLookup(), refs)
    check_error(problems.raise_any, "IMAGE_SIZE", "a.xml#meta", "100 x 48", "64 x 48")
    images, problems = found(root, ImageLookup(size_mismatch="keep"), refs)
    assert {image.size_wh for image in images.values()} == {(64, 48)}
    assert problems.total == 0


def test_video__that_is_missing(root: Path, check_error: Any) -> None:
    (root / "clips/a.mp4").unlink()
    images, problems = found(root, ImageLookup(), FRAMES)
    assert images == {}
    check_error(problems.raise_any, "VIDEO_MISSING", "video=clips/a.mp4", "missing_images=keep")
    images, _ = found(root, ImageLookup(missing_images="keep"), FRAMES)
    assert [image.size_wh for image in images.values()] == [(64, 48)] * 2
    images, problems = found(root, ImageLookup(missing_images="skip"), FRAMES)
    assert images == {}
    assert [(line.kind, line.count) for line in problems.reading()] == [("image", 2)]


def test_video__that_is_none(root: Path, write: Any, check_error: Any) -> None:
    write("clips/a.mp4", b"no video")
    _, problems = found(root, ImageLookup(), FRAMES)
    check_error(problems.raise_any, "VIDEO_TYPE", "clips/a.mp4")
    _, problems = found(root, ImageLookup(), {"../a.mp4#00000": ImageRef("a.xml")})
    check_error(problems.raise_any, "PATH_OUTSIDE", "a.xml", "video=../a.mp4")
