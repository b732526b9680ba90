"""Which native format a file or folder is of, by what lies there."""

from __future__ import annotations

from pathlib import Path

from detect_transfer.formats import READERS


def recognised(path: Path) -> str | None:
    """Return the format of what shows it: a JSON file is COCO, a data.yaml YOLO; None where a name is needed."""
    if path.suffix.lower() == ".json":
        return "coco"
    if path.suffix.lower() in (".yaml", ".yml"):
        return "yolo"
    return next((name for name, form in READERS.items() if _holds(path, form.proof)), None)


def likely(path: Path) -> list[str]:
    """Return the formats that a file or folder may be of, sorted."""
    folder = path if path.is_dir() else path.parent
    return sorted(name for name, form in READERS.items() if _holds(folder, form.hints))


def _holds(folder: Path, patterns: str) -> bool:
    """Tell whether something that one of the patterns describes lies in a folder."""
    return any(next(folder.glob(pattern), None) for pattern in patterns.split())
