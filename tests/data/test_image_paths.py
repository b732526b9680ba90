"""Paths of images as columns: a mapping like any other, in a few bytes an image."""

from pathlib import Path

import polars as pl
import pytest

from detect_transfer.data.image_paths import ImagePaths


def test_paths__are_found_by_id(tmp_path: Path) -> None:
    paths = ImagePaths(tmp_path, pl.DataFrame({"image_id": [7, 2], "file_name": ["b/c.png", "a.png"]}))
    assert dict(paths) == {2: tmp_path / "a.png", 7: tmp_path / "b/c.png"}
    for absent in (1, 3, 8):
        with pytest.raises(KeyError):
            paths[absent]


def test_paths__take_less_memory_than_objects(tmp_path: Path) -> None:
    images = pl.DataFrame({"image_id": range(20_000), "file_name": [f"train/{i:06}.jpg" for i in range(20_000)]})
    paths = ImagePaths(tmp_path, images)
    assert paths[12_345].name == "012345.jpg"
    assert paths.nbytes < 60 * len(images)
