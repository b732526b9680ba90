"""Windows of one size that cover an image and overlap."""

from __future__ import annotations

from dataclasses import dataclass

from detect_transfer.core.errors import InputError

SMALLEST_TILE, MOST_OVERLAP = 32, 0.9


@dataclass(frozen=True)
class Tiling:
    """How images are cut into tiles.

    Args:
        size: Width and height of a tile in pixels; an image that is not larger is one tile.
        overlap: The least share of a tile in [0, 0.9] that the next one has too. An object that is smaller than this
            strip is whole in some tile.

    Raises:
        InputError: A number is out of its range.
    """

    size: int
    overlap: float = 0.2

    def __post_init__(self) -> None:
        """Check the numbers."""
        for flag, value, good, expected in (
            ("--tile", self.size, self.size >= SMALLEST_TILE, f"{SMALLEST_TILE} pixels or more"),
            ("--overlap", self.overlap, 0 <= self.overlap <= MOST_OVERLAP, f"a share from 0 to {MOST_OVERLAP}"),
        ):
            if not good:
                raise InputError(
                    "OPTION", f"{expected} expected", field=flag, value=value, remedy="give 1024 and 0.2, for example"
                )

    def windows(self, size_wh: tuple[int, int]) -> list[tuple[int, int, int, int]]:
        """Return the tiles of an image as x1, y1, x2, y2 in pixels, row by row; the last ones end at its border."""
        columns, rows = (self._spans(length) for length in size_wh)
        return [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]

    def _spans(self, length: int) -> list[tuple[int, int]]:
        if length <= self.size:
            return [(0, length)]
        n_tiles = 1 + -(-(length - self.size) // max(1, int(self.size * (1 - self.overlap))))
        step = (length - self.size) / (n_tiles - 1)
        starts = [round(i * step) for i in range(n_tiles)]
        return [(start, start + self.size) for start in starts]
