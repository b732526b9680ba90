"""Where annotations and images lie: files of an export, paths of other machines, splits in names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from detect_transfer.core import io
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.split_names import split_named as split_named
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_FOREIGN = re.compile(
    r"^[/\\]|^.:|\\|//|/[A-Za-z]:/|(^|/)\.\.(/|$)|^[A-Za-z][A-Za-z0-9+.-]*://"
)  # what leads out of the folder
MOVED = "found by the end of their paths"


def is_foreign(path: str) -> bool:
    """Tell whether a path leads out of its folder, as one of another machine or an address does."""
    # most names are plain: this takes a tenth of the time of the pattern
    may_be = path[:1] == "/" or "\\" in path or ":" in path or "//" in path or ".." in path
    return may_be and _FOREIGN.search(path) is not None


def split_of_path(name: str) -> str | None:
    """Return the split that a folder of a relative path names, or None."""
    return split_named(*PurePosixPath(name).parts[:-1])


def name_other_splits(parts: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether the folders of two paths name splits, and no common one: ``train/1.png`` is not ``val/1.png``.

    Args:
        parts: Of one path, the file last.
        other: Of the other.
    """
    splits, others = ({split_named(folder) for folder in each[:-1]} - {None} for each in (parts, other))
    return bool(splits and others) and splits.isdisjoint(others)


def path_of_address(address: str) -> str:
    """Return the relative path that an address means.

    ``s3://bucket/a/b.jpg`` -> ``a/b.jpg``, ``/data/local-files/?d=a/b.jpg`` -> ``a/b.jpg``; backslashes become slashes,
    a drive and leading slashes go.
    """
    try:
        parts = urlsplit(address) if "://" in address or address.startswith("/data/") else None
    except ValueError:  # such as a bracket that is no IPv6 address
        parts = None
    path = address
    if parts is not None:
        path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    path = path.replace("\\", "/")
    path = path[2:] if path[1:2] == ":" else path
    return path.lstrip("/")


def foreign_tails(path: str) -> list[str]:
    r"""Return the tails of a path of another machine that may be meant here, longest first; none of them leads out.

    ``C:\data\images\a.png`` -> ``data/images/a.png``, ``images/a.png``, ``a.png``.
    """
    parts = [part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", ".", "..")]
    parts = parts[1:] if parts and parts[0].endswith(":") else parts
    return ["/".join(parts[i:]) for i in range(len(parts))]


class NearbyImages:
    """The images below a folder, to be found by paths of another machine.

    One whose path names another split is never meant: it is another image of the same name.

    Args:
        root: The folder.
        suffixes: What the names of other files, such as videos, end with.
    """

    def __init__(self, root: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> None:
        paths = io.list_files(root, suffixes) if root.is_dir() else []
        self._fill(dict(zip(paths, paths, strict=True)))

    @classmethod
    def of(cls, path_of: Mapping[str, str]) -> NearbyImages:
        """Return those of some images, each by the path that is looked for, such as the one without its suffix."""
        nearby = cls.__new__(cls)
        nearby._fill(path_of)
        return nearby

    def _fill(self, path_of: Mapping[str, str]) -> None:
        self._moved: dict[str, str] = {}
        self._by_name: dict[str, list[tuple[str, ...]]] = {}
        self._path_of = path_of
        for path in sorted(path_of):
            parts = PurePosixPath(path).parts
            self._by_name.setdefault(parts[-1], []).append(parts)

    def __contains__(self, base_name: str) -> bool:
        """Tell whether some folder holds an image of this name."""
        return base_name in self._by_name

    def only(self, path: str) -> str | None:
        """Return the one image that shares most of its last parts with a path, None where there is none or several."""
        nearest, _ = self._nearest(path)
        return self._path_of[nearest[0]] if len(nearest) == 1 else None

    def nearest(self, path: str) -> str:
        """Return the image that shares most of its last parts with a path.

        A path that no image ends like stays as it is, and so does the shared part where several are equally near.
        """
        nearest, n_shared = self._nearest(path)
        if len(nearest) == 1 and nearest[0] != path:
            self._moved[path] = nearest[0]
        return nearest[0] if len(nearest) == 1 else "/".join(PurePosixPath(path).parts[-n_shared:]) if nearest else path

    def _nearest(self, path: str) -> tuple[list[str], int]:
        """Return the images that share most of their last parts with a path, and how many parts these are."""
        if path in self._path_of:
            return [path], 0
        parts = PurePosixPath(path).parts
        named_alike = self._by_name.get(parts[-1] if parts else "", ())
        shared = {other: _shared_tail(parts, other) for other in named_alike if not name_other_splits(parts, other)}
        most = max(shared.values(), default=0)
        return ["/".join(other) for other, count in shared.items() if count == most], most

    def remark(self, errors: ErrorCollector) -> None:
        """Note how many images lie elsewhere than their paths say."""
        examples = tuple(f"{path} is {image}" for path, image in self._moved.items())
        errors.remark(MOVED, len(examples), examples, kind="image")


def _shared_tail(parts: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    while count < min(len(parts), len(other)) and parts[-1 - count] == other[-1 - count]:
        count += 1
    return count
