"""The files of images by their id, as columns: a path object for each of a million images would take their memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from detect_transfer.core.arrays import IntArray


class ImagePaths(Mapping[int, Path]):
    """The file of each image_id; a path is made when it is asked for.

    Args:
        root: The folder of the images.
        images: `image_id` and `file_name` relative to the root, without doubles.
    """

    def __init__(self, root: Path, images: pl.DataFrame) -> None:
        rows = images.select("image_id", "file_name").sort("image_id")
        self._root = root
        self._ids: IntArray = rows["image_id"].to_numpy()
        self._names = rows["file_name"]

    def __getitem__(self, image_id: int) -> Path:
        """Return the file of an image."""
        row = int(np.searchsorted(self._ids, image_id))
        if row == len(self._ids) or self._ids[row] != image_id:
            raise KeyError(image_id)
        return self._root / str(self._names[row])

    def __iter__(self) -> Iterator[int]:
        """Give the ids in order."""
        return iter(self._ids.tolist())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._ids)

    @property
    def nbytes(self) -> int:
        """The bytes that it holds."""
        return int(self._ids.nbytes + self._names.estimated_size())
