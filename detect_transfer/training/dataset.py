"""The training images: fitted once where there is room, augmented by a seed of their own, put into batches.

What an image looks like in an epoch depends on the seed, the epoch and its place in the data alone: not on the number
of workers, the devices or where a run was resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.boxes import clip
from detect_transfer.core.errors import DetectTransferError, ResourceError
from detect_transfer.core.images import read_rgb
from detect_transfer.models.base import Target
from detect_transfer.models.letterbox import letterbox
from detect_transfer.training.augment import Augmenter, TrainSample
from detect_transfer.training.mosaic import TILES, mosaic
from detect_transfer.training.sampler import EpochBatches
from detect_transfer.training.samples import SampleRef

_MOST_AUTO_WORKERS = 8
_WORKER_DIED = ("exited unexpectedly", "killed by signal", "shared memory", "No space left on device")  # torch's words


@dataclass(frozen=True)
class Batch:
    """Images (B, 3, H, W) uint8 RGB with their targets, files and places."""

    images: torch.Tensor
    targets: list[Target]
    paths: list[Path]
    places: list[int]

    def pin_memory(self) -> Batch:
        """Let the loader pin the images for a quicker copy to the device."""
        return Batch(self.images.pin_memory(), self.targets, self.paths, self.places)

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in at most so many parts."""
        return [
            Batch(self.images[part], self.targets[part], self.paths[part], self.places[part])
            for part in chunks(len(self.targets), parts)
        ]


def chunks(count: int, parts: int) -> list[slice]:
    """Divide `count` things into at most `parts` slices of nearly one length."""
    edges = np.linspace(0, count, min(parts, count) + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class ImageOptions:
    """How training images are to look.

    Args:
        imgsz: Pixels of the square that the network sees.
        augmenter: What changes them.
        seed: The seed of the run.
        mosaic: Share of the images in [0, 1] that are laid together with three others.
        mosaic_epochs: The last epoch with mosaics.
    """

    imgsz: int
    augmenter: Augmenter
    seed: int
    mosaic: float = 0.0
    mosaic_epochs: int = 0


class TrainSet(Dataset[tuple[TrainSample, Path, int]]):
    """Training images by (epoch, place).

    Args:
        samples: The images.
        look: How they are to look.
        store: (N, imgsz, imgsz, 3) uint8 to keep fitted images in; None reads each one every time.
    """

    def __init__(
        self, samples: Sequence[SampleRef], look: ImageOptions, store: NDArray[np.uint8] | None = None
    ) -> None:
        self._samples = samples
        self._look = look
        self._store = store
        self._kept: list[TrainSample] = []
        if store is not None:
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding runs outside the interpreter lock
                self._kept = list(pool.map(self._keep, range(len(samples))))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._samples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[TrainSample, Path, int]:
        """Return the image (imgsz, imgsz, 3) with what is in it, its file and its place, for an (epoch, place)."""
        epoch, place = key
        look = self._look
        own = np.random.SeedSequence([look.seed, epoch, place])
        scene = self._fitted(place)
        if look.mosaic and epoch <= look.mosaic_epochs:
            random = np.random.default_rng(own.spawn(1)[0])
            if random.random() < look.mosaic:
                others = random.integers(0, len(self), TILES - 1).tolist()
                scene = mosaic([scene, *map(self._fitted, others)], random=random)
        scene = look.augmenter(scene, seed=int(own.generate_state(1)[0]))
        return scene, self._samples[place].path, place

    def _keep(self, place: int) -> TrainSample:
        assert self._store is not None
        scene = self._read(place)
        self._store[place] = scene.pixels
        return TrainSample(self._store[place], scene.xyxy, scene.labels, scene.ignored)

    def _fitted(self, place: int) -> TrainSample:
        return self._kept[place] if self._kept else self._read(place)

    def _read(self, place: int) -> TrainSample:
        """Read an image and fit it, its boxes and its ignored regions to the square."""
        sample = self._samples[place]
        image: RgbArray = read_rgb(sample.path)
        square, fit = letterbox(image, self._look.imgsz)
        size_wh = (image.shape[1], image.shape[0])
        xyxy, ignored = (fit.to_network(clip(boxes, size_wh)) for boxes in (sample.xyxy, sample.ignored))
        big, there = ((boxes[:, 2:] > boxes[:, :2]).all(axis=1) for boxes in (xyxy, ignored))
        return TrainSample(square, xyxy[big], sample.labels[big], ignored[there])


def collate(items: list[tuple[TrainSample, Path, int]]) -> Batch:
    """Put images of one size into a batch."""
    stacked = torch.from_numpy(np.stack([scene.pixels for scene, _, _ in items])).permute(0, 3, 1, 2)
    targets = [Target(scene.xyxy, scene.labels, scene.ignored) for scene, _, _ in items]
    return Batch(stacked, targets, [path for _, path, _ in items], [place for _, _, place in items])


class _Telling(Dataset[Any]):
    """Gives an error in the place of an image: of one that is raised in a loading process only the text comes over."""

    def __init__(self, data: TrainSet) -> None:
        self._data = data

    def __getitem__(self, key: tuple[int, int]) -> tuple[TrainSample, Path, int] | DetectTransferError:
        try:
            return self._data[key]
        except DetectTransferError as error:
            return error


def _collate_or_tell(items: list[Any]) -> Batch | DetectTransferError:
    return next((item for item in items if isinstance(item, DetectTransferError)), None) or collate(items)


class Loader:
    """Gives batches, from loading processes or from this one."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Raises:
            InputError: An image cannot be read.
            ResourceError: A loading process died.
        """
        try:
            for batch in self._loader:
                if isinstance(batch, DetectTransferError):
                    raise batch
                yield batch
        except RuntimeError as error:
            if not any(words in str(error) for words in _WORKER_DIED):
                raise
            raise ResourceError(
                "WORKER_DIED",
                f"a loading process died ({str(error).splitlines()[0]})",
                field="train.workers",
                remedy="the memory was full, or /dev/shm: set train.workers=0 or fewer, or a smaller train.cache_mb",
            ) from error


def make_loader(
    data: TrainSet, batches: EpochBatches | Sequence[list[tuple[int, int]]], *, workers: int, pin: bool
) -> Loader:
    """Return the loader of some batches; with no worker the images are made in the training process."""
    return Loader(
        DataLoader(
            _Telling(data),
            batch_sampler=batches,
            collate_fn=_collate_or_tell,
            num_workers=workers,
            pin_memory=pin,
            persistent_workers=workers > 0,
            # else each epoch draws from torch's own, and a resumed run would draw once more
            generator=torch.Generator(),
        )
    )


def choose_workers(wanted: int | Literal["auto"], device: torch.device) -> int:
    """Return the number of loading processes; on a CPU that trains they would only take its cores away."""
    if wanted != "auto":
        return wanted
    spare = (os.cpu_count() or 1) - 1
    return 0 if device.type == "cpu" else min(_MOST_AUTO_WORKERS, spare)
