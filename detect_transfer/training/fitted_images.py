"""Fitted training images in a folder that outlives a run, so that the next one need not decode them again.

A file holds the pixels of an image without the grey around them. Its name is a hash of what the pixels come of: the
file of the image by its device, inode, length and times, how it is decoded and what it is fitted to, and the code that
does so. Nothing is taken from a file whose own hash does not agree.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.core.opening import open_regular
from detect_transfer.models.letterbox import PAD_VALUE, fit_of
from detect_transfer.training.array_store import LocalProcesses
from detect_transfer.training.shapes import ShapeGroups

logger = logging.getLogger(__name__)

SUFFIX = ".fitted"
_UNFINISHED = ".tmp"
_A_DAY_NS = 86_400 * 10**9
_CLOCK_NS = 2 * 10**9  # the coarsest clock of a file system: two changes within it may bear one time
_DECODERS = ("simplejpeg", "pillow", "numpy", "opencv-python-headless")
_HEAD = np.dtype("<i4")
_HEAD_BYTES, _HASH_BYTES = 2 * _HEAD.itemsize, 32

Read = Callable[[], tuple[RgbArray, tuple[int, int]]]


class FittedImages:
    """Fitted images by the files that they come of.

    Several runs may use a folder at once: each file is written whole under another name and renamed, and one that goes
    meanwhile is read again.

    Args:
        folder: Where they lie; it is made.
        decode: As for `ImageOptions`.
        intake: As for `ImageOptions`.
        most_bytes: What the folder may hold; see `make_room`.

    Raises:
        InputError: The folder is a file.
    """

    def __init__(self, folder: Path, *, decode: str, intake: Intake | None, most_bytes: int) -> None:
        if folder.exists() and not folder.is_dir():
            what, remedy = "a folder was expected here, for fitted images", "give another folder"
            raise InputError("FILE_KIND", what, where=folder, field="train.cache_folder", remedy=remedy)
        self.folder = folder
        self._intake = intake
        self._most_bytes = most_bytes
        self._may_write = False
        versions = {name: version(name) for name in _DECODERS}
        self._made_by = json.dumps([code_sha256(), versions, decode, intake.as_json() if intake else None])

    def prepare(self, paths: Sequence[Path], groups: ShapeGroups, local: LocalProcesses) -> None:
        """Make room for the images of a run; the first process of a machine makes it for all."""
        sizes = [groups.size_of(index) for index in range(len(paths))]
        if local.index > 0:
            local.wait()
        self.make_room(paths, sizes)
        if local.index == 0:
            local.wait()

    def make_room(self, paths: Sequence[Path], sizes: Sequence[InputSize]) -> None:
        """Remove what was not used for the longest time, so that these images fit into the folder; then they are kept.

        Where they alone are more than it may hold, those that are there are used, and no others are kept.

        Args:
            paths: The images of a run.
            sizes: What each is fitted to.
        """
        own = {self._file(path, size): 3 * size.area for path, size in zip(paths, sizes, strict=True)}
        there = dict(_states(self.folder))
        needed = sum(size for file, size in own.items() if file is not None and file not in there)
        total = sum(state.st_size for state in there.values())
        others = sorted((file for file in there if file not in own), key=lambda file: there[file].st_mtime_ns)
        for file in others:
            if total + needed <= self._most_bytes:
                break
            try:
                file.unlink()
            except OSError:  # of another run that was quicker, or the folder is read-only
                continue
            total -= there[file].st_size
        self._may_write = total + needed <= self._most_bytes
        if not self._may_write:
            logger.warning(
                "train.cache_folder may hold %d MB and these images need %d MB: no more are kept; give a larger "
                "train.cache_folder_mb",
                *(self._most_bytes >> 20, needed >> 20),
            )

    def get(self, path: Path, size: InputSize, read: Read) -> tuple[RgbArray, tuple[int, int]]:
        """Return a fitted image (H, W, 3), and height and width of its file; read it where it is not there.

        Args:
            path: The file.
            size: What it is fitted to.
            read: Reads and fits it.

        Raises:
            InputError: As for `read`.
        """
        file = self._file(path, size)
        found = None if file is None else self._load(file, size)
        if found is not None:
            return found
        pixels, size_hw = read()
        # a file that changes while it is read, or just before, might bear the times of what it was
        if file is not None and self._may_write and self._file(path, size) == file:
            self._keep(file, pixels, size_hw, size)
        return pixels, size_hw

    def _file(self, path: Path, size: InputSize) -> Path | None:
        """Return the file of an image; None for one that was changed just now, or that is not there."""
        try:
            state = os.stat(path)  # noqa: PTH116 - of what a link leads to
        except (OSError, ValueError):
            return None
        changed = max(state.st_mtime_ns, state.st_ctime_ns)
        if changed > time.time_ns() - _CLOCK_NS:
            return None
        camera = "" if self._intake is None else self._intake.camera_of(str(path))
        of_file = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        name = hashlib.sha256(json.dumps([self._made_by, of_file, size.hw, camera]).encode()).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}{SUFFIX}"

    def _load(self, file: Path, size: InputSize) -> tuple[RgbArray, tuple[int, int]] | None:
        """Return what a file holds; None where it is not there or is damaged."""
        try:
            with open_regular(file) as stream:
                data = stream.read()
        except (OSError, InputError):
            return None
        if data[:_HASH_BYTES] != _digest(file, memoryview(data)[_HASH_BYTES:]):
            logger.warning("%s is damaged: its image is decoded again", file)
            return None
        height, width = np.frombuffer(data, _HEAD, 2, _HASH_BYTES).tolist()
        rows, columns, whole = _inside(height, width, size)
        pixels = np.full((*whole, 3), PAD_VALUE, dtype=np.uint8)
        shape = rows.stop - rows.start, columns.stop - columns.start, 3
        pixels[rows, columns] = np.frombuffer(data, np.uint8, offset=_HASH_BYTES + _HEAD_BYTES).reshape(shape)
        with suppress(OSError):  # of another user, or gone
            os.utime(file)  # it was used now
        return pixels, (height, width)

    def _keep(self, file: Path, pixels: RgbArray, size_hw: tuple[int, int], size: InputSize) -> None:
        """Write a fitted image; where the disk does not let us, no more are written."""
        rows, columns, _ = _inside(*size_hw, size)
        content = np.array(size_hw, _HEAD).tobytes() + np.ascontiguousarray(pixels[rows, columns]).tobytes()
        # several threads may come to one file, that of images which are links to each other
        temporary = file.with_name(f"{file.stem}.{os.getpid()}.{threading.get_ident()}{_UNFINISHED}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_digest(file, content) + content)
            temporary.replace(file)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if self._may_write:
                logger.warning("%s: %s: no more fitted images are kept there", self.folder, error.strerror or error)
            self._may_write = False


def _inside(height: int, width: int, size: InputSize) -> tuple[slice, slice, tuple[int, int]]:
    """Return the rows and the columns that an image takes of what it is fitted to, and the size of that."""
    fit, whole = fit_of(height, width, size)
    inner_h, inner_w = round(fit.scale_y * height), round(fit.scale_x * width)
    return slice(fit.top, fit.top + inner_h), slice(fit.left, fit.left + inner_w), whole


def _digest(file: Path, content: bytes | memoryview) -> bytes:
    """Return the hash of what a file holds under its name."""
    digest = hashlib.sha256(file.name.encode())
    digest.update(content)
    return digest.digest()


def _states(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Give the files of ours in a folder, without what killed runs left half-written, which is removed."""
    for path in folder.glob("??/*"):
        with suppress(OSError):  # another run may have removed it
            state = path.stat()
            if path.suffix == SUFFIX:
                yield path, state
            elif path.suffix == _UNFINISHED and time.time_ns() - state.st_mtime_ns > _A_DAY_NS:
                path.unlink()
