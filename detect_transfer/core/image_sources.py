"""Where images come from, as a stream: files, folders, patterns, lists, videos, cameras and addresses.

Nothing but names is listed ahead, and that of one folder at a time; pixels are read when they are asked for. What
cannot be read says so when it is its turn, so that the others go on.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.images import IMAGE_SUFFIXES, read_rgb
from detect_transfer.core.intake import Intake
from detect_transfer.core.io import list_files, safe_join
from detect_transfer.core.network import fetch_image, is_address, require_address
from detect_transfer.core.opening import open_regular
from detect_transfer.core.video import VIDEO_SUFFIXES, camera_frames, frames, frames_of_address, read_fps

DEFAULT_FPS = 25.0
_SUFFIXES = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
_LISTS = (".txt",)
_FRAME = re.compile(r"(.+)#([0-9]{5,})")
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class SourceImage:
    """An image of a source.

    Args:
        name: What it is called: its path below the source, with forward slashes; a frame also has its number.
        read: Gives its pixels (H, W, 3) uint8 RGB, or raises what is wrong with it.
        video: The video, camera or stream that it is a frame of; "" for an image.
        fps: Frames a second of that.
    """

    name: str
    read: Callable[[], RgbArray]
    video: str = ""
    fps: float = 0.0


@dataclass(frozen=True)
class ImageSources:
    """What is to be looked at.

    Args:
        words: Images, folders, patterns with `*`, lists (`.txt`, a path a line, `#` before a comment), videos,
            the number of a camera, or addresses of images and streams.
        allow_network: Whether addresses are opened.
        limit: Take the first so many images alone; None takes all.
        intake: The window of values of more than 8 bits.

    Raises:
        InputError: A word names nothing that is there, or an address and the network is not allowed.
    """

    words: tuple[str, ...]
    allow_network: bool = False
    limit: int | None = None
    intake: Intake | None = None

    def __post_init__(self) -> None:
        """Look at every word before anything is loaded."""
        if not self.words:
            raise _missing("", "nothing was named")
        for word in self.words:
            if is_address(word):
                require_address(word, allowed=self.allow_network)
            elif not _is_camera(word):
                _require_images(word)

    @property
    def is_live(self) -> bool:
        """Whether images come as time goes by: from a camera or a stream."""
        return any(is_address(word) or _is_camera(word) for word in self.words)

    @property
    def count(self) -> int | None:
        """How many images there are, as far as names tell; None with lists, videos, cameras and streams."""
        if any(map(_is_uncounted, self.words)):
            return None
        files = set[str]()
        for path in chain.from_iterable(map(_paths, self.words)):
            if path.suffix.lower() in VIDEO_SUFFIXES:
                return None
            files.add(_whole(path))
        return len(files) if self.limit is None else min(len(files), self.limit)

    def __iter__(self) -> Iterator[SourceImage]:
        """Give the images in order: words as they stand, the files of a folder by name, frames as they come.

        What is named several times is given once.
        """
        return islice(self._images(), self.limit)

    def _images(self) -> Iterator[SourceImage]:
        seen = set[str]()
        for word in dict.fromkeys(self.words):
            if is_address(word):
                yield from _of_address(word, self.intake)
            elif _is_camera(word):
                name = f"camera_{word}"
                yield from _frames(name, camera_frames(int(word)), DEFAULT_FPS, name)
            else:
                root = _common_root(self.words)
                for path in _paths(word):
                    if (whole := _whole(path)) not in seen:
                        seen.add(whole)
                        yield from self._of_file(path, root)

    def _of_file(self, path: Path, root: Path) -> Iterator[SourceImage]:
        name = _name_below(path, root)
        if path.suffix.lower() in VIDEO_SUFFIXES:
            yield from _frames(name, frames(path), read_fps(path) or DEFAULT_FPS, name)
        else:
            yield SourceImage(name, partial(read_rgb, path, intake=self.intake))


def output_stem(name: str) -> str:
    """Return what a file about an image is called, without its suffix: frame 12 of `clips/a.mp4` is `clips/a_00012`."""
    match = _FRAME.fullmatch(name)
    if match is None:
        return PurePosixPath(name).with_suffix("").as_posix()
    return f"{PurePosixPath(match[1]).with_suffix('').as_posix()}_{match[2]}"


def free_path(folder: Path, stem: str, suffix: str, *, name: str) -> Path:
    """Return the path of a file about an image; where another image of that stem has it, one with the whole name.

    Raises:
        InputError: The name leads out of the folder.
    """
    path = safe_join(folder, stem + suffix)
    return safe_join(folder, name.replace("#", "_") + suffix) if path.exists() else path


def _of_address(word: str, intake: Intake | None) -> Iterator[SourceImage]:
    name = PurePosixPath(word.partition("?")[0]).name or "stream"
    if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
        yield SourceImage(name, partial(fetch_image, word, intake))
    else:
        yield from _frames(name, frames_of_address(word), DEFAULT_FPS, word)


def _frames(name: str, images: Iterator[RgbArray], fps: float, video: str) -> Iterator[SourceImage]:
    """Give the frames of a video; where it breaks off, one last image says why."""
    number = 0
    while True:
        try:
            image = next(images, None)
        except DetectTransferError as error:
            yield SourceImage(name, partial(_raise, error), video, fps)
            return
        if image is None:
            return
        yield SourceImage(f"{name}#{number:05d}", partial(_same, image), video, fps)
        number += 1


def _same(image: RgbArray) -> RgbArray:
    return image


def _raise(error: DetectTransferError) -> RgbArray:
    raise error


def _is_camera(word: str) -> bool:
    return word.isdecimal() and not Path(word).exists()


def _is_pattern(word: str) -> bool:
    return bool(_MAGIC.search(word)) and not Path(word).exists()


def _require_images(word: str) -> None:
    """Refuse a word that names nothing, before weights are loaded."""
    path = Path(word)
    if _is_pattern(word):
        if next(_paths(word), None) is None:
            raise _missing(word, "no image or video fits this pattern")
    elif not path.exists():
        raise _missing(word, "there is no such image, folder or video")
    elif path.is_dir() and next(_paths(word), None) is None:
        raise _missing(word, "no image or video lies in this folder")
    elif path.suffix.lower() in _LISTS and next(_paths(word), None) is None:
        raise _missing(word, "the list names no image")


def _missing(word: str, what: str) -> InputError:
    return InputError(
        "IMAGES_MISSING",
        what,
        where=word or None,
        remedy="give a folder with images, an image, a video, a list (.txt), 'IMAGES/*.jpg' or a camera such as 0; "
        f"images are {' '.join(IMAGE_SUFFIXES)}",
    )


def _paths(word: str) -> Iterator[Path]:
    """Give the files of images and videos that a word names."""
    path = Path(word)
    if _is_pattern(word):
        for name in sorted(glob.iglob(word, recursive=True)):  # noqa: PTH207 - the pattern has its own root
            if Path(name).suffix.lower() in _SUFFIXES and Path(name).is_file():
                yield Path(name)
    elif path.is_dir():
        for name in list_files(path, _SUFFIXES, into_written=True):
            yield path / name
    elif path.suffix.lower() in _LISTS:
        with TextIOWrapper(open_regular(path), encoding="utf-8-sig", errors="surrogateescape") as lines:
            for line in map(str.strip, lines):
                if line and not (line.startswith("#") and not (path.parent / line).exists()):
                    yield path.parent / line
    else:
        yield path


def _is_uncounted(word: str) -> bool:
    return is_address(word) or _is_camera(word) or Path(word).suffix.lower() in _LISTS


def _whole(path: Path) -> str:
    return os.path.normpath(path.absolute())


def _common_root(words: Sequence[str]) -> Path:
    """Return the folder that names are relative to: a folder itself, else the one that all lie in."""
    files = [word for word in words if not is_address(word) and not _is_camera(word)]
    return Path(os.path.commonpath([_root(word) for word in files]))


def _root(word: str) -> str:
    if _is_pattern(word):
        fixed = Path(word).parts
        stop = next(i for i, part in enumerate(fixed) if _MAGIC.search(part))
        return str(Path(*fixed[:stop]).absolute())
    path = Path(word)
    return _whole(path if path.is_dir() else path.parent)


def _name_below(path: Path, root: Path) -> str:
    """Return a relative name with forward slashes that stays inside; of a file elsewhere, its path from the top."""
    whole = Path(_whole(path))
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole.relative_to(whole.anchor)).as_posix()
