"""Splits: whole groups, every class shared out, the same result for any order of rows."""

import random
import time

import numpy as np
import polars as pl
import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.split import split_by_ratio, split_from_source

RATIOS = {"train": 0.8, "val": 0.2}


def make(classes_of_image, *, groups=None, splits=None, names=None):
    """Make a table of images with the given classes, a box each; `None` for an ignored box."""
    n = len(classes_of_image)
    rows = [(i, c) for i, classes in enumerate(classes_of_image, start=1) for c in classes]
    return AnnotationTable.from_columns(
        images={
            "image_id": list(range(1, n + 1)),
            "file_name": names or [f"{i:05d}.png" for i in range(n)],
            "width": [10] * n,
            "height": [10] * n,
            "group": groups or [None] * n,
            "split": splits or [None] * n,
        },
        boxes={
            "annotation_id": list(range(1, len(rows) + 1)),
            "image_id": [i for i, _ in rows],
            "category_id": [c for _, c in rows],
            "ignore": [c is None for _, c in rows],
            **{c: [0.0] * len(rows) for c in ("x1", "y1")},
            **{c: [4.0] * len(rows) for c in ("x2", "y2")},
        },
        categories={"category_id": [1, 2, 3], "name": ["a", "b", "c"]},
    )


def long_tail(n=600, *, seed=0, n_groups=None):
    rng = np.random.default_rng(seed)
    classes = [rng.choice([1, 2, 3], size=rng.poisson(1.5), p=[0.8, 0.15, 0.05]).tolist() for _ in range(n)]
    groups = None if n_groups is None else [f"video{g}" for g in rng.integers(0, n_groups, n)]
    return make(classes, groups=groups)


def assignment(table):
    return dict(table.images.select("image_id", "split").rows())


def test_ratio__each_class_the_images_and_the_empty_ones_come_in_the_ratio():
    found = split_by_ratio(long_tail(), RATIOS, seed=0)
    assert (found.images["split"] == "val").mean() == pytest.approx(0.2, abs=0.02)
    boxes = found.boxes.join(found.images, on="image_id")
    for category_id in (1, 2, 3):
        assert (boxes.filter(category_id=category_id)["split"] == "val").mean() == pytest.approx(0.2, abs=0.03)
    empty = found.images.join(found.boxes, on="image_id", how="anti")
    assert (empty["split"] == "val").mean() == pytest.approx(0.2, abs=0.02)


def test_ratio__by_hand():
    # class 2 is in 5 images of 10: one of them goes to val; of the other 5, one as well
    found = split_by_ratio(make([[2]] * 5 + [[1]] * 5), RATIOS, seed=3)
    splits = found.images["split"].to_list()
    assert (splits[:5].count("val"), splits[5:].count("val")) == (1, 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ratio__never_cuts_a_group(seed):
    found = split_by_ratio(long_tail(n_groups=60), {"train": 0.7, "val": 0.2, "test": 0.1}, seed=seed)
    assert found.images.group_by("group").agg(pl.col("split").n_unique())["split"].to_list() == [1] * 60
    shares = dict(found.images["split"].value_counts(normalize=True).rows())
    assert shares == pytest.approx({"train": 0.7, "val": 0.2, "test": 0.1}, abs=0.06)


def test_ratio__copies_and_shared_file_names_stay_together_across_groups():
    names = [f"{i}.png" for i in range(40)]
    table = make([[1]] * 40, groups=["x", "x", "y", "y"] + [None] * 36, names=[*names[:39], names[20]])
    for seed in range(8):
        # 2 and 3 are one image in two groups: x and y become one; 5 and 6 are copies; 21 and 40 are one file
        found = assignment(split_by_ratio(table, RATIOS, seed=seed, hashes={2: "h", 3: "h", 5: "k", 6: "k"}))
        assert len({found[i] for i in (1, 2, 3, 4)}) == 1
        assert found[5] == found[6]
        assert found[21] == found[40]


def test_ratio__a_copy_joins_two_groups():
    names = ["a", "b", "c", *[f"f{i}" for i in range(20)]]
    table = make([[1]] * 23, groups=["g", None, "g"] + [None] * 20, names=names)
    for seed in range(40):
        found = assignment(split_by_ratio(table, RATIOS, seed=seed, hashes={2: "h", 3: "h"}))
        assert len({found[i] for i in (1, 2, 3)}) == 1


def test_ratio__does_not_depend_on_the_order_of_rows():
    table = long_tail(200, n_groups=50)
    expected = assignment(split_by_ratio(table, RATIOS, seed=5))
    for seed in range(3):
        order = list(range(200))
        random.Random(seed).shuffle(order)
        shuffled = AnnotationTable(table.images[order], table.boxes.reverse(), table.categories)
        found = split_by_ratio(shuffled, RATIOS, seed=5)
        assert assignment(found) == expected
        assert found.images["image_id"].to_list() == shuffled.images["image_id"].to_list(), "rows keep their order"


def test_ratio__a_few_large_groups_come_near_the_shares_of_images_and_boxes():
    # hours of video: the largest group holds a quarter of all images, and boxes are rarest where images are many
    sizes = [250, 160, 120, 110, 90, 80, 60, 50, 40, 25, 15]
    groups = [f"video{g}" for g, size in enumerate(sizes) for _ in range(size)]
    rng = np.random.default_rng(4)
    classes = [
        [int(c) for c in rng.choice([1, 2, 3], size=rng.poisson(30 / (1 + sizes[int(g[5:])] / 20)))] for g in groups
    ]
    for seed in range(4):
        found = split_by_ratio(make(classes, groups=groups), RATIOS, seed=seed)
        boxes = found.boxes.join(found.images, on="image_id")
        assert (found.images["split"] == "val").mean() == pytest.approx(0.2, abs=0.03)
        assert (boxes["split"] == "val").mean() == pytest.approx(0.2, abs=0.03)


def test_ratio__is_of_the_content_and_not_of_paths_ids_or_numbers_of_classes():
    table = long_tail(200, n_groups=50)
    hashes = {i: f"hash {i}" for i in table.images["image_id"]}
    expected = split_by_ratio(table, RATIOS, seed=5, hashes=hashes).images["split"].to_list()
    other = AnnotationTable(
        table.images.with_columns(
            pl.col("image_id") + 1000,
            file_name=pl.lit("x/") + pl.col("file_name").str.reverse(),
            group="g" + pl.col("group"),
        ),
        table.boxes.with_columns(pl.col("image_id") + 1000, category_id=9 - pl.col("category_id")),
        table.categories.with_columns(category_id=9 - pl.col("category_id")),
    )
    hashes = {i + 1000: text for i, text in hashes.items()}
    assert split_by_ratio(other, RATIOS, seed=5, hashes=hashes).images["split"].to_list() == expected


def test_ratio__seed_decides():
    table = long_tail(200)
    first, again, other = (assignment(split_by_ratio(table, RATIOS, seed=s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_ratio__fifty_thousand_images_take_seconds():
    table = long_tail(50_000)
    start = time.perf_counter()
    split_by_ratio(table, RATIOS, seed=0)
    assert time.perf_counter() - start < 15  # about 1 s on a quiet machine


@pytest.mark.parametrize(
    ("table", "ratios", "code"),
    [
        pytest.param(make([[1]] * 9), {"train": 0.8, "val": 0.1}, "SPLIT_RATIO", id="sum-below-one"),
        pytest.param(make([[1]] * 9), {"train": 1.2, "val": -0.2}, "SPLIT_RATIO", id="negative"),
        pytest.param(make([[1]] * 9), {"train": float("nan"), "val": 0.2}, "SPLIT_RATIO", id="nan"),
        pytest.param(make([[1]] * 9), {}, "SPLIT_RATIO", id="none"),
        pytest.param(make([[1]] * 9), {"../up": 1.0}, "SPLIT_NAME", id="name-is-a-path"),
        pytest.param(make([[1]] * 9, groups=["g"] * 9), RATIOS, "SPLIT_TOO_FEW", id="one-group"),
        pytest.param(make([[1]] * 2), RATIOS, "SPLIT_EMPTY", id="two-images-both-train"),
        pytest.param(make([[1]] + [[]] * 20), RATIOS, "SPLIT_NO_POSITIVES", id="one-positive"),
        pytest.param(make([[None]] * 20), RATIOS, "SPLIT_NO_POSITIVES", id="only-ignored"),
    ],
)
def test_ratio__refuses(table, ratios, code):
    with pytest.raises(InputError) as caught:
        split_by_ratio(table, ratios, seed=0)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("splits", "groups", "code", "words"),
    [
        pytest.param(["train", "val"] * 2, None, None, [], id="good"),
        pytest.param(["train", "val"] * 2, ["x", "y"] * 2, None, [], id="whole-groups"),
        pytest.param(["train", "val", None, "val"], None, "SPLIT_MISSING", ["1 of 4"], id="one-without"),
        pytest.param(
            ["train", "val"] * 2, ["x", "y", "y", None], "SPLIT_CUTS_GROUP", ["group=y", "'train' and 'val'"], id="cut"
        ),
        pytest.param(["train"] * 4, None, None, [], id="train-alone"),
        pytest.param(["train", "val/../.."] * 2, None, "SPLIT_NAME", [], id="name-is-a-path"),
    ],
)
def test_source(splits, groups, code, words):
    table = make([[1]] * 4, splits=splits, groups=groups)
    if code is None:
        assert split_from_source(table) is table
        return
    with pytest.raises(InputError) as caught:
        split_from_source(table)
    assert caught.value.code == code
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_source__val_needs_positives():
    with pytest.raises(InputError, match="SPLIT_NO_POSITIVES split=val"):
        split_from_source(make([[1], [None]], splits=["train", "val"]))
