"""Splits: by ratio, stratified by class without cutting a group, or as the source says.

The result depends on the seed, the content of the images (their names where there is none), the groups and the boxes;
not on the order of rows, nor on paths, so that the same truth in another format is split alike.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
import polars as pl

from detect_transfer.core.annotations import Annotations, Table
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.columns import collected
from detect_transfer.core.errors import InputError
from detect_transfer.data.split_balance import balance

NO_POSITIVES = ""  # the stratum of images without a box that counts
UNASSIGNED = "unassigned"  # the images that the official split of a source leaves out
TRAIN = "train"
_NEED_POSITIVES = (TRAIN, "val")
_SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass
class SplitUnit:
    """Images that stay together: their ids and keys, and boxes by class (images, for the stratum without boxes)."""

    name: str
    image_ids: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # what the images hold, else their names
    counts: dict[str, int] = field(default_factory=dict)

    def digest(self, seed: int) -> bytes:
        """Return a number that a seed gives to these images, whatever their paths."""
        return hashlib.sha256("\0".join([str(seed), *sorted(self.keys)]).encode()).digest()


def split_by_ratio(
    table: Table, ratios: Mapping[str, float], *, seed: int, hashes: Mapping[int, str] | None = None
) -> Table:
    """Assign every image to a split, with each class shared out in the given ratios as far as groups allow.

    Images of one `group`, of one file name, or of one content hash stay together. The rarest class is shared out first
    (iterative stratification: Sechidis, Tsoumakas, Vlahavas, 2011); images without a positive box are a stratum too.

    Args:
        table: Any splits that it has are replaced.
        ratios: The share of each split, in (0, 1], adding up to 1.
        seed: Another seed gives another split of the same quality.
        hashes: Content hash by `image_id`; images with one hash never come to lie in two splits.

    Raises:
        InputError: The ratios are wrong, there are fewer groups than splits, or a split would hold nothing.
    """
    check_ratios(ratios)
    units = split_units(table, hashes or {})
    if len(units) < len(ratios):
        raise InputError(
            "SPLIT_TOO_FEW",
            f"{len(units)} groups cannot fill {len(ratios)} splits",
            field="split",
            remedy="give more images, or one split alone: --split-ratio train=1",
        )
    chosen = balance(_amounts(units), stratify(units, ratios, seed), ratios)
    ids = [i for unit in units for i in unit.image_ids]
    names = [split for unit, split in zip(units, chosen, strict=True) for _ in unit.image_ids]
    assigned = pl.DataFrame({"image_id": ids, "split": names}, schema={"image_id": pl.Int64, "split": pl.String})
    images = table.images.drop("split").join(assigned, on="image_id", how="left", maintain_order="left")
    result = table.with_fields(images=images.select(table.images.columns))
    for split in ratios:
        if split not in chosen:
            raise InputError(
                "SPLIT_EMPTY",
                f"of {len(units)} groups none went there",
                field="split",
                value=split,
                remedy="give more images or a larger share, or one split alone: --split-ratio train=1",
            )
    check_positives(result)
    return result


def split_from_source(table: Table) -> Table:
    """Take the splits that the reader gave, once they are whole.

    Raises:
        InputError: An image has no split, a group lies in two splits, or a split lacks positives.
    """
    missing = table.images.filter(pl.col("split").is_null())
    if not missing.is_empty():
        raise InputError(
            "SPLIT_MISSING",
            f"the source assigns no split to {len(missing)} of {len(table.images)} images",
            where=missing["file_name"][0],
            field="split",
            remedy="split by ratio, such as --split-ratio train=0.8,val=0.2",
        )
    for name in table.splits:
        check_split_name(name)
    cut = cut_groups(table.images)
    if cut:
        group, splits = next(iter(cut.items()))
        raise InputError(
            "SPLIT_CUTS_GROUP",
            f"the group lies in the splits '{splits[0]}' and '{splits[1]}' ({len(cut)} groups are cut)",
            field="group",
            value=group,
            remedy="split by ratio, which keeps groups whole: --split-ratio train=0.8,val=0.2",
        )
    check_positives(table)
    return table


def cut_groups(images: pl.DataFrame) -> dict[str, list[str]]:
    """Return the splits of each group that lies in more than one, sorted."""
    assigned = images.drop_nulls(["group", "split"]).filter(pl.col("split") != UNASSIGNED)
    splits = assigned.group_by("group").agg(pl.col("split").unique().sort())
    return dict(splits.filter(pl.col("split").list.len() > 1).sort("group").rows())


def check_ratios(ratios: Mapping[str, float]) -> None:
    """Check the names and shares of splits.

    Raises:
        InputError: A name cannot be a folder, a share is outside (0, 1], or they do not add up to 1.
    """
    for name, share in ratios.items():
        check_split_name(name)
        if not (math.isfinite(share) and 0 < share <= 1):
            raise InputError(
                "SPLIT_RATIO", "a share must be in (0, 1]", field=name, value=share, remedy="e.g. train=0.8,val=0.2"
            )
    total = math.fsum(ratios.values())
    if abs(total - 1) > 1e-6:
        raise InputError(
            "SPLIT_RATIO", "the shares must add up to 1", field="sum", value=f"{total:g}", remedy="train=0.8,val=0.2"
        )


def check_split_name(name: str) -> None:
    """Check that a split can name a folder.

    Raises:
        InputError: It holds something else than letters, digits, `-` and `_`.
    """
    if not _SPLIT_NAME.fullmatch(name):
        raise InputError(
            "SPLIT_NAME",
            "a split names a folder: letters, digits, - and _",
            field="split",
            value=name,
            remedy="rename it",
        )


def check_positives(table: Annotations) -> None:
    """Check that `train` and `val`, where they are, hold a box that counts.

    Raises:
        InputError: One of them has none: nothing could be learnt or scored there.
    """
    positive = collected(table.boxes.filter(is_positive()).select("image_id").unique())
    with_positives = table.images.join(positive, on="image_id", how="semi")["split"].unique().to_list()
    for split in _NEED_POSITIVES:
        if split in table.splits and split not in with_positives:
            raise InputError(
                "SPLIT_NO_POSITIVES",
                "no image in it has a box that is not ignored, so nothing can be learnt or scored there",
                field="split",
                value=split,
                remedy="split again with --split-ratio train=0.8,val=0.2, a larger share or another --seed; or check "
                "the class map",
            )


def is_positive() -> pl.Expr:
    """Return whether a box counts as an object of its class: neither ignored nor a crowd."""
    return ~pl.col("ignore") & ~pl.col("iscrowd") & pl.col("category_id").is_not_null()


def split_units(table: Annotations, hashes: Mapping[int, str]) -> list[SplitUnit]:
    """Join the images that share a group, a file name or a hash, and count their boxes, ordered by content."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]  # halves the way for the next one
            key = parent[key]
        return key

    rows = table.images.select("image_id", "file_name", "group").rows()
    for image_id, file_name, group in rows:
        own = root(f"file {file_name}")
        further = [] if group is None else [f"group {group}"]
        if image_id in hashes:
            further.append(f"hash {hashes[image_id]}")
        for key in further:
            low, high = sorted((own, root(key)))
            parent[high] = own = low  # the smaller name leads, whatever the order of rows
    units: dict[str, SplitUnit] = {}
    unit_of: dict[int, SplitUnit] = {}
    for image_id, file_name, _ in rows:
        name = root(f"file {file_name}")
        unit_of[image_id] = units.setdefault(name, SplitUnit(name))
        unit_of[image_id].image_ids.append(image_id)
        unit_of[image_id].keys.append(hashes.get(image_id) or PurePosixPath(file_name).name)
    _count(table, unit_of)
    return sorted(units.values(), key=lambda unit: (unit.digest(0), unit.name))


def _count(table: Annotations, unit_of: Mapping[int, SplitUnit]) -> None:
    names = table.categories.select("category_id", "name")
    per_class = collected(table.boxes.filter(is_positive()).group_by("image_id", "category_id").len())
    seen = set()
    for image_id, name, n in per_class.join(names, on="category_id").select("image_id", "name", "len").iter_rows():
        counts = unit_of[image_id].counts
        counts[name] = counts.get(name, 0) + n
        seen.add(image_id)
    for image_id, unit in unit_of.items():
        if image_id not in seen:
            unit.counts[NO_POSITIVES] = unit.counts.get(NO_POSITIVES, 0) + 1


def _amounts(units: list[SplitUnit]) -> FloatArray:
    """Return images, boxes and the count of each stratum as (units, 2 + strata)."""
    column = {stratum: i for i, stratum in enumerate(sorted({s for unit in units for s in unit.counts}), start=2)}
    amounts = np.zeros((len(units), 2 + len(column)))
    for row, unit in zip(amounts, units, strict=True):
        row[0] = len(unit.image_ids)
        row[1] = sum(n for stratum, n in unit.counts.items() if stratum != NO_POSITIVES)
        for stratum, n in unit.counts.items():
            row[column[stratum]] = n
    return amounts


def stratify(units: list[SplitUnit], ratios: Mapping[str, float], seed: int) -> list[str]:
    """Return the split of each unit."""
    chance = [unit.digest(seed) for unit in units]
    holders: dict[str, list[int]] = defaultdict(list)
    for i, unit in enumerate(units):
        for stratum in unit.counts:
            holders[stratum].append(i)
    wanted = {
        stratum: {split: share * sum(units[i].counts[stratum] for i in holding) for split, share in ratios.items()}
        for stratum, holding in holders.items()
    }
    wanted_images = {split: share * sum(len(u.image_ids) for u in units) for split, share in ratios.items()}
    chosen = [""] * len(units)
    waiting = {stratum: len(holding) for stratum, holding in holders.items()}
    while waiting:
        rarest = min(waiting, key=lambda stratum: (waiting[stratum], stratum))
        # large groups first, so that small ones even out what they left; never by boxes, or crowded images all train
        for i in sorted(holders[rarest], key=lambda i: (-len(units[i].image_ids), chance[i])):
            if chosen[i]:
                continue
            split = max(ratios, key=lambda name: (wanted[rarest][name], wanted_images[name]))
            chosen[i] = split
            wanted_images[split] -= len(units[i].image_ids)
            for stratum, n in units[i].counts.items():
                wanted[stratum][split] -= n
                if stratum in waiting:
                    waiting[stratum] -= 1
        del waiting[rarest]
    return chosen
