"""Files: written whole or not at all, and never outside the folder they belong to.

A file is written under another name, flushed to the disk and renamed. A folder is built under another name and
renamed, so a killed run leaves either the whole folder or nothing under its name.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import orjson

from detect_transfer.core.disk import LONGEST_NAME, resource_errors
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.file_signature import file_kind
from detect_transfer.core.json_errors import key_twice_error, line_of, syntax_error, too_deep
from detect_transfer.core.json_keys import key_twice
from detect_transfer.core.listing import exists as exists
from detect_transfer.core.listing import is_dir as is_dir
from detect_transfer.core.listing import is_file as is_file
from detect_transfer.core.listing import list_files as list_files
from detect_transfer.core.opening import is_link, is_special, not_regular, open_regular, real_path, what_is_there
from detect_transfer.core.temporary import building_folder, short_name
from detect_transfer.core.written_links import is_written_link, lies_in, link_root


@contextmanager
def new_file(path: Path, *, flush: bool = True) -> Iterator[BinaryIO]:
    """Give a stream to a temporary file that becomes `path` when the block ends well, and is removed when it fails.

    Args:
        path: The file.
        flush: Wait until it is on the disk; without, many small files are written much faster, and all of them may be
            lost where the machine loses its power.

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    temporary = path.with_name(f".{short_name(path.name)}.{os.getpid()}.tmp")
    with resource_errors(path):
        if not path.parent.is_dir():
            real_path(path.parent).mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as stream:
                yield stream
                if flush:
                    stream.flush()
                    os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str, *, flush: bool = True) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part (`flush`: see `new_file`).

    Raises:
        ResourceError: The disk is full or does not let us write.
    """
    with new_file(path, flush=flush) as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def write_json(path: Path, value: Any, *, indent: bool = True) -> None:
    """Write a JSON file atomically; numpy scalars and arrays are taken, NaN becomes null."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    write_atomic(path, orjson.dumps(value, option=options))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: As for `parse_json`, or it is missing.
    """
    return parse_json(read_bytes(path), path)


def parse_json(data: bytes, path: Path) -> Any:
    """Parse the bytes of a JSON file, or of a line of one, whose number then stands after a colon in `path`.

    Raises:
        InputError: It is not UTF-8, is cut short or is no JSON; an object has a key twice; or it nests too deep.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = orjson.loads(data)
        twice = key_twice(data, document)
    except RecursionError as error:
        raise too_deep(path) from error
    except orjson.JSONDecodeError as error:
        if (kind := file_kind(data)) is not None:
            what, remedy = f"the file is {kind[0]}, no JSON", kind[1]
            raise InputError("JSON_SYNTAX", what, where=line_of(path, error.lineno), remedy=remedy) from error
        raise syntax_error(error.msg, path, error.lineno, error.colno) from error
    if twice is not None:
        raise key_twice_error(f"{path}#{twice[0] or '/'}", twice[1])
    return document


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what opening or reading a file raises into an error that names it.

    Raises:
        InputError: There is no such file, or it is no regular one.
        ResourceError: The machine does not let us read it.
    """
    try:
        yield
    except NotADirectoryError as error:
        raise InputError("FILE_KIND", "a file was expected here", where=path, remedy="check the path") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            raise InputError("FILE_MISSING", what_is_there(path), where=path, remedy="check the path") from error
        raise ResourceError(
            "FILE_UNREADABLE", str(error.strerror), where=path, remedy="check its permissions"
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        InputError: There is no such file, or it is no regular one.
        ResourceError: The machine does not let us read it.
    """
    with read_errors(path), open_regular(path) as stream:
        return stream.read()


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark, with any line ends.

    Raises:
        InputError: It is missing or is not UTF-8; with the offset of the first bad byte.
    """
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what, remedy = file_kind(data) or (f"no UTF-8 at byte {error.start}", "save the file as UTF-8")
        raise InputError("TEXT_ENCODING", f"the file is {what}", where=path, remedy=remedy) from error
    if "\0" in text:
        raise InputError(
            "TEXT_ENCODING", f"a NUL byte at {text.index(chr(0))}", where=path, remedy="save the file as UTF-8 text"
        )
    return text


# a regular expression for the names of a whole column, of which `safe_join` may refuse those that match
SUSPECT_NAME = r"^$|^[/\\]|^.:|\\|\x00|(^|/)\.\.(/|$)"


def safe_join(
    root: Path,
    name: str,
    *,
    where: str | Path | None = None,
    field: str = "file_name",
    links: bool = False,
    inside: Path | None = None,
) -> Path:
    """Join a relative name from a data file to `root`, refusing every name that leads out of it.

    Args:
        root: The folder that the name must stay in.
        name: A relative path with forward slashes, as found in a data file.
        where: The file that names it, for the message.
        field: The key that holds it, for the message.
        links: Let a symbolic link lead out, where whoever made the folder wished for links.
        inside: A folder around it, the data set, that links may lead into; None for the one that is being read.

    Raises:
        InputError: The name is empty, absolute, has a drive, a NUL or a `..`, or a symbolic link leads out.
    """
    parts = PurePosixPath(name).parts
    bad = not name or name.startswith(("/", "\\")) or ".." in parts or "\0" in name or "\\" in name or name[1:2] == ":"
    longest = max((len(part.encode("utf-8", "surrogatepass")) for part in parts), default=0)
    if longest > LONGEST_NAME:
        what = f"a part of it has more than the {LONGEST_NAME} bytes that a disk allows"
        raise InputError("NAME_TOO_LONG", what, where=where, field=field, value=name, remedy="rename the file")
    joined = root / name
    around = inside or link_root() or root
    if bad or not (links or lies_in(root, joined) or lies_in(around, joined) or is_written_link(root, joined)):
        raise InputError(
            "PATH_OUTSIDE",
            f"it leads out of {root if bad else around}",
            where=where,
            field=field,
            value=name,
            remedy="give a relative path, with forward slashes, that stays inside the folder",
        )
    return joined


def require_dir(path: Path, *, what: str) -> Path:
    """Return `path` if it is a folder.

    Raises:
        InputError: It is not; the message says `what` was expected there, and what its parent holds or what it is.
    """
    if path.is_dir():
        return path
    if is_special(path):
        raise not_regular(path)
    nearest = next((p for p in path.parents if p.is_dir()), path)
    siblings = ", ".join(sorted(p.name for p in nearest.iterdir())[:8]) if nearest != path else ""
    kind = what_is_there(path, expected="folder")
    raise InputError(
        "FOLDER_MISSING", f"{kind}; {what} was expected", where=path, remedy=f"{nearest} holds: {siblings or 'nothing'}"
    )


def require_file(path: Path, *, what: str) -> Path:
    """Return `path` if it is a file.

    Raises:
        InputError: It is not; the message says `what` was expected there.
    """
    if is_special(path):
        raise not_regular(path)
    if not path.is_file():
        found = f"{what_is_there(path)}; {what} was expected"
        raise InputError("FILE_MISSING", found, where=path, remedy="check the path")
    return path


def require_new(out: Path, *, option: str = "--out") -> None:
    """Check that an output folder is absent or empty.

    Args:
        out: The folder.
        option: What the user names it by.

    Raises:
        InputError: It holds something, is a file, or is the current folder, which cannot be replaced.
    """
    if real_path(out) == real_path(Path()):
        what, remedy = "it is the folder that you are in", f"give another {option}, or go elsewhere first"
        raise InputError("OUT_IN_USE", what, where=out, remedy=remedy)
    if is_link(real_path(out)):
        what, remedy = "a link that leads to itself is there", f"remove it, or give another {option}"
        raise InputError("OUT_NOT_EMPTY", what, where=out, remedy=remedy)
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    what = "it is not empty" if out.is_dir() else "a file is there"
    raise InputError("OUT_NOT_EMPTY", what, where=out, remedy=f"give another {option}, or empty it yourself")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out` that becomes `out` when the block ends well, and is removed when it fails.

    What an earlier run left there because it was killed is removed too.

    Raises:
        InputError: `out` holds something already.
        ResourceError: The disk is full or does not let us write.
    """
    require_new(out)
    out = real_path(out)  # built on the disk that a link leads to
    with resource_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with building_folder(out) as building:
            yield building
            require_new(out)  # another process may have been quicker since
            if out.exists():
                out.rmdir()
            building.replace(out)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a regular file in hexadecimal.

    Raises:
        InputError: There is no such file, or it is no regular one.
        ResourceError: The machine does not let us read it.
    """
    with read_errors(path), open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
