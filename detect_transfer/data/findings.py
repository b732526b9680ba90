"""The findings of a check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
MOST_EXAMPLES = 5
_IMAGE_REMEDY = "put a whole image there, or leave these out: convert --on-error skip-image"
REMEDIES: dict[str, str] = {
    "BOX_ASPECT": "look at them: a slip of the pen is fixed or removed, a line is better not annotated",
    "BOX_DUPLICATE": "remove one of each; converting does so, and counts them in the ledger",
    "BOX_EMPTY": "fix or remove them; convert --bad-boxes fix leaves them out, and counts them in the ledger",
    "BOX_LARGER": "look whether the boxes are of another image, or of this one in another size; "
    "convert --bad-boxes fix clips them",
    "BOX_ON_EDGE": "nothing: converting clips them to the image",
    "BOX_OUTSIDE": "look whether the boxes are of another image; convert --bad-boxes fix leaves them out",
    "BOX_OVER_EDGE": "where the edge cuts the objects, convert --bad-boxes fix clips them; else fix them",
    "BOX_SUBPIXEL": "fix or remove them; convert --bad-boxes fix leaves them out",
    "BOX_TINY": "train with a larger train.imgsz, or mark them as ignored; below 2 px they are not trained on",
    "BOX_TINY_AT_IMGSZ": "train with a larger train.imgsz, or cut the images into tiles",
    "BOX_TWO_CLASSES": "decide for one class, unless objects are meant to have two",
    "CLASS_ABSENT": "split again by class: convert --split-ratio train=0.8,val=0.2",
    "CLASS_ALIKE": "make one class of them with a class map (convert --classes), unless they are meant to be two",
    "CLASS_EMPTY": "leave the class out with a class map (convert --classes), or give it boxes",
    "CLASS_IMBALANCE": "train with train.class_balance=repeat, merge classes (convert --classes), or collect more",
    "CLASS_NOT_TRAINED": "split again by class: convert --split-ratio train=0.8,val=0.2",
    "DATA_CHANGED": "put the images back and run it again, or run it again on those that are there now",
    "FILE_NAME_DUPLICATE": "name each image once, with all its boxes",
    "IMAGES_ABSENT": "give the folder of the images with --option images=FOLDER, to look at them too",
    "IMAGE_DEEP": "say what is black and white: train with data.intake.window=percentile, or see config --explain",
    "IMAGE_DUPLICATE": "keep one of each; a split keeps copies together",
    "IMAGE_FRAMES": "nothing where the first frame is what was annotated; else write the frames as images",
    "IMAGE_MISSING": "put the image there, correct the name, or convert --image-mode none for annotations alone",
    "IMAGE_NO_BOXES": "nothing where they show no object: they teach what background is; else annotate them",
    "IMAGE_NO_SIZE": "give the images, of which the size is read",
    "IMAGE_SIZE": "the boxes may belong to another image, or to this one before it was scaled: put the right one there",
    "IMAGE_SUFFIX": "nothing here; other tools may want the name that fits the format",
    "IMAGE_TRAILING": "nothing here; other tools rewrite such files, so copy them again where you can",
    "IMAGE_TURNED": "nothing where boxes were drawn on the upright image, as most tools show it; else turn the pixels",
    "NEAR_DUPLICATE": "keep one of each where they show nothing new",
    "NEAR_LEAK": "keep them in one split: give frames of one scene a group, or split again; else the score is too good",
    "NEAR_LEAK_UNKNOWN": "run check, which compares them all",
    "READ_NOTED": "nothing where that was meant; else choose an option that detect-transfer convert --list shows",
    "READ_SKIPPED": "fix these rows, or leave them out knowingly",
    "SPLIT_CUTS_GROUP": "keep each video or sequence in one split: convert --split-ratio train=0.8,val=0.2",
    "SPLIT_LEAK": "remove one of each pair, or split again: convert --split-ratio train=0.8,val=0.2",
    "SPLIT_NO_POSITIVES": "split again by class: convert --split-ratio train=0.8,val=0.2",
    "TARGET_TOO_SMALL": "train with a larger train.imgsz, or cut the images into tiles",
}


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

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES.get(self.code, _IMAGE_REMEDY if self.code.startswith("IMAGE_") else "look at these places")


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
        findings = [{**asdict(finding), "remedy": finding.remedy} for finding in self.findings]
        return {"ok": self.ok, **asdict(self), "findings": findings}


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
