"""Arrays of one shape that are costly to make: cached in memory, or in a file that goes when the run ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from numpy.typing import NDArray

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.memory import available_memory

CacheMode = Literal["auto", "memory", "disk", "none"]
_SHARE_OF_FREE_MEMORY = 0.3
_SPARE_DISK = 1 << 30


@dataclass(frozen=True)
class LocalProcesses:
    """The processes of a run on one machine.

    Args:
        index: Which of them this is.
        count: How many there are.
        machine: Which machine this is.
        wait: Returns when all processes have come so far.
    """

    index: int = 0
    count: int = 1
    machine: int = 0
    wait: Callable[[], None] = lambda: None

    @classmethod
    def of(cls, accelerator: Accelerator) -> LocalProcesses:
        """Return those beside this process, as `torchrun` says."""
        count = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if accelerator.num_processes > 1 else 1
        machine = accelerator.process_index // count
        return cls(accelerator.local_process_index, count, machine, accelerator.wait_for_everyone)


def open_array(
    shape: tuple[int, ...], dtype: np.dtype[Any] | type, path: Path | None, local: LocalProcesses, *, required: bool
) -> NDArray[Any] | None:
    """Return an array in memory, or one in a file that the first process of a machine makes for all.

    Args:
        shape: Of the whole array.
        dtype: Of its numbers.
        path: The file; None takes the memory of this process.
        local: The processes that share it; all of them must call.
        required: Raise where the disk has not enough room; else return None.

    Raises:
        ResourceError: The disk has not enough room.
    """
    if path is None:
        return np.zeros(shape, dtype)
    array = None
    if local.index == 0:
        path.unlink(missing_ok=True)
        try:
            array = _make_map(path, shape, dtype)
        except ResourceError:
            if required:
                raise
    local.wait()
    if local.index > 0 and path.exists():
        array = np.memmap(path, dtype, "r+", shape=shape)
    return array


def memory_bytes_of(cache_mb: int | Literal["auto"]) -> int:
    """Return the bytes that may be used to cache arrays; `auto` takes a share of what is free."""
    if cache_mb != "auto":
        return cache_mb << 20
    return int(available_memory() * _SHARE_OF_FREE_MEMORY)


def _make_map(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any] | type) -> NDArray[Any]:
    """Return an array in a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
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
