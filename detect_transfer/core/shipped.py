"""The configs and the cards of data sets that come with the package: among the assets of a wheel, or the checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = ("configs", "datasets")


def shipped(path: Path) -> Path:
    """Return the path where something is there, else the file of that name that comes with the package, if any.

    Args:
        path: Such as `configs/quickstart.yaml` or `datasets/gtsdb/dataset.yaml`.
    """
    if path.exists() or path.parts[:1] not in [(folder,) for folder in _FOLDERS] or ".." in path.parts:
        return path
    candidates = (_PACKAGE / "assets" / path, _PACKAGE.parent / path)
    return next((candidate for candidate in candidates if candidate.is_file()), path)
