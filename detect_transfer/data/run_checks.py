"""What a training would not notice in its data: images seen before, classes and targets that teach nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import read_rgb
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import FOR_PEOPLE
from detect_transfer.data.box_checks import scaled_into
from detect_transfer.data.findings import Finding, make_finding
from detect_transfer.data.image_checks import Progress
from detect_transfer.data.leaks import near_findings
from detect_transfer.data.near_duplicates import image_hash
from detect_transfer.data.run_data import RunData
from detect_transfer.data.split import cut_groups, is_positive

SPLIT_STEP = "split"  # of the ledger of a conversion; its line about images that look alike begins with the code
_MOST_COMPARED = 3000  # images that are decoded for a comparison before a training starts
_THREADS = 2


def run_findings(
    data: RunData, *, imgsz: int | InputSize, smallest_px: float, progress: Progress | None = None
) -> tuple[Finding, ...]:
    """Return warnings about the data of a run, those with a count alone.

    Args:
        data: What is trained on and scored.
        imgsz: What images are scaled into in training.
        smallest_px: The shorter side, in pixels of the network, below which a target is not trained on.
        progress: Called with what is going on, how much is done, and of how much.
    """
    small = small_targets(data.train, imgsz=imgsz, smallest_px=smallest_px)
    too_small = [f"{name}: {few} of {total}" for name, (few, total) in small.items() if few]
    findings = (
        near_leaks(data, progress),
        _cut_groups(data),
        _classes_not_trained(data),
        make_finding(
            "warning",
            "TARGET_TOO_SMALL",
            f"classes with targets below {smallest_px:g} px at imgsz {imgsz}, which are not trained on",
            too_small,
        ),
    )
    return tuple(finding for finding in findings if finding.count)


def small_targets(table: AnnotationTable, *, imgsz: int | InputSize, smallest_px: float) -> dict[str, tuple[int, int]]:
    """Count the targets that are too small to be trained on, by the name of the class.

    Args:
        table: Of the training images; images of unknown size are left out.
        imgsz: What images are scaled into in training.
        smallest_px: The shorter side, in these pixels, from which a target is trained on.

    Returns:
        For each class with a target, how many are too small, and of how many.
    """
    sizes = table.images.select("image_id", "width", "height")
    side = pl.min_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1"))
    counts = (
        table.boxes.filter(is_positive())
        .join(sizes.drop_nulls(), on="image_id")
        .join(table.categories.select("category_id", "name"), on="category_id")
        .group_by("category_id", "name")
        .agg((scaled_into(InputSize.of(imgsz), side) < smallest_px).sum().alias("few"), pl.len().alias("total"))
        .sort("category_id")
    )
    return {name: (few, total) for name, few, total in counts.select("name", "few", "total").rows()}


def near_leaks(data: RunData, progress: Progress | None = None) -> Finding:
    """Return the pairs of images in two splits that look alike, as the conversion found them, or by decoding all."""
    for step in data.ledger["steps"]:
        if step["step"] == SPLIT_STEP:
            return _as_finding(step["lines"])
    images = _images(data)
    if len(images) > _MOST_COMPARED:
        message = f"images in more than one split, too many to compare: run check, which looks at all {len(images)}"
        return make_finding("note", "NEAR_LEAK_UNKNOWN", message, images["file_name"])
    ids = images["image_id"].to_list()

    def visual_hash(image_id: int) -> int | None:
        try:
            return image_hash(read_rgb(data.paths[image_id], intake=FOR_PEOPLE))
        except InputError:
            return None  # training refuses it, and says why

    with ThreadPoolExecutor(_THREADS) as pool:
        seen = []
        for number in pool.map(visual_hash, ids):
            seen.append(number)
            if progress is not None:
                progress("comparing images", len(seen), len(ids))
    hashes = pl.DataFrame(
        {"image_id": ids, "sha256": [data.content[i] for i in ids], "visual_hash": seen},
        schema={"image_id": pl.Int64, "sha256": pl.String, "visual_hash": pl.UInt64},
    )
    return near_findings(images, hashes)[0]


def _images(data: RunData) -> pl.DataFrame:
    parts = [part for part in (data.train, data.val, data.test) if part is not None]
    return pl.concat([part.images for part in parts], how="diagonal")


def _as_finding(lines: list[dict[str, Any]]) -> Finding:
    for line in lines:
        code, _, message = line["reason"].partition(": ")
        if code == "NEAR_LEAK":
            return Finding("warning", code, line["count"], message, tuple(line["examples"]))
    return make_finding("warning", "NEAR_LEAK", "", ())


def _cut_groups(data: RunData) -> Finding:
    message = "groups, such as videos or sequences, with images in more than one split"
    return make_finding("warning", "SPLIT_CUTS_GROUP", message, cut_groups(_images(data)))


def _classes_not_trained(data: RunData) -> Finding:
    train, val = (
        dict(part.boxes.filter(is_positive()).group_by("category_id").len().rows()) for part in (data.train, data.val)
    )
    names = data.train.categories.sort("category_id").select("category_id", "name").rows()
    untrained = [f"{name}: {val[i]} in validation" for i, name in names if i in val and i not in train]
    return make_finding("warning", "CLASS_NOT_TRAINED", "classes that are scored and have no training box", untrained)
