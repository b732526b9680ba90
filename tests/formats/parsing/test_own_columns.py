"""Attributes of a tool that stand for columns of the table."""

from __future__ import annotations

from typing import Any

import pytest

from detect_transfer.formats.parsing.own_columns import take_columns

SHARES = ("occluded", "truncated")


@pytest.mark.parametrize(
    ("attributes", "columns"),
    [
        ({"track_id": 7, "occluded": True}, {"track_id": "7", "occluded": 1.0}),
        ({"occluded": 0.25, "truncated": "0.5"}, {"occluded": 0.25, "truncated": 0.5}),
        ({"ignore": True, "ignore_reason": None}, {"ignore": True, "ignore_reason": "ignore flag"}),
    ],
)
def test_values_of_columns__are_taken_out(attributes: dict[str, Any], columns: dict[str, Any]) -> None:
    assert take_columns(attributes, SHARES) == columns
    assert not attributes


@pytest.mark.parametrize("attributes", [{"track_id": None}, {"occluded": 1}, {"truncated": 2}, {"track_id": ""}])
def test_null_and_levels__stay_attributes(attributes: dict[str, Any]) -> None:
    kept = dict(attributes)
    assert take_columns(attributes, SHARES) == {}
    assert attributes == kept
