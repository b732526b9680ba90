"""Which source class a target class looks like: the table and its rule, on boxes made by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from detect_transfer.config import Transfer
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.models.base import ClassInit
from detect_transfer.models.class_evidence import ClassEvidence, ClassMatch, match_classes
from detect_transfer.models.families import class_inits, contradictions
from detect_transfer.models.source_weights import SourceWeights

SOURCES = ("person", "stop sign", "clock", "car", "truck", "bus")
Seen = dict[str, float]  # what the source detects on a box, with its score


def world(
    objects: Sequence[tuple[str, Seen]], *, names: Sequence[str] = ("a", "b", "c"), shift: float = 0.0
) -> tuple[AnnotationTable, Detections]:
    """A box an image, and on it, moved by `shift` of its 10 pixels, what the source detects."""
    n = len(objects)
    corners = {"x1": [10.0] * n, "y1": [10.0] * n, "x2": [20.0] * n, "y2": [20.0] * n}
    table = AnnotationTable.from_columns(
        images={"image_id": range(n), "file_name": [f"{i}.png" for i in range(n)]},
        boxes={
            **{"annotation_id": range(n), "image_id": range(n), **corners},
            "category_id": [names.index(name.strip("!")) + 1 for name, _ in objects],
            "ignore": [name.endswith("!") for name, _ in objects],
        },
        categories={"category_id": range(1, len(names) + 1), "name": names},
    )
    rows = [
        (i, SOURCES.index(source), 10.0 + shift, 10.0, 20.0 + shift, 20.0, score)
        for i, (_, seen) in enumerate(objects)
        for source, score in seen.items()
    ]
    columns = ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    return table, Detections.from_columns({n: [row[k] for row in rows] for k, n in enumerate(columns)})


def matches(objects: Sequence[tuple[str, Seen]], **options: object) -> dict[str, ClassMatch]:
    table, detections = world(objects, **options)  # type: ignore[arg-type]
    return {each.target: each for each in match_classes(table, detections, table.class_names, SOURCES)}


def test_one_to_one__is_clear_with_its_numbers() -> None:
    objects = [("a", {"person": 0.8, "car": 0.1})] * 20 + [("b", {"stop sign": 0.6})] * 4 + [("b", {})] * 4
    found = matches(objects)
    a, b, c = (found[name] for name in "abc")
    assert (a.match, a.sources, a.boxes) == ("clear", ("person",), 20)
    assert a.score == pytest.approx(0.8)
    assert a.runner_up is not None
    assert (a.runner_up.source, a.runner_up.score) == ("car", pytest.approx(0.1))
    assert (b.match, b.sources, b.score) == ("weak", ("stop sign",), pytest.approx(0.3))  # on 4 boxes, too few
    assert b.scores[0].ap50 == pytest.approx(0.5)
    assert (c.match, c.boxes, c.sources, c.score) == ("none", 0, (), None)


def test_z__is_that_of_the_shuffled_labels() -> None:
    objects = [("a", {"person": 0.9})] * 6 + [("b", {"person": 0.2})] * 3 + [("b", {})] * 11
    z = matches(objects)["a"].scores[0].z
    scores = np.array([seen.get("person", 0.0) for _, seen in objects])
    generator = np.random.default_rng(0)
    means = [generator.permutation(scores)[:6].mean() for _ in range(20_000)]
    assert z == pytest.approx((0.9 - np.mean(means)) / np.std(means), rel=0.02)


def test_several_targets_of_one_source__both_start_from_it() -> None:
    others = [("c", {})] * 40
    found = matches([("a", {"person": 0.9})] * 10 + [("b", {"person": 0.5})] * 10 + others)
    assert (found["a"].match, found["a"].sources) == ("clear", ("person",))
    assert (found["b"].match, found["b"].sources) == ("weak", ("person",))  # not above what the labels give by chance


def test_classes_that_the_source_does_not_tell_apart__are_not_known() -> None:
    found = matches([("a", {"person": 0.9}), ("b", {"person": 0.9})] * 10, names=("a", "b"))
    assert {each.match for each in found.values()} == {"weak"}


def test_one_target_of_two_sources__starts_from_both() -> None:
    vehicles = [("a", {"car": 0.6}), ("a", {"truck": 0.5})] * 9
    found = matches([*vehicles, *[("b", {"person": 0.7})] * 60])
    assert (found["a"].match, found["a"].sources) == ("clear", ("car", "truck"))
    third = matches([*vehicles, *[("a", {"bus": 0.6})] * 9, *[("b", {"person": 0.7})] * 60])
    assert third["a"].match == "weak"  # three that fire alike: the source does not know the class
    assert len(third["a"].sources) == 2


def test_a_source_class_that_fires_on_others_as_much__is_no_match() -> None:
    """People sit on chairs: that `person` fires on the boxes of chairs does not make them people."""
    found = matches([("a", {"person": 0.9})] * 100 + [("b", {"person": 0.2, "clock": 0.15})] * 10)
    assert (found["a"].match, found["b"].match) == ("clear", "weak")
    assert found["b"].sources == ("clock",)


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([("a", {"person": 0.9})], id="one box"),
        pytest.param([("a!", {"person": 0.9})] * 9, id="ignored boxes"),
        pytest.param([("a", {})] * 9, id="nothing detected"),
        pytest.param([("a", {"person": 0.01})] * 9, id="below the weak score"),
        pytest.param([], id="no image"),
    ],
)
def test_too_little__is_no_match(objects: list[tuple[str, Seen]]) -> None:
    assert {(each.match, each.sources) for each in matches(objects).values()} == {("none", ())}


def test_detections_beside_the_box__say_nothing() -> None:
    assert matches([("a", {"person": 0.9})] * 9, shift=3.0, names=("a",))["a"].match == "clear"  # IoU 7 / 13
    assert matches([("a", {"person": 0.9})] * 9, shift=4.0, names=("a",))["a"].match == "none"  # IoU 6 / 14


def test_shuffled_labels__give_no_clear_match() -> None:
    rare = [("a", {"clock": 0.9})] * 4 + [("b", {"bus": 0.95})] * 6
    objects = [("a", {"person": 0.9})] * 20 + [("b", {"stop sign": 0.8})] * 20 + [("c", {"car": 0.7})] * 5 + rare
    assert {each.match for each in matches(objects).values()} == {"clear"}
    generator = np.random.default_rng(0)
    for _ in range(200):
        labels = generator.permutation([name for name, _ in objects])
        shuffled = [(str(name), seen) for name, (_, seen) in zip(labels, objects, strict=True)]
        assert "clear" not in {each.match for each in matches(shuffled).values()}


def evidence(objects: Sequence[tuple[str, Seen]], **options: object) -> ClassEvidence:
    return ClassEvidence(tuple(matches(objects, **options).values()), len(objects), len(objects), 64)


def rows_of(transfer: Transfer, seen: ClassEvidence | None, names: Sequence[str]) -> tuple[ClassInit, ...]:
    source = SourceWeights({}, "", SOURCES, Path("w"), "")
    return class_inits(source, names, transfer.named_classes, transfer, seen)


def test_class_inits__take_the_users_entry_then_the_name_then_the_evidence() -> None:
    names = ("ped", "Stop Sign", "face", "wheel", "new")
    objects = [
        *[("ped", {"person": 0.9})] * 9, *[("Stop Sign", {"clock": 0.9})] * 9, *[("face", {"clock": 0.9})] * 9,
        *[("wheel", {"car": 0.04})] * 9,
    ]  # fmt: skip
    seen = evidence(objects, names=names)
    rows = rows_of(Transfer(class_map={"face": ["bus"]}), seen, names)
    assert [(row.how, row.sources, row.known) for row in rows] == [
        ("evidence", ("person",), True),
        ("same name", ("stop sign",), True),
        ("class_map", ("bus",), True),
        ("weak evidence", ("car",), False),
        ("mean of all rows", (), False),
    ]
    rows = rows_of(Transfer(class_map={"ped": []}), seen, names)
    assert (rows[0].how, rows[0].known) == ("mean of all rows", False)  # named as new
    assert rows_of(Transfer(), None, ["ped"])[0].how == "mean of all rows"


def test_contradictions__show_the_numbers() -> None:
    names = ("stop", "person", "quiet")
    objects = [
        *[("stop", {"stop sign": 0.8, "person": 0.1})] * 9,
        *[("person", {"car": 0.7})] * 9,
        *[("quiet", {})] * 9,
    ]
    seen = evidence(objects, names=names)
    first, second = contradictions(rows_of(Transfer(class_map={"stop": "person", "quiet": "bus"}), seen, names), seen)
    assert first.startswith(
        "transfer.class_map.stop starts from 'person', which scores 0.10 on its 9 boxes; 'stop sign' scores 0.80"
    )
    assert second.startswith("class person, by its name, starts from 'person', which scores 0.00")
    assert contradictions(rows_of(Transfer(class_map={"stop": ["stop sign", "bus"]}), seen, ["stop"]), seen) == []


def test_record__has_a_row_a_class_and_the_sentences_say_the_same() -> None:
    seen = evidence([("a", {"person": 0.9, "car": 0.1})] * 9 + [("b", {"clock": 0.05})] * 29)
    record = seen.as_record()
    assert record["class_evidence"][0] == {
        "target": "a", "boxes": 9, "match": "clear", "sources": ("person",), "score": pytest.approx(0.9),
        "ap50": pytest.approx(1.0), "runner_up": "car", "runner_up_score": pytest.approx(0.1),
    }  # fmt: skip
    assert record["class_evidence_made"]["images"] == 38
    assert [each.sentence for each in seen.matches] == [
        "like 'person', score 0.900; next 'car' 0.100 (boxes: 9)",
        "weakly like 'clock', score 0.050 (boxes: 29)",
        "no box in the images that were looked at",
    ]
    assert seen.class_map == {"a": ["person"]}
    assert ClassEvidence(note="it cannot").as_record()["class_evidence_made"] == {"note": "it cannot"}
