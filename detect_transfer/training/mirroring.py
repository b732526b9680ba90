"""Whether training images may be mirrored: a mirrored `turn left` is no `turn left`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detect_transfer.config import Mirror
from detect_transfer.core.errors import InputError, did_you_mean

# words for the two sides, and for what points to one, in the languages of road sign data
_SIDE_WORDS = frozenset(
    (
        *("left", "right", "links", "rechts", "gauche", "droite", "izquierda", "derecha", "esquerda", "direita"),
        *("sinistra", "destra", "arrow", "arrows", "turn", "uturn", "pfeil", "fleche", "flèche", "flecha", "freccia"),
    )
)
_SIDE_ENDS = ("left", "right")
_NO_SIDES = frozenset(["bright", "upright", "outright", "copyright", "playwright", "cleft"])
CODED_FORMATS = frozenset(("belgiumts", "icevision", "rtsd", "tt100k"))  # their class names are codes of signs
_MOST_NAMES = 4


@dataclass(frozen=True)
class Mirroring:
    """Whether images are mirrored in training.

    Args:
        on: Whether they are.
        reason: Why, in words.
        swaps: The label that each label becomes in a mirrored image; labels that are not listed stay.
    """

    on: bool
    reason: str
    swaps: Mapping[int, int]

    def as_dict(self, class_names: Sequence[str]) -> dict[str, object]:
        """Return what `transfer.json` holds."""
        swapped = {class_names[a]: class_names[b] for a, b in self.swaps.items()}
        return {"images": self.on, "reason": self.reason, "swapped_classes": swapped}

    @property
    def sentence(self) -> str:
        """What the console says."""
        return f"training images are {'mirrored' if self.on else 'not mirrored'}: {self.reason}"


def choose_mirroring(mirror: Mirror, class_names: Sequence[str], *, data_set: str) -> Mirroring:
    """Decide by the config, the class names and the data set whether images are mirrored.

    Args:
        mirror: The mirror part of the config.
        class_names: In order.
        data_set: The native format of the data, "" where it is not known.

    Raises:
        InputError: A pair names a class that is not there.
    """
    swaps: dict[int, int] = {}
    for first, second in mirror.pairs.items():
        for name in (first, second):
            if name not in class_names:
                raise InputError(
                    "CLASS_UNKNOWN",
                    "there is no such class",
                    field="mirror.pairs",
                    value=name,
                    remedy=did_you_mean(name, list(class_names)),
                )
        a, b = class_names.index(first), class_names.index(second)
        swaps |= {a: b, b: a}
    if mirror.images != "auto":
        return Mirroring(mirror.images, f"mirror.images is {str(mirror.images).lower()}", swaps)
    unpaired = [name for i, name in enumerate(class_names) if i not in swaps]
    sided = [name for name in unpaired if tells_side(name)]
    help_text = "mirror.pairs names the classes that are each other's mirror image, mirror.images=true mirrors anyway"
    if sided:
        named = ", ".join(sided[:_MOST_NAMES]) + (
            f" and {len(sided) - _MOST_NAMES} more" if sided[_MOST_NAMES:] else ""
        )
        return Mirroring(False, f"left and right differ in {named}; {help_text}", swaps)
    if data_set in CODED_FORMATS and any(re.search(r"\d", name) for name in unpaired):
        return Mirroring(False, f"classes of {data_set} are codes, some of signs with a direction; {help_text}", swaps)
    return Mirroring(True, "no class name tells left from right; mirror.images=false turns it off", swaps)


def tells_side(name: str) -> bool:
    """Tell whether a class name has a word for a side or a direction in it."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold()
    words = re.findall(r"[^\W\d_]+", apart)
    return any(
        word in _SIDE_WORDS or (word not in _NO_SIDES and (word.endswith(_SIDE_ENDS) or word.startswith(_SIDE_ENDS)))
        for word in words
    )
