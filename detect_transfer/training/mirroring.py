"""Whether training images may be mirrored: a mirrored `turn left` is no `turn left`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detect_transfer.config import Mirror, read_yaml
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.shipped import shipped

# words for the two sides, and for what points to one, in the languages of road sign data, without accents
_SIDE_WORD = re.compile(
    r"u?turns?|turning|linke[nr]?|rechte[nr]?|pijl|pijlen|pil|setas?|destr[aeio]|lewo|prawo|lew[ay]|praw[ay]|levo|desno"
    r"|vlevo|vpravo|doleva|doprava|слева|справа|stanga|dreapta|balra|jobbra|kiri|kanan|αριστερα|δεξια|ימין|שמאל"
    r"|يسار|يمين"
)
# these tell a side at the beginning of a word and at its end
_SIDE_PART = (
    r"(?:left|right|links|rechts|abbieg|pfeil|arrow|gauche|droite|fleche|izquierd[ao]|derech[ao]|flecha|esquerd[ao]"
    r"|direit[ao]|sinistr[ao]|freccia|frecce|venstre|vanster|hoger|h[øo][yj]re|vasen|vasem|oikea|лево|левыи|левая|право"
    r"|правыи|правая|стрелк)"
)
_SIDE_COMPOUND = re.compile(
    rf"{_SIDE_PART}.*|.*{_SIDE_PART}(?:s|e|n|en)?|.*(?:[左右]|箭头|좌회전|우회전|왼쪽|오른쪽).*"
)
_NO_SIDE = re.compile(
    r"\w*(?:bright|wright|outright|upright|copyright|birthright)s?|cleft|leftovers?|\w*(?:sp|b)arrows?"
    r"|[fhmny]arrow(?:s|ed|er|ing|ly)?"
)
_NO_SIDE_PHRASE = re.compile(r"right[\W_]*of[\W_]*way")
# Turkish and Vietnamese: each word has another meaning too, in these or other languages, and both together have not
_SIDE_WORDS_TOGETHER = (
    (re.compile(r"sol|sola|soldan|solda"), re.compile(r"sag|saga|sagdan|sagda")),
    (re.compile(r"trai"), re.compile(r"phai")),
)
# names of signs that are codes, by which data of such a set are known in any format; its card decides
_CODES = {
    "dfg": re.compile(r"[IVX]+-\d+(?:[.-]\w+)*"),
    "rtsd": re.compile(r"\d(?:[._]\d+){1,3}(?:_[nr]\d+)?"),
    "tt100k": re.compile(r"(?:i|il|p[ahlmnrw]?|w)\d+(?:\.\d+)?|[ipw][a-z]{1,2}"),
}
_FEWEST_CODES, _SHARE_OF_CODES = 5, 0.8  # what other classes are called may look like a code too
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


def choose_mirroring(
    mirror: Mirror, class_names: Sequence[str], *, data_set: str, own_classes: bool = True
) -> Mirroring:
    """Decide by the config, the card of the data set and the class names whether images are mirrored.

    Args:
        mirror: The mirror part of the config.
        class_names: In order.
        data_set: The native format of the data, "" where it is not known.
        own_classes: Whether the classes are those of the data set, and no class map has put others in their place.

    Raises:
        InputError: A pair names a class that is not there, or one class twice, or two pairs contradict each other.
    """
    swaps = _swaps(mirror.pairs, class_names)
    if mirror.images != "auto":
        return Mirroring(mirror.images, f"mirror.images is {str(mirror.images).lower()}", swaps)
    unpaired = [name for i, name in enumerate(class_names) if i not in swaps]
    sided = sided_names(unpaired)
    help_text = "mirror.pairs names the classes that are each other's mirror image, mirror.images=true mirrors anyway"
    if sided:
        named = ", ".join(sided[:_MOST_NAMES]) + (
            f" and {len(sided) - _MOST_NAMES} more" if sided[_MOST_NAMES:] else ""
        )
        return Mirroring(False, f"left and right differ in {named}; {help_text}", swaps)
    # codes keep their digits in a class map
    of_data_set = [name for name in unpaired if own_classes or re.search(r"\d", name)]
    for known in (data_set, _set_of_codes(unpaired)) if of_data_set else ():
        if (reason := reason_of_card(known)) is not None:
            return Mirroring(False, f"the card of {known} forbids it: {reason}; {help_text}", swaps)
    pairs = ", ".join(f"{class_names[i]} and {class_names[j]}" for i, j in swaps.items() if i < j)
    swapped = f"the labels of {pairs} are swapped, and " if pairs else ""
    others = "no other class name" if pairs else "no class name"
    return Mirroring(True, f"{swapped}{others} tells left from right; mirror.images=false turns it off", swaps)


def _set_of_codes(names: Sequence[str]) -> str:
    """Return the data set whose codes most class names are; "" where they are of none."""
    for data_set, code in _CODES.items():
        count = sum(code.fullmatch(name) is not None for name in names)
        if count >= max(_FEWEST_CODES, _SHARE_OF_CODES * len(names)):
            return data_set
    return ""


def reason_of_card(data_set: str) -> str | None:
    """Return why the card of a data set forbids to mirror its classes; None where it does not or is missing."""
    path = shipped(Path("datasets", data_set, "dataset.yaml"))
    card = read_yaml(path) if data_set and path.is_file() else {}
    return str(card["mirror_reason"]) if card.get("mirror") is False else None


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
        if pair[0] == pair[1]:
            raise InputError(
                "CLASS_TWICE",
                "a class that is its own mirror image needs no pair",
                field="mirror.pairs",
                value=f"{pair[0]}: {pair[1]}",
                remedy="leave the pair out, or name the other class of it",
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


def sided_names(names: Sequence[str]) -> list[str]:
    """Return the class names that have a word for a side or a direction in them."""
    words = {name: _words(name) for name in names}
    every = [word for its_words in words.values() for word in its_words]
    together = [pair for pair in _SIDE_WORDS_TOGETHER if all(any(map(each.fullmatch, every)) for each in pair)]
    more = [pattern for pair in together for pattern in pair]
    return [name for name in names if any(_tells_side(word, more) for word in words[name])]


def _words(name: str) -> list[str]:
    """Return the words of a class name, without accents and in lower case."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name).casefold()
    plain = "".join(char for char in unicodedata.normalize("NFKD", apart) if not unicodedata.combining(char))
    plain = _NO_SIDE_PHRASE.sub(" ", unicodedata.normalize("NFC", plain))
    return re.findall(r"[^\W\d_]+", plain)


def _tells_side(word: str, more: Sequence[re.Pattern[str]]) -> bool:
    if any(pattern.fullmatch(word) for pattern in (_SIDE_WORD, *more)):
        return True
    return _SIDE_COMPOUND.fullmatch(word) is not None and not _NO_SIDE.fullmatch(word)
