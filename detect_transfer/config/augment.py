"""What training images go through: presets by name, and the options of the transforms that are our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from detect_transfer.config.strict import Positive, Strict

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=10)]
AugmentName = Literal["default", "none", "small_set", "signs", "pedestrians", "aerial"]
Augment = AugmentName | list[AugmentName | dict[str, dict[str, Any]]]


class Mosaic(Strict):
    """Four images around one point."""

    p: Share = 0.5
    """Share of the images that are laid together with three others."""


class CopyPaste(Strict):
    """Objects of other training images, pasted by their boxes."""

    p: Share = 0.5
    """Share of the images that others are pasted into."""
    objects: Positive = 3
    """How many at most."""
    scale: tuple[Factor, Factor] = (0.7, 1.4)
    """Range of the factor on their size."""
    hides: Share = 0.3
    """The largest part of an object that they may hide."""

    @model_validator(mode="after")
    def _range(self) -> CopyPaste:
        _check_range("scale", self.scale)
        return self


class MixUp(Strict):
    """Two images laid over each other, with the objects of both."""

    p: Share = 0.1
    """Share of the images."""


class ScaleByBoxes(Strict):
    """Scale and shift, within what the sizes of the boxes allow."""

    smallest: Annotated[float, Field(gt=0)] = 8.0
    """Pixels that the smallest tenth of the boxes, in training, is not shrunk below."""
    largest: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of `train.imgsz` that the largest tenth of the boxes is not enlarged beyond."""
    limits: tuple[Factor, Factor] = (0.5, 2.0)
    """The widest range of the factor."""
    p: Share = 1.0
    """Share of the images."""

    @model_validator(mode="after")
    def _range(self) -> ScaleByBoxes:
        _check_range("limits", self.limits)
        if not self.limits[0] <= 1 <= self.limits[1]:
            raise ValueError("limits must have 1 between them")
        return self


def _check_range(name: str, values: tuple[float, float]) -> None:
    if values[0] > values[1]:
        raise ValueError(f"{name} goes from {values[0]:g} down to {values[1]:g}; write the lower value first")


OWN_TRANSFORMS: dict[str, type[Strict]] = {kind.__name__: kind for kind in (Mosaic, CopyPaste, MixUp, ScaleByBoxes)}

_MIRROR: dict[str, dict[str, Any]] = {"HorizontalFlip": {"p": 0.5}}
_COLOUR: dict[str, dict[str, Any]] = {
    "ColorJitter": {
        "brightness": [0.6, 1.4],
        "contrast": [1.0, 1.0],
        "saturation": [0.3, 1.7],
        "hue": [-0.015, 0.015],
        "p": 1.0,
    }
}
# what stock YOLO training does once its mosaic is closed; the fill is the grey that images are padded with
_SCALE: dict[str, dict[str, Any]] = {
    "Affine": {"scale": [0.5, 1.5], "translate_percent": [-0.1, 0.1], "keep_ratio": True, "fill": 114, "p": 1.0}
}
# those that mirror are left out of a preset where images must not be mirrored
PRESETS: dict[AugmentName, list[AugmentName | dict[str, dict[str, Any]]]] = {
    "default": [_SCALE, _MIRROR, _COLOUR],
    "none": [],
    "small_set": [{"CopyPaste": {"p": 0.5}}, {"Mosaic": {"p": 0.3}}, "default"],
    "signs": [{"CopyPaste": {"p": 0.5}}, {"ScaleByBoxes": {}}, _COLOUR],
    "pedestrians": [{"Mosaic": {"p": 0.3}}, {"ScaleByBoxes": {}}, _MIRROR, _COLOUR],
    "aerial": [
        {"Mosaic": {"p": 0.3}},
        {"ScaleByBoxes": {}},
        {"RandomRotate90": {"p": 0.5}},
        _MIRROR,
        {"VerticalFlip": {"p": 0.5}},
        _COLOUR,
    ],
}


@dataclass(frozen=True)
class AugmentEntry:
    """A transform with its options.

    Args:
        name: Of albumentations or of `OWN_TRANSFORMS`.
        options: As given.
        field: The key that it stands under.
        preset: Whether it comes from a preset.
    """

    name: str
    options: dict[str, Any]
    field: str
    preset: bool


def augment_entries(augment: Augment) -> Iterator[AugmentEntry]:
    """Yield the transforms in order, with those of the presets that are named."""
    for i, entry in enumerate([augment] if isinstance(augment, str) else augment):
        field = "augment" if isinstance(augment, str) else f"augment.{i}"
        for transform in _plain_transforms(entry):
            for name, options in transform.items():
                yield AugmentEntry(name, options, field, isinstance(entry, str))


def _plain_transforms(entry: AugmentName | dict[str, dict[str, Any]]) -> list[dict[str, dict[str, Any]]]:
    return [entry] if isinstance(entry, dict) else [t for part in PRESETS[entry] for t in _plain_transforms(part)]


def presets_text() -> str:
    """Return what each preset is, in a line of YAML."""
    shown = {name: [_shown(entry) for entry in entries] for name, entries in PRESETS.items() if entries}
    lines = (f"`{name}: [{', '.join(entries)}]`" for name, entries in shown.items())
    return "; ".join(lines)


def _shown(entry: AugmentName | dict[str, dict[str, Any]]) -> str:
    if isinstance(entry, str):
        return entry
    return yaml.safe_dump(entry, default_flow_style=True, width=10_000, sort_keys=False).strip()


def own_transforms_text() -> str:
    """Return what each transform of ours does and takes, in sentences."""
    parts = []
    for name, kind in OWN_TRANSFORMS.items():
        options = "; ".join(
            f"`{option}` ({_plain(field.default)}): {(field.description or '').rstrip('.')}"
            for option, field in kind.model_fields.items()
        )
        parts.append(f"`{name}`: {(kind.__doc__ or '').strip()} {options}.")
    return " ".join(parts)


def _plain(value: object) -> str:
    return f"[{', '.join(f'{v:g}' for v in value)}]" if isinstance(value, tuple) else f"{value:g}"
