"""Tables as Hypothesis makes them: whatever a reader may give, small enough for hundreds of examples."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
from hypothesis import strategies as st

from detect_transfer.core.annotations import AnnotationTable

# letters of several scripts, what XML, JSON, CSV and shells trip over, and no separators of paths
_ALPHABET = "abzAZ09 äßéßžя中文字😀 .,;:'\"<>&%#-_()[]{}=+~"
_WORD = st.text(_ALPHABET, min_size=1, max_size=12).map(lambda text: text.strip(" .~") or "x")
_STEM = _WORD.map(lambda text: text.replace(":", "_").strip() or "x")  # a colon names a drive
_SHARE = st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1, allow_nan=False).map(lambda v: round(v, 4)))
_VALUE = st.one_of(
    _WORD, st.booleans(), st.integers(-5, 5), st.floats(-1e3, 1e3, allow_nan=False), st.lists(_WORD, max_size=2)
)


@st.composite
def boxes_in(draw: Any, width: int, height: int) -> dict[str, Any]:
    """Draw a box: whole or broken numbers, inside, on or over the edge, at least a pixel wide."""
    step = draw(st.sampled_from([1.0, 0.5, 0.01, 1 / 3]))
    x1 = round(draw(st.integers(-20, int((width - 1) / step))) * step, 6)
    y1 = round(draw(st.integers(-20, int((height - 1) / step))) * step, 6)
    wide, high = (draw(st.integers(0, 300)) * step + 1 for _ in range(2))
    return {"x1": x1, "y1": y1, "x2": max(round(x1 + wide, 6), x1 + 1), "y2": max(round(y1 + high, 6), y1 + 1)}


@st.composite
def _flags(draw: Any, class_ids: list[int]) -> dict[str, Any]:
    """Draw what a box is: an object, a region to ignore with or without a class, or a crowd."""
    kind = draw(st.sampled_from(["object", "object", "object", "difficult", "ignored", "classless", "crowd"]))
    ignored = kind != "object"
    reasons = {"difficult": "difficult", "crowd": "crowd"}
    return {
        "category_id": None if kind == "classless" else draw(st.sampled_from(class_ids)),
        "iscrowd": kind == "crowd",
        "ignore": ignored,
        "ignore_reason": reasons.get(kind, draw(_WORD)) if ignored else None,
        "difficult": kind == "difficult",
    }


@st.composite
def tables(draw: Any, *, splits: tuple[str | None, ...] = ("train", "val", "test", None)) -> AnnotationTable:
    """Draw a table of up to four images and eight boxes.

    Args:
        draw: Given by Hypothesis.
        splits: What the split of an image may be.
    """
    names = draw(st.lists(_WORD, min_size=1, max_size=3, unique_by=lambda name: name))
    class_ids = draw(st.lists(st.integers(0, 90), min_size=len(names), max_size=len(names), unique=True))
    stems = draw(st.lists(_STEM, min_size=1, max_size=4, unique_by=str.casefold))
    size = st.tuples(st.integers(2, 3000), st.integers(2, 2000))
    images = [
        {
            "image_id": 10 * number,
            "file_name": f"{draw(st.sampled_from(['', 'a b/', 'ä/c/']))}{stem}.{draw(st.sampled_from(['png', 'JPG']))}",
            **dict(zip(("width", "height"), draw(size), strict=True)),
            "split": draw(st.sampled_from(splits)),
            "group": draw(st.one_of(st.none(), _WORD)),
            "weather": draw(st.one_of(st.none(), _WORD)),
        }
        for number, stem in enumerate(stems, start=1)
    ]
    rows = []
    for number in range(1, draw(st.integers(0, 8)) + 1):
        image = draw(st.sampled_from(images))
        visible = draw(st.one_of(st.none(), boxes_in(image["width"], image["height"])))
        attributes = draw(st.dictionaries(_WORD, _VALUE, max_size=2))
        rows.append(
            {
                "annotation_id": 3 * number,
                "image_id": image["image_id"],
                **draw(_flags(class_ids)),
                **draw(boxes_in(image["width"], image["height"])),
                "occluded": draw(_SHARE),
                "truncated": draw(_SHARE),
                "vis_ratio": draw(_SHARE),
                **{f"vis_{k}": v for k, v in (visible or {}).items()},
                "track_id": draw(st.one_of(st.none(), _WORD)),
                "attributes": orjson.dumps(attributes).decode() if attributes else None,
                "source": f"native.txt:{number}",
            }
        )
    above = draw(st.one_of(st.none(), _WORD))
    return AnnotationTable.from_columns(
        images=pl.DataFrame(_columns(images), schema_overrides={"weather": pl.String}),
        boxes=_columns(rows),
        categories={"category_id": class_ids, "name": names, "supercategory": [above] * len(names)},
    )


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into columns; a key that a row lacks is null."""
    keys = dict.fromkeys(key for row in rows for key in row)
    return {key: [row.get(key) for row in rows] for key in keys}
