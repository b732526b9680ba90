"""COCO files whose boxes stay in files are read as those in memory are: the same tables, ledgers and errors."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paths import DATASETS
from polars.testing import assert_frame_equal

from detect_transfer.core.annotations import Annotations, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.formats.coco import reader, scan
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.reader import scan as scan_coco
from detect_transfer.workflows.convert import ConvertRequest, convert_source

SAMPLES = [
    *(DATASETS / name / "sample" for name in ("coco", "crowdpose")),
    *sorted((DATASETS / "flir" / "sample").glob("*/coco.json")),
    *sorted((DATASETS / "tju" / "sample" / "annotations").glob("*.json")),
    *sorted((DATASETS / "tju_ped" / "sample").glob("*.json")),
    *sorted((DATASETS / "dfg" / "sample").glob("*/*.json")),
    *sorted((DATASETS / "nightowls" / "sample").glob("*.json")),
    *sorted((DATASETS / "vistas_panoptic").rglob("*.json")),
    *sorted((DATASETS / "citypersons_gt" / "sample").glob("*.json")),
    *sorted((DATASETS / "coco_lenient" / "sample").glob("*.json")),
]
CHOICES: list[dict[str, Any]] = [
    {},
    {"on_error": "skip-row"},
    {"on_error": "skip-image"},
    {"crowds": "objects"},
    {"missing_images": "skip"},
    {"box_format": "xyxy"},
    {"units": "shares"},
]
BOTH_WAYS = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
OBJECT = {
    "info": {"description": "drawn", "nested": [{"a": [1, {"b": 2}]}]},
    "images": [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in range(1, 5)],
    "licenses": [],
    "annotations": [
        {
            **{"id": i, "image_id": i % 4 + 1, "category_id": i % 2 + 1, "bbox": [1, 2.5, 3 + i, 4], "iscrowd": 0},
            **({"attributes": {"note": 'é "}, {"', "list": [{"a": 1}, {"a": 2}]}} if i % 3 else {}),
            **({"segmentation": [[1, 2, 3, 4, 5, 6]]} if i % 4 == 0 else {}),
        }
        for i in range(1, 13)
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


def outcome(table: Any) -> Annotations | InputError:
    """Return the table that a function gives, or its error."""
    try:
        return table()
    except InputError as error:
        return error


def both(path: Path, spill: Path, *, portion: int, **options: Any) -> tuple[Any, Any]:
    """Return what reading gives in memory and from files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "SPILT_FROM", 0)
        patch.setattr(scan, "PORTION", portion)
        spill.mkdir()
        return outcome(lambda: read_coco(path, **options)), outcome(lambda: scan_coco(path, spill=spill, **options))


def check_equal(loaded: Any, scanned: Any) -> None:
    """Check that two tables are equal, or two errors, of which several are told in the order of the file."""
    if isinstance(loaded, InputError) or isinstance(scanned, InputError):
        assert isinstance(loaded, InputError), scanned
        assert isinstance(scanned, InputError), loaded
        if len(loaded.problems) == 1:
            assert str(scanned) == str(loaded)
        assert {each.code for each in scanned.problems} == {each.code for each in loaded.problems}
        return
    assert isinstance(scanned.boxes, pl.LazyFrame)
    assert_frame_equal(scanned.images, loaded.images)
    assert_frame_equal(scanned.categories, loaded.categories)
    assert_frame_equal(scanned.in_memory().boxes, loaded.boxes)
    assert {*scanned.reading} == {*loaded.reading}
    assert (scanned.image_root, scanned.link_root) == (loaded.image_root, loaded.link_root)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.relative_to(DATASETS).as_posix())
def test_sample__is_the_same_table(path: Path, tmp_path: Path) -> None:
    for number, (options, portion) in enumerate([({}, 1), ({}, 16_000_000), *((each, 300) for each in CHOICES)]):
        check_equal(*both(path, tmp_path / str(number), portion=portion, **options))


@pytest.mark.parametrize("portion", [1, 300])
@pytest.mark.parametrize("on_error", ["fail", "skip-row", "skip-image"])
def test_order_of_the_lists__is_free(portion: int, on_error: str, tmp_path: Path) -> None:
    document = copy.deepcopy(OBJECT)
    document["annotations"][5]["bbox"][2] = 9 if on_error == "fail" else -1
    for number, keys in enumerate([[*document], [*document][::-1], ["annotations", "images", "categories"]]):
        path = tmp_path / str(number) / "a.json"
        path.parent.mkdir()
        path.write_text(json.dumps({key: document[key] for key in keys}, indent=number or None, ensure_ascii=False))
        check_equal(*both(path, tmp_path / f"spill{number}", portion=portion, on_error=on_error))


TEXT = json.dumps(OBJECT, ensure_ascii=False).encode()
TOKENS = [
    *(b"nan", b"NaN", b"-1", b"1e999", b"9" * 30, b"9" * 5000, b"null", b"true", b"[]", b"{}", b"\0", b"\xff", b"}, {"),
    *(b"\xef\xbb\xbf", b"\r\n", b" ", b"\t", b",", b'"', b"\\", b"]", b"[", b"}", b"{", b":", b"[" * 300, b'"id":1,'),
    *(b'"images":[],', b'{"id":1},', b'"annotations":', b'"a":1,"a":1,', "é".encode(), b"\\ud800", b"\xc3"),
]
EDIT = st.tuples(
    st.sampled_from(["insert", "delete", "replace", "cut"]),
    st.floats(0, 1),
    st.integers(1, 40),
    st.sampled_from(TOKENS),
)


@BOTH_WAYS
@given(edits=st.lists(EDIT, min_size=1, max_size=2), portion=st.sampled_from([1, 64, 400, 100_000]))
def test_edited_file__gives_the_same_table_or_error(edits: list[Any], portion: int) -> None:
    data = TEXT
    for kind, share, count, token in edits:
        at = int(share * len(data))
        after = {"insert": data[at:], "delete": data[at + count :], "replace": data[at + len(token) :], "cut": b""}
        data = data[:at] + (token if kind in ("insert", "replace") else b"") + after[kind]
    with scratch_folder() as folder:
        path = folder / "a.json"
        path.write_bytes(data)
        loaded, scanned = both(path, folder / "spill", portion=portion)
        if isinstance(loaded, InputError) and isinstance(scanned, InputError):
            return  # a file with several faults may be refused for another of them first
        check_equal(loaded, scanned)


FAULTS = [
    pytest.param(b'"id": 7', b'"id": NaN', id="nan"),
    pytest.param(b'"id": 7', b'"id": 1e400', id="overflow"),
    pytest.param(b'"id": 7', b'"id": 6', id="id-twice"),
    pytest.param(b'"id": 7', b'"id": 7, "iscrowd": 0', id="key-twice-in-an-annotation"),
    pytest.param(b'"id": 7', b'"id": 7, "more": {"a": [{"b": 1, "b": 2}]}', id="key-twice-deeper"),
    pytest.param(b'"licenses": []', b'"images": []', id="key-twice-of-the-whole"),
    pytest.param(b'"licenses": []', b'"licenses": [{"a": 1, "a": 2}]', id="key-twice-elsewhere"),
    pytest.param(b'"id": 7', b'"id": 7, "more": ' + b"[" * 254 + b"]" * 254, id="too-deep"),
    pytest.param(b'"id": 7', b'"id" 7', id="no-colon"),
    pytest.param(b'"id": 7', b'"id": 7,', id="comma-too-many"),
    pytest.param(b'"id": 7', b'"id": "\xff"', id="no-utf-8"),
    pytest.param(b'"id": 7', b'"id": "seven"', id="text"),
    pytest.param(b'"id": 7, "image_id": 4', b'"id": 7, "image_id": 99', id="image-unknown"),
    pytest.param(b'"id": 7, "image_id": 4, "category_id": 2', b'"id": 7, "image_id": 4, "category_id": 9', id="class"),
    pytest.param(b"}]}", b"},]}", id="comma-at-the-end-of-a-list"),
    pytest.param(b"}]}", b"}],}", id="comma-at-the-end-of-all"),
    pytest.param(b"}]}", b"}]", id="cut-short"),
    pytest.param(b"}]}", b"}]} x", id="more-behind"),
    pytest.param(b'"name": "dog"}]}', b'"name": "do', id="cut-in-a-text"),
    pytest.param(b'"images": [', b'"images": [7, ', id="number-among-images"),
    pytest.param(b'"annotations": [', b'"annotations": [null, ', id="null-among-annotations"),
    pytest.param(b'"images"', b'"pictures"', id="no-images"),
    pytest.param(b'"annotations": [', b'"annotations": {}, "x": [', id="annotations-object"),
    pytest.param(TEXT, b"[1, 2]", id="list"),
    pytest.param(TEXT, b"", id="empty"),
    pytest.param(TEXT, b"  7 ", id="number"),
    pytest.param(TEXT, b"{}", id="empty-object"),
    pytest.param(b'{"info"', b"\x89PNG\r\n\x1a\n", id="picture"),
    pytest.param(b"file_name", b"filename", id="other-name-of-file"),
]


@pytest.mark.parametrize("portion", [1, 150])
@pytest.mark.parametrize(("old", "new"), FAULTS)
def test_fault__is_told_as_of_a_file_in_memory(old: bytes, new: bytes, portion: int, tmp_path: Path) -> None:
    assert old in TEXT
    for between in (b', "', b',\n"'):
        path = tmp_path / "a.json"
        path.write_bytes(TEXT.replace(old, new).replace(b', "', between))
        loaded, scanned = both(path, tmp_path / f"spill{between[1]}", portion=portion)
        assert isinstance(loaded, InputError)
        check_equal(loaded, scanned)


def test_small_file_and_lenient_reading__stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(TEXT)
    assert isinstance(scan_coco(path, spill=tmp_path), AnnotationTable)
    monkeypatch.setattr(reader, "SPILT_FROM", len(TEXT))
    assert isinstance(scan_coco(path, spill=tmp_path, lenient=True), AnnotationTable)
    assert isinstance(scan_coco(path, spill=tmp_path).boxes, pl.LazyFrame)


def test_conversion__is_that_of_a_file_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_bytes(TEXT)
    written = []
    for limit, portion in ((10**9, 1), (0, 300)):
        monkeypatch.setattr(reader, "SPILT_FROM", limit)
        monkeypatch.setattr(scan, "PORTION", portion)
        for format, source in (("coco", tmp_path / "in"), ("data_folder", tmp_path / f"coco{limit}")):
            out = tmp_path / f"{format}{limit}"
            request = ConvertRequest(format, source, out, to="coco,yolo,parquet", image_mode="none", check=True)
            convert_source(replace(request, split_ratio="train=0.5,val=0.5" if format == "coco" else None))
        written.append({name: path.read_bytes() for name, path in files_of(tmp_path, str(limit))})
    assert written[0] == written[1]
    assert len(written[0]) > 10
    assert not list(tmp_path.glob(".*"))


def files_of(root: Path, ending: str) -> list[tuple[str, Path]]:
    """Return the files in folders with an ending, but for manifests, which name their sources."""
    folders = [root / f"{name}{ending}" for name in ("coco", "data_folder")]
    paths = [(folder, path) for folder in folders for path in folder.rglob("*") if path.is_file()]
    named = [(f"{folder.name.removesuffix(ending)}/{path.relative_to(folder)}", path) for folder, path in paths]
    return [(name, path) for name, path in named if not name.endswith("manifest.json")]
