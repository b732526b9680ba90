"""Links that are followed: those that `convert` made to images, with a manifest for them, and to hidden folders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import orjson

MANIFEST = "manifest.json"
WRITTEN = {"ledger.json", MANIFEST}  # both lie in a data folder of ours


def is_written_link(root: Path, path: Path) -> bool:
    """Tell whether a path is a link that `convert` made to an image, in a data folder that is `root`, or around it.

    Args:
        root: The folder of the data set that is read.
        path: A path in it.
    """
    try:
        real_root, folder = root.resolve(), path.parent.resolve()
    except (OSError, RuntimeError):
        return False
    if not path.is_symlink() or not folder.is_relative_to(real_root):
        return False
    return any(
        (home.is_relative_to(real_root) or real_root.is_relative_to(home)) and _has_links(home)
        for home in folder.parents
    )


def _has_links(folder: Path) -> bool:
    """Tell whether a folder is one that `convert` wrote with links to the images."""
    if not all((folder / name).is_file() for name in WRITTEN):
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


def is_kept_hidden(path: Path, root: Path) -> bool:
    """Tell whether a path is a link to a hidden folder below `root`, where a tool keeps what it links to."""
    if not path.is_symlink():
        return False
    target, real = path.resolve(), root.resolve()
    return target.is_relative_to(real) and any(part.startswith(".") for part in target.relative_to(real).parts)
