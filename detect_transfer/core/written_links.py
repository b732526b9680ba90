"""Links that are followed: those that stay in the data set that is read, and those that `convert` made to images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

import orjson

from detect_transfer.core.opening import is_link, real_path

MANIFEST = "manifest.json"
_DATA_SET: ContextVar[Path | None] = ContextVar("data_set", default=None)
WRITTEN = {"ledger.json", MANIFEST}  # both lie in a data folder of ours


def is_written_link(root: Path, path: Path) -> bool:
    """Tell whether a path is a link that `convert` made to an image, in a data folder that is `root`, or around it.

    Args:
        root: The folder of the data set that is read.
        path: A path in it.
    """
    try:
        real_root, folder = real_path(root), real_path(path.parent)
    except OSError:
        return False
    if not is_link(path) or not folder.is_relative_to(real_root):
        return False
    return any(
        (home.is_relative_to(real_root) or real_root.is_relative_to(home)) and _has_links(home)
        for home in folder.parents
    )


def is_written_folder(folder: Path) -> bool:
    """Tell whether a folder is one that `convert` wrote."""
    return all((folder / name).is_file() for name in WRITTEN)


def _has_links(folder: Path) -> bool:
    """Tell whether a folder is one that `convert` wrote with links to the images."""
    if not is_written_folder(folder):
        return False
    try:
        state = (folder / MANIFEST).stat()
        return _says_link(folder / MANIFEST, (state.st_ino, state.st_mtime_ns, state.st_size))
    except OSError:
        return False


@lru_cache(maxsize=64)
def _says_link(manifest: Path, _state: tuple[int, int, int]) -> bool:
    """Tell whether a manifest says that images are links; asked for each image, it is read once in each state."""
    try:
        content = orjson.loads(manifest.read_bytes())
    except orjson.JSONDecodeError:
        return False
    options = content.get("options") if isinstance(content, dict) else None
    return isinstance(options, dict) and options.get("image_mode") == "link"


@contextmanager
def links_within(folder: Path) -> Iterator[None]:
    """Follow links that stay in `folder`, the data set as the user gave it, while its files are read in the block."""
    token = _DATA_SET.set(folder)
    try:
        yield
    finally:
        _DATA_SET.reset(token)


def link_root() -> Path | None:
    """Return the folder of the data set that is being read, None where there is none."""
    return _DATA_SET.get()


def lies_in(folder: Path, path: Path) -> bool:
    """Tell whether a path lies in a folder when links are followed."""
    try:
        real = real_path(path)
        return real.is_relative_to(real_path(folder)) and not is_link(real)  # a loop of links leads nowhere
    except OSError:
        return False
