"""Images made of several training images: objects pasted, four around a point, two over each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from detect_transfer.config.augment import CopyPaste
from detect_transfer.core.arrays import IntArray
from detect_transfer.training.copy_paste import paste
from detect_transfer.training.mosaic import TILES, mosaic
from detect_transfer.training.train_sample import FittedImage, TrainSample

MIXING = ("CopyPaste", "Mosaic", "MixUp")  # in the order in which they are done
_EVENNESS = 32.0  # both parameters of the beta distribution of the share: near a half


@dataclass(frozen=True)
class ImageMixing:
    """How often images are mixed.

    Args:
        mosaic: Share of the images that are laid together with three others.
        mixup: Share of the images that another is laid over.
        copy_paste: How objects of other images are pasted; None pastes none.
    """

    mosaic: float = 0.0
    mixup: float = 0.0
    copy_paste: CopyPaste | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ImageMixing:
        """Return it by the options of the transforms of `MIXING` that are listed."""
        mosaic, mixup = (options[name].p if name in options else 0.0 for name in ("Mosaic", "MixUp"))
        return cls(mosaic, mixup, options.get("CopyPaste"))

    @property
    def shares(self) -> dict[str, float]:
        """The share of images of each kind that is done, by the name of its transform."""
        paste = 0.0 if self.copy_paste is None else self.copy_paste.p
        return {n: share for n, share in zip(MIXING, (paste, self.mosaic, self.mixup), strict=True) if share}

    @property
    def on(self) -> bool:
        """Whether anything is mixed."""
        return bool(self.shares)


def mixed_image(
    index: int, others: IntArray, fitted: Callable[[int], FittedImage], mixing: ImageMixing, random: np.random.Generator
) -> TrainSample:
    """Return a training image after it was mixed with others.

    Args:
        index: Of the image.
        others: (N,) the indices of the training images of its size, from which the others are taken.
        fitted: Gives the image of an index.
        mixing: How.
        random: Chooses everything.
    """

    def pasted(number: int) -> FittedImage:
        image, options = fitted(number), mixing.copy_paste
        if options is None or random.random() >= options.p:
            return image
        return replace(image, sample=paste(image, fitted(int(random.choice(others))), options, random=random))

    def tiled(number: int) -> TrainSample:
        if random.random() >= mixing.mosaic:
            return pasted(number).sample
        return mosaic([pasted(n) for n in (number, *random.choice(others, TILES - 1).tolist())], random=random)

    sample = tiled(index)
    return mixup(sample, tiled(int(random.choice(others))), random=random) if random.random() < mixing.mixup else sample


def mixup(first: TrainSample, second: TrainSample, *, random: np.random.Generator) -> TrainSample:
    """Lay two images of one size over each other, about half and half; the objects of both count.

    Source: Zhang et al. 2019, "Bag of Freebies for Training Object Detection Neural Networks", section 3.1.
    """
    share = float(random.beta(_EVENNESS, _EVENNESS))
    return replace(
        first,
        pixels=np.asarray(cv2.addWeighted(first.pixels, share, second.pixels, 1 - share, 0), dtype=np.uint8),
        xyxy=np.concatenate([first.xyxy, second.xyxy]),
        labels=np.concatenate([first.labels, second.labels]),
        ignored=np.concatenate([first.ignored, second.ignored]),
    )
