"""The images that PASCAL v1.00 texts, lists and folders name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from detect_transfer.core import io
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.image_lookup import MISSING_REMEDY, ImageLookup
from detect_transfer.formats.pedestrians.pascal_masks import use_masks
from detect_transfer.formats.pedestrians.pascal_text import PascalFile, read_file

_MASK_FOLDER = "PedMasks"
_NEGATIVES = "neg"


@dataclass(frozen=True)
class PascalImage:
    """An image of the data set: its size and its text, if it has one."""

    size_wh: native.SizeWh | None
    text: PascalFile | None = None
    text_name: str = ""


@dataclass
class PascalFiles:
    """The images found so far, by their names relative to `root`."""

    root: Path
    media: ImageLookup
    problems: ErrorCollector
    images: dict[str, PascalImage] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)  # how many boxes each would have

    def look_for(self, name: str, *, where: str) -> tuple[str, bool]:
        """Return where a named image lies relative to the root, and whether it is there.

        Texts write ``PennFudanPed/PNGImages/a.png`` or ``Train/pos/a.png``: the first folder may be the root itself.
        """
        io.safe_join(self.root, name, where=where, field="Image filename")
        inner = PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix()
        for candidate in (name, inner):
            if (self.root / candidate).is_file():
                return candidate, True
        known = PurePosixPath(name).parts[0] == self.root.resolve().name and inner != "."
        return inner if known else name, False

    def add_text(self, name: str) -> None:
        """Add the image of a text."""
        text = read_file(self.root, name, self.problems)
        if text is None:
            return
        where = f"{self.root / name}:{text.image_line}"
        with self.problems.image(name):
            image, there = self.look_for(text.image, where=where)
            if image in self.images:
                self.problems.add(
                    "ID_DUPLICATE",
                    f"'{self.images[image].text_name}' is a text of the same image",
                    where=where,
                    field="Image filename",
                    value=text.image,
                    image=image,
                    remedy="remove one of them",
                )
            elif there or not self.is_left_out(image, text.image, where, len(text.objects)):
                self.images[image] = PascalImage(text.size_wh, text, name)

    def is_left_out(self, image: str, named: str, where: str, n_boxes: int) -> bool:
        """Tell whether an image that is not there is left out, after reporting it if that is an error."""
        if self.media.missing_images == "error":
            self.problems.add(
                "IMAGE_MISSING",
                "there is no such image",
                where=where,
                field="Image filename",
                value=named,
                image=image,
                remedy=MISSING_REMEDY,
            )
        elif self.media.missing_images == "skip":
            self.absent.setdefault(image, n_boxes)
        return self.media.missing_images != "keep"

    def add_negatives(self, held: Iterable[str]) -> None:
        """Add the images of folders named `neg`, and those that lists named `neg.lst` name."""
        for name in held:
            if PurePosixPath(name).parent.name.casefold() == _NEGATIVES:
                self.images.setdefault(name, PascalImage(None))
        for listed in io.list_files(self.root, (".lst",)):
            path = PurePosixPath(listed)
            if path.stem.casefold() != _NEGATIVES:
                continue
            lines = native.lines_of(native.read_text(self.root, self.root / listed))
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    with self.problems.image(line.strip()):
                        self.add_negative(path, number, line.strip())

    def add_negative(self, listed: PurePosixPath, number: int, name: str) -> None:
        """Add an image that a line of a list names."""
        where = f"{self.root / listed}:{number}"
        found, there = self.look_for(name, where=where)
        if not there:  # some copies write the names relative to the list
            beside = (listed.parent / name).as_posix()
            found, there = (beside, True) if (self.root / beside).is_file() else (found, False)
        if there or not self.is_left_out(found, name, where, 0):
            self.images.setdefault(found, PascalImage(None))

    def add_unnamed(self, held: Iterable[str], *, allow_missing: bool) -> None:
        """Add or report the images that lie beside annotated ones and have no text."""
        folders = {PurePosixPath(n).parent for n, p in self.images.items() if p.text is not None}
        told = {PurePosixPath(text).stem for text in self.problems.skipped_images}  # their texts are at fault
        for name in held:
            path = PurePosixPath(name)
            if name in self.images or path.parent not in folders or path.stem in told:
                continue
            if allow_missing:
                self.images[name] = PascalImage(None)
            else:
                self.problems.add(
                    *("ANNOTATION_MISSING", "no text names this image"),
                    where=self.root / name,
                    image=name,
                    remedy="annotate or remove it, or read with allow_missing=true if it shows no person",
                )

    def sizes(self) -> dict[str, native.SizeWh | None]:
        """Return the sizes of all images, compared with those that texts state."""
        there = [name for name in self.images if (self.root / name).is_file()]
        real = dict(zip(there, native.read_sizes(self.root, there, self.problems), strict=True))
        for name, image in self.images.items():
            size = real.get(name)
            if image.text is not None and size is not None and self.media.size_mismatch == "error":
                where = f"{self.root / image.text_name}:{image.text.image_line}"
                native.check_size(image.text.size_wh, size, where=where, image=name, problems=self.problems)
        return {name: real.get(name) or image.size_wh for name, image in self.images.items()}

    def compare_masks(self, choice: str) -> None:
        """Read the masks that texts name, or that lie in their own folder."""
        texts = {name: one.text for name, one in self.images.items() if one.text is not None}
        if choice == "ignore":
            return
        masks: dict[str, str] = {}
        for name, text in texts.items():
            usual = f"{_MASK_FOLDER}/{PurePosixPath(name).stem}_mask.png"
            with self.problems.image(name):
                where = self.root / self.images[name].text_name
                mask, there = self.look_for(text.mask or usual, where=str(where))
                if there:
                    masks[name] = mask
        use_masks(self.root, texts, masks, choice, self.problems)
