"""What is there: files below a folder, with what links in a data set lead to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.split_names import split_named
from detect_transfer.core.written_links import WRITTEN, lies_in, link_root

_MOST_LINKS = 10_000  # that are followed: links among folders could go on for ever


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
        InputError: So many links were followed that they may lead to one another.
        ResourceError: A folder cannot be read.
    """
    walk = _Walk(root, frozenset(suffixes), into_written)
    walk.add("", (os.path.realpath(root),))
    return sorted(walk.once() if walk.links else walk.names)


@dataclass
class _Walk:
    """The files below a folder, and the folders that links in it lead to.

    Args:
        root: The folder.
        suffixes: As for `list_files`.
        into_written: As for `list_files`.
    """

    root: Path
    suffixes: frozenset[str]
    into_written: bool

    def __post_init__(self) -> None:
        self.names: list[str] = []
        self.links: dict[str, str] = {}  # the real target of each by its name relative to the root

    def add(self, base: str, trail: tuple[str, ...]) -> None:
        """Add what lies below ``root/base``; `trail` are the real folders of the links on the way there."""
        for folder, folders, names in os.walk(self.root / base, onerror=_cannot_list):
            below = Path(folder).relative_to(self.root)
            if below.parts and set(names) >= WRITTEN and not self.into_written:
                folders.clear()
                continue
            folders[:] = [f for f in folders if not f.startswith(".")]
            shown = (n for n in names if not n.startswith(".") and Path(n).suffix.lower() in self.suffixes)
            self.names += [(below / name).as_posix() for name in shown]
            for name in folders:
                if os.path.islink(f"{folder}/{name}"):  # noqa: PTH114 - a Path for each takes as long as a look
                    self.follow((below / name).as_posix(), (*trail, os.path.realpath(folder)))

    def follow(self, link: str, trail: tuple[str, ...]) -> None:
        """Add what lies below a link to a folder, if it stays in the data set and does not lead back above itself.

        Raises:
            InputError: So many links were followed that they may lead to one another.
        """
        target = os.path.realpath(self.root / link)
        is_above = any(Path(each).is_relative_to(target) for each in trail)
        if is_above or not lies_in(link_root() or self.root, Path(target)):
            return
        if len(self.links) == _MOST_LINKS:
            what, remedy = f"more than {_MOST_LINKS:,} links to folders", "give a folder without links to one another"
            raise InputError("LINKS_MANY", what, where=self.root, remedy=remedy)
        self.links[link] = target
        self.add(link, (*trail, target))

    def once(self) -> list[str]:
        """Return the names without those of files that a folder and a link to it both give.

        Where the folder is named after a split and the link is not, the names by the folder stay, else those by the
        link.
        """
        home = os.path.realpath(self.root)
        left_out: list[str] = []
        for link, target in self.links.items():
            folder = os.path.relpath(target, home)
            if not Path(target).is_relative_to(home):
                continue
            is_split = split_named(*folder.split("/")) and not split_named(*link.split("/"))
            left_out.append(f"{link if is_split else folder}/")
        out = tuple(left_out)
        by_link = tuple(f"{link}/" for link in self.links if not f"{link}/".startswith(out))
        return [name for name in self.names if name.startswith(by_link) or not name.startswith(out)]


def _cannot_list(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # what is not there holds nothing
        raise ResourceError(
            "FOLDER_UNREADABLE", str(error.strerror), where=error.filename, remedy="check its permissions"
        ) from error
