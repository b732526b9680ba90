"""Which image and class of the truth a detection of anybody means.

Whoever made the detections named things in one manner throughout, so the first manner in which *every* name is known
is taken, and none is mixed with another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import polars as pl

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.formats.parsing.locations import name_other_splits
from detect_transfer.formats.parsing.native import stem_of

_MOST_LISTED = 5


@dataclass(frozen=True)
class KnownNames:
    """The truth that detections name, and what its own files number; other ids are counted by its reader.

    Args:
        truth: Images and classes.
        image_ids: The image_id of each id that its files give to an image; None where they give none.
        class_ids: The category_id of each id that its files give to a class; None where they give none.
        class_order: Its files give the order of classes.
    """

    truth: AnnotationTable
    image_ids: Mapping[int, int] | None
    class_ids: Mapping[int, int] | None
    class_order: bool = True

    @classmethod
    def of(cls, truth: AnnotationTable, numbers: Collection[str] = ("images", "classes")) -> KnownNames:
        """Return what is known of a truth whose files number this, as `Format.numbers` tells.

        Ids that a reader had to replace stand beside ours as `native_image_id` and `native_category_id`.
        """
        images = _native_ids(truth.images, "image_id") if "images" in numbers else None
        classes = _native_ids(truth.categories, "category_id") if "classes" in numbers else None
        return cls(truth, images, classes, not {"classes", "order of classes"}.isdisjoint(numbers))


def _native_ids(frame: pl.DataFrame, column: str) -> dict[int, int] | None:
    """Return the id of ours for each id of the files; None where several of these, such as splits, count alike."""
    native = f"native_{column}"
    ids = frame.select(pl.col(native if native in frame.columns else column).cast(pl.Int64).alias("_native"), column)
    ids = ids.drop_nulls()
    return dict(ids.rows()) if ids["_native"].is_unique().all() else None


@dataclass(frozen=True)
class Manner:
    """A way to name things: what it goes by, how a name is brought to its form, and the id that each name means.

    Of images, `file_names` holds that of each id.
    """

    by: str
    form: Callable[[str], str]
    ids: dict[str, int]
    file_names: Mapping[int, str] = field(default_factory=dict)

    def ids_of(self, names: Sequence[str]) -> dict[str, int]:
        """Return the id of each of some different names that it knows.

        An image is not meant by the name of one in another split, nor by two names: whoever made the detections saw
        images that the truth does not have.
        """
        ids = {name: self.ids[form] for name in names if (form := self.form(name)) in self.ids}
        if not self.file_names:
            return ids
        ids = {name: i for name, i in ids.items() if not _of_other_split(name, self.file_names[i])}
        often = Counter(ids.values())
        return {name: i for name, i in ids.items() if often[i] == 1}


def image_manners(truth: KnownNames) -> list[Manner]:
    """Return the ways to name an image, the most exact one first."""
    images = truth.truth.images.select("image_id", "file_name").rows()
    below_split = pl.col("file_name").str.strip_prefix("images/").str.strip_prefix(pl.col("split") + "/")
    names_below = truth.truth.images.select("image_id", below_split).drop_nulls().rows()
    by_id = [] if truth.image_ids is None else [Manner("id", str, {str(k): i for k, i in truth.image_ids.items()})]
    numbered = [(i, _number(PurePosixPath(name).stem)) for i, name in images]
    deepest = max((len(PurePosixPath(name).parts) for _, name in images), default=1)
    manners = [
        Manner("file name", str, _once((name, i) for i, name in images)),
        Manner("file name without suffix", _plain, _once((stem_of(name), i) for i, name in images)),
        # as the instances file of a split in a data folder has it
        Manner("file name below its split", str, _once((name, i) for i, name in names_below)),
        # folders of which file names are relative to another one
        *(_last_parts(n, images) for n in range(deepest, 0, -1)),
        # the results files of ultralytics turn the name 000123.jpg into the number 123
        Manner("number in the file name", _number, _once((number, i) for i, number in numbered if number)),
    ]
    return [*by_id, *(replace(manner, file_names=dict(images)) for manner in manners)]


def _of_other_split(name: str, file_name: str) -> bool:
    return name != file_name and name_other_splits(name.replace("\\", "/").split("/"), file_name.split("/"))


def _last_parts(n: int, images: Sequence[tuple[int, str]]) -> Manner:
    def form(name: str) -> str:
        return "/".join(_plain(name.replace("\\", "/")).split("/")[-n:])

    by = "last part of the file name" if n == 1 else f"last {n} parts of the file name"
    return Manner(by, form, _once((form(name), i) for i, name in images))


def class_manners(truth: KnownNames, *, ids_first: bool) -> list[Manner]:
    """Return the ways to name a class."""
    classes = truth.truth.categories.select("category_id", "name").rows()
    by_id = [] if truth.class_ids is None else [Manner("id", str, {str(k): i for k, i in truth.class_ids.items()})]
    by_name = [
        Manner("name", str, {name: i for i, name in classes}),
        Manner("name in any case", str.casefold, _once((name.casefold(), i) for i, name in classes)),
        Manner("name with _ for blanks", _joined, _once((_joined(name), i) for i, name in classes)),
    ]
    return [*by_id, *by_name] if ids_first else [*by_name, *by_id]


def resolve(
    names: pl.Series, manners: Sequence[Manner], sources: pl.Series, *, what: str, root: Path, numbered: bool = True
) -> pl.Series:
    """Return the id of each name.

    Args:
        names: (N,) names as text.
        manners: The ways in which they may be meant.
        sources: (N,) where each stands, relative to `root`.
        what: `image` or `class`, for the message.
        root: The folder of the file.
        numbered: Whether the files of the truth number them, for the message.

    Raises:
        InputError: No manner knows all of them; the message lists the first that the best one does not know, and what
            comes nearest to it.
    """
    different = names.unique(maintain_order=True).to_list()
    best, unknown = manners[0], different
    for manner in manners:
        ids = manner.ids_of(different)
        lost = [name for name in different if name not in ids]
        if not lost:
            return names.replace_strict(ids, return_dtype=pl.Int64)
        if len(lost) < len(unknown):
            best, unknown = manner, lost
    wrong = names.is_in(pl.Series(unknown, dtype=pl.String).implode())
    listed = ", ".join(f"'{name}'" for name in unknown[:_MOST_LISTED])
    more = f" and {len(unknown) - _MOST_LISTED:,} more" if len(unknown) > _MOST_LISTED else ""
    if not numbered and _number(unknown[0]):
        advice = f"its files number no {what}, so ids of another file mean nothing here"
    else:
        advice = _advice(unknown[0], (best, *manners))
    noun = "an image" if what == "image" else "a class"
    raise InputError(
        "DETECTION_UNKNOWN_ID",
        f"{int(wrong.sum()):,} detections name {noun} that the truth does not have (by {best.by}): {listed}{more}",
        where=root / str(sources.filter(wrong)[0]),
        field=what,
        value=unknown[0],
        remedy=f"{advice}; name each {what} by one of: {', '.join(manner.by for manner in manners)}",
    )


def _advice(name: str, manners: Sequence[Manner]) -> str:
    """Return what is wrong with a name, or comes nearest to it, else the first that there are."""
    file_names = manners[-1].file_names.values()
    if file_names and all(_of_other_split(name, file_name) for file_name in file_names):
        return "it is of another split: predict the images of one alone, or give --split all where the truth holds all"
    near = next(filter(None, (_nearest(name, manner) for manner in manners)), "")
    first = list(manners[0].ids)[:_MOST_LISTED]
    return f"the nearest are {near}" if near else f"the truth has {', '.join(first) or 'none'}"


def _nearest(name: str, manner: Manner) -> str:
    return ", ".join(f"'{near}'" for near in get_close_matches(manner.form(name), list(manner.ids), n=3, cutoff=0.6))


def _once(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Map names to ids, without names that several share."""
    every = list(pairs)
    often = Counter(name for name, _ in every)
    return {name: i for name, i in every if often[name] == 1}


def _plain(name: str) -> str:
    """Return a name without the suffix of an image."""
    return stem_of(name) if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name


def _number(text: str) -> str:
    """Return a name of digits without the zeros before it, and "" for any other name."""
    return str(int(text)) if text.isascii() and text.isdecimal() else ""


def _joined(name: str) -> str:
    return "_".join(name.split()).casefold()
