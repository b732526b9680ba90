from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detect_transfer.formats.parsing.error_collector import Problems
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import Media, Named, Picture

FRAMES = {f"clips/a.mp4#{i:05d}": Named("a.xml#meta", (64, 48)) for i in range(2)}


@pytest.fixture
def root(tmp_path: Path, write: Any) -> Path:
    write("b.png", (40, 30))
    (tmp_path / "clips").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "clips/a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(2):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return tmp_path


def found(root: Path, media: Media, named: dict[str, Named]) -> tuple[dict[str, Picture], Problems]:
    problems = Problems()
    return find_media(root, named, media, problems), problems


def test_media__frames_and_pictures_keep_their_order(root: Path) -> None:
    first, second = FRAMES
    named = {first: FRAMES[first], "b.png": Named("a.xml"), second: FRAMES[second]}
    pictures, problems = found(root, Media(), named)
    assert list(pictures) == list(named)
    assert pictures[second] == Picture(second, (64, 48))
    assert pictures["b.png"].size_wh == (40, 30)
    assert problems.total == 0


def test_video__of_another_size(root: Path, check_error: Any) -> None:
    told = {name: Named("a.xml#meta", (100, 48)) for name in FRAMES}
    _, problems = found(root, Media(), told)
    check_error(problems.raise_any, "IMAGE_SIZE", "a.xml#meta", "100 x 48", "64 x 48")
    pictures, problems = found(root, Media(size_mismatch="keep"), told)
    assert {picture.size_wh for picture in pictures.values()} == {(64, 48)}
    assert problems.total == 0


def test_video__that_is_missing(root: Path, check_error: Any) -> None:
    (root / "clips/a.mp4").unlink()
    pictures, problems = found(root, Media(), FRAMES)
    assert pictures == {}
    check_error(problems.raise_any, "VIDEO_MISSING", "video=clips/a.mp4", "missing_images=keep")
    pictures, _ = found(root, Media(missing_images="keep"), FRAMES)
    assert [picture.size_wh for picture in pictures.values()] == [(64, 48)] * 2
    pictures, problems = found(root, Media(missing_images="skip"), FRAMES)
    assert pictures == {}
    assert [(line.kind, line.count) for line in problems.reading()] == [("image", 2)]


def test_video__that_is_none(root: Path, write: Any, check_error: Any) -> None:
    write("clips/a.mp4", b"no video")
    _, problems = found(root, Media(), FRAMES)
    check_error(problems.raise_any, "VIDEO_TYPE", "clips/a.mp4")
    _, problems = found(root, Media(), {"../a.mp4#00000": Named("a.xml")})
    check_error(problems.raise_any, "PATH_OUTSIDE", "a.xml", "video=../a.mp4")
