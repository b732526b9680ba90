"""Whatever stands in an annotation file, a reader gives a table or one of our errors, and never loses a box silently.

Each folder in `datasets/` is edited at random, read and put back: 100 times for the first property, 30 times for the
second, and 20,000 times for each with ``-m fuzz_long``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from paths import DATASETS

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats import get_format

FOLDERS = sorted(p.name for p in DATASETS.iterdir() if p.is_dir())
USUAL = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
FEWER = settings(USUAL, max_examples=30)
LONG = settings(USUAL, max_examples=20_000, derandomize=False)
MODES = ["fail", "skip-row", "skip-image"]
TOKENS = [
    *(b"nan", b"-1", b"1e999", b"9" * 30, b"1_0", b"0.", b"null", b"true", b"[]", b"{}", b"../", b"/etc/passwd"),
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b" ", b"\t", b";", b",", b'"', b"<", b">", b"&a;", b"<object>"),
    *("٣".encode(), b"- ", b": ", b"*a", b"&a ", b"!!x ", b"\x85", "\u2028".encode(), b"(0, 0)", b"(1, 1)"),
]
EDIT = st.tuples(
    st.sampled_from(["insert", "delete", "replace", "cut", "repeat", "flip"]),
    st.floats(0, 1),
    st.integers(1, 40),
    st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)),
)
NUMBER = re.compile(rb"(?<![\w./+-])[+-]?[0-9]+(?:\.[0-9]+)?(?![\w./])")
NUMBERS = {
    "cure_tsd": re.compile(rb"(?<=[\n_])[0-9]+(?=[_\r\n])"),
    "labelme": re.compile(rb'(?<!"group_id": )' + NUMBER.pattern),  # a shape may have no group
}
NO_NUMBERS = [b"nan", b"x", b"1_0", b"1e999", b"null", b'"x"', b"[]"]


def edited(data: bytes, edits: list[tuple[str, float, int, bytes]]) -> bytes:
    """Return the bytes after some edits, each at a share of the length."""
    for kind, share, length, token in edits:
        at = int(share * len(data))
        end = at + length
        data = {
            "insert": data[:at] + token + data[at:],
            "delete": data[:at] + data[end:],
            "replace": data[:at] + token + data[at + len(token) :],
            "cut": data[:at],
            "repeat": data[:end] + data[at:],
            "flip": data[:at] + bytes(b ^ 0x20 for b in data[at : at + 1]) + data[at + 1 :],
        }[kind]
    return data


@cache
def card_of(name: str) -> dict[str, Any]:
    card: dict[str, Any] = yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8"))
    return card


@pytest.fixture(scope="module")
def copies() -> Iterator[Path]:
    """A copy of all samples, in memory where the machine has such a folder."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(shutil.copytree(DATASETS, Path(folder) / "datasets"))


@cache
def annotations(root: Path) -> dict[Path, bytes]:
    """Return the files of a sample that are no images."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix.lower() not in IMAGE_SUFFIXES)
    return {path: path.read_bytes() for path in files}


def read_with(name: str, root: Path, on_error: str, changed: dict[Path, bytes]) -> AnnotationTable | InputError:
    """Read a sample with some files changed, and put them back."""
    card, originals = card_of(name), annotations(root)
    form = get_format(card["format"])
    # our own lossless tables have no rows that could be skipped
    choice = {"on_error": on_error} if "on_error" in form.options else {}
    for path, data in changed.items():
        path.write_bytes(data)
    try:
        table = form.read(root, **card["options"], **choice)
    except InputError as error:
        refusal = error
    else:
        assert isinstance(table, AnnotationTable)
        return table
    finally:
        for path in changed:
            path.write_bytes(originals[path])
    assert all(" - " in line for line in str(refusal).splitlines())
    return refusal


def count_named(table: AnnotationTable, kind: str) -> int:
    """Return how many boxes or images are in the table or named as left out."""
    rows = table.boxes if kind == "box" else table.images
    return len(rows) + sum(line.count for line in table.reading if (line.kind, line.action) == (kind, "dropped"))


def boxes_by_image(table: AnnotationTable) -> dict[str, int]:
    names = table.boxes.join(table.images, on="image_id")["file_name"]
    return {name: names.eq(name).sum() for name in table.images["file_name"]}


@cache
def sample_of(name: str, root: Path) -> AnnotationTable:
    table = read_with(name, root, "fail", {})
    assert isinstance(table, AnnotationTable)
    return table


def check_any_bytes(name: str, root: Path, data: Any) -> None:
    path = data.draw(st.sampled_from(sorted(annotations(root))))
    content = edited(annotations(root)[path], data.draw(st.lists(EDIT, min_size=1, max_size=4)))
    read_with(name, root, data.draw(st.sampled_from(MODES)), {path: content})


def check_no_silent_loss(name: str, root: Path, data: Any) -> None:
    path = data.draw(st.sampled_from(sorted(annotations(root))))
    content = annotations(root)[path]
    numbers = list(NUMBERS.get(card_of(name)["format"], NUMBER).finditer(content))
    assume(numbers)
    match = data.draw(st.sampled_from(numbers))
    damaged = content[: match.start()] + data.draw(st.sampled_from(NO_NUMBERS)) + content[match.end() :]
    mode = data.draw(st.sampled_from(MODES[1:]))
    found, sample = read_with(name, root, mode, {path: damaged}), sample_of(name, root)
    if isinstance(found, InputError):
        return
    assert count_named(found, "image") == count_named(sample, "image")
    if mode == "skip-row":
        assert count_named(found, "box") == count_named(sample, "box")
    else:  # the rows of a file that cannot be parsed are not counted, but its image is named
        assert boxes_by_image(found).items() <= boxes_by_image(sample).items()


@pytest.mark.parametrize("name", FOLDERS)
@USUAL
@given(data=st.data())
def test_bytes__of_any_kind_give_a_table_or_an_error_of_ours(name: str, copies: Path, data: Any) -> None:
    check_any_bytes(name, copies / name / "sample", data)


@pytest.mark.parametrize("name", FOLDERS)
@FEWER
@given(data=st.data())
def test_number__that_is_damaged_never_loses_a_box_silently(name: str, copies: Path, data: Any) -> None:
    check_no_silent_loss(name, copies / name / "sample", data)


@pytest.mark.fuzz_long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("check", [check_any_bytes, check_no_silent_loss])
@pytest.mark.parametrize("name", FOLDERS)
@LONG
@given(data=st.data())
def test_long__both_properties(name: str, check: Any, copies: Path, data: Any) -> None:
    check(name, copies / name / "sample", data)
