"""The builder that readers stand on: `Source` is a data set that is being read, `Rows` are its rows under checks.

A reader says what is true of its format; finding files and images, collecting faults, checking, numbering and counting
what is left out are done here. Rows of text::

    source = Source(root, "a folder with gt.txt", missing_images=missing_images, on_error=on_error)
    rows = source.rows(source.files("gt.txt"), FIELDS, Dialect(";", image_field="file_name"))
    rows = rows.numbers("left", "top", "right", "bottom", whole=True).box("left", "top", "right", "bottom")
    source.add_images(source.image_files())  # those that no row names show no object
    return source.table(rows.category("class", NAMES), NAMES, split=split_of_path)

JSON, XML and YAML, an image and a box at a time::

    for name in source.files("*.json"):
        with source.errors.image(name):
            node = read_json(source.root, name).as_object()
            if source.add_image(image, node.where, node.size_wh(), split=split_of_path(name)):
                for each in node.items("objects"):
                    with source.errors.row(image):
                        source.add_box(image, each.string("label"), corners(each), each.source)
    return source.table()

Columns of a table of boxes that rows carry go into it; their other columns do not. Of a name such as
``clips/a.mp4#00012`` the frame of the video is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable, Columns
from detect_transfer.core.columns import collected
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.written_links import is_written_folder
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.box_format import PIXEL_CORNERS, BoxFormat, check_faults, in_pixels
from detect_transfer.formats.parsing.error_collector import ErrorCollector
from detect_transfer.formats.parsing.frames import find_media
from detect_transfer.formats.parsing.image_lookup import By, FoundImage, ImageLookup, ImageRef
from detect_transfer.formats.parsing.rows import Rows, named_in
from detect_transfer.formats.parsing.source_boxes import OTHER_SHAPES, SourceBoxes
from detect_transfer.formats.parsing.source_files import SourceFiles
from detect_transfer.formats.parsing.table import ImageColumn, box_frame, image_frame, with_categories
from detect_transfer.formats.parsing.table import listed as listed
from detect_transfer.formats.parsing.table import numbered as numbered


@dataclass(eq=False)
class Source(SourceFiles, SourceBoxes):
    """A data set that is being read.

    Args:
        root: Its folder; or one of its annotation files, where that may be given (`or_file`).
        what: What is expected there, for the message.
        by: How the names of images that annotations use are matched with files: by the whole name, without the suffix
            (``stem``), by the last part alone (``basename``), or without the suffix in whatever folder its path ends
            as the name does (``tail``).
        missing_images: What to do about an image that is not there: ``error``; ``keep`` goes on with what the
            annotations say of its size; ``skip`` leaves it out with its boxes, which the ledger counts.
        size_mismatch: ``error``; or ``keep`` to trust the image where the annotations state another size.
        on_error: What becomes of faults: ``fail``; ``skip-row`` leaves out the box that one is of; ``skip-image``
            leaves out the image with all its boxes. What is left out is counted and listed. Faults of the data set
            are always errors.
        other_shapes: What becomes of shapes that are no upright rectangle: ``extent`` takes the box around them and
            keeps the shape in `attributes`; ``skip`` leaves them out, which the ledger counts; ``error`` refuses them.
        or_file: Whether `root` may be a file.
        image_folder: The folder of the images, where annotations travel without them; None for `root`.
        box_format: What the boxes of `add_box` are counted in, with the option that says so.

    Raises:
        InputError: There is no such folder, or an option has no such choice.
    """

    root: Path
    what: str
    by: By = "name"
    missing_images: str = "error"
    size_mismatch: str = "error"
    on_error: str = "fail"
    other_shapes: str = "extent"
    or_file: bool = False
    image_folder: Path | None = None
    box_format: BoxFormat = PIXEL_CORNERS

    def __post_init__(self) -> None:
        """Check the options and the folder."""
        native.check_choice("other_shapes", self.other_shapes, OTHER_SHAPES)
        self.lookup = ImageLookup(self.by, self.missing_images, self.size_mismatch)
        self.errors = ErrorCollector(self.on_error)
        self.file = self.root.name if self.or_file and self.root.is_file() else None
        self.root = io.require_dir(self.root, what=self.what) if self.file is None else self.root.parent
        self.image_root = self._written_images() or self.root
        if self.image_folder is not None:
            self.image_root = io.require_dir(self.image_folder, what="the folder of the images")
        self.images: dict[str, ImageRef] = {}  # by the names that annotations use
        self._found_images: dict[str, FoundImage] = {}
        self._n_looked_for = 0
        self._columns: dict[str, Mapping[str, Any]] = {}  # of images that have an annotation of their own
        self._boxes: list[dict[str, Any]] = []
        self._other_shapes: list[str] = []

    def _written_images(self) -> Path | None:
        """Return the folder of the images where the data set is a part without its own of a data folder of ours."""
        home, images = self.root.parent, self.root.parent / "images"
        if not (images.is_dir() and is_written_folder(home)) or io.list_files(self.root, IMAGE_SUFFIXES):
            return None
        return images

    def add_image(self, name: str, where: str, size_wh: native.SizeWh | None = None, **columns: Any) -> bool:
        """Add an image that has an annotation of its own, with further columns of the table of images.

        Returns:
            False if another annotation is of the same image, which is reported.
        """
        if name in self._columns:
            self._report_shared(name, where, f"the image is annotated at {self.images[name].where} too")
            return False
        self.images[name] = ImageRef(where, size_wh)
        self._columns[name] = columns
        return True

    def add_images(self, names: Iterable[str]) -> None:
        """Add images that are there, whether or not they show an object."""
        for name in names:
            self.images.setdefault(name, ImageRef(f"{self.image_root}/{name}"))

    def name_images(self, rows: Rows, size: tuple[str, str] | None = None) -> None:
        """Add the images that rows name, with their sizes where two columns of the rows state them."""
        if any(name not in self.images for name in rows.data["image"].unique()):
            refs = named_in(rows.data, self.root)
            self.images |= {name: ref for name, ref in refs.items() if name not in self.images}
        if size is not None:
            for name, *size_wh in rows.data.unique("image", keep="first").select("image", *size).rows():
                self.images[name] = replace(self.images[name], size_wh=tuple(size_wh))

    def find_images(self) -> dict[str, FoundImage]:
        """Find the images that were added so far, by the names that annotations use; each is looked for once."""
        new = dict(list(self.images.items())[self._n_looked_for :])
        self._n_looked_for = len(self.images)
        if new:
            self._found_images |= find_media(self.image_root, new, self.lookup, self.errors)
        return self._found_images

    def table(
        self, rows: Rows | None = None, categories: Columns | Sequence[str] | None = None, **columns: ImageColumn
    ) -> AnnotationTable:
        """Find the images and make the table.

        Args:
            rows: The boxes; those of `add_box` where it is not given. The images that they name are added, unless
                images were added with annotations of their own.
            categories: The classes as columns, or their names in order; labels that are not among them follow, with
                a note. Where they are not given, the labels that occur, sorted.
            columns: Further columns of images: a function of the file name, or values by the names of annotations.

        Raises:
            InputError: There are faults, no image is left, or the boxes are not what the format says.
        """
        is_listed = rows is not None
        rows = rows if rows is not None else self.box_rows()
        if not self._columns:
            self.name_images(rows)
        self.errors.note("not an upright rectangle", len(self._other_shapes), tuple(self._other_shapes), kind="box")
        found_images = self.find_images()
        self._check_shared(found_images)
        if rows.box_format.units == "shares":
            self._require_sizes(found_images)
        images = image_frame(found_images, self._columns, columns)
        if "image_id" not in images.columns:  # the annotations number them otherwise
            number = pl.col("file_name").rank("dense") if is_listed else pl.int_range(1, pl.len() + 1)
            images = images.with_columns(image_id=number.cast(pl.Int64))
        data, classes = with_categories(rows.data, categories, self.errors)
        check_faults(self.errors, len(data), rows.box_format)
        self.errors.raise_any()
        if not found_images:
            what = "no image is left" if self.images else "no image is annotated"
            remedy = "give the folder that holds the annotations with their images"
            raise InputError("IMAGES_NONE", what, where=self.image_root, remedy=remedy)
        boxes = box_frame(data, images, self.errors)
        if rows.box_format.units == "shares":
            boxes = collected(in_pixels(boxes, images))
        names = {name: image.file_name for name, image in found_images.items()}
        self.errors.rename_skipped(lambda name: [names.get(name, name)])
        return native.finish(
            self.errors,
            images=images.sort("image_id").unique("image_id", keep="first", maintain_order=True).drop("image"),
            boxes=boxes,
            categories=classes,
            image_root=self.image_root if self.image_root.is_dir() else None,
            box_format=rows.box_format,
        )

    def _check_shared(self, found_images: Mapping[str, FoundImage]) -> None:
        """Report two annotations whose images are one file."""
        first: dict[str, str] = {}
        for name in self._columns:
            if name in found_images:
                other = first.setdefault(found_images[name].file_name, name)
                if other != name:
                    what = f"'{found_images[name].file_name}' is the image of '{other}' too"
                    self._report_shared(name, self.images[name].where, what)

    def _require_sizes(self, found_images: Mapping[str, FoundImage]) -> None:
        """Report the images without a size, where boxes are shares of it."""
        what = "its boxes are shares of the image, which is not there and whose size is not stated"
        remedy = "restore it, or read with missing_images=skip to leave its rows out"
        for name, image in found_images.items():
            if image.size_wh is None:
                where = self.images[name].where
                self.errors.add(
                    "IMAGE_MISSING", what, where=where, field="image", value=name, image=name, remedy=remedy
                )

    def _report_shared(self, name: str, where: str, what: str) -> None:
        remedy = "remove one of them, or name the right image there"
        self.errors.add("ID_DUPLICATE", what, where=where, field="image", value=name, image=name, remedy=remedy)
