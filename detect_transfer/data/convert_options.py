"""What a conversion does, checked before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from detect_transfer.core.choices import BadBoxes, IgnoredRegions, ImageMode, OnError
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.tiles import Tiling
from detect_transfer.data.class_map import ClassMap
from detect_transfer.data.split_choice import Split, check_split
from detect_transfer.data.tiles import LEAST_SHARE
from detect_transfer.formats.writing.targets import WRITERS


@dataclass(frozen=True)
class ConvertOptions:
    """What a conversion does.

    Args:
        format: The name of the native format, for the manifest.
        source: The name of what was read, for the manifest; never a path.
        reader_options: The options that its reader had, by name, for the manifest.
        on_error: What became of faults in reading; `skip-image` also leaves out images at fault, with their boxes, and
            lists them in the ledger.
        bad_boxes: What becomes of objects that reach past their image or have no pixel, one of `BadBoxes`.
        split: The share of each split, `source`, a file of an earlier conversion, or `auto`; see `choose_split`. For
            annotations alone, `auto` takes any split of the source that every image has.
        val_from_train: The share in [0, 1) of the training images of the source that becomes `val`.
        class_map: Which source class becomes which class; None keeps the classes as they are.
        ignored_regions: What becomes of ignored regions in the YOLO labels, one of `IgnoredRegions`.
        max_ignored_share: Share of a training image in [0, 1] that `drop-image` tolerates.
        image_mode: How images come into the folder, one of `ImageMode`.
        seed: Of the split.
        min_size: Boxes with a shorter side, in pixels, are dropped.
        targets: The formats to write, keys of `WRITERS`; None writes COCO, and YOLO where all sizes are known.
        tiling: How images are cut into tiles; None takes them whole.
        tile_share: The share in (0, 1] of an object that a tile has to show; with less it is ignored there.
        check: Read back what is written in every target, and write no folder where something differs.
        bad_boxes_option: How the user says that bad boxes are to be fixed, for a remedy.

    Raises:
        InputError: There is no such choice.
    """

    format: str
    source: str = ""
    reader_options: Mapping[str, Any] = field(default_factory=dict)
    on_error: str = OnError.FAIL
    bad_boxes: str = BadBoxes.AUTO
    split: Split = "auto"
    val_from_train: float = 0.0
    class_map: ClassMap | None = None
    ignored_regions: str = IgnoredRegions.DROP
    max_ignored_share: float = 0.0
    image_mode: str = ImageMode.COPY
    seed: int = 0
    min_size: float = 1.0
    targets: tuple[str, ...] | None = None
    tiling: Tiling | None = None
    tile_share: float = LEAST_SHARE
    check: bool = False
    bad_boxes_option: str = "--bad-boxes fix"

    def __post_init__(self) -> None:
        """Check the choices before anything is read."""
        _check_options(self)

    @property
    def without_images(self) -> bool:
        """Whether annotations alone are written."""
        return self.image_mode == ImageMode.NONE


def _check_options(options: ConvertOptions) -> None:
    for name, value, choices in (
        ("on_error", options.on_error, tuple(OnError)),
        ("bad_boxes", options.bad_boxes, tuple(BadBoxes)),
        ("ignored_regions", options.ignored_regions, tuple(IgnoredRegions)),
        ("image_mode", options.image_mode, tuple(ImageMode)),
        *(("targets", target, tuple(WRITERS)) for target in options.targets or ()),
    ):
        if value not in choices:
            raise InputError(
                "OPTION", "there is no such choice", field=name, value=value, remedy=did_you_mean(value, choices)
            )
    if options.without_images and options.ignored_regions == IgnoredRegions.MASK:
        raise InputError(
            "OPTION",
            "regions are painted in images, and none are written",
            field="ignored_regions",
            value=options.ignored_regions,
            remedy="choose another --ignored-regions, or --image-mode copy",
        )
    if options.tiling is not None and options.without_images:
        what, remedy = "tiles are images, and none are written", "leave --tile out, or choose --image-mode copy"
        raise InputError("OPTION", what, field="tiling", value=options.tiling.size, remedy=remedy)
    if not 0 < options.tile_share <= 1:
        what, remedy = "a share above 0, to 1, was expected", "give 0.5, for example"
        raise InputError("OPTION", what, field="--tile-share", value=options.tile_share, remedy=remedy)
    if not 0 <= options.max_ignored_share <= 1 or not options.min_size >= 0:
        raise InputError(
            "OPTION",
            "max_ignored_share is a share in [0, 1], min_size is in pixels and not negative",
            field="max_ignored_share, min_size",
            value=(options.max_ignored_share, options.min_size),
            remedy="correct them",
        )
    check_split(options.split, options.val_from_train)
