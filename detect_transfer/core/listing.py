"""What is there: files below a folder, with what links in a data set lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from detect_transfer.core.errors import ResourceError
from detect_transfer.core.written_links import WRITTEN, lies_in, link_root


def is_file(path: Path | str) -> bool:
    """Tell whether there is a file; of a name that no disk can have, where `Path` raises, there is none."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path | str) -> bool:
    """Tell whether there is something, as `is_file` does."""
    return os.path.exists(path)  # noqa: PTH110


def is_dir(path: Path | str) -> bool:
    """Tell whether there is a folder, as `is_file` does."""
    return os.path.isdir(path)  # noqa: PTH112


def list_files(root: Path, suffixes: Sequence[str], *, into_written: bool = False) -> list[str]:
    """List the files below `root` whose lower-case suffix is listed, as sorted relative names with forward slashes.

    Hidden files are left out. A link to a folder that stays in the data set (see `links_within`; `root` itself where
    none is being read) is followed, and what it leads to is listed by the link alone; one that leads out is not, nor
    one that leads back above itself, so a loop of links ends. A link to a file that leads out is refused by
    `safe_join` where the file is used.

    Args:
        root: The folder.
        suffixes: In lower case, with their dots.
        into_written: Look into folders below it that `convert` wrote; without, an output folder inside its source
            is left out.

    Raises:
        ResourceError: A folder cannot be read.
    """
    listed: list[str] = []
    linked = _list_into(listed, root, "", (os.path.realpath(root),), set(suffixes), into_written=into_written)
    return sorted(listed) if not linked else sorted(_without_targets(listed, root, linked))


def _list_into(
    listed: list[str], root: Path, base: str, trail: tuple[str, ...], suffixes: set[str], *, into_written: bool
) -> dict[str, str]:
    """List the files below ``root/base`` into `listed`; return the folders that links in it lead to.

    Args:
        listed: Names relative to `root`.
        root: The folder that is listed.
        base: A link below it whose target is listed now; "" for the root.
        trail: The real folders of the root and of the links on the way to here.
        suffixes: As for `list_files`.
        into_written: As for `list_files`.

    Returns:
        The real target of each link by its name relative to `root`.
    """
    links: dict[str, str] = {}
    for folder, folders, names in os.walk(root / base, onerror=_cannot_list):
        below = Path(folder).relative_to(root)
        if below.parts and set(names) >= WRITTEN and not into_written:
            folders.clear()
            continue
        folders[:] = [f for f in folders if not f.startswith(".")]
        shown = (n for n in names if not n.startswith(".") and Path(n).suffix.lower() in suffixes)
        listed += [(below / name).as_posix() for name in shown]
        for name in folders:
            if not os.path.islink(f"{folder}/{name}"):  # noqa: PTH114 - a Path for each takes as long as a look
                continue
            target, real = os.path.realpath(f"{folder}/{name}"), os.path.realpath(folder)
            is_above = any(Path(each).is_relative_to(target) for each in (*trail, real))
            if not is_above and lies_in(link_root() or root, Path(target)):
                link = (below / name).as_posix()
                further = _list_into(listed, root, link, (*trail, real, target), suffixes, into_written=into_written)
                links |= {link: target, **further}
    return links


def _without_targets(listed: Sequence[str], root: Path, links: Mapping[str, str]) -> list[str]:
    """Return the names without those of files that a link leads to, which are listed by the link."""
    home = os.path.realpath(root)
    shadowed = tuple(f"{os.path.relpath(t, home)}/" for t in links.values() if Path(t).is_relative_to(home))
    by_link = tuple(f"{link}/" for link in links)
    return [name for name in listed if name.startswith(by_link) or not name.startswith(shadowed)]


def _cannot_list(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # what is not there holds nothing
        raise ResourceError(
            "FOLDER_UNREADABLE", str(error.strerror), where=error.filename, remedy="check its permissions"
        ) from error
