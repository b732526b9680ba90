from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detect_transfer.core.io import sha256_file
from detect_transfer.formats.coco import data_folder


@pytest.fixture
def folder(sample: Any) -> Path:
    """The COCO sample as a finished data folder."""
    root: Path = sample("coco")
    facts = {
        p.relative_to(root).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256_file(p)}
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }
    (root / "manifest.json").write_text(json.dumps({"files": facts}))
    return root


def test_folder__is_read_through_coco(folder: Path) -> None:
    table = data_folder.read(folder, verify=True)
    assert table.image_root == folder / "images"
    assert (len(table.images), len(table.boxes), table.splits) == (3, 7, ["train", "val"])


def test_folder__that_was_not_finished_is_refused(folder: Path, check_error: Any) -> None:
    (folder / "manifest.json").unlink()
    check_error(lambda: data_folder.read(folder), "DATA_INCOMPLETE", str(folder), "manifest.json")
    check_error(lambda: data_folder.read(folder / "no"), "FOLDER_MISSING", "no")


@pytest.mark.parametrize("text", ["", "[]", '{"files": []}', "{}"])
def test_manifest__damaged(text: str, folder: Path, error_of: Any) -> None:
    (folder / "manifest.json").write_text(text)
    assert "manifest.json" in str(error_of(lambda: data_folder.read(folder)))


def test_image__missing_is_seen_without_asking(folder: Path, check_error: Any) -> None:
    (folder / "images/train/straße.png").unlink()
    check_error(lambda: data_folder.read(folder), "IMAGE_MISSING", "straße.png")


def test_image__missing_leaves_by_wish(folder: Path) -> None:
    (folder / "images/train/straße.png").unlink()
    for choice in ({"missing_images": "skip"}, {"on_error": "skip-image"}):
        table = data_folder.read(folder, **choice)
        n_left_out = sum(ln.count for ln in table.reading if (ln.kind, ln.action) == ("box", "dropped"))
        assert (len(table.images), len(table.boxes) + n_left_out) == (2, 7)
    assert len(data_folder.read(folder, missing_images="keep").images) == 3


def test_verify__sees_what_changed(folder: Path, check_error: Any) -> None:
    path = folder / "images/train/straße.png"
    path.write_bytes(path.read_bytes() + b"\0")
    data_folder.read(folder)
    check_error(lambda: data_folder.read(folder, verify=True), "DATA_CHANGED", "straße.png")
    path.unlink()
    check_error(lambda: data_folder.read(folder, verify=True), "FILE_MISSING", "straße.png")


@pytest.mark.parametrize(("name", "code"), [("../outside", "PATH_OUTSIDE"), ("images", "FILE_KIND")])
def test_verify__refuses_odd_names(name: str, code: str, folder: Path, check_error: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({"files": {name: {"bytes": 1, "sha256": ""}}}))
    check_error(lambda: data_folder.read(folder, verify=True), code, name.partition("/")[0])


def test_verify__needs_facts(folder: Path, check_error: Any) -> None:
    (folder / "manifest.json").write_text(json.dumps({"files": {"images/a.png": 5}}))
    check_error(lambda: data_folder.read(folder, verify=True), "MANIFEST", "#/files/images~1a.png")
