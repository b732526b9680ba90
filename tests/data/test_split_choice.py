"""Which split is taken when: by itself, as the source says, by shares, or as an earlier conversion wrote it."""

import json
from pathlib import Path

import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.image_checks import IMAGE_SCHEMA, Inspection
from detect_transfer.data.split_choice import check_split, choose_split, parse_ratios, split_document
from detect_transfer.data.split_file import SplitFile, load_split_file


def make(splits, groups=None):
    """One image with one box for each split."""
    n = len(splits)
    ids = list(range(1, n + 1))
    return AnnotationTable.from_columns(
        images={
            "image_id": ids,
            "file_name": [f"{i}.png" for i in ids],
            "split": splits,
            "group": groups or [None] * n,
        },
        boxes={
            "annotation_id": ids,
            "image_id": ids,
            "category_id": [1] * n,
            **{"x1": [0.0] * n, "y1": [0.0] * n, "x2": [5.0] * n, "y2": [5.0] * n},
        },
        categories={"category_id": [1], "name": ["a"]},
    )


def inspected(hashes):
    """What the images are, by the hash of each."""
    rows = [(i, 9, 9, 100, h, None) for i, h in enumerate(hashes, start=1)]
    return Inspection(pl.DataFrame(rows, schema=IMAGE_SCHEMA, orient="row"), ())


def choose(table, split, hashes=None, *, seed=0, val_from_train=0.0):
    check_split(split, val_from_train)
    inspection = inspected(hashes or [str(i) for i in range(len(table.images))])
    return choose_split(table, split, seed=seed, inspection=inspection, val_from_train=val_from_train)


@pytest.mark.parametrize(
    ("splits", "kind", "message"),
    [
        pytest.param(["train"] * 4 + ["val"], "source", "the source's own (train, val)", id="official"),
        pytest.param(["train"] * 4 + ["test"], "source", "the source's own (test, train)", id="train-and-test"),
        pytest.param([None] * 5, "ratio", "the source has no split", id="none"),
        pytest.param(["train"] * 5, "ratio", "the source has one split alone, train", id="only-train"),
        pytest.param(["val"] * 4 + ["test"], "ratio", "but test, val", id="no-train"),
        pytest.param(["train", "val", None, None, None], "ratio", "no split to 3 of 5 images", id="most-without"),
        pytest.param(["train"] * 3 + ["val", None], "source", "the source's own (train, val)", id="some-without"),
    ],
)
def test_choose__by_itself(splits, kind, message):
    chosen = choose(make(splits), "auto")
    assert chosen.rule["kind"] == kind
    assert message in chosen.description
    assert chosen.table.images["split"].null_count() == 0


def test_choose__images_that_an_official_split_leaves_out_are_named_and_stay_out_of_it():
    chosen = choose(make(["train"] * 3 + ["val", None], groups=["g", "g", "h", "i", "g"]), "auto")
    assert chosen.table.images["split"].to_list() == ["train", "train", "train", "val", "unassigned"]
    assert chosen.warning == (
        "1 of 5 images have no split in the source: they are 'unassigned', which is neither trained nor scored"
    )


def test_choose__warns_of_shares_that_groups_do_not_allow():
    table = make([None] * 10, groups=["g"] * 5 + ["h"] * 5)
    far, near = choose(table, {"train": 0.6, "val": 0.4}), choose(table, {"train": 0.5, "val": 0.5})
    assert far.warning.startswith("the split is 10% off the shares that were wanted: reached train 50% of images")
    assert far.rule["reached"] == {"train": {"images": 0.5, "boxes": 0.5}, "val": {"images": 0.5, "boxes": 0.5}}
    assert near.warning == ""
    assert "reached" not in near.description


def test_choose__says_how_groups_were_kept():
    chosen = choose(make([None] * 6, groups=["g", "g", "h", "h", "i", "i"]), {"train": 0.5, "val": 0.5})
    assert "3 groups kept whole" in chosen.description
    per_group = chosen.table.images.group_by("group").agg(pl.col("split").n_unique())
    assert per_group["split"].to_list() == [1, 1, 1]


def test_choose__a_file_gives_the_same_split_again(tmp_path):
    first = choose(make([None] * 10), {"train": 0.6, "val": 0.4})
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(split_document(first)))
    again = choose(make(["test"] * 10), load_split_file(path))
    assert again.table.images["split"].to_list() == first.table.images["split"].to_list()
    assert again.rule == {"kind": "file", "file": "splits.json"}


@pytest.mark.parametrize(
    "split", ["source", "auto", SplitFile("f", {f"{i}.png": "train" for i in range(1, 5)} | {"5.png": "val"})]
)
def test_choose__refuses_copies_in_two_given_splits(split):
    with pytest.raises(InputError, match=r"SPLIT_LEAK .*train/1.png = val/5.png"):
        choose(make(["train"] * 4 + ["val"]), split, hashes=["x", "b", "c", "d", "x"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param({"1.png": "train"}, "1 images of the source are not in the file", id="too-few"),
        pytest.param(
            {"1.png": "train", "2.png": "val", "3.png": "val"},
            "1 images of the file are not in the source",
            id="too-many",
        ),
    ],
)
def test_choose__a_file_of_other_images_is_refused(names, message):
    with pytest.raises(InputError, match=f"SPLIT_FILE .*{message}"):
        choose(make(["train", "val"]), SplitFile("f", names))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param("{", "JSON_SYNTAX", id="cut"),
        pytest.param("[]", "SPLIT_FILE", id="list"),
        pytest.param('{"splits_version": 2}', "SPLIT_FILE", id="version"),
        pytest.param('{"splits_version": 1}', "SPLIT_FILE", id="no-splits"),
        pytest.param('{"splits_version": 1, "splits": {"train": [1]}}', "SPLIT_FILE", id="no-names"),
        pytest.param('{"splits_version": 1, "splits": {"a/b": []}}', "SPLIT_NAME", id="name"),
        pytest.param('{"splits_version": 1, "splits": {"train": ["a"], "val": ["a"]}}', "SPLIT_TWICE", id="twice"),
    ],
)
def test_load__refuses_damaged_files(tmp_path, content, code):
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(InputError) as caught:
        load_split_file(tmp_path / "s.json")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("train=1,train=1", "SPLIT_RATIOS .*each name once", id="twice"),
        pytest.param("train", "SPLIT_RATIOS .*--split-ratio train=0.8,val=0.2", id="no-share"),
        pytest.param("source", "SPLIT_RATIOS .*--split-from-source", id="source"),
        pytest.param("a/splits.json", "SPLIT_RATIOS .*--split-file a/splits.json", id="file"),
    ],
)
def test_ratios__another_word_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_ratios(text)


def test_ratios__and_words_that_are_no_split():
    assert parse_ratios("train=0.5,val=0.5") == {"train": 0.5, "val": 0.5}
    with pytest.raises(InputError, match="FILE_MISSING"):
        load_split_file(Path("no/such.json"))
    with pytest.raises(InputError, match="OPTION"):
        check_split("sources")


def official(n_groups):
    """Ten training images in groups of two, and two test images."""
    groups = [f"g{i // 2}" for i in range(2 * n_groups)] + [None, None]
    return make(["train"] * 2 * n_groups + ["test"] * 2, groups)


def test_val_from_train__keeps_groups_whole_and_the_test_part_as_it_is():
    table = official(10)
    splits = [choose(table, "source", seed=seed, val_from_train=0.2) for seed in (0, 0, 1, 2, 3)]
    images = splits[0].table.images
    assert images["split"].to_list()[-2:] == ["test", "test"]
    assert dict(images.group_by("split").len().iter_rows()) == {"train": 16, "val": 4, "test": 2}
    grouped = images.filter(pl.col("group").is_not_null()).group_by("group").agg(pl.col("split").n_unique())
    assert set(grouped["split"]) == {1}
    assert splits[0].rule == {"kind": "source", "val_from_train": 0.2, "seed": 0, "stratified_by": "class"}
    assert splits[0].description.endswith("0.2 of train as val by class, seed 0: 4 images")
    assert images.equals(splits[1].table.images)
    assert not all(images.equals(other.table.images) for other in splits)


def test_val_from_train__copies_stay_together():
    table = make(["train"] * 8 + ["test"])
    for seed in range(5):
        chosen = choose(table, "source", [*"xxxx", *"efghi"], seed=seed, val_from_train=0.4)
        assert len(set(chosen.table.images["split"][:4])) == 1


@pytest.mark.parametrize(
    ("splits", "split", "share", "message"),
    [
        pytest.param(["train", "val"], "source", 0.5, "OPTION val_from_train=0.5 .*it has train, val", id="val"),
        pytest.param(["test", "test"], "source", 0.5, "OPTION val_from_train=0.5 .*it has test", id="no-train"),
        pytest.param(["train", "test"], "auto", 0.5, "OPTION val_from_train.*--split-from-source", id="auto"),
        pytest.param(["train", "test"], "source", 1.5, "SPLIT_RATIO val_from_train=1.5", id="share"),
        pytest.param(["train", "test"], "source", 0.5, "SPLIT_TOO_FEW", id="one-image"),
    ],
)
def test_val_from_train__refused(splits, split, share, message):
    table = make(splits)
    with pytest.raises(InputError, match=message):
        choose(table, split, val_from_train=share)
