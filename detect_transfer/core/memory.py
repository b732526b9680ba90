"""How much memory a process may still take: what the machine has available, within the limits of its control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

# of torch on a CPU and on a GPU, oneDNN, OpenCV, C++ and numpy, for a memory that holds no more
_FULL = (
    *("can't allocate memory", "out of memory", "could not create a primitive", "could not create a memory"),
    *("insufficient memory", "failed to allocate", "bad allocation", "bad_alloc", "cannot allocate memory"),
    *("not enough memory", "unable to allocate"),
)
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that can be taken without swapping; pages that only cache files count as available.

    Args:
        root: Where `proc` and `sys` are.

    Source: Linux, Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
    """
    return min([int(psutil.virtual_memory().available), *_left_in_groups(root)])


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says, in the words of whatever library, that the memory is full."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _FULL)


def _left_in_groups(root: Path) -> Iterator[int]:
    """Give what each control group around this process leaves, the innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not on Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        # in a container the path may be that outside of it, while the mount begins inside
        for folder in (mount / path.strip("/"), *(mount / path.strip("/")).parents):
            if (left := _left(folder, *(_V1 if controllers else _V2))) is not None:
                yield left
            if folder == mount:
                break


def _left(folder: Path, limit: str, usage: str, cached: str) -> int | None:
    """Return the bytes that a control group leaves; None where it has no limit."""
    try:
        most = (folder / limit).read_text().strip()
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:
        return None
    return None if most == "max" else max(0, int(most) - used + int(stat.get(cached, 0)))
