"""Names from data files made harmless and short enough to show."""

from __future__ import annotations

from detect_transfer.core.errors import one_line


def short_name(name: object, *, longest: int = 32) -> str:
    """Return a class or file name on one line, shortened in its middle; control and direction marks are escaped."""
    text = one_line(name, longest=longest).strip()
    return text or "(no name)"


def plot_name(name: object, *, longest: int = 24) -> str:
    """Return `short_name` for matplotlib, which hides a name with a leading `_` in a legend."""
    text = short_name(name, longest=longest)
    return f"\N{THIN SPACE}{text}" if text.startswith("_") else text


def number(value: float | None, *, digits: int = 3) -> str:
    """Return a share such as `0.712`, or an en dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"
