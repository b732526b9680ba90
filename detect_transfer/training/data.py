"""The training pictures: decoded once where memory allows, augmented by a seed of their own, put into batches.

What a picture looks like in an epoch depends on the seed, the epoch and its place in the data alone: not on the number
of workers, the devices or where a run was resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from detect_transfer.boxes import FloatArray, clip
from detect_transfer.exports.pictures import paint_over
from detect_transfer.images import RgbArray, read_rgb
from detect_transfer.models.detector import Target
from detect_transfer.models.pixels import letterbox
from detect_transfer.table import XYXY, AnnotationTable
from detect_transfer.training.augment import Augmenter

_SHARE_OF_FREE_MEMORY = 0.3
_MOST_AUTO_WORKERS = 8


@dataclass(frozen=True)
class Sample:
    """A training picture: its file, its targets, and the regions that are neither target nor background."""

    path: Path
    xyxy: FloatArray  # (N, 4) picture pixels
    labels: NDArray[np.int64]  # (N,) class indices
    ignored: FloatArray  # (M, 4) picture pixels


@dataclass(frozen=True)
class Batch:
    """Pictures (B, 3, H, W) uint8 RGB with their targets and their files."""

    images: torch.Tensor
    targets: list[Target]
    paths: list[Path]

    def pin_memory(self) -> Batch:
        """Let the loader pin the pictures for a quicker copy to the device."""
        return Batch(self.images.pin_memory(), self.targets, self.paths)


def samples_of(table: AnnotationTable, paths: dict[int, Path]) -> list[Sample]:
    """Return a sample an image, in the order of the table.

    Args:
        table: Images and boxes; class indices follow the order of `category_id`.
        paths: The file of each image_id.
    """
    label_of = {c: i for i, c in enumerate(table.categories["category_id"].sort())}
    by_image = {key[0]: group for key, group in table.boxes.group_by("image_id", maintain_order=True)}
    samples = []
    for image_id in table.images["image_id"]:
        boxes = by_image.get(image_id)
        if boxes is None:
            samples.append(Sample(paths[image_id], np.empty((0, 4)), np.empty(0, np.int64), np.empty((0, 4))))
            continue
        out = boxes["ignore"].to_numpy() | boxes["iscrowd"].to_numpy()
        xyxy = boxes.select(XYXY).to_numpy()
        labels = np.array([label_of[c] for c in boxes["category_id"].to_numpy()[~out]], dtype=np.int64)
        samples.append(Sample(paths[image_id], xyxy[~out], labels, xyxy[out]))
    return samples


class TrainSet(Dataset[tuple[RgbArray, Target, Path]]):
    """Training pictures by (epoch, place).

    Args:
        samples: The pictures.
        imgsz: Pixels of the square that the network sees.
        augmenter: What changes them.
        seed: The seed of the run.
        cache_mb: Memory for fitted pictures; the first ones are kept, the others are read each time.
    """

    def __init__(
        self, samples: Sequence[Sample], *, imgsz: int, augmenter: Augmenter, seed: int, cache_mb: int
    ) -> None:
        self._samples = samples
        self._imgsz = imgsz
        self._augmenter = augmenter
        self._seed = seed
        fits = cache_mb * 2**20 // (imgsz * imgsz * 3)
        places = range(min(fits, len(samples)))
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding runs outside the interpreter lock
            self._cache = dict(zip(places, pool.map(self._fitted, places), strict=True))

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._samples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[RgbArray, Target, Path]:
        """Return the picture (imgsz, imgsz, 3), its targets and its file for an (epoch, place)."""
        epoch, place = key
        square, xyxy, labels = self._cache.get(place) or self._fitted(place)
        seed = int(np.random.SeedSequence([self._seed, epoch, place]).generate_state(1)[0])
        image, xyxy, labels = self._augmenter(square, xyxy, labels, seed=seed)
        return image, Target(xyxy, labels), self._samples[place].path

    def _fitted(self, place: int) -> tuple[RgbArray, FloatArray, NDArray[np.int64]]:
        """Read a picture and fit it and its boxes to the square.

        Ignored regions are painted over: what is not seen can be learnt neither as target nor as background.
        """
        sample = self._samples[place]
        image = read_rgb(sample.path)
        if len(sample.ignored):
            image = paint_over(image, sample.ignored, sample.xyxy)
        square, fit = letterbox(image, self._imgsz)
        inside = fit.to_network(clip(sample.xyxy, (image.shape[1], image.shape[0])))
        big = (inside[:, 2:] > inside[:, :2]).all(axis=1)
        return square, inside[big], sample.labels[big]


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """The batches of one epoch for one device: an order of all pictures by seed and epoch, shared out evenly.

    Args:
        count: The number of pictures.
        batch: Pictures in a batch of one device.
        seed: The seed of the run.
        rank: The number of this device.
        devices: How many devices share the epoch.
    """

    def __init__(self, count: int, *, batch: int, seed: int, rank: int = 0, devices: int = 1) -> None:
        self.epoch = 1
        self._count = count
        self._batch = batch
        self._seed = seed
        self._rank = rank
        self._devices = devices

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return -(-self._count // (self._batch * self._devices))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Give lists of (epoch, place); the last batch is filled from the start where devices share it."""
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._count).tolist()
        whole = self._batch * self._devices
        for start in range(0, self._count, whole):
            places = order[start : start + whole]
            short = -len(places) % self._devices
            places += order[:short] if short <= len(order) else (order * short)[:short]
            yield [(self.epoch, place) for place in places[self._rank :: self._devices]]


def collate(items: list[tuple[RgbArray, Target, Path]]) -> Batch:
    """Put pictures of one size into a batch."""
    stacked = torch.from_numpy(np.stack([image for image, _, _ in items])).permute(0, 3, 1, 2)
    return Batch(stacked, [target for _, target, _ in items], [path for _, _, path in items])


def make_loader(data: TrainSet, batches: EpochBatches, *, workers: int, pin: bool) -> DataLoader[Any]:
    """Return the loader; with no worker the pictures are made in the training process."""
    return DataLoader(
        data,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        persistent_workers=workers > 0,
    )


def choose_workers(wanted: int | Literal["auto"], device: torch.device) -> int:
    """Return the number of loading processes; on a CPU that trains they would only take its cores away."""
    if wanted != "auto":
        return wanted
    spare = (os.cpu_count() or 1) - 1
    return 0 if device.type == "cpu" else min(_MOST_AUTO_WORKERS, spare)


def choose_cache_mb(wanted: int | Literal["auto"]) -> int:
    """Return the memory for fitted pictures; `auto` takes a share of what is free."""
    if wanted != "auto":
        return wanted
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 2**30
    return int(free * _SHARE_OF_FREE_MEMORY) >> 20
