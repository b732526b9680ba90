"""Which images make up the batches of an epoch: by seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from detect_transfer.core.arrays import FloatArray


class ImageKey(NamedTuple):
    """Which image by its index, in which epoch, and whether it may be mixed with others."""

    epoch: int
    image: int
    mixes: bool = False


@dataclass(frozen=True)
class Share:
    """The part of an epoch that one of several devices takes: its number, and how many there are."""

    rank: int = 0
    devices: int = 1


class EpochBatches(Sampler[list[ImageKey]]):
    """The batches of one epoch for one device: an order of all images by seed and epoch, shared out evenly.

    Attributes:
        epoch: Which epoch is meant, from 1.
        mixes: Whether images may be mixed with others in it.
        start: How many batches of it are left out at its beginning, for a run that goes on inside an epoch.

    Args:
        factors: (N,) how often each image is shown, 1 or more; a broken part is a chance of once more.
        batch: Images in a batch of one device.
        seed: The seed of the run.
        share: The part of this device.
    """

    def __init__(self, factors: FloatArray, *, batch: int, seed: int, share: Share | None = None) -> None:
        self.epoch = 1
        self.mixes = False
        self.start = 0
        self._factors = factors
        self._batch = batch
        self._seed = seed
        self._share = share or Share()
        # every epoch has the same number of batches, or the course of the rate would not be known
        self._count = round(float(factors.sum()))

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-self._count // (self._batch * self._share.devices))

    def __iter__(self) -> Iterator[list[ImageKey]]:
        """Give the images of each batch; the last batch is filled from the start where devices share it."""
        order = self._order()
        devices = self._share.devices
        whole = self._batch * devices
        for start in range(self.start * whole, self._count, whole):
            indices = order[start : start + whole]
            short = -len(indices) % devices
            indices += order[:short] if short <= len(order) else (order * short)[:short]
            yield [ImageKey(self.epoch, index, self.mixes) for index in indices[self._share.rank :: devices]]

    @property
    def all_indices(self) -> range:
        """The indices of all images."""
        return range(len(self._factors))

    def plain(self, epochs: int) -> list[list[ImageKey]]:
        """Return batches that hold every image once an epoch, in order, for the first epochs."""
        step = self._batch
        return [
            [ImageKey(epoch, index) for index in self.all_indices[start : start + step]]
            for epoch in range(1, epochs + 1)
            for start in range(0, len(self.all_indices), step)
        ]

    def _order(self) -> list[int]:
        """Return the indices of all images of the epoch in their order."""
        random = np.random.default_rng([self._seed, self.epoch])
        whole = np.floor(self._factors)
        times = whole + (random.random(len(whole)) < self._factors - whole) if (self._factors > whole).any() else whole
        indices = random.permutation(np.repeat(np.arange(len(times)), times.astype(np.int64)))
        if len(indices) < self._count:
            indices = np.concatenate([indices, random.choice(len(times), self._count - len(indices))])
        return [int(index) for index in indices[: self._count]]
