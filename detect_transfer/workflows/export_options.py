"""What a detector is exported to, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from detect_transfer.core.choices import ExportPrecision, ExportTarget, NmsPlace
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.input_size import Sides

Choice = TypeVar("Choice", ExportPrecision, ExportTarget, NmsPlace)


@dataclass(frozen=True)
class ExportOptions:
    """What a detector is exported to, and how.

    Args:
        to: The targets.
        precision: Of the layers; int8 keeps the last ones in single precision.
        nms: Where doubles are suppressed: by whoever runs the model, or in its graph, which then takes one image.
        fixed_size: The graph takes images padded to all of `imgsz`; else any multiple of 32 where the network allows
            it.
        batch: Images that the graph always takes; None takes any number where the network allows it, else one.
        imgsz: Pixels of the longer side, or height and width; None takes those of training, else 640.
        calibration_images: Training images that INT8 is calibrated on.

    Raises:
        InputError: Nothing is to be written, or a choice contradicts another.
    """

    to: tuple[ExportTarget, ...] = (ExportTarget.ONNX,)
    precision: ExportPrecision = ExportPrecision.FP32
    nms: NmsPlace = NmsPlace.BESIDE
    fixed_size: bool = False
    batch: int | None = None
    imgsz: Sides | None = None
    calibration_images: int = 128

    def __post_init__(self) -> None:
        """Check the choices before anything is loaded; words are taken for what they name."""
        object.__setattr__(self, "precision", _named(ExportPrecision, self.precision, "--precision"))
        object.__setattr__(self, "nms", _named(NmsPlace, self.nms, "--nms"))
        object.__setattr__(self, "to", tuple(dict.fromkeys(_named(ExportTarget, each, "--to") for each in self.to)))
        if not self.to:
            raise InputError("OPTION", "no target is named", field="--to", remedy="give --to onnx, for example")
        if self.nms is NmsPlace.INSIDE and self.batch not in (None, 1):
            raise InputError(
                "OPTION",
                "with the suppression inside, a graph takes one image",
                field="--batch",
                value=self.batch,
                remedy="leave --batch out",
            )
        for field, value in (("--batch", self.batch), ("--calibration-images", self.calibration_images)):
            if value is not None and value < 1:
                raise InputError("OPTION", "a number from 1 on was expected", field=field, value=value, remedy="give 1")

    @property
    def is_int8(self) -> bool:
        """Whether training images are needed, to calibrate eight bits on."""
        return self.precision is ExportPrecision.INT8

    @property
    def form(self) -> list[str]:
        """The options of the form of a graph that were chosen, as they are typed."""
        chosen = {
            "--fixed-size": self.fixed_size,
            f"--batch {self.batch}": self.batch is not None,
            "--nms inside": self.nms is NmsPlace.INSIDE,
        }
        return [flag for flag, given in chosen.items() if given]


def _named(kind: type[Choice], word: str, field: str) -> Choice:
    """Return what a word names.

    Raises:
        InputError: Nothing.
    """
    if word not in list(kind):
        raise InputError(
            "OPTION",
            "there is no such choice",
            field=field,
            value=word,
            remedy=did_you_mean(word, [each.value for each in kind]),
        )
    return kind(word)
