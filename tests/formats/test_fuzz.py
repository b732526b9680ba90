"""Whatever stands in an annotation file, a reader gives a table or one of our errors, in bounded time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detect_transfer.errors import InputError
from detect_transfer.formats import reader
from detect_transfer.table import AnnotationTable

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
FOLDERS = sorted(p.name for p in DATASETS.iterdir() if p.is_dir())
ANNOTATIONS = {".json", ".lst", ".txt", ".xml", ".yaml"}
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


@pytest.fixture(scope="module")
def copies(tmp_path_factory: Any) -> Path:
    return Path(shutil.copytree(DATASETS, tmp_path_factory.mktemp("fuzz") / "datasets"))


@pytest.mark.parametrize("name", FOLDERS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_bytes__of_any_kind_give_a_table_or_an_error_of_ours(name: str, copies: Path, data: Any) -> None:
    card = yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8"))
    root = copies / name / "sample"
    native = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix in ANNOTATIONS)
    path = data.draw(st.sampled_from(native))
    original = path.read_bytes()
    path.write_bytes(edited(original, data.draw(st.lists(EDIT, min_size=1, max_size=4))))
    found: object
    try:
        found = reader(card["format"]).read(root, **card["options"])
    except InputError as error:
        found = error
    finally:
        path.write_bytes(original)
    assert isinstance(found, AnnotationTable) or all(" - " in line for line in str(found).splitlines())
