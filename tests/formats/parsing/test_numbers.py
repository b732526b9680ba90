from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect_transfer.formats.parsing.numbers import parse_integer, parse_number


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-Infinity", "1_0", "١", "１", "1e999", "0x1", "", " 1", "1 ", "0.", "1,5", "1e"]
)
def test_number__refuses(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), ("-0.5", -0.5), ("+.5", 0.5), ("1e-3", 0.001), ("2E+2", 200.0), ("007", 7.0)]
)
def test_number__takes(text: str, value: float) -> None:
    assert parse_number(text) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number__takes_whatever_python_writes(value: float) -> None:
    assert parse_number(repr(value)) == value


@given(st.text())
def test_number__never_fails(text: str) -> None:
    for found in (parse_number(text), parse_integer(text)):
        assert found is None or float(text) == found


@pytest.mark.parametrize("text", ["1.0", "1e3", "٣", "1_0", "", "9" * 19])
def test_integer__refuses(text: str) -> None:
    assert parse_integer(text) is None
