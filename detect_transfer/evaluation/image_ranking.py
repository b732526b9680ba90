"""Which images are most worth labelling: those that a detector is unsure of, and that are unlike each other."""

from __future__ import annotations

import numpy as np
import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.arrays import FloatArray

LEAST_SCORE = 0.05  # detections below it are mostly nothing, and there are many
_CELLS = 3  # an image is divided in so many parts along each side
_LARGE = (0.01, 0.1)  # shares of the image from which on an object counts as medium and as large
_LEAST_NOVELTY = 1e-3  # two images without any difference still stand in the order of their uncertainty


def rank_images(images: pl.DataFrame, detections: Detections, *, most: int) -> pl.DataFrame:
    """Return the images most worth labelling, one after the other, each unlike those before it.

    The uncertainty of an image is the sum of the entropies of its detections as yes or no. The next image is the one
    with the largest uncertainty x novelty, where novelty is the distance (one less the cosine) to the nearest image
    before it in what is detected where, how large, and of which class.

    Args:
        images: `image_id`, `width` and `height`, all of them known.
        detections: Of these images.
        most: How many are returned at most; those without any detection have no uncertainty and come last.

    Returns:
        `image_id`, `uncertainty` (in bits), `novelty` in [0, 1], `n_detections`, in order.

    Source: uncertainty summed over objects, then diversity among uncertain images, as in Yang et al., Plug and Play
    Active Learning for Object Detection, CVPR 2024, https://arxiv.org/abs/2211.11612; ours multiplies the two.
    """
    rows = detections.rows.filter(pl.col("score") >= LEAST_SCORE)
    rows = rows.join(images.select("image_id", "width", "height"), on="image_id")
    number = {image_id: i for i, image_id in enumerate(images["image_id"])}
    index = rows["image_id"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    score = np.clip(rows["score"].to_numpy(), 1e-9, 1 - 1e-9)
    entropy = -(score * np.log2(score) + (1 - score) * np.log2(1 - score))
    uncertainty = np.bincount(index, entropy, len(images))
    count = np.bincount(index, minlength=len(images))
    described = _described(rows, index, len(images))
    nearest = np.ones(len(images))  # the novelty while nothing is chosen
    chosen: list[tuple[int, float, float, int]] = []
    left = np.ones(len(images), dtype=bool)
    for _ in range(min(most, len(images))):
        value = np.where(left, uncertainty * np.maximum(nearest, _LEAST_NOVELTY), -1.0)
        best = int(value.argmax())
        chosen.append((int(images["image_id"][best]), float(uncertainty[best]), float(nearest[best]), int(count[best])))
        left[best] = False
        nearest = np.minimum(nearest, np.clip(1 - described @ described[best], 0.0, 1.0))
    schema = {"image_id": pl.Int64, "uncertainty": pl.Float64, "novelty": pl.Float64, "n_detections": pl.Int64}
    return pl.DataFrame(chosen, schema=schema, orient="row")


def _described(rows: pl.DataFrame, index: np.ndarray, n_images: int) -> FloatArray:
    """Return (N, D) of length 1, or 0 without detections: scores by class, part of the image, and size."""
    classes = {c: k for k, c in enumerate(sorted(rows["category_id"].unique()))}
    which = rows["category_id"].replace_strict(classes, return_dtype=pl.Int64).to_numpy()
    width, height = rows["width"].to_numpy(), rows["height"].to_numpy()
    x, y = (rows["x1"] + rows["x2"]).to_numpy() / 2 / width, (rows["y1"] + rows["y2"]).to_numpy() / 2 / height
    column, row = (np.clip((v * _CELLS).astype(int), 0, _CELLS - 1) for v in (x, y))
    share = ((rows["x2"] - rows["x1"]) * (rows["y2"] - rows["y1"])).to_numpy() / (width * height)
    size = np.searchsorted(_LARGE, share, side="right")
    cell = ((which * _CELLS + row) * _CELLS + column) * (len(_LARGE) + 1) + size
    described = np.zeros((n_images, max(len(classes), 1) * _CELLS**2 * (len(_LARGE) + 1)))
    np.add.at(described, (index, cell), rows["score"].to_numpy())
    length = np.linalg.norm(described, axis=1, keepdims=True)
    return np.asarray(described / np.where(length > 0, length, 1.0))
