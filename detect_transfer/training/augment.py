"""Augmentation of single images by albumentations: a preset, or the transforms that the config lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from detect_transfer.config import RunConfig
from detect_transfer.config.augment import Augment, augment_entries
from detect_transfer.core.arrays import BoolArray, FloatArray
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.training.image_mixing import MIXING, ImageMixing
from detect_transfer.training.mirroring import Mirroring
from detect_transfer.training.plan import Plan
from detect_transfer.training.train_sample import TrainSample, clip_sample
from detect_transfer.training.transforms import TURNS, build_transform, compose, corners_move, mirrors, own_options

_ROUNDING = 1e-3  # pixels


class Augmenter:
    """Albumentations on one image and its boxes, seeded for each image.

    Attributes:
        mixing: How images are mixed with others before.
        mirrors: The names of the transforms that mirror.
        scales: The range of the factor of `ScaleByBoxes`; None without it.
        turns_left_out: The names of the transforms of presets that would lay images on their side.

    Args:
        chosen: A preset, or transforms by their names with their options.
        imgsz: What images are scaled into.
        shapes: The sizes of the images that it will be given; none: all have `imgsz`.
        mirroring: Whether images are mirrored; None mirrors and swaps no labels.
        box_sides: (N,) the roots of the areas of the training boxes in network pixels, by which images are scaled.
        mosaic: Share of mosaics, instead of that of `chosen`.

    Raises:
        InputError: A transform or an option is not known, gives what cannot be trained on, or mirrors against the
                config.
    """

    def __init__(
        self,
        chosen: Augment,
        *,
        imgsz: int | InputSize,
        shapes: Sequence[InputSize] = (),
        mirroring: Mirroring | None = None,
        box_sides: FloatArray | None = None,
        mosaic: float | None = None,
    ) -> None:
        entries = list(augment_entries(chosen))
        self.mixing = ImageMixing.of({e.name: own_options(e) for e in entries if e.name in MIXING})
        if mosaic is not None:
            self.mixing = replace(self.mixing, mosaic=mosaic)
        size = InputSize.of(imgsz)
        shapes = shapes or [size]
        upright = not all(shape.is_square for shape in shapes)
        turns = [e for e in entries if upright and e.preset and e.name in TURNS]
        self.turns_left_out = [e.name for e in turns]
        single = [e for e in entries if e.name not in MIXING and e not in turns]
        built = [(entry, build_transform(entry, size, box_sides, shapes=shapes)) for entry in single]
        if mirroring is not None and not mirroring.on:
            built = [(entry, t) for entry, t in built if not (entry.preset and mirrors(t))]
        transforms = [t for _, t in built]
        self.scales: tuple[float, float] | None = next(
            (t.scale["x"] for entry, t in built if entry.name == "ScaleByBoxes"), None
        )
        self.mirrors = [type(t).__name__ for t in transforms if mirrors(t)]
        self._swaps = {} if mirroring is None else mirroring.swaps
        # the corners tell how large a box would be that was clipped, and whether it is mirrored
        self._tells_corners = corners_move(transforms)
        if mirroring is not None:
            _check_mirroring(self.mirrors, mirroring, tells_corners=self._tells_corners)
        self._pipeline = compose(transforms, corners=self._tells_corners) if transforms else None

    def __call__(self, sample: TrainSample, *, seed: int) -> TrainSample:
        """Return the image, its boxes and its ignored regions, changed by this seed."""
        if self._pipeline is None:
            return sample
        self._pipeline.set_random_seed(seed)
        every = np.concatenate([sample.xyxy, sample.ignored])
        given: dict[str, Any] = {"image": sample.pixels, "bboxes": every, "indices": np.arange(len(every))}
        n_targets = len(sample.labels)
        if self._tells_corners:
            given["keypoints"] = sample.xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
            given["corners"] = np.arange(4 * n_targets)
        out = self._pipeline(**given)
        indices = np.asarray(out["indices"], dtype=np.int64)
        boxes = np.asarray(out["bboxes"], dtype=np.float64).reshape(-1, 4)
        is_target = indices < n_targets
        target_indices = indices[is_target]
        changed = TrainSample(out["image"], boxes[is_target], sample.labels[target_indices], boxes[~is_target])
        if not self._tells_corners:
            return clip_sample(changed, changed.xyxy)
        corners = np.full((n_targets * 4, 2), np.nan)  # a distortion loses those that leave the image
        corners[np.asarray(out["corners"], dtype=np.int64)] = np.asarray(out["keypoints"]).reshape(-1, 2)
        return self._with_corners(changed, corners.reshape(-1, 4, 2)[target_indices])

    def _with_corners(self, sample: TrainSample, corners: FloatArray) -> TrainSample:
        """Clip the boxes by what their corners (N, 4, 2) tell, and swap the labels of those that are mirrored."""
        is_finite: BoolArray = np.asarray(np.isfinite(corners.reshape(len(corners), 8)).all(axis=1))
        full = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        full = np.where(is_finite[:, None], full, sample.xyxy)
        if self._swaps:
            # left is right where the top edge points to the left; upside down alone leaves it (a quarter turn rounds)
            mirrored = corners[:, 1, 0] - corners[:, 0, 0] < -_ROUNDING
            swapped = [self._swaps.get(int(label), int(label)) for label in sample.labels]
            labels = np.where(mirrored, np.array(swapped, dtype=np.int64), sample.labels)
            # of what has lost its corners it is not known whether it is mirrored: it is neither target nor background
            sample = replace(
                sample,
                xyxy=sample.xyxy[is_finite],
                labels=labels[is_finite],
                ignored=np.concatenate([sample.ignored, sample.xyxy[~is_finite]]),
            )
            full = full[is_finite]
        return clip_sample(sample, full)


def augment_lines(augmenter: Augmenter) -> list[str]:
    """Return what is done to training images beside what every run does, in lines."""
    lines = []
    if augmenter.turns_left_out:
        lines.append(f"images are no squares: {', '.join(augmenter.turns_left_out)} of the preset is left out")
    if augmenter.scales is not None:
        low, high = augmenter.scales
        lines.append(f"training images are scaled by {low:.2f} to {high:.2f}, which their boxes allow")
    return lines


def mixing_lines(augmenter: Augmenter, plan: Plan, config: RunConfig) -> list[str]:
    """Return the line that says in which epochs training images are mixed; none where that is not wanted.

    Features that are computed once are of images as they are. Where a budget ends phases, it is the time that counts.
    """
    if not augmenter.mixing.on:
        return []
    shares = ", ".join(f"{name} {share:g}" for name, share in augmenter.mixing.shares.items())
    until = config.train.mosaic_until
    phases = [(p, p.mixing_epochs(until)) for p in plan.phases if not p.views and p.mixing_epochs(until)]
    part = f"first {until:.0%}"
    if not phases:
        remedy = "train more epochs, or set train.mosaic_until=1"
        return [
            f"training images are never mixed ({shares}): no phase has an epoch within its {part} that reads images; "
            + remedy
        ]
    first_last = [(p.first_epoch, p.first_epoch + count - 1) for p, count in phases]
    one = len(first_last) == 1 and first_last[0][0] == first_last[0][1]
    where = f"epoch{'' if one else 's'} " + ", ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in first_last)
    if config.transfer.budget is not None:
        where = f"the {part} of the epochs, or of the time, of phase {', '.join(str(p.number) for p, _ in phases)}"
    return [f"training images are mixed in {where}: {shares}"]


def _check_mirroring(names: Sequence[str], mirroring: Mirroring, *, tells_corners: bool) -> None:
    """Raise where transforms, by name, mirror against the config, or where it is not seen what is mirrored."""
    if names and not mirroring.on:
        raise InputError(
            "AUGMENT_MIRROR",
            f"it turns left into right, and {mirroring.reason}",
            field="augment",
            value=names[0],
            remedy="remove it (or turn by 90 degrees at most), or name mirror.pairs or mirror.images=true",
        )
    if names and mirroring.swaps and not tells_corners:
        raise InputError(
            "AUGMENT_MIRROR",
            "a transform beside it cannot move points, by which mirrored boxes are known",
            field="augment",
            value=names[0],
            remedy="leave out mirror.pairs or the transform",
        )
