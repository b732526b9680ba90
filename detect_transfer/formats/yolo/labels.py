"""Are the label files there that the images need?

A missing label, an empty one, one of another spelling and a folder of that name are four different things. Folders are
listed once, so that a hundred thousand labels cost no look-up each.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping, Sequence, Set
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.opening import real_path
from detect_transfer.core.written_links import lies_in, link_root
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_NOT_LABELS = {"classes.txt"}  # LabelImg writes its list of names beside the labels
_MOST_COMPARED = 5000


class LabelFolder:
    """One folder of labels.

    Args:
        root: The folder of the data set.
        folder: The folder of labels, relative to `root`.
        wanted: The image (relative to `root`) that each label is for, by the name of the label.
        lists: Text files that list images and may lie among the labels.
        absent: Images that are not there, which may lack their label as well.
    """

    def __init__(
        self, root: Path, folder: str, wanted: Mapping[str, str], lists: Set[Path], absent: Set[str] = frozenset()
    ) -> None:
        self.root = root
        self.path = root / folder
        self.folder = folder
        self.wanted = wanted
        self.lists = lists
        self.absent = absent
        self.files: dict[str, os.DirEntry[str]] = {}
        self.by_spelling: dict[str, str] = {}
        self.misspelt: set[str] = set()

    def present(self, *, allow_missing: bool, skip_orphans: bool, errors: ErrorCollector) -> set[str]:
        """Return the labels that are there, relative to the root; faults go to `errors`."""
        if io.is_dir(self.path):
            with os.scandir(self.path) as entries:
                self.files = {entry.name: entry for entry in entries}
        around = link_root() or self.root
        if not (lies_in(self.root, self.path) or lies_in(around, self.path)):
            errors.add(
                *("PATH_OUTSIDE", f"the folder of labels is a link that leads out of {around}"),
                where=self.path,
                remedy="put the labels themselves into the data set",
            )
            return set()
        others = [name for name in self.files if name not in self.wanted and name.lower().endswith(".txt")]
        self.by_spelling = {_spelling(name): name for name in others}
        present = {name for name in self.wanted if self._is_there(name, allow_missing, errors)}
        orphans = [name for name in others if self._is_orphan(name)]
        if skip_orphans or errors.on_error == "skip-image":
            self._note_orphans(orphans, errors)
        else:
            for name in orphans:
                self._report_orphan(name, errors)
        return {f"{self.folder}/{name}".removeprefix("/") for name in present}

    def _is_there(self, name: str, allow_missing: bool, errors: ErrorCollector) -> bool:
        entry = self.files.get(name)
        if entry is None:
            near = self.by_spelling.get(_spelling(name))
            if near is not None:
                self.misspelt.add(near)
                errors.add(
                    *("LABEL_NAME", f"the label of '{self.wanted[name]}' must be spelt exactly '{name}'"),
                    where=self.path / near,
                    image=self.wanted[name],
                    remedy="rename it",
                )
            elif not allow_missing and self.wanted[name] not in self.absent:
                errors.add(
                    *("LABEL_MISSING", f"'{self.wanted[name]}' has no label"),
                    where=self.path / name,
                    image=self.wanted[name],
                    remedy="add it (empty: no object), or read with --option allow_missing=true",
                )
            return False
        if entry.is_file(follow_symlinks=False):
            return True
        if entry.is_symlink():
            try:
                native.require_regular(self.root, self.path / name)
                return True
            except InputError as error:
                errors.put(error, image=self.wanted[name])
                return False
        errors.add(
            *("LABEL_KIND", "it is no file"),
            where=self.path / name,
            image=self.wanted[name],
            remedy="put the label itself in its place",
        )
        return False

    def _is_orphan(self, name: str) -> bool:
        """Tell whether the image of a label is nowhere; one that no split lists is no concern of ours."""
        if name.lower() in _NOT_LABELS or real_path(self.path / name) in self.lists:
            return False
        return name not in self.misspelt and not self._has_image(name)

    def _note_orphans(self, names: Sequence[str], errors: ErrorCollector) -> None:
        rows = 0
        for name in names:
            with errors.image(f"{self.folder}/{name}"):
                lines = native.lines_of(native.read_text(self.root, self.path / name))
                rows += sum(1 for line in lines if line.strip())
        labels = tuple(f"{self.folder}/{name}" for name in names)
        errors.note("label without its image", len(names), labels, kind="image")
        errors.note("their image is not there", rows, kind="box")

    def _report_orphan(self, name: str, errors: ErrorCollector) -> None:
        stems = [PurePosixPath(n).stem for n in self.wanted][:_MOST_COMPARED]
        near = get_close_matches(PurePosixPath(name).stem, stems, n=1)
        nearest = f"; the nearest is '{self.wanted[near[0] + '.txt']}'" if near else ""
        errors.add(
            *("LABEL_ORPHAN", f"there is no image of this stem{nearest}"),
            where=self.path / name,
            remedy="restore the image or remove the label, or read with missing_images=skip to leave it out",
        )

    def _has_image(self, name: str) -> bool:
        stem = PurePosixPath(name).stem
        folders = {PurePosixPath(image).parent for image in self.wanted.values()}
        return any((self.root / f / f"{stem}{suffix}").is_file() for f in folders for suffix in _SUFFIXES)


_SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))


def _spelling(name: str) -> str:
    """Return what two spellings of one name share: letter case and composed accents aside."""
    return unicodedata.normalize("NFC", name).casefold()
