"""What becomes of faults, and what the ledger of reading says of them."""

from __future__ import annotations

import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing.error_collector import ErrorCollector


def fault(problems: ErrorCollector, **of: str) -> None:
    problems.add("BAD", "it is wrong", where="a.txt:1", remedy="fix it", **of)


def reading_of(problems: ErrorCollector, boxes: int = 0) -> list[tuple[str, str, str, int]]:
    return [(ln.kind, ln.action, ln.reason, ln.count) for ln in problems.reading(boxes_of_skipped=boxes)]


def test_choice__of_another_word_is_refused() -> None:
    with pytest.raises(InputError, match="OPTION_VALUE on_error=ignore"):
        ErrorCollector("ignore")


@pytest.mark.parametrize(
    ("mode", "of", "fatal"),
    [
        ("fail", {"row_of": "a.png"}, True),
        ("skip-row", {"row_of": "a.png"}, False),
        ("skip-row", {"row_of": ""}, False),
        ("skip-row", {"image": "a.png"}, True),
        ("skip-row", {}, True),
        ("skip-image", {"row_of": "a.png"}, False),
        ("skip-image", {"row_of": ""}, True),
        ("skip-image", {"image": "a.png"}, False),
        ("skip-image", {}, True),
    ],
)
def test_fault__is_an_error_unless_its_kind_may_be_skipped(mode: str, of: dict[str, str], fatal: bool) -> None:
    problems = ErrorCollector(mode)
    fault(problems, **of)
    assert problems.total == 1
    assert bool(problems.fatal) == fatal
    if fatal:
        with pytest.raises(InputError, match="BAD"):
            problems.raise_any()
    else:
        problems.raise_any()


def test_reading__counts_every_row_of_a_skipped_image() -> None:
    problems = ErrorCollector("skip-image")
    fault(problems, row_of="a.png")
    fault(problems, row_of="a.png")
    fault(problems, image="b.png")
    assert reading_of(problems, boxes=3) == [
        ("image", "dropped", "skipped: BAD", 2),
        ("box", "dropped", "skipped with their image", 5),
    ]


def test_absorb__takes_over_all_of_a_part() -> None:
    whole, part = ErrorCollector("skip-image"), ErrorCollector("skip-image")
    fault(part, row_of="a.png")
    part.remark("read otherwise", 2, kind="box")
    part.note("left out", 4, ("x",), kind="image")
    fault(part)
    whole.absorb(part, "train/")
    assert list(whole.skipped_images) == ["train/a.png"]
    assert (whole.total, whole.fatal) == (2, 1)
    assert reading_of(whole) == [
        ("box", "noted", "read otherwise", 2),
        ("image", "dropped", "left out", 4),
        ("image", "dropped", "skipped: BAD", 1),
        ("box", "dropped", "skipped with their image", 1),
    ]


def test_note__of_none_is_no_line() -> None:
    problems = ErrorCollector()
    problems.note("left out", 0, kind="box")
    problems.remark("read otherwise", 0, kind="box")
    assert reading_of(problems) == []


def test_raise__equal_faults_of_many_images_are_one_line_and_others_are_seen_behind_them() -> None:
    problems = ErrorCollector()
    for number in range(500):
        problems.add(
            "GONE",
            "it is not there",
            where=f"a.txt:{number}",
            field="image",
            value=f"{number}.jpg",
            remedy="restore it",
        )
    problems.add("BAD", "it is wrong", where="b.txt:1", remedy="fix it")
    with pytest.raises(InputError) as caught:
        problems.raise_any()
    such = "(500 such, then a.txt:1 image=1.jpg, a.txt:2 image=2.jpg)"
    assert str(caught.value).splitlines() == [
        f"GONE a.txt:0 image=0.jpg - it is not there {such}; restore it",
        "BAD b.txt:1 - it is wrong; fix it",
    ]


def test_raise__no_more_than_twenty_kinds_are_shown() -> None:
    problems = ErrorCollector()
    for number in range(100):
        problems.add("BAD", f"it is wrong by {number}", where="a.txt:1", remedy="fix it")
    with pytest.raises(InputError) as caught:
        problems.raise_any()
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert "80 more" in lines[-1]


def test_notes__of_one_reason_in_several_files_are_one_line() -> None:
    whole = ErrorCollector()
    for number in (2, 3):
        part = ErrorCollector()
        part.remark("read otherwise", number, (f"{number}.json",), kind="box")
        part.note("read otherwise", 1, kind="box")
        whole.absorb(part)
    assert reading_of(whole) == [("box", "noted", "read otherwise", 5), ("box", "dropped", "read otherwise", 2)]
