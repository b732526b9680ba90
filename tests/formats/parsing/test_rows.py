"""What rows say of images: groups by a shared track, classes by name."""

from __future__ import annotations

import random

import polars as pl

from detect_transfer.formats.parsing.rows import linked, number_classes


def rows(pairs: list[tuple[str, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"image": pl.String, "track": pl.String}, orient="row")


def test_linked__joins_images_by_way_of_others() -> None:
    found = linked(rows([("a", "t3"), ("b", "t3"), ("b", "t1"), ("c", "t1"), ("d", "t2"), ("e", None)]), "track")
    assert found == {"a": "t1", "b": "t1", "c": "t1", "d": "t2"}


def test_linked__takes_long_chains_in_any_order() -> None:
    pairs = [pair for i in range(3000) for pair in ((f"p{i}", f"{i:04}"), (f"p{i}", f"{i + 1:04}"))]
    pairs += [("q", "9999")]
    random.Random(5).shuffle(pairs)
    found = linked(rows(pairs), "track")
    assert set(found.values()) == {"0000", "9999"}
    assert found["p2999"] == "0000"


def test_linked__of_nothing_is_nothing() -> None:
    assert linked(rows([]), "track") == {}


def test_number_classes__sorts_names_and_leaves_null_without_class() -> None:
    numbered, classes = number_classes(rows([("a", "stop"), ("b", None), ("c", "go")]), "track")
    assert numbered["category_id"].to_list() == [2, None, 1]
    assert classes.rows() == [(1, "go"), (2, "stop")]
