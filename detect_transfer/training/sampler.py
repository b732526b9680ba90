"""Which images make up the batches of an epoch: by seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from detect_transfer.core.arrays import FloatArray, IntArray


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
        groups: The images that share batches, for each group; None lets all do.
    """

    def __init__(
        self,
        factors: FloatArray,
        *,
        batch: int,
        seed: int,
        share: Share | None = None,
        groups: Sequence[IntArray] | None = None,
    ) -> None:
        self.epoch = 1
        self.mixes = False
        self.start = 0
        self._factors = factors
        self._batch = batch
        self._seed = seed
        self._share = share or Share()
        self._groups = groups or [np.arange(len(factors))]
        # every epoch has the same number of batches, or the course of the rate would not be known
        self._counts = [round(float(factors[members].sum())) for members in self._groups]

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return sum(-(-count // (self._batch * self._share.devices)) for count in self._counts)

    def __iter__(self) -> Iterator[list[ImageKey]]:
        """Give the images of each batch; one that devices cannot share evenly is filled from the start."""
        devices = self._share.devices
        random = np.random.default_rng([self._seed, self.epoch])
        batches = [batch for group in range(len(self._groups)) for batch in self._batches(group, random)]
        if len(self._groups) > 1:
            batches = [batches[i] for i in random.permutation(len(batches))]
        for indices in batches[self.start :]:
            yield [ImageKey(self.epoch, index, self.mixes) for index in indices[self._share.rank :: devices]]

    def _batches(self, group: int, random: np.random.Generator) -> Iterator[list[int]]:
        """Give the batches of a group over all devices, of nearly one length where there are several groups."""
        order = self._order(group, random)
        devices, count = self._share.devices, self._counts[group]
        whole = self._batch * devices
        edges = [*range(0, count, whole), count]
        if len(self._groups) > 1:
            edges = np.linspace(0, count, len(edges)).round().astype(int).tolist()
        for start, end in pairwise(edges):
            indices = order[start:end]
            short = -len(indices) % devices
            indices += order[:short] if short <= len(order) else (order * short)[:short]
            yield indices

    @property
    def all_indices(self) -> range:
        """The indices of all images."""
        return range(len(self._factors))

    def plain(self, epochs: int) -> list[list[ImageKey]]:
        """Return batches that hold every image once an epoch, in order, for the first epochs."""
        step = self._batch
        return [
            [ImageKey(epoch, index) for index in members[start : start + step].tolist()]
            for epoch in range(1, epochs + 1)
            for members in self._groups
            for start in range(0, len(members), step)
        ]

    def _order(self, group: int, random: np.random.Generator) -> list[int]:
        """Return the indices of all images of a group in their order in the epoch."""
        members, count = self._groups[group], self._counts[group]
        factors = self._factors[members]
        whole = np.floor(factors)
        times = whole + (random.random(len(whole)) < factors - whole) if (factors > whole).any() else whole
        indices = random.permutation(np.repeat(np.arange(len(times)), times.astype(np.int64)))
        if len(indices) < count:
            indices = np.concatenate([indices, random.choice(len(times), count - len(indices))])
        return [int(index) for index in members[indices[:count]]]
