from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.parsing.locations import (
    NearbyImages,
    path_of_address,
    split_named,
    split_of_path,
)


@pytest.mark.parametrize(
    ("address", "path"),
    [
        pytest.param("a/b.jpg", "a/b.jpg", id="path"),
        pytest.param("s3://bucket/a/b c.jpg", "a/b c.jpg", id="s3"),
        pytest.param("https://host/a%20b.jpg?x=1", "a b.jpg", id="http"),
        pytest.param("/data/local-files/?d=sub/a.jpg", "sub/a.jpg", id="local-files"),
        pytest.param("http://host:8080/data/local-files/?d=sub/a%20b.jpg", "sub/a b.jpg", id="local-files-of-host"),
        pytest.param("/data/upload/1/x.png", "data/upload/1/x.png", id="upload"),
        pytest.param("C:\\images\\a.jpg", "images/a.jpg", id="drive"),
        pytest.param("http://[::1/a.jpg", "http://[::1/a.jpg", id="no-address"),
    ],
)
def test_path_of_address__is_relative(address: str, path: str) -> None:
    assert path_of_address(address) == path


def test_nearby__takes_the_longest_shared_end(write: Any, tmp_path: Path) -> None:
    for name in ("x/train/a.jpg", "x/val/a.jpg", "b.jpg"):
        write(name, (4, 3))
    nearby = NearbyImages(tmp_path)
    assert nearby.nearest("home/data/val/a.jpg") == "x/val/a.jpg"
    assert nearby.nearest("x/train/a.jpg") == "x/train/a.jpg"
    assert nearby.nearest("far/away/b.jpg") == "b.jpg"
    assert nearby.nearest("other/a.jpg") == "a.jpg"  # both are equally near
    assert nearby.nearest("other/c.jpg") == "other/c.jpg"
    assert nearby.nearest("") == ""
    assert "a.jpg" in nearby
    assert "c.jpg" not in nearby


def test_split_named__by_the_usual_words() -> None:
    assert [split_named(word) for word in ("Train", "VALID", "validation", "testing", "other", "")] == [
        *("train", "val", "val", "test", None, None)
    ]
    assert split_named(None, "other", "Test") == "test"


@pytest.mark.parametrize(
    ("name", "split"),
    [("a/Train/b.png", "train"), ("valid/b.png", "val"), ("training/b.png", "train"), ("test.png", None)],
)
def test_split_of_path__is_that_of_a_folder(name: str, split: str | None) -> None:
    assert split_of_path(name) == split


@pytest.mark.parametrize(
    ("paths", "path", "image"),
    [
        (["a.png", "val/a.png"], "home/u/a.png", None),
        (["a.png", "val/a.png"], "home/val/a.png", "val/a.png"),
        (["a.png", "val/a.png"], "a.png", "a.png"),
        (["val/a.png"], "home/u/b.png", None),
        (["val/a.png"], "home/train/a.png", None),
        (["x/Valid/a.png"], "home/val/y/a.png", "x/Valid/a.png"),
        (["val/a.png"], "training/val/a.png", "val/a.png"),
        (["a.png"], "home/train/a.png", "a.png"),
    ],
)
def test_only__is_the_one_image_that_a_path_can_mean(paths: list[str], path: str, image: str | None) -> None:
    assert NearbyImages.of(dict(zip(paths, paths, strict=True))).only(path) == image
