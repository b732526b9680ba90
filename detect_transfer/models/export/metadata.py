"""What an exported model says of itself: all that is needed to run it as it was run here, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from detect_transfer.config import Evaluate
from detect_transfer.core.choices import ExportPrecision, NmsPlace
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.letterbox import PAD_MULTIPLE, PAD_VALUE

FORMAT_VERSION = 1
INPUT_FACTS = {  # how an image becomes the input; what normalises it is in the graph
    "name": "images",
    "layout": "NCHW",
    "dtype": "uint8",
    "channels": "RGB",
    "resize": "as large as fits into imgsz; cv2.INTER_AREA to shrink, cv2.INTER_LINEAR to enlarge",
    "pad": "evenly on both sides",
    "pad_value": PAD_VALUE,
    "pad_multiple": PAD_MULTIPLE,
}


@dataclass(frozen=True)
class ExportMetadata:
    """The metadata of an exported model; in the file each is a text of JSON under its name.

    Args:
        family: The family of the detector.
        arch: Its architecture.
        names: Its classes in order.
        category_ids: Their ids in the data that it was trained on.
        imgsz: The side in pixels that an image is scaled into, or height and width.
        nms: Where doubles are suppressed.
        nms_iou: Overlap from which the lower of two boxes is suppressed, where the settings do not say.
        suppresses: Whether doubles are suppressed at all; an end-to-end head gives each object once.
        settings: Score floor, suppression and caps that it was scored with.
        batch: Images that it always takes; None takes any number.
        side: It takes images of that side, or height and width, alone; None takes what `input` says.
        precision: What it computes with.
        thresholds: The score threshold of each class; None where none were stored.
        licence: Which code and weights are in it, and what that means for use.
        provenance: Hashes of weights and data, versions and machine.
        input: How an image becomes its input.
        intake: The window of values of more than 8 bits, as weights carry it; None where there is none.
        format_version: Of these keys.
    """

    family: str
    arch: str
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    imgsz: int | tuple[int, int]
    nms: NmsPlace
    nms_iou: float
    suppresses: bool
    settings: Evaluate
    batch: int | None
    side: int | tuple[int, int] | None
    precision: ExportPrecision
    thresholds: Mapping[str, float] | None = None
    licence: tuple[Mapping[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    input: Mapping[str, Any] = field(default_factory=lambda: dict(INPUT_FACTS))
    intake: str | None = None
    format_version: int = FORMAT_VERSION

    @property
    def size(self) -> InputSize:
        """What an image is scaled into."""
        return InputSize.of(self.imgsz)

    @property
    def fixed(self) -> InputSize | None:
        """The one size of image that it takes, padded; None where it takes any."""
        return None if self.side is None else InputSize.of(self.side)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values by name."""
        return {**asdict(self), "settings": self.settings.model_dump(mode="json")}

    def as_texts(self) -> dict[str, str]:
        """Return the texts that a file holds."""
        return {key: json.dumps(value, ensure_ascii=False) for key, value in self.as_dict().items()}


def read_metadata(texts: Mapping[str, str], path: Path) -> ExportMetadata:
    """Return the metadata of an exported model.

    Args:
        texts: What the file holds.
        path: The file, for the message.

    Raises:
        InputError: They are none of ours, or of another version.
    """
    names = {each.name for each in fields(ExportMetadata)}
    if not names <= texts.keys():
        raise InputError(
            "EXPORT_METADATA",
            "it has no metadata of detect-transfer, so that its input and its classes are not known",
            where=path,
            remedy="give a model that `detect-transfer export` wrote, or the weights that this one was made of",
        )
    try:
        values = {name: json.loads(texts[name]) for name in names}
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version is {values['format_version']}, {FORMAT_VERSION} was expected")
        values["settings"] = Evaluate.model_validate(values["settings"])
        values["nms"], values["precision"] = NmsPlace(values["nms"]), ExportPrecision(values["precision"])
        values["names"], values["category_ids"] = tuple(values["names"]), tuple(values["category_ids"])
        for name in ("imgsz", "side"):
            values[name] = None if values[name] is None else InputSize.of(values[name]).sides
        return ExportMetadata(**{**values, "licence": tuple(values["licence"])})
    except (ValueError, TypeError) as error:
        raise InputError(
            "EXPORT_METADATA", f"its metadata cannot be read ({error})", where=path, remedy="export it again"
        ) from error
