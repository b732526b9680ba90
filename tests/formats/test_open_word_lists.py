"""A class that a published set does not list is taken as it is named, with a note: no list of classes is complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from detect_transfer.formats import get_format

NEW = "novelty"
CASES = [
    pytest.param("bdd100k", "bdd100k", "*.json", '"traffic sign"', f'"{NEW}"', id="bdd100k"),
    pytest.param("bosch_lights", "bosch_lights", "*.yaml", "label: Red", f"label: {NEW}", id="bosch_lights"),
    pytest.param("caltech_json", "caltech", "*.json", '"person"', f'"{NEW}"', id="caltech_json"),
    pytest.param("caltech_text", "caltech", "*.txt", "person ", f"{NEW} ", id="caltech_text"),
    pytest.param("cctsdb", "cctsdb", "GroundTruth.txt", "mandatory", NEW, id="cctsdb"),
    pytest.param("citypersons_json", "citypersons", "*.json", '"rider"', f'"{NEW}"', id="citypersons_json"),
    pytest.param("eurocity", "eurocity", "*.json", '"rider"', f'"{NEW}"', id="eurocity"),
    pytest.param("jaad", "jaad", "*.xml", 'label="ped"', f'label="{NEW}"', id="jaad"),
    pytest.param("kaist", "kaist", "*.xml", "<name>cyclist", f"<name>{NEW}", id="kaist"),
    pytest.param("kitti", "kitti", "*.txt", "Van ", f"{NEW} ", id="kitti"),
    pytest.param("lara", "lara", "*GT.txt", "'stop'", f"'{NEW}'", id="lara"),
    pytest.param("tt100k", "tt100k", "annotations.json", '"category": "pn"', f'"category": "{NEW}"', id="tt100k"),
]


@pytest.mark.parametrize(("folder", "name", "pattern", "old", "new"), CASES)
def test_class_that_is_not_listed__is_taken_as_named(
    sample: Callable[[str], Path], folder: str, name: str, pattern: str, old: str, new: str
) -> None:
    root = sample(folder)
    before = get_format(name).read(root)
    changed = 0
    for path in root.rglob(pattern):
        text = path.read_text(encoding="utf-8")
        changed += text.count(old)
        path.write_text(text.replace(old, new), encoding="utf-8")
    assert changed
    table = get_format(name).read(root)
    assert table.boxes.select("x1", "y1", "x2", "y2").rows() == before.boxes.select("x1", "y1", "x2", "y2").rows()
    number = dict(table.categories.select("name", "category_id").rows())[NEW]
    of_class = table.boxes.filter(category_id=number)
    assert 0 < len(of_class) <= changed
    assert not of_class["ignore"].all()
    noted = [line for line in table.reading if NEW in line.reason]
    assert [line.count for line in noted] == [len(of_class)]
    assert noted[0].action == "noted"
    assert set(noted[0].examples) == set(of_class["source"])


def test_kitti__only_own_classes_have_no_empty_official_ones(sample: Callable[[str], Path]) -> None:
    root = sample("kitti")
    for path in root.rglob("label_2/*.txt"):
        text = path.read_text()
        for name in ("Van", "Pedestrian", "Person_sitting"):
            text = text.replace(name, "own")
        path.write_text(text)
    assert get_format("kitti").read(root).categories["name"].to_list() == ["own"]
