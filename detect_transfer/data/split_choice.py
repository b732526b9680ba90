"""The split of a conversion: by shares, the source's own, that of a file, or whatever fits best.

It is written out with the names of the source's images, so that another conversion of the same source can repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from detect_transfer.core.annotations import Annotations
from detect_transfer.core.columns import collected, joined
from detect_transfer.core.errors import InputError
from detect_transfer.data.image_checks import Inspection
from detect_transfer.data.leaks import find_leaks, refuse_leaks
from detect_transfer.data.split import TRAIN, UNASSIGNED, check_ratios, is_positive, split_by_ratio
from detect_transfer.data.split import split_from_source as take_source
from detect_transfer.data.split_file import SPLITS_VERSION, SplitFile, split_from_file

_VAL = "val"
_MOST_MISSING = 0.5  # of the images; an official split that covers less is not taken by itself
_SAID, _WARNED = 0.01, 0.05  # off the wanted share of images or boxes
DEFAULT_RATIOS: Mapping[str, float] = {"train": 0.8, "val": 0.2}


Split = Mapping[str, float] | SplitFile | Literal["auto", "source"]


@dataclass(frozen=True)
class SplitChoice:
    """The table with its splits, the rule that gave them, the same in words, and what to be warned of."""

    table: Annotations
    rule: dict[str, Any]
    description: str
    warning: str = ""


def parse_ratios(text: str) -> dict[str, float]:
    """Read shares from a word such as `train=0.8,val=0.2`.

    Raises:
        InputError: It has another form.
    """
    ratios: dict[str, float] = {}
    for part in text.split(","):
        word, _, number = part.partition("=")
        name = word.strip()
        try:
            share = None if name in ratios else float(number)
        except ValueError:
            share = None
        if not name or share is None:
            remedy = {"source": "--split-from-source"}.get(text, "--split-ratio train=0.8,val=0.2")
            raise InputError(
                "SPLIT_RATIOS",
                "name=share was expected, each name once",
                field="--split-ratio",
                value=text,
                remedy=f"--split-file {text}" if text.endswith(".json") else remedy,
            )
        ratios[name] = share
    check_ratios(ratios)
    return ratios


def check_split(split: Split, val_from_train: float = 0.0) -> None:
    """Check a split before anything is read.

    Raises:
        InputError: There is no such choice, or the shares are wrong.
    """
    if isinstance(split, Mapping):
        check_ratios(split)
    elif not isinstance(split, SplitFile) and split not in ("auto", "source"):
        raise InputError(
            "OPTION", "shares, 'source' or a file were expected", field="split", value=split, remedy="train=0.8,val=0.2"
        )
    if not 0 <= val_from_train < 1:
        raise InputError(
            "SPLIT_RATIO",
            "a share in (0, 1) was expected",
            field="val_from_train",
            value=val_from_train,
            remedy="--val-from-train 0.15",
        )
    if val_from_train and split != "source":
        raise InputError(
            "OPTION",
            "only the source's own split has a part to take it from",
            field="val_from_train",
            value=val_from_train,
            remedy="add --split-from-source, or give the share of val in --split-ratio",
        )


def choose_split(
    table: Annotations, split: Split, *, seed: int, inspection: Inspection, val_from_train: float = 0.0
) -> SplitChoice:
    """Give every image its split.

    Args:
        table: What a reader gave, with sizes.
        split: `auto` takes the source's own split where most images have one, `train` among two or more, and else
            shares of 0.8 and 0.2. Images that the source's own split leaves out become the split `unassigned`.
        seed: Of a split by shares.
        inspection: The hashes of the images, so that copies stay together, or are an error.
        val_from_train: The share of the source's training images that becomes `val`; 0 takes none.

    Raises:
        InputError: The split is not whole, cuts a group, has copies on both sides, or would hold nothing.
    """
    if isinstance(split, Mapping):
        return _by_ratio(table, split, seed, inspection, why="")
    if isinstance(split, SplitFile):
        chosen = take_source(split_from_file(table, split))
        refuse_leaks(find_leaks(chosen.images, inspection.images))
        return SplitChoice(chosen, {"kind": "file", "file": split.name}, f"as {split.name} says")
    why_not = _why_not_official(table)
    if split == "auto" and why_not is not None:
        return _by_ratio(table, DEFAULT_RATIOS, seed, inspection, why=f"; {why_not}")
    left_out = table.images["split"].null_count()
    assigned = table.images.drop_nulls("split")["image_id"]
    take_source(table.select_images(assigned) if len(assigned) and left_out else table)
    refuse_leaks(find_leaks(table.images, inspection.images))
    chosen = table
    rule: dict[str, Any] = {"kind": "source"}
    description = f"the source's own ({', '.join(table.splits)})"
    if val_from_train:
        chosen = _with_val(chosen, val_from_train, seed, inspection)
        rule |= {"val_from_train": val_from_train, "seed": seed, "stratified_by": "class"}
        n_val = chosen.images.filter(pl.col("split") == _VAL).height
        description += f", {val_from_train:g} of {TRAIN} as {_VAL} by class, seed {seed}: {n_val} images"
    warning = ""
    if left_out:
        chosen = chosen.with_fields(images=chosen.images.with_columns(pl.col("split").fill_null(UNASSIGNED)))
        warning = f"{left_out:,} of {len(table.images):,} images have no split in the source: they are '{UNASSIGNED}'"
        warning += ", which is neither trained nor scored"
    return SplitChoice(chosen, rule, description, warning)


def _with_val(table: Annotations, share: float, seed: int, inspection: Inspection) -> Annotations:
    """Move a share of the training images to `val`, without cutting a group or separating copies."""
    if TRAIN not in table.splits or _VAL in table.splits:
        what = f"it has {', '.join(table.splits)}"
        raise InputError(
            "OPTION",
            f"the source needs a '{TRAIN}' and no '{_VAL}' for this; {what}",
            field="val_from_train",
            value=share,
            remedy="leave --val-from-train out",
        )
    parts = split_by_ratio(
        table.split_of(TRAIN), {TRAIN: 1 - share, _VAL: share}, seed=seed, hashes=_hashes(inspection)
    )
    moved = dict(parts.images.select("image_id", "split").rows())
    split = pl.col("image_id").replace_strict(moved, default=pl.col("split"), return_dtype=pl.String)
    return table.with_fields(images=table.images.with_columns(split.alias("split")))


def split_document(chosen: SplitChoice) -> dict[str, Any]:
    """Return the content of `splits.json`: the rule, and the images of each split by their names in the source."""
    names = dict(chosen.table.images.group_by("split").agg(pl.col("file_name").sort()).sort("split").rows())
    return {"splits_version": SPLITS_VERSION, "rule": chosen.rule, "splits": names}


def _why_not_official(table: Annotations) -> str | None:
    """Return why the source's own split is not taken by itself; None where it is."""
    splits = table.splits
    missing = table.images["split"].null_count()
    if not splits:
        return "the source has no split"
    if missing > _MOST_MISSING * len(table.images):
        return f"the source assigns no split to {missing} of {len(table.images)} images"
    if len(splits) < 2:
        return f"the source has one split alone, {splits[0]}"
    if TRAIN not in splits:
        return f"the source has no '{TRAIN}', but {', '.join(splits)}"
    return None


def _by_ratio(
    table: Annotations, ratios: Mapping[str, float], seed: int, inspection: Inspection, *, why: str
) -> SplitChoice:
    chosen = split_by_ratio(table, ratios, seed=seed, hashes=_hashes(inspection))
    shares = ", ".join(f"{name}={share:g}" for name, share in ratios.items())
    n_groups = table.images["group"].drop_nulls().n_unique()
    grouped = f", {n_groups} groups kept whole" if n_groups else ""
    reached = _reached(chosen)
    rule = {"kind": "ratio", "ratios": dict(ratios), "seed": seed, "stratified_by": "class", "groups": n_groups}
    off = max(abs(share - ratios[split]) for split, both in reached.items() for share in both.values())
    text = ", ".join(
        f"{split} {both['images']:.0%} of images, {both['boxes']:.0%} of boxes" for split, both in reached.items()
    )
    said = f"; reached {text}" if off > _SAID else ""
    is_far = round(off, 4) > _WARNED
    warning = f"the split is {off:.0%} off the shares that were wanted: reached {text}" if is_far else ""
    return SplitChoice(
        chosen, {**rule, "reached": reached}, f"{shares} by class, seed {seed}{grouped}{why}{said}", warning
    )


def _reached(table: Annotations) -> dict[str, dict[str, float]]:
    """Return the shares of images and of boxes that count in each split."""
    boxes = joined(
        table.boxes.filter(is_positive()), table.images.select("image_id", "split"), on="image_id", how="left"
    )
    n_boxes = dict(collected(boxes.group_by("split").len()).rows())
    n_images = dict(table.images.group_by("split").len().rows())
    return {
        split: {
            "images": round(n_images[split] / len(table.images), 4),
            "boxes": round(n_boxes.get(split, 0) / max(1, sum(n_boxes.values())), 4),
        }
        for split in table.splits
    }


def _hashes(inspection: Inspection) -> dict[int, str]:
    return dict(inspection.images.select("image_id", "sha256").rows())
