"""The training images: fitted once where there is room, augmented by a seed of their own, put into batches.

What an image looks like in an epoch depends on the seed, the epoch and its index alone: not on the number
of workers, the devices or where a run was resumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from detect_transfer.core.arrays import RgbArray
from detect_transfer.core.boxes import clip
from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.images import read_rgb, read_rgb_near
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.core.threads import cores
from detect_transfer.models.base import Target
from detect_transfer.models.letterbox import fit_of, letterbox
from detect_transfer.training.array_store import LocalProcesses
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.fitted_images import FittedImages
from detect_transfer.training.image_mixing import mixed_image
from detect_transfer.training.image_store import ImageStore
from detect_transfer.training.sampler import EpochBatches, ImageKey
from detect_transfer.training.samples import SampleRef
from detect_transfer.training.shapes import ShapeGroups
from detect_transfer.training.train_sample import FittedImage, TrainSample

_MOST_AUTO_WORKERS = 8


@dataclass(frozen=True)
class Batch:
    """Images (B, 3, H, W) uint8 RGB with their targets, files and indices."""

    images: torch.Tensor
    targets: list[Target]
    paths: list[Path]
    indices: list[int]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the images."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    def pin_memory(self) -> Batch:
        """Let the loader pin the images for a quicker copy to the device."""
        return Batch(self.images.pin_memory(), self.targets, self.paths, self.indices)

    def split(self, parts: int) -> list[Batch]:
        """Return the batch in at most so many parts."""
        return [
            Batch(self.images[part], self.targets[part], self.paths[part], self.indices[part])
            for part in chunks(len(self.targets), parts)
        ]


def chunks(count: int, parts: int) -> list[slice]:
    """Divide `count` things into at most `parts` slices of nearly one length."""
    edges = np.linspace(0, count, min(parts, count) + 1).round().astype(int).tolist()
    return [slice(a, b) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class ImageOptions:
    """How training images are made.

    Args:
        imgsz: What they are scaled into, and padded to.
        augmenter: What mixes and changes them.
        seed: The seed of the run.
        intake: The window of values of more than 8 bits.
        decode: `scaled` decodes large JPEGs at a smaller scale.
        kept: Where fitted images are kept for other runs.
    """

    imgsz: int | InputSize
    augmenter: Augmenter
    seed: int
    intake: Intake | None = None
    decode: Literal["full", "scaled"] = "full"
    kept: FittedImages | None = None


class TrainSet(Dataset[tuple[TrainSample, Path, int]]):
    """Training images by `ImageKey`.

    Args:
        refs: The images.
        options: How they are made.
        store: Where fitted images are cached; None reads each one every time.
        local: The processes that fill the store together.
        groups: What each is padded to; None pads all to `imgsz`.
    """

    def __init__(
        self,
        refs: Sequence[SampleRef],
        options: ImageOptions,
        store: ImageStore | None = None,
        local: LocalProcesses | None = None,
        groups: ShapeGroups | None = None,
    ) -> None:
        self._refs = refs
        self._options = options
        self._store = store
        self._groups = groups or ShapeGroups.one(len(refs), InputSize.of(options.imgsz))
        if store is not None:
            store.fill(self._read, local or LocalProcesses())

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._refs)

    def __getitem__(self, key: tuple[int, int] | tuple[int, int, bool]) -> tuple[TrainSample, Path, int]:
        """Return the image (H, W, 3) with what is in it, its file and its index."""
        epoch, index, mixes = ImageKey(*key)
        options = self._options
        own = np.random.SeedSequence([options.seed, epoch, index])
        if mixes and options.augmenter.mixing.on:
            random = np.random.default_rng(own.spawn(1)[0])
            alike = self._groups.members(int(self._groups.of_image[index]))
            sample = mixed_image(index, alike, self._fitted, options.augmenter.mixing, random)
        else:
            sample = self._fitted(index).sample
        sample = options.augmenter(sample, seed=int(own.generate_state(1)[0]))
        return sample, self._refs[index].path, index

    def _read(self, index: int) -> tuple[RgbArray, tuple[int, int]]:
        """Return an image fitted, and height and width of the file."""
        path, size, kept = self._refs[index].path, self._groups.size_of(index), self._options.kept
        return self._decode(path, size) if kept is None else kept.get(path, size, lambda: self._decode(path, size))

    def _decode(self, path: Path, size: InputSize) -> tuple[RgbArray, tuple[int, int]]:
        options = self._options
        if options.decode == "scaled":
            image, size_hw = read_rgb_near(path, size.longer, intake=options.intake)
            return letterbox(image, size, image_hw=size_hw)[0], size_hw
        image = read_rgb(path, intake=options.intake)
        return letterbox(image, size)[0], (image.shape[0], image.shape[1])

    def _fitted(self, index: int) -> FittedImage:
        """Return a fitted image with its boxes and its ignored regions in its pixels."""
        ref, store = self._refs[index], self._store
        pixels, (height, width) = self._read(index) if store is None else (store.image(index), store.sizes_hw[index])
        fit, _ = fit_of(int(height), int(width), self._groups.size_of(index))
        xyxy, ignored = (fit.to_network(clip(boxes, (int(width), int(height)))) for boxes in (ref.xyxy, ref.ignored))
        targets, regions = ((boxes[:, 2:] > boxes[:, :2]).all(axis=1) for boxes in (xyxy, ignored))
        sample = TrainSample(pixels, xyxy[targets], ref.labels[targets], ignored[regions])
        left, top, right, bottom = np.rint(fit.to_network(np.array([0, 0, width, height]))).astype(int).tolist()
        return FittedImage(sample, (left, top, right, bottom))


def collate(items: list[tuple[TrainSample, Path, int]]) -> Batch:
    """Put images of one size into a batch."""
    stacked = torch.from_numpy(np.stack([sample.pixels for sample, _, _ in items])).permute(0, 3, 1, 2)
    targets = [Target(sample.xyxy, sample.labels, sample.ignored) for sample, _, _ in items]
    return Batch(stacked, targets, [path for _, path, _ in items], [index for _, _, index in items])


class _ErrorsAsItems(Dataset[Any]):
    """Gives an error in the place of an image: of one that is raised in a loading process only the text comes over."""

    def __init__(self, data: TrainSet) -> None:
        self._data = data

    def __getitem__(self, key: ImageKey) -> tuple[TrainSample, Path, int] | DetectTransferError:
        try:
            return self._data[key]
        except DetectTransferError as error:
            return error


def _collate_or_error(items: list[Any]) -> Batch | DetectTransferError:
    return next((item for item in items if isinstance(item, DetectTransferError)), None) or collate(items)


class Loader:
    """Gives batches, from loading processes or from this one."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Batch]:
        """Give the batches of an epoch.

        Raises:
            InputError: An image cannot be read.
        """
        for batch in self._loader:
            if isinstance(batch, DetectTransferError):
                raise batch
            yield batch


def make_loader(data: TrainSet, batches: EpochBatches | Sequence[list[ImageKey]], *, workers: int, pin: bool) -> Loader:
    """Return the loader of some batches; with no worker the images are made in the training process."""
    return Loader(
        DataLoader(
            _ErrorsAsItems(data),
            batch_sampler=batches,
            collate_fn=_collate_or_error,
            num_workers=workers,
            pin_memory=pin,
            persistent_workers=workers > 0,
            # else each epoch draws from torch's own, and a resumed run would draw once more
            generator=torch.Generator(),
        )
    )


def choose_workers(wanted: int | Literal["auto"], device: torch.device, local: LocalProcesses) -> int:
    """Return the number of loading processes of one of the training processes of a machine, which share its cores.

    On a CPU that trains they would only take its cores away.
    """
    if wanted != "auto":
        return wanted
    spare = cores() // local.count - 1
    return 0 if device.type == "cpu" else max(0, min(_MOST_AUTO_WORKERS, spare))
