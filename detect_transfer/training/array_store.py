"""Arrays of one shape that are costly to make: cached in memory, or in a file that goes when the run ends."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.memory import available_memory

CacheMode = Literal["auto", "memory", "disk", "none"]
_SHARE_OF_FREE_MEMORY = 0.3
_SPARE_DISK = 1 << 30


def open_store(
    shape: tuple[int, ...], dtype: np.dtype[Any] | type, *, cache: CacheMode, memory_bytes: int, path: Path
) -> NDArray[Any] | None:
    """Return an array to be filled, in memory or in a file; None where nothing is to be cached.

    Args:
        shape: Of the whole array.
        dtype: Of its numbers.
        cache: Where; `auto` takes the memory if it fits, else nothing.
        memory_bytes: How much memory may be used.
        path: The file for `disk`; it is made, and belongs to whoever calls.

    Raises:
        ResourceError: The disk has not enough room.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if cache == "none" or size == 0 or (cache == "auto" and size > memory_bytes):
        return None
    if cache != "disk":
        return np.empty(shape, dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if size + _SPARE_DISK > free:
        raise ResourceError(
            "DISK_FULL",
            f"the cache needs {size >> 20} MiB, {free >> 20} MiB are free",
            where=path,
            field="train.cache",
            remedy="free some room, put the run folder on another disk, or set train.cache=none",
        )
    return np.memmap(path, dtype=dtype, mode="w+", shape=shape)


def memory_bytes_of(cache_mb: int | Literal["auto"]) -> int:
    """Return the bytes that may be used to cache arrays; `auto` takes a share of what is free."""
    if cache_mb != "auto":
        return cache_mb << 20
    return int(available_memory() * _SHARE_OF_FREE_MEMORY)
