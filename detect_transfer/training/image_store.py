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


class ImageStore:
    """Fitted images, and the size of each file.

    In one process whose loading processes are forked they lie in its memory. Where several processes train, or where
    loading processes are spawned, they lie in a file that all of them map: the system holds its pages once.

    Attributes:
        pixels: (N, imgsz, imgsz, 3) uint8 RGB.
        sizes_hw: (N, 2) pixels of the images as read.
    """

    def __init__(self, pixels: NDArray[np.uint8], sizes_hw: NDArray[np.int32]) -> None:
        self.pixels = pixels
        self.sizes_hw = sizes_hw

    @classmethod
    def open(
        cls, count: int, imgsz: int, *, cache: CacheMode, memory_bytes: int, folder: Path, local: LocalProcesses
    ) -> ImageStore | None:
        """Return room for so many images; None where nothing is to be cached.

        Args:
            count: Of the images.
            imgsz: Pixels of a side.
            cache: Where; `auto` takes the memory if it fits, else nothing.
            memory_bytes: How much memory may be used, the same in all processes.
            folder: Where the file of a map lies; it belongs to whoever calls.
            local: The processes that share the images.

        Raises:
            ResourceError: The disk has not enough room.
        """
        size = count * imgsz * imgsz * 3
        if cache == "none" or (cache == "auto" and size > memory_bytes):
            return None
        in_file = cache == "disk" or local.count > 1 or get_start_method() != "fork"
        paths = [folder / f"{name}_{local.machine}.bin" if in_file else None for name in ("images", "sizes")]
        pixels = open_array((count, imgsz, imgsz, 3), np.uint8, paths[0], local, required=cache != "auto")
        sizes_hw = open_array((count, 2), np.int32, paths[1], local, required=cache != "auto")
        return None if pixels is None or sizes_hw is None else cls(pixels, sizes_hw)

    def fill(self, read: Callable[[int], tuple[RgbArray, tuple[int, int]]], local: LocalProcesses) -> None:
        """Read every image once; each process reads its part.

        Args:
            read: Gives the fitted image of an index, and height and width of the file.
            local: The processes that share the images.
        """

        def put(index: int) -> None:
            self.pixels[index], self.sizes_hw[index] = read(index)

        threads = max(1, cores() // local.count)
        with ThreadPoolExecutor(threads) as pool:  # decoding runs outside the interpreter lock
            list(pool.map(put, range(local.index, len(self.pixels), local.count)))
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
