"""Every data set folder: its sample, read with the options of its card, is what `expected.csv` says.

The expected boxes were worked out by hand from the native syntax. A new format needs a folder and no test code.
"""

from __future__ import annotations

import csv
import re
from typing import Any

import polars as pl
import pytest
import yaml
from paths import DATASETS

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.video import parse_frame_name
from detect_transfer.formats import READERS, get_format

FOLDERS = sorted(p.name for p in DATASETS.iterdir() if p.is_dir())
CARD_KEYS = {
    "name": "the name of the folder",
    "title": "what the data set calls itself",
    "format": "its name in READERS",
    "options": "what the reader is given for the sample, {} for nothing",
    "source": "where the data come from",
    "licence": "what they may be used for",
    "citation": "whom to cite, or none",
    "classes": "the list of their names, or where they are read from",
    "mirror": "true where a mirrored object keeps its class, false where left and right differ",
    "mirror_reason": "why, in words",
    "split": "source, none, or shares such as {train: 0.8, val: 0.2}",
    "group": "what must stay on one side of a split, or none",
}
SPECIAL = {"__ignore__", "__drop__", "__rest__"}
NUMBERS = ("x1", "y1", "x2", "y2")
FLAGS = ("iscrowd", "ignore", "difficult")
COLUMNS = ("file_name", "category", *NUMBERS, *FLAGS)  # and `split`, where the data set has one
HOW_TO = DATASETS.parent / "docs" / "how-to" / "add-a-format.md"


def card_of(name: str) -> dict[str, Any]:
    card = yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8"))
    assert isinstance(card, dict)
    return card


def read_sample(name: str) -> AnnotationTable:
    card = card_of(name)
    return get_format(card["format"]).read(DATASETS / name / "sample", **card["options"])


def found_rows(table: AnnotationTable) -> list[dict[str, Any]]:
    columns = ("file_name", "category", *NUMBERS, *FLAGS, "split")
    joined = table.images.join(table.boxes, on="image_id", how="left").join(
        table.categories.select("category_id", category="name"), on="category_id", how="left"
    )
    return joined.select(columns).to_dicts()


def sort_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["file_name"], row["category"] or "", *(row[c] or 0.0 for c in NUMBERS))


def expected_rows(name: str) -> list[dict[str, Any]]:
    with (DATASETS / name / "expected.csv").open(encoding="utf-8", newline="") as stream:
        return [
            {
                "file_name": row["file_name"],
                "category": row["category"] or None,
                **{c: float(row[c]) if row[c] else None for c in NUMBERS},
                **{c: bool(int(row[c])) if row[c] else None for c in FLAGS},
                "split": row.get("split") or None,
            }
            for row in csv.DictReader(stream)
        ]


@pytest.mark.parametrize("name", FOLDERS)
def test_sample__is_what_was_worked_out_by_hand(name: str) -> None:
    with (DATASETS / name / "expected.csv").open(encoding="utf-8", newline="") as stream:
        header = csv.DictReader(stream).fieldnames or []
    missing = [column for column in COLUMNS if column not in header]
    assert not missing, f"datasets/{name}/expected.csv lacks the columns {missing}"
    expected = sorted(expected_rows(name), key=sort_key)
    found = sorted(found_rows(read_sample(name)), key=sort_key)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        exact = {k: v for k, v in one.items() if k not in NUMBERS}
        assert exact == {k: v for k, v in other.items() if k not in NUMBERS}
        assert [one[c] for c in NUMBERS] == pytest.approx([other[c] for c in NUMBERS], abs=1e-6)


@pytest.mark.parametrize("name", FOLDERS)
def test_sample__points_at_its_files_and_keeps_the_rules(name: str) -> None:
    table = read_sample(name)
    assert table.image_root is not None
    for file_name in table.images["file_name"]:
        frame = parse_frame_name(file_name)
        assert (table.image_root / (frame[0] if frame else file_name)).is_file()
    assert table.images["width"].null_count() == 0
    for source in table.boxes["source"]:
        assert (DATASETS / name / "sample" / source.rpartition("#")[0]).is_file() or (
            DATASETS / name / "sample" / source.rpartition(":")[0]
        ).is_file()
    wrong = table.boxes.filter(
        (pl.col("iscrowd") & ~pl.col("ignore")) | (pl.col("ignore") != pl.col("ignore_reason").is_not_null())
    )
    assert wrong.is_empty(), "a crowd is ignored, and whoever is ignored has a reason"


@pytest.mark.parametrize("name", FOLDERS)
def test_sample__folder_is_complete_and_small(name: str) -> None:
    folder = DATASETS / name
    assert (folder / "expected.csv").is_file()
    assert all(p.stat().st_size < 5120 for p in (folder / "sample").rglob("*") if p.is_file())


@pytest.mark.parametrize("name", FOLDERS)
def test_card__says_what_a_data_set_is(name: str) -> None:
    card = card_of(name)
    missing = [f"`{key}:` ({meaning})" for key, meaning in CARD_KEYS.items() if key not in card]
    assert not missing, f"datasets/{name}/dataset.yaml lacks {', '.join(missing)}"
    assert isinstance(card["mirror"], bool), f"datasets/{name}/dataset.yaml: `mirror` must be true or false"
    assert len(card["mirror_reason"]) > 10, f"datasets/{name}/dataset.yaml: `mirror_reason` must say why, in words"
    assert card["name"] == name
    assert set(card["options"]) <= set(get_format(card["format"]).options)


@pytest.mark.parametrize("name", FOLDERS)
def test_card__class_maps_name_its_classes_once(name: str) -> None:
    card = card_of(name)
    for map_name, class_map in (card.get("class_maps") or {}).items():
        lists = {target: sources for target, sources in class_map.items() if target != "__rest__"}
        sources = [source for named in lists.values() for source in named]
        assert len(sources) == len(set(sources)), map_name
        assert all(not target.startswith("__") or target in SPECIAL for target in class_map), map_name
        if isinstance(card["classes"], list):
            known = set(card["classes"])
            assert set(sources) <= known, map_name
            assert set(sources) == known or "__rest__" in class_map, map_name


def test_readme__names_formats_that_exist_and_the_list_of_all() -> None:
    readme = (DATASETS.parent / "README.md").read_text(encoding="utf-8")
    part = readme.partition("## Formats")[2].partition("`convert --list` lists all")[0]
    table = [line.split("|")[2] for line in part.splitlines() if line.startswith("| ")][1:]  # below the head
    names = [name for cell in table for text in re.sub(r"\(.*?\)", "", cell).split("`")[1::2] for name in text.split()]
    assert len(names) > 40
    assert [name for name in names if name not in READERS] == []
    assert "`convert --list` lists all, and what each looks like." in readme, (
        "the README must say where every format is listed"
    )


def test_how_to__explains_the_keys_and_columns() -> None:
    text = HOW_TO.read_text(encoding="utf-8")
    words = [*CARD_KEYS, *COLUMNS, "split"]
    assert [word for word in words if f"`{word}`" not in text] == [], "add-a-format.md does not explain these"
