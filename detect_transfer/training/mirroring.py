"""Whether training images may be mirrored: a mirrored `turn left` is no `turn left`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from detect_transfer.config import Mirror
from detect_transfer.core.errors import InputError, did_you_mean

# words for the two sides, and for what points to one, in the languages of road sign data, without accents
_SIDE_WORD = re.compile(
    r"u?turns?|turning|linke[nr]?|rechte[nr]?|pijl|pijlen|pil|pilar|setas?|destr[aeio]|lewo|prawo|levo|desno|vlevo"
    r"|vpravo|doleva|doprava|слева|справа"
)
# these tell a side at the beginning of a word and at its end
_SIDE_PART = (
    r"(?:left|right|links|rechts|abbieg|pfeil|arrow|gauche|droite|fleche|izquierd[ao]|derech[ao]|flecha|esquerd[ao]"
    r"|direit[ao]|sinistr[ao]|freccia|frecce|venstre|vanster|hoger|h[øo][yj]re|лево|левыи|левая|право|правыи|правая"
    r"|стрелк)"
)
_SIDE_COMPOUND = re.compile(rf"{_SIDE_PART}.*|.*{_SIDE_PART}(?:s|e|n|en)?|.*(?:[左右]|箭头).*")
_NO_SIDE = re.compile(
    r"bright|outright|playwright|(?:copyright|upright|cleft|sparrow|barrow|wheelbarrow)s?|narrow(?:s|ed|er|ing)?"
)
# their class names are codes of signs
CODED_FORMATS = frozenset(("belgiumts", "dfg", "icevision", "rtsd", "tt100k"))
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

    def done_by(self, transforms: Sequence[str]) -> Mirroring:
        """Return what is really done where these transforms, by name, turn left into right."""
        if not self.on:
            return self
        if not transforms:
            return Mirroring(False, "no transform of augment turns left into right", {})
        return replace(self, reason=f"{self.reason}; by {', '.join(dict.fromkeys(transforms))}")

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
        InputError: A pair names a class that is not there, or two pairs contradict each other.
    """
    swaps = _swaps(mirror.pairs, class_names)
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
    pairs = ", ".join(f"{class_names[i]} and {class_names[j]}" for i, j in swaps.items() if i < j)
    swapped = f"the labels of {pairs} are swapped, and " if pairs else ""
    others = "no other class name" if pairs else "no class name"
    return Mirroring(True, f"{swapped}{others} tells left from right; mirror.images=false turns it off", swaps)


def _swaps(pairs: Mapping[str, str], class_names: Sequence[str]) -> dict[int, int]:
    """Return the label that each label of the pairs becomes."""
    swaps: dict[int, int] = {}
    for pair in pairs.items():
        for name in pair:
            if name not in class_names:
                raise InputError(
                    "CLASS_UNKNOWN",
                    "there is no such class",
                    field="mirror.pairs",
                    value=name,
                    remedy=did_you_mean(name, list(class_names)),
                )
        first, second = (class_names.index(name) for name in pair)
        for label, other in ((first, second), (second, first)):
            if swaps.setdefault(label, other) != other:
                name = class_names[label]
                raise InputError(
                    "CLASS_TWICE",
                    f"{name} is the mirror image of {class_names[swaps[label]]} and of {class_names[other]}",
                    field="mirror.pairs",
                    value=f"{pair[0]}: {pair[1]}",
                    remedy="leave out one of the two pairs",
                )
    return swaps


def tells_side(name: str) -> bool:
    """Tell whether a class name has a word for a side or a direction in it."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold()
    plain = "".join(char for char in unicodedata.normalize("NFKD", apart) if not unicodedata.combining(char))
    words = re.findall(r"[^\W\d_]+", plain)
    return any(
        _SIDE_WORD.fullmatch(word) or (_SIDE_COMPOUND.fullmatch(word) and not _NO_SIDE.fullmatch(word))
        for word in words
    )
