"""Training images that are fitted once: decoded by all processes of a machine together, held once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_start_method
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.threads import cores
from detect_transfer.training.array_store import CacheMode, LocalProcesses, open_array
from detect_transfer.training.shapes import ShapeGroups


class ImageStore:
    """Fitted images, and the size of each file.

    In one process whose loading processes are forked they lie in its memory. Where several processes train, or where
    loading processes are spawned, they lie in a file that all of them map: the system holds its pages once.

    Attributes:
        pixels: The bytes of all images, one after the other.
        sizes_hw: (N, 2) pixels of the images as read.
        groups: What they are fitted to.
    """

    def __init__(self, pixels: NDArray[np.uint8], sizes_hw: NDArray[np.int32], groups: ShapeGroups) -> None:
        self.pixels = pixels
        self.sizes_hw = sizes_hw
        self.groups = groups
        areas = np.array([size.area for size in groups.sizes], dtype=np.int64)
        self._ends = 3 * np.cumsum(areas[groups.of_image])

    def image(self, index: int) -> RgbArray:
        """Return a fitted image (H, W, 3), which is not a copy."""
        size, end = self.groups.size_of(index), self._ends[index]
        return self.pixels[end - 3 * size.area : end].reshape(*size.hw, 3)

    @classmethod
    def open(
        cls, groups: ShapeGroups, *, cache: CacheMode, memory_bytes: int, folder: Path, local: LocalProcesses
    ) -> ImageStore | None:
        """Return room for images; None where nothing is to be cached.

        Args:
            groups: Of the images.
            cache: Where; `auto` takes the memory if it fits, else nothing.
            memory_bytes: How much memory may be used, the same in all processes.
            folder: Where the file of a map lies; it belongs to whoever calls.
            local: The processes that share the images.

        Raises:
            ResourceError: The disk has not enough room.
        """
        size, count = 3 * groups.pixels, len(groups.of_image)
        if cache == "none" or (cache == "auto" and size > memory_bytes):
            return None
        in_file = cache == "disk" or local.count > 1 or get_start_method() != "fork"
        paths = [folder / f"{name}_{local.machine}.bin" if in_file else None for name in ("images", "sizes")]
        pixels = open_array((size,), np.uint8, paths[0], local, required=cache != "auto")
        sizes_hw = open_array((count, 2), np.int32, paths[1], local, required=cache != "auto")
        return None if pixels is None or sizes_hw is None else cls(pixels, sizes_hw, groups)

    def fill(self, read: Callable[[int], tuple[RgbArray, tuple[int, int]]], local: LocalProcesses) -> None:
        """Read every image once; each process reads its part.

        Args:
            read: Gives the fitted image of an index, and height and width of the file.
            local: The processes that share the images.
        """

        def put(index: int) -> None:
            self.image(index)[:], self.sizes_hw[index] = read(index)

        threads = max(1, cores() // local.count)
        with ThreadPoolExecutor(threads) as pool:  # decoding runs outside the interpreter lock
            list(pool.map(put, range(local.index, len(self.sizes_hw), local.count)))
        local.wait()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a spawned process needs: of a file its name, not what is in it."""
        return {
            name: (array.filename, array.dtype, array.shape) if isinstance(array, np.memmap) else array
            for name, array in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the files again."""
        for name, array in state.items():
            if isinstance(array, tuple):
                file, dtype, shape = array
                array = np.memmap(file, dtype, "r", shape=shape)
            setattr(self, name, array)
