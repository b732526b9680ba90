"""Files that are something else than their names say: reported as what they are, with what to do."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from detect_transfer.core import io as files
from detect_transfer.core.errors import InputError
from detect_transfer.formats.cvat.reader import read as read_cvat


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.json", "{}")
    return stream.getvalue()


CASES = [
    pytest.param(b"", "empty", "copy it again", id="empty"),
    pytest.param(zipped(), "a ZIP archive", "unpack it", id="zip"),
    pytest.param(gzip.compress(b"{}"), "a gzip archive", "unpack it", id="gzip"),
    pytest.param(b"\n<!DOCTYPE html>\n<html>404</html>", "a web page", "download the file itself", id="html"),
    pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull", id="lfs"),
]


@pytest.mark.parametrize(("data", "kind", "remedy"), [*CASES, pytest.param("{}".encode("utf-16"), "UTF-16", "UTF-8")])
def test_json__that_is_something_else_is_reported_as_such(tmp_path: Path, data: bytes, kind: str, remedy: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"JSON_SYNTAX .*a\.json:\d - the file is {kind}.*{remedy}"):
        files.read_json(path)


@pytest.mark.parametrize(("data", "kind", "remedy"), CASES)
def test_xml__that_is_something_else_is_reported_as_such(tmp_path: Path, data: bytes, kind: str, remedy: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"XML_\w+ .*annotations\.xml.* - the file is {kind}.*{remedy}"):
        read_cvat(path)


def test_text__that_is_an_archive_is_reported_as_such(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(gzip.compress(b"x" * 50))
    with pytest.raises(InputError, match=r"TEXT_ENCODING .*gt\.txt - the file is a gzip archive; unpack it"):
        files.read_text(path)
