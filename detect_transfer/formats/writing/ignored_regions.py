"""What becomes of ignored and crowd regions in a format that cannot say "ignore": four named policies.

A region here is a box with `ignore` or `iscrowd`. COCO files keep every region under each policy; a label file of YOLO
has no word for one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from detect_transfer.core.annotations import XYXY, Annotations
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.boxes import area
from detect_transfer.core.choices import IgnoredRegions
from detect_transfer.core.columns import AnyFrame, collected, count_and_first, n_rows
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.ledger import Ledger, LedgerStep

TRAIN = "train"  # the split whose images may change or leave

_IS_REGION = pl.col("ignore") | pl.col("iscrowd")


@dataclass(frozen=True)
class IgnorePlan:
    """What a policy decided.

    Args:
        table: The images that stay, with all their boxes, regions included.
        rows: The boxes that become label rows; each has a class.
        painted: The regions to paint over in the images of the training split.
    """

    table: Annotations
    rows: AnyFrame
    painted: pl.DataFrame


def plan_ignored(
    table: Annotations, policy: str, *, max_ignored_share: float = 0.0, ledger: Ledger | None = None
) -> IgnorePlan:
    """Decide for every region whether it is left out, kept, painted over, or takes its image with it.

    - `drop`: no label row; the object may be trained as background.
    - `keep`: trained as a positive; a region without a class cannot be and is left out.
    - `mask`: no label row, and in the training split the region is painted over; other splits keep their images.
    - `drop-image`: a training image goes when regions cover more than `max_ignored_share` of it.

    Args:
        table: Cleaned boxes, with `split` set.
        policy: One of `IgnoredRegions`.
        max_ignored_share: Share of the image area in [0, 1] up to which `drop-image` keeps an image.
        ledger: Gets the step, whose rows out are the label rows.

    Raises:
        InputError: There is no such policy, or `drop-image` needs a size that is not known.
    """
    if policy not in tuple(IgnoredRegions):
        raise InputError(
            "IGNORE_POLICY",
            "there is no such policy",
            field="ignored_regions",
            value=policy,
            remedy=did_you_mean(policy, list(IgnoredRegions)),
        )
    step = (ledger or Ledger()).open(f"labels, ignored: {policy}", images=len(table.images), boxes=table.n_boxes)
    if policy == "drop-image":
        table = _drop_images(table, max_ignored_share, step)
    n_regions, examples = count_and_first(table.boxes.filter(_IS_REGION))
    rows, painted = table.boxes, collected(table.boxes.head(0))
    if n_regions and policy == "keep":
        rows = _keep(table.boxes, step)
    elif n_regions:
        rows = table.boxes.filter(~_IS_REGION)
        if policy == "mask":
            painted = _mask(table, step)
        else:
            step.add("box", "dropped", "ignored or crowd: no label row", n_regions, examples)
    step.close(images_out=len(table.images), boxes_out=n_rows(rows))
    return IgnorePlan(table, rows, painted)


def _keep(boxes: AnyFrame, step: LedgerStep) -> AnyFrame:
    regions, with_class = boxes.filter(_IS_REGION), pl.col("category_id").is_not_null()
    reason = "ignored or crowd: trained as a positive"
    step.add("box", "changed", reason, *count_and_first(regions.filter(with_class)))
    reason = "ignored for every class: cannot be a positive"
    step.add("box", "dropped", reason, *count_and_first(regions.filter(~with_class)))
    return boxes.filter(with_class)


def _mask(table: Annotations, step: LedgerStep) -> pl.DataFrame:
    regions = collected(table.boxes.filter(_IS_REGION))
    training = table.images.filter(pl.col("split") == TRAIN).select("image_id")
    painted = regions.join(training, on="image_id", how="semi", maintain_order="left")
    others = regions.join(training, on="image_id", how="anti", maintain_order="left")
    step.add("box", "dropped", "ignored or crowd: painted over, no label row", len(painted), painted["source"])
    reason = f"ignored or crowd: no label row (only {TRAIN} images are painted)"
    step.add("box", "dropped", reason, len(others), others["source"])
    return painted


def _drop_images(table: Annotations, max_share: float, step: LedgerStep) -> Annotations:
    training = table.images.filter(pl.col("split") == TRAIN)
    regions = collected(table.boxes.filter(_IS_REGION)).join(training, on="image_id", how="semi")
    sizes = dict(zip(training["image_id"], training.select("width", "height").rows(), strict=True))
    unsized = training.filter(pl.col("width").is_null() | pl.col("height").is_null())
    unsized = unsized.join(regions, on="image_id", how="semi", maintain_order="left")
    if not unsized.is_empty():
        raise InputError(
            *("SIZE_UNKNOWN", f"the share that regions cover is unknown in {len(unsized)} images of unknown size"),
            field="file_name",
            value=unsized["file_name"][0],
            remedy="convert with the images, or with --ignored-regions drop or keep",
        )
    going = [
        image_id
        for (image_id,), rows in regions.group_by("image_id", maintain_order=True)
        if covered_share(rows.select(XYXY).to_numpy(), sizes[image_id]) > max_share
    ]
    if not going:
        return table
    gone = table.select_images(going)
    step.add(
        "image", "dropped", f"regions cover more than {max_share:g} of it", len(gone.images), gone.images["file_name"]
    )
    step.add("box", "dropped", "in an image that was dropped for its regions", *count_and_first(gone.boxes))
    return table.select_images(table.images.filter(~pl.col("image_id").is_in(going))["image_id"])


def covered_share(xyxy: FloatArray, size_wh: tuple[int | None, int | None]) -> float:
    """Return the share in [0, 1] of an image that boxes (N, 4) cover together; 1 where its size is not known."""
    width, height = size_wh
    if not width or not height:
        return 1.0
    if len(xyxy) < 2:
        return float(area(xyxy).sum()) / (width * height)
    xs, ys = np.unique(xyxy[:, [0, 2]]), np.unique(xyxy[:, [1, 3]])
    covered = np.zeros((len(ys) - 1, len(xs) - 1), dtype=bool)  # a cell between neighbouring edges
    for x1, y1, x2, y2 in xyxy:
        covered[
            np.searchsorted(ys, y1) : np.searchsorted(ys, y2), np.searchsorted(xs, x1) : np.searchsorted(xs, x2)
        ] = 1
    return float((covered * np.outer(np.diff(ys), np.diff(xs))).sum()) / (width * height)
