"""Images that look alike: a hash of 64 bits of each, and a search for pairs of hashes that differ little.

The hash keeps the signs of the lowest frequencies of the grey image, so another size, compression, brightness or a
small mark changes few bits. Of two hashes that differ in seven bits or fewer, one of four parts of 16 bits differs in
at most one, so a part with each of its 16 neighbours finds every pair without comparing all with all.

Source: Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010, the hash by cosine transform.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from detect_transfer.core.arrays import RgbArray

HashArray = NDArray[np.uint64]
Indices = NDArray[np.int64]

MOST_BITS = 7  # more would need other parts; images of different things differ in about 32
NEAR_BITS = 4  # what counts as alike: copies in other sizes and compressions differ in 0 to 4
_SIDE, _LOW = 32, 8  # the grey image, and the frequencies of it that are kept
_LEAST_SPREAD = 4.0  # grey levels; below it there is nothing to be seen, and noise would decide
_PARTS, _PART_BITS = 4, 16
_CHUNK = 2_000_000  # pairs looked at together


def image_hash(image_rgb: RgbArray) -> int | None:
    """Return the hash of an image (H, W, 3); None for one that is as good as of one colour."""
    grey = cv2.cvtColor(cv2.resize(image_rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    if float(grey.std()) < _LEAST_SPREAD:
        return None
    low = cv2.dct(grey.astype(np.float32))[:_LOW, :_LOW].ravel()
    bits = low > np.median(low[1:])  # the first is the mean brightness, which says nothing
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: HashArray, *, most_bits: int = NEAR_BITS) -> tuple[Indices, Indices, NDArray[np.uint8]]:
    """Find all pairs of hashes that differ in at most `most_bits` bits.

    Args:
        hashes: (N,) distinct values.
        most_bits: At most `MOST_BITS`.

    Returns:
        The indices of the first and the second of each pair, first < second, sorted, and in how many bits they differ.
    """
    assert most_bits <= MOST_BITS, "the parts would miss pairs"
    pairs_of_part: list[NDArray[np.int64]] = []
    for part in range(_PARTS):
        values = (hashes >> np.uint64(part * _PART_BITS)).astype(np.uint16)
        for first, second in _candidates(values):
            near = np.bitwise_count(hashes[first] ^ hashes[second]) <= most_bits
            pairs_of_part.append(np.stack([first[near], second[near]], axis=1))
    pairs = np.unique(np.concatenate(pairs_of_part), axis=0) if pairs_of_part else np.empty((0, 2), np.int64)
    first, second = pairs[:, 0], pairs[:, 1]
    return first, second, np.bitwise_count(hashes[first] ^ hashes[second])


def _candidates(values: NDArray[np.uint16]) -> Iterator[tuple[Indices, Indices]]:
    """Give pairs (first < second) whose values are equal or differ in one bit, in chunks."""
    order = np.argsort(values, kind="stable").astype(np.int64)
    ordered = values[order]
    for mask in (0, *(1 << bit for bit in range(_PART_BITS))):
        wanted = values ^ np.uint16(mask)
        start, stop = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
        ends = np.cumsum(stop - start)
        at = 0
        while at < len(values):
            done = ends[at - 1] if at else 0
            until = max(int(np.searchsorted(ends, done + _CHUNK, "right")), at + 1)
            counts = (stop - start)[at:until]
            first = np.repeat(np.arange(at, until), counts)
            inside = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
            second = order[np.repeat(start[at:until], counts) + inside]
            yield first[first < second], second[first < second]
            at = until


def find_lookalikes(images: pl.DataFrame) -> pl.DataFrame:
    """Find images that look alike and are not the same file.

    Of many that look alike, each is paired with the first of each split, not with every other one. Images of one
    group, such as frames of a video, are not paired within a split, since they belong together.

    Args:
        images: `image_id`, `split`, `group`, `sha256` and `visual_hash`, null where there is none.

    Returns:
        A row a pair: `image_id`, `other_id`, `bits` that differ, and `across`, whether two splits have them.
    """
    seen = images.filter(pl.col("visual_hash").is_not_null()).unique(
        ["split", "sha256"], keep="first", maintain_order=True
    )
    hashes = seen["visual_hash"].unique(maintain_order=True)
    seen = seen.with_columns(
        pl.col("visual_hash").replace_strict(hashes, np.arange(len(hashes)), return_dtype=pl.Int64).alias("index"),
        pl.col("split").fill_null(""),
    )
    anchors = seen.unique(["index", "split"], keep="first", maintain_order=True)
    first, second, bits = near_pairs(hashes.to_numpy())
    near_hashes = pl.DataFrame({"index": first, "index_other": second, "bits": bits.astype(np.int64)})
    same = anchors.join(seen, on="index", suffix="_other").with_columns(pl.lit(0, dtype=pl.Int64).alias("bits"))
    near = near_hashes.join(anchors, on="index").join(anchors, left_on="index_other", right_on="index", suffix="_other")
    columns = ["image_id", "image_id_other", "split", "split_other", "group", "group_other", "sha256", "sha256_other"]
    pairs = pl.concat([rows.select(*columns, "bits") for rows in (same, near)])
    across = pl.col("split") != pl.col("split_other")
    one_group = pl.col("group").eq(pl.col("group_other")).fill_null(False)
    return (
        pairs.filter(pl.col("image_id") != pl.col("image_id_other"), pl.col("sha256") != pl.col("sha256_other"))
        .filter(across | ~one_group)
        .select(
            pl.min_horizontal("image_id", "image_id_other").alias("image_id"),
            pl.max_horizontal("image_id", "image_id_other").alias("other_id"),
            "bits",
            across.alias("across"),
        )
        .unique()
        .sort("bits", "image_id", "other_id")
    )
