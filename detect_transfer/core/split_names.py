"""The words that folders and files name splits by."""

from __future__ import annotations

_SPLITS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val"},
}


def split_named(*words: str | None) -> str | None:
    """Return the split that the first of some words names (``Validation`` -> ``val``), or None."""
    return next((_SPLITS[word.casefold()] for word in words if word and word.casefold() in _SPLITS), None)
