"""The size that images are scaled into before a network sees them: one side, or height and width."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Union

from detect_transfer.core.errors import InputError

MOST_IMGSZ = 8192  # pixels of the longer side in a network; more is a slip, and no memory holds it
Sides = Union[int, str, tuple[int, int], "InputSize"]  # one side, or height and width
_TEXT = re.compile(r"(\d{1,5})(?:\s*[xX]\s*(\d{1,5}))?")


@dataclass(frozen=True, order=True)
class InputSize:
    """Height and width in pixels that an image is scaled into, as large as both allow.

    Written as one side where both are alike, else as height and width, such as `416x704`.
    """

    height: int
    width: int

    @classmethod
    def of(cls, value: Any, *, least: int = 1, multiple: int = 1) -> InputSize:
        """Return the size that a number, a text or a pair of numbers means.

        Args:
            value: A side, such as 640 or "640"; height and width, such as "416x704" or (416, 704); or a size.
            least: The least side.
            multiple: What both sides must be multiples of.

        Raises:
            ValueError: It means no size, or a side is out of its range.
        """
        if isinstance(value, cls):
            sides = [value.height, value.width]
        elif isinstance(value, str):
            match = _TEXT.fullmatch(value.strip())
            sides = [int(each) for each in match.groups() if each] if match else []
        else:
            given = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
            sides = [int(each) for each in given if type(each) is int or (type(each) is float and each.is_integer())]
            sides = sides if len(sides) == len(given) else []
        if not sides or any(not least <= side <= MOST_IMGSZ or side % multiple for side in sides):
            raise ValueError(f"{size_words(least, multiple)} was expected")
        return cls(sides[0], sides[-1])

    @classmethod
    def of_option(cls, value: Sides) -> InputSize:
        """Return the size that `--imgsz`, or its like in Python, means.

        Raises:
            InputError: It means none, or a side is below 32.
        """
        try:
            return cls.of(value, least=32)
        except ValueError as error:
            remedy = "give --imgsz 640, or height and width as --imgsz 416x704"
            raise InputError("OPTION", str(error), field="--imgsz", value=value, remedy=remedy) from error

    def __str__(self) -> str:
        """Return one side, or height and width, such as `416x704`."""
        return str(self.height) if self.is_square else f"{self.height}x{self.width}"

    @property
    def is_square(self) -> bool:
        """Whether height and width are alike."""
        return self.height == self.width

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def sides(self) -> int | tuple[int, int]:
        """The one side, or height and width."""
        return self.height if self.is_square else self.hw

    @property
    def plain(self) -> int | str:
        """The one side, or height and width as text: how configs and tables have it."""
        return self.height if self.is_square else str(self)

    @property
    def words(self) -> str:
        """How large images become, in words."""
        return f"{self} px wide or high" if self.is_square else f"{self.height} px high or {self.width} px wide"

    @property
    def longer(self) -> int:
        """The longer side."""
        return max(self.hw)

    @property
    def area(self) -> int:
        """Its pixels."""
        return self.height * self.width

    def rounded_up(self, multiple: int) -> InputSize:
        """Return the next size whose sides are multiples of a number."""
        return InputSize(*(-(-side // multiple) * multiple for side in self.hw))


def size_words(least: int = 1, multiple: int = 1) -> str:
    """Return in words what a size may be."""
    multiples = f", a multiple of {multiple}" if multiple > 1 else ""
    return f"a whole number in [{least}, {MOST_IMGSZ}]{multiples}, or height and width of such numbers, such as 416x704"
