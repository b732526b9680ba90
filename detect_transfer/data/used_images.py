"""Which images weights learned from and were chosen by, so that a score on these is not taken for one on new images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_HEAD_BYTES = 1 << 16
_MEANING = {"train": "the weights were trained on", "val": "the weights were chosen by"}


def image_head(path: Path) -> bytes:
    """Return the size of an image file in text and its first bytes, so that large sets start quickly."""
    with path.open("rb") as stream:
        return str(path.stat().st_size).encode() + stream.read(_HEAD_BYTES)


def head_digest(head: bytes) -> str:
    """Return the hash of an image by its `image_head`."""
    return hashlib.sha256(head).hexdigest()


def used_images_warning(used: Mapping[str, Sequence[str]], paths: Iterable[Path]) -> str:
    """Return how many of the images are no new ones to the weights, in words; "" where all are.

    Args:
        used: Hashes of the images by what they were used for: `train` and `val`.
        paths: The files that are scored.
    """
    digests = [head_digest(image_head(path)) for path in paths] if any(used.values()) else []
    counts = {part: sum(map(set(used.get(part, ())).__contains__, digests)) for part in _MEANING}
    sentences = [f"{count:,} of {len(digests):,} images {_MEANING[part]}" for part, count in counts.items() if count]
    return f"{', '.join(sentences)}: on new images expect lower scores" if sentences else ""
