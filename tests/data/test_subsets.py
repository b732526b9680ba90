"""Parts of the training set: each in the next, every class in its share, no group cut, whatever else is asked for."""

import pytest

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.subsets import missing_classes, nested_subsets


def table(n_images: int = 400, *, group: int = 0) -> AnnotationTable:
    """Every image has an object of class 1, every tenth one of class 2; `group` images in a row are one video."""
    ids = list(range(1, n_images + 1))
    boxes = [(i, 1) for i in ids] + [(i, 2) for i in ids if i % 10 == 0]
    return AnnotationTable.from_columns(
        images={
            "image_id": ids,
            "file_name": [f"{i}.jpg" for i in ids],
            "group": [str(i // group) if group else None for i in ids],
        },
        boxes={
            "annotation_id": range(1, len(boxes) + 1),
            "image_id": [i for i, _ in boxes],
            "category_id": [c for _, c in boxes],
            **{name: [v] * len(boxes) for name, v in (("x1", 0.0), ("y1", 0.0), ("x2", 9.0), ("y2", 9.0))},
        },
        categories={"category_id": [1, 2], "name": ["often", "rare"]},
    )


def test_parts__lie_in_each_other_and_have_the_classes_in_their_shares() -> None:
    parts = nested_subsets(table(), [1, 5, 10, 30, 100])
    assert [len(ids) for ids in parts.values()] == [4, 20, 40, 120, 400]
    before: set[int] = set()
    for percent, ids in parts.items():
        assert before < set(ids)
        before = set(ids)
        rare = sum(i % 10 == 0 for i in ids)
        assert abs(rare - len(ids) / 10) <= 1, percent


def test_part__does_not_depend_on_the_other_sizes_nor_on_the_order_of_rows() -> None:
    whole = table()
    turned = AnnotationTable(whole.images.reverse(), whole.boxes.reverse(), whole.categories)
    assert nested_subsets(whole, [10])[10] == nested_subsets(turned, [3, 10, 50])[10]
    assert nested_subsets(whole, [10], seed=1) != nested_subsets(whole, [10])


def test_part__holds_groups_whole() -> None:
    of_groups = table(group=8)
    groups = dict(of_groups.images.select("image_id", "group").rows())
    ids = set(nested_subsets(of_groups, [25])[25])
    assert {i for i in groups if groups[i] in {groups[k] for k in ids}} == ids
    assert abs(len(ids) - 100) <= 8


def test_sizes__that_are_the_same_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"STUDY_SIZES study.sizes=2 - 1 % and 2 % of 20 training images are the same"):
        nested_subsets(table(20), [1, 2, 50])


def test_missing_classes__are_those_that_are_scored_and_not_learnt() -> None:
    whole = table(40)
    assert missing_classes(whole, [1, 2, 3], whole) == ["rare"]
    assert missing_classes(whole, [10], whole) == []
