"""The findings of a check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """A kind of fault or oddity, and where it is.

    Args:
        level: `error` makes results wrong, `warning` may, `note` is worth knowing.
        code: Upper-case word that scripts can test for.
        count: How many images, boxes, classes or pairs.
        message: One line in words.
        examples: The places of the first few.
        image_pairs: For pairs of images, the two ids of each example.
        annotation_ids: For boxes, the id of each example.
    """

    level: Level
    code: str
    count: int
    message: str
    examples: tuple[str, ...] = ()
    image_pairs: tuple[tuple[int, int], ...] = ()
    annotation_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """All findings, errors first, with the size of what was checked."""

    n_images: int
    n_boxes: int
    n_classes: int
    images_read: bool
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not any(finding.level == "error" for finding in self.findings)

    def count(self, level: Level) -> int:
        """Return how many kinds of that level were found."""
        return sum(finding.level == level for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON-ready dict."""
        return {"ok": self.ok, **asdict(self)}


def make_finding(
    level: Level,
    code: str,
    message: str,
    examples: Iterable[object],
    *,
    image_pairs: Sequence[tuple[int, int]] = (),
    annotation_ids: Sequence[int] = (),
) -> Finding:
    """Make a finding of all its places, of which it keeps the first few."""
    places = [str(e) for e in examples]
    return Finding(
        level,
        code,
        len(places),
        message,
        tuple(places[:MOST_EXAMPLES]),
        tuple(image_pairs[:MOST_EXAMPLES]),
        tuple(annotation_ids[:MOST_EXAMPLES]),
    )
