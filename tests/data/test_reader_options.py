"""Options of readers: every kind of value, and every misspelt one is an error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.data.reader_options import parse_options
from detect_transfer.formats import READERS, Format


def read(
    root: Path,
    *,
    flag: bool = False,
    maybe: bool | None = None,
    count: int = 1,
    share: float = 0.5,
    name: str = "a",
    label: str | None = None,
    kind: Literal["box", "mask"] = "box",
    names: Sequence[str] = (),
    folder: Path | None = None,
) -> Any: ...


FORM = Format(read, "made for this test")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("flag=true", True),
        ("flag=False", False),
        ("maybe=null", None),
        ("maybe=false", False),
        ("count=-3", -3),
        ("share=1e-2", 0.01),
        ("name=2017", "2017"),
        ("name=a=b", "a=b"),
        ("label=none", None),
        ("label=7", "7"),
        ("kind=mask", "mask"),
        ("names=a, b", ("a", "b")),
        ('names=["a", "b"]', ("a", "b")),
        ("names=", ()),
        ("folder=x/y", Path("x/y")),
    ],
)
def test_value__has_the_type_of_the_reader(word: str, expected: object) -> None:
    assert parse_options(FORM, [word]) == {word.partition("=")[0]: expected}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("flag=flase", "true or false"),
        ("flag=1", "true or false"),
        ("flag=", "true or false"),
        ("maybe=maybe", "true or false"),
        ("count=1.5", "a whole number"),
        ("share=half", "a finite number"),
        ("share=nan", "a finite number"),
        ("kind=boxes", "one of box, mask"),
    ],
)
def test_value__of_another_type_is_refused(word: str, message: str) -> None:
    with pytest.raises(InputError, match=f"OPTION_VALUE --option={word} - {message} was expected"):
        parse_options(FORM, [word])


def test_names__that_are_unknown_are_refused_in_both_forms() -> None:
    for options in (["flags=true"], {"flags": True}):
        with pytest.raises(InputError, match=r"OPTION_UNKNOWN --option=flags=.*'flag'"):
            parse_options(FORM, options)
    assert parse_options(FORM, {"flag": True}) == {"flag": True}


@pytest.mark.parametrize("name", sorted(READERS))
def test_defaults__of_every_reader_can_be_typed(name: str) -> None:
    """What a reader takes by default is what its words say."""
    form = READERS[name]
    for key, option in form.options.items():
        default = option.default
        text = ",".join(default) if isinstance(default, tuple) else "null" if default is None else str(default)
        assert parse_options(form, [f"{key}={text}"])[key] == default, key
