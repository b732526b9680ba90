"""Class maps: which source classes become which target class, are ignored, or leave.

A map is a YAML file, a named map in a data-set card, or a few words on the command line; every source class has to be
mentioned, so that none leaves unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import polars as pl

from detect_transfer.config import read_yaml
from detect_transfer.core.annotations import CATEGORY_SCHEMA, Annotations, Table
from detect_transfer.core.columns import collected, count_and_first, joined, n_rows
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.core.ledger import Ledger, LedgerStep
from detect_transfer.core.shipped import shipped

IGNORE, DROP, REST = "__ignore__", "__drop__", "__rest__"
Rest = Literal["error", "__ignore__", "__drop__", "keep"]


@dataclass(frozen=True)
class ClassMap:
    """A class map.

    Args:
        name: Where it comes from, for messages and the manifest.
        targets: Target classes in order, each with the source classes that become it.
        ignore: Source classes whose boxes become regions that are ignored for every class.
        drop: Source classes whose boxes leave.
        rest: What becomes of source classes that are not named; `error` refuses them.

    Raises:
        InputError: A source class is named twice, or a target has no source.
    """

    name: str
    targets: tuple[tuple[str, tuple[str, ...]], ...]
    ignore: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rest: Rest = "error"

    def __post_init__(self) -> None:
        """Check that every source class is mentioned once."""
        seen: set[str] = set()
        for target, sources in (*self.targets, (IGNORE, self.ignore), (DROP, self.drop)):
            if not sources and target not in (IGNORE, DROP):
                raise self._error("it has no source class", target, "name at least one source class")
            for source in sources:
                if source in seen:
                    raise self._error("the source class is named twice", source, "give it one target")
                seen.add(source)

    @property
    def sources(self) -> list[str]:
        """All source classes that the map names."""
        return [s for _, sources in self.targets for s in sources] + [*self.ignore, *self.drop]

    def as_dict(self) -> dict[str, Any]:
        """Return the map as it would stand in a YAML file."""
        special = {IGNORE: list(self.ignore), DROP: list(self.drop)}
        rest = {} if self.rest == "error" else {REST: self.rest}
        return {t: list(s) for t, s in self.targets} | {k: v for k, v in special.items() if v} | rest

    def _error(self, what: str, value: str, remedy: str) -> InputError:
        return InputError("CLASS_MAP", what, where=self.name, field="class", value=value, remedy=remedy)


def load_class_map(text: str) -> ClassMap:
    """Load a class map from `map.yaml`, from `dataset.yaml#name`, or from words such as `sign=stop,sign=yield`.

    In words, `target=source` may stand several times for one target, and `source=` is no map but an error.

    Raises:
        InputError: The file, the named map, or an entry is wrong.
    """
    path_text, _, map_name = text.partition("#")
    if "=" in text and not path_text.endswith((".yaml", ".yml")):
        return _from_words(text)
    content = read_yaml(shipped(Path(path_text)))
    if map_name:
        maps = content.get("class_maps") if isinstance(content, dict) else None
        if not isinstance(maps, dict) or map_name not in maps:
            choices = [str(k) for k in maps] if isinstance(maps, dict) else []
            raise InputError(
                "CLASS_MAP_UNKNOWN",
                "the card has no class map of this name",
                where=path_text,
                field="class_maps",
                value=map_name,
                remedy=did_you_mean(map_name, choices),
            )
        content = maps[map_name]
    return class_map_from_dict(content, name=text)


def class_map_from_dict(content: object, *, name: str) -> ClassMap:
    """Make a class map from `{target: source or [sources], __ignore__: ..., __drop__: ..., __rest__: ...}`.

    Args:
        content: What a YAML file holds.
        name: Where it comes from, for messages.

    Raises:
        InputError: It is no mapping, or an entry is no text.
    """
    if not isinstance(content, Mapping) or not content:
        raise InputError("CLASS_MAP", "a mapping `target: [sources]` was expected", where=name, remedy="see datasets/")
    lists = {_text(k, name): _texts(v, name) for k, v in content.items() if k != REST}
    rest = content.get(REST, "error")
    if rest not in get_args(Rest):
        raise InputError(
            "CLASS_MAP", "it must be one of these", where=name, field=REST, value=rest, remedy=f"{IGNORE}, {DROP}, keep"
        )
    ignore, drop = lists.pop(IGNORE, ()), lists.pop(DROP, ())
    return ClassMap(name, tuple(lists.items()), ignore, drop, cast(Rest, rest))


def apply_class_map(table: Table, class_map: ClassMap, ledger: Ledger) -> Table:
    """Return the table with the target classes, numbered from 1 in the order of the map.

    Boxes of ignored classes stay as regions without a class (`ignore`, reason `class map: <source class>`); boxes of
    dropped classes leave and are counted. Images all stay.

    Args:
        table: With the source classes.
        class_map: What becomes of each.
        ledger: Gets the step `class map`.

    Raises:
        InputError: The map names a class that is not there, or leaves one unmentioned without saying what with the
            rest, or a class that is kept has the name of a target.
    """
    targets, ignored, dropped = _resolve(table, class_map)
    step = ledger.open("class map", images=len(table.images), boxes=table.n_boxes)
    id_of = dict(table.categories.select("name", "category_id").rows())
    target_id = {id_of[s]: number for number, (_, sources) in enumerate(targets, start=1) for s in sources}
    columns = {"category_id": [*id_of.values()], "_target": [*map(target_id.get, id_of.values())], "_name": [*id_of]}
    classes = pl.DataFrame(columns, schema={"category_id": pl.Int64, "_target": pl.Int64, "_name": pl.String})
    leaving = pl.col("category_id").is_in([id_of[s] for s in dropped]).fill_null(False)
    _count(table, step, targets=targets, ignored=ignored, dropped=dropped)
    reason = pl.concat_str(
        pl.lit("class map: "),
        "_name",
        pl.when(pl.col("ignore_reason").is_not_null())
        .then(pl.concat_str(pl.lit("; "), "ignore_reason"))
        .otherwise(pl.lit("")),
    )
    becomes_region = pl.col("category_id").is_in([id_of[s] for s in ignored]).fill_null(False)
    boxes = joined(table.boxes.filter(~leaving), classes, on="category_id", how="left").with_columns(
        pl.col("_target").alias("category_id"),
        (pl.col("ignore") | becomes_region).alias("ignore"),
        pl.when(becomes_region).then(reason).otherwise(pl.col("ignore_reason")).alias("ignore_reason"),
    )
    boxes = boxes.drop("_target", "_name")
    step.close(images_out=len(table.images), boxes_out=n_rows(boxes))
    return table.with_fields(boxes=boxes, categories=_categories(table, targets))


def _resolve(table: Annotations, class_map: ClassMap) -> tuple[list[tuple[str, tuple[str, ...]]], list[str], list[str]]:
    """Return targets with sources, ignored and dropped classes, with the rest put where the map says."""
    present = table.class_names
    problems: list[DetectTransferError] = [
        class_map._error("the source has no such class", name, did_you_mean(name, present))
        for name in class_map.sources
        if name not in present
    ]
    rest = [name for name in present if name not in class_map.sources]
    if rest and class_map.rest == "error":
        near = [f"{name} ({did_you_mean(name, class_map.sources)})" for name in rest] if problems else rest
        remedy = f"name them, or say {REST}: {IGNORE}, {DROP} or keep"
        problems.append(class_map._error(f"{len(rest)} source classes are not in the map", ", ".join(near), remedy))
    targets = list(class_map.targets)
    if class_map.rest == "keep":
        target_names = {target for target, _ in targets}
        problems += [
            class_map._error("the class is kept, and is also the name of a target", name, f"add it: {name}: [{name}]")
            for name in rest
            if name in target_names
        ]
        targets += [(name, (name,)) for name in rest]
    raise_problems(problems)
    ignored = [*class_map.ignore, *(rest if class_map.rest == IGNORE else [])]
    dropped = [*class_map.drop, *(rest if class_map.rest == DROP else [])]
    return targets, ignored, dropped


def _count(
    table: Annotations,
    step: LedgerStep,
    *,
    targets: list[tuple[str, tuple[str, ...]]],
    ignored: list[str],
    dropped: list[str],
) -> None:
    counts = collected(table.boxes.group_by("category_id").len())
    count_of = dict(counts.join(table.categories, on="category_id").select("name", "len").rows())
    id_of = dict(table.categories.select("name", "category_id").rows())
    for source in dropped:
        rows = table.boxes.filter(pl.col("category_id") == id_of[source])
        step.add("box", "dropped", f"class '{source}'", *count_and_first(rows))
    for source in ignored:
        step.add("box", "marked", f"class '{source}': ignored for every class", count_of.get(source, 0))
    for target, sources in targets:
        for source in sources:
            if source != target:
                step.add("box", "changed", f"class '{source}' became '{target}'", count_of.get(source, 0))


def _categories(table: Annotations, targets: list[tuple[str, tuple[str, ...]]]) -> pl.DataFrame:
    above = dict(table.categories.select("name", "supercategory").rows())
    rows = []
    for number, (target, sources) in enumerate(targets, start=1):
        parents = {above[s] for s in sources}
        rows.append((number, target, parents.pop() if len(parents) == 1 else None))
    return pl.DataFrame(rows, schema=CATEGORY_SCHEMA, orient="row")


def _from_words(text: str) -> ClassMap:
    entries: dict[str, list[str]] = {}
    for word in text.split(","):
        target, equals, source = (part.strip() for part in word.partition("="))
        if not (equals and target and source):
            raise InputError(
                "CLASS_MAP", "target=source was expected", field="--classes", value=word, remedy="e.g. sign=stop"
            )
        entries.setdefault(target, []).append(source)
    rest = entries.pop(REST, ["error"])[-1]
    return class_map_from_dict({**entries, REST: rest}, name=text)


def _texts(value: object, name: str) -> tuple[str, ...]:
    return tuple(_text(v, name) for v in (value if isinstance(value, list) else [value]))


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            "CLASS_MAP",
            "a class name was expected",
            where=name,
            field="class",
            value=value,
            remedy="put it in quotation marks",
        )
    return value
