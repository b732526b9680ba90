"""What the page shows of the data and of records made elsewhere, as plain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.evaluation import Scores
from detect_transfer.report.text import short_name

_TITLES = {
    "stages": "What trained",
    "phases": "Phases",
    "averages": "Averages of weights, scored after training",
    "head_rows": "Where the rows of the head came from",
    "class_evidence": "What the classes look like to the source",
    "class_evidence_made": "How that was seen",
    "frozen": "Frozen tensors",
    "source": "Source",
    "sources": "What each source knew of the data before training",
    "licences_of_code": "Licences: the code that it ran",
    "licences_of_weights": "Licences: the weights that it started from, and what these were made from",
}
_OPEN_ROWS = 12  # longer tables start folded
_LIST_ROOM = 160  # letters
_MOST_COLUMNS = 8  # a table with more is laid on its side


@dataclass(frozen=True)
class Block:
    """A titled table, or with `columns` empty a list of facts; cells are text, and so is the note below."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    closed: bool = False

    @property
    def folded(self) -> bool:
        """Whether it starts closed: it is of little interest, or long."""
        return self.closed or len(self.rows) > _OPEN_ROWS


def data_facts(truth: AnnotationTable, scores: Scores) -> Block:
    """Count what the truth holds."""
    counts = scores.counts
    names = {
        "images": "Images",
        "images_without_objects": "Images without an object",
        "objects": "Objects",
        "ignored": "Ignored boxes",
        "ignored_for_every_class": "Regions ignored for every class",
        "detections": "Detections",
        "classes": "Classes",
    }
    rows = [(label, f"{counts[key]:,}") for key, label in names.items()]
    height = (truth.boxes["y2"] - truth.boxes["y1"]).sort()
    if len(height):
        low, middle, high = (height.quantile(q, "nearest") for q in (0.05, 0.5, 0.95))
        rows.append(("Box height, 5 / 50 / 95 % of boxes", f"{low:.0f} / {middle:.0f} / {high:.0f} px"))
    absent = scores.classes_without_objects
    if absent:
        listed = ", ".join(short_name(name) for name in absent[:40])
        more = f" and {len(absent) - 40} more" if len(absent) > 40 else ""
        rows.append(("Classes without an object, in no mean", f"{listed}{more}"))
    return Block("Validation data", (), tuple(rows))


def ignore_reasons(truth: AnnotationTable) -> Block | None:
    """Count ignored boxes by reason; None where there is none."""
    ignored = truth.boxes.filter(pl.col("ignore") | pl.col("iscrowd"))
    if ignored.is_empty():
        return None
    crowd = pl.when(pl.col("iscrowd")).then(pl.lit("crowd")).otherwise(pl.lit("not stated"))
    counts = ignored.select(pl.coalesce("ignore_reason", crowd).alias("reason")).group_by("reason").len()
    rows = counts.sort("len", "reason", descending=[True, False]).iter_rows()
    return Block(
        "Why boxes are ignored", ("reason", "boxes"), tuple((short_name(r, longest=80), f"{n:,}") for r, n in rows)
    )


def ledger_blocks(ledger: Mapping[str, Any] | None) -> list[Block]:
    """Turn a ledger into one table of steps and one of the lines that explain them."""
    steps = (ledger or {}).get("steps")
    if not isinstance(steps, Sequence) or not all(isinstance(s, Mapping) for s in steps):
        return record_blocks(ledger, "Ledger")
    flow = [(cell(s.get("step")), _arrow(s, "images"), _arrow(s, "boxes")) for s in steps]
    lines = [
        (
            cell(step.get("step")),
            cell(line.get("action")),
            cell(line.get("count")),
            cell(line.get("kind")),
            cell(line.get("reason")),
            cell(list(line.get("examples") or [])[:2]),
        )
        for step in steps
        for line in step.get("lines") or []
    ]
    blocks = [Block("Ledger: rows in and out of each step", ("step", "images", "boxes"), tuple(flow))]
    if lines:
        columns = ("step", "what", "count", "of", "reason", "first places")
        blocks.append(Block("Ledger: what left or changed, and why", columns, tuple(lines)))
    return blocks


def _arrow(step: Mapping[str, Any], kind: str) -> str:
    before, after = step.get(f"{kind}_in"), step.get(f"{kind}_out")
    return cell(after) if before == after else f"{cell(before)} → {cell(after)}"


def record_blocks(record: Mapping[str, Any] | None, title: str) -> list[Block]:
    """Turn a JSON record of any shape into facts and tables: a list of objects makes a table, the rest facts."""
    facts, blocks = [], []
    for key, value in (record or {}).items():
        name = _TITLES.get(key, str(key).replace("_", " "))
        if isinstance(value, Sequence) and value and all(isinstance(v, Mapping) for v in value):
            blocks.append(_table(name, value))
        elif key == "frozen" and isinstance(value, Mapping) and value.get("tensors") == 0:
            facts.append((name, "none: every tensor trained at some time"))
        elif isinstance(value, Mapping):
            blocks.append(Block(name, (), tuple((str(k).replace("_", " "), cell(v)) for k, v in value.items())))
        else:
            facts.append((name, cell(value)))
    return ([Block(title, (), tuple(facts))] if facts else []) + blocks


def _table(title: str, records: Sequence[Mapping[str, Any]]) -> Block:
    """Make a table of objects, a row each; with many keys a column each, without the keys that none has a value of."""
    keys = tuple(dict.fromkeys(str(key) for record in records for key in record))
    rows = tuple(tuple(cell(record.get(key)) for key in keys) for record in records)
    names = tuple(key.replace("_", " ") for key in keys)
    if len(keys) <= _MOST_COLUMNS:
        return Block(title, names, rows)
    first, *others = ((name, *values) for name, values in zip(names, zip(*rows, strict=True), strict=True))
    return Block(title, first, tuple(row for row in others if set(row[1:]) != {"–"}))


def cell(value: object) -> str:
    """Return a value of a record as short text."""
    if value is None or (isinstance(value, str | list | tuple | Mapping) and not value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        same: dict[str, list[str]] = {}  # such as the stages with one rate
        for key, part in value.items():
            same.setdefault(cell(part), []).append(str(key))
        return short_name("; ".join(f"{', '.join(keys)} {part}" for part, keys in same.items()), longest=160)
    if isinstance(value, list | tuple):
        return _listed([cell(v) for v in value])
    return short_name(value, longest=120)


def _listed(words: Sequence[str]) -> str:
    """Return words as a list that ends with how many did not fit."""
    shown = max(1, sum(end <= _LIST_ROOM for end in accumulate(len(word) + 2 for word in words)))
    left = len(words) - shown
    return short_name(", ".join(words[:shown]), longest=_LIST_ROOM) + (f" and {left} more" if left else "")
