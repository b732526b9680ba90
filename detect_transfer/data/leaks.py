"""Images that are in two splits: the same file, or one that looks like it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.data.findings import Finding, make_finding
from detect_transfer.data.near_duplicates import find_lookalikes

_MOST_PAIRS = 5


def name_in_split() -> pl.Expr:
    """Return ``split/file_name`` of an image, or the name alone where it begins so, or there is no split."""
    prefix = pl.concat_str("split", pl.lit("/"))
    plain = pl.col("split").is_null() | pl.col("file_name").str.starts_with(prefix)
    return pl.when(plain).then("file_name").otherwise(pl.concat_str(prefix, "file_name"))


def find_leaks(images: pl.DataFrame, hashes: pl.DataFrame) -> list[tuple[str, str]]:
    """Return pairs ``split/file_name`` of byte-identical images that lie in different splits, sorted.

    Args:
        images: Of a table.
        hashes: `image_id` and `sha256`; images without a row are not compared.
    """
    copies = (
        images.filter(pl.col("split").is_not_null())
        .join(hashes.select("image_id", "sha256"), on="image_id")
        .with_columns(name_in_split().alias("name"))
        .sort("split", "name")
    )
    first = copies.unique("sha256", keep="first", maintain_order=True)
    pairs = first.join(copies, on="sha256", suffix="_other").filter(pl.col("split") != pl.col("split_other"))
    return sorted(pairs.select("name", "name_other").rows())


def refuse_leaks(pairs: Sequence[tuple[str, str]], *, field: str = "split") -> None:
    """Refuse byte-identical images in two splits.

    Raises:
        InputError: There is a pair.
    """
    if pairs:
        shown = ", ".join(f"{a} = {b}" for a, b in pairs[:_MOST_PAIRS])
        raise InputError(
            "SPLIT_LEAK",
            f"{len(pairs)} images lie in two splits, byte for byte: {shown}",
            field=field,
            remedy="remove one of each pair, or keep copies together: convert with --split-ratio train=0.8,val=0.2",
        )


def leak_warning(pairs: Sequence[tuple[str, str]]) -> str:
    """Return what byte-identical images in two splits mean for scores, in words; "" where there are none."""
    if not pairs:
        return ""
    shown = ", ".join(f"{a} = {b}" for a, b in pairs[:_MOST_PAIRS])
    return f"{len(pairs)} images lie in two splits, byte for byte, so scores are higher than on new images: {shown}"


def near_findings(images: pl.DataFrame, hashes: pl.DataFrame) -> tuple[Finding, Finding]:
    """Return the images that look alike and are not the same file: across splits a leak, within one a repetition.

    Args:
        images: Of a table.
        hashes: `image_id`, `sha256` and `visual_hash`.
    """
    hashes = hashes.select("image_id", "sha256", "visual_hash")
    pairs = find_lookalikes(images.select("image_id", "file_name", "split", "group").join(hashes, on="image_id"))
    names = images.select("image_id", name_in_split().alias("name"))
    pairs = pairs.join(names, on="image_id", maintain_order="left").join(
        names, left_on="other_id", right_on="image_id", suffix="_other", maintain_order="left"
    )
    across, within = pairs.filter("across"), pairs.filter(~pl.col("across"))
    return (
        _near_finding("warning", "NEAR_LEAK", "pairs of images in two splits that look alike", across),
        _near_finding("note", "NEAR_DUPLICATE", "pairs of images in one split that look alike", within),
    )


def _near_finding(level: str, code: str, message: str, pairs: pl.DataFrame) -> Finding:
    rows = pairs.select("name", "name_other", "bits").rows()
    examples = [f"{name} ~ {other} ({bits} of 64 bits differ)" for name, other, bits in rows]
    ids = pairs.select("image_id", "other_id").rows()
    return make_finding(level, code, message, examples, image_pairs=ids)  # type: ignore[arg-type]
