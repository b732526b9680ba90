"""What frozen layers give, computed once: a phase that trains what is behind them reads it instead of images.

An image is looked at in a few augmented views, each computed once; an epoch takes one view of each image.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object

from detect_transfer.core.errors import ResourceError
from detect_transfer.models.base import SplitNetwork, Target
from detect_transfer.models.device import Precision, autocast
from detect_transfer.training.array_store import LocalProcesses, open_array
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.dataset import chunks
from detect_transfer.training.sampler import EpochBatches
from detect_transfer.training.shapes import ShapeGroups

logger = logging.getLogger(__name__)

_NUMPY = {torch.bfloat16: np.uint16, torch.float16: np.float16, torch.float32: np.float32}
_DTYPE: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class FeatureBatch:
    """Features (B, C, H, W) of each level, with the targets and files of their images, and the size of these."""

    features: list[torch.Tensor]
    targets: list[Target]
    paths: list[Path]
    size_hw: tuple[int, int]

    def split(self, parts: int) -> list[FeatureBatch]:
        """Return the batch in at most so many parts."""
        return [
            FeatureBatch([f[part] for f in self.features], self.targets[part], self.paths[part], self.size_hw)
            for part in chunks(len(self.targets), parts)
        ]


class FeatureLoader:
    """Gives the batches of an epoch as features.

    Args:
        levels: Of each group of images the features (views, N, C, H, W) at each level.
        groups: The images of each group, in the order of its features.
        batches: Which images make up the batches.
        targets: The targets of each view and image.
        paths: The file of each image.
        pin: Whether batches lie in memory from which a GPU copies while it computes.
    """

    def __init__(
        self,
        levels: Sequence[Sequence[torch.Tensor]],
        groups: ShapeGroups,
        batches: EpochBatches,
        targets: Sequence[Sequence[Target]],
        paths: Sequence[Path],
        *,
        pin: bool,
    ) -> None:
        self._pin = pin
        self._levels = levels
        self._groups = groups
        self._rows = _rows_of(groups)
        self._batches = batches
        self._targets = targets
        self._paths = paths

    def __iter__(self) -> Iterator[FeatureBatch]:
        """Give the batches; an image shows its views in turn, each image another one."""
        views = len(self._targets)
        for batch in self._batches:
            index = torch.tensor([index for _, index, _ in batch])
            view = torch.tensor([(epoch + index) % views for epoch, index, _ in batch])
            group = int(self._groups.of_image[batch[0].image])
            features = [level[view, self._rows[index]] for level in self._levels[group]]
            yield FeatureBatch(
                [level.pin_memory() for level in features] if self._pin else features,
                [self._targets[v][p] for v, p in zip(view.tolist(), index.tolist(), strict=True)],
                [self._paths[p] for p in index.tolist()],
                self._groups.sizes[group].hw,
            )


def cache_features(context: TrainContext, network: SplitNetwork, views: int) -> FeatureLoader | None:
    """Compute the features of all training images in some views; None where there is no room for them.

    The frozen layers are in evaluation mode and compute in the precision of training. Each process of a machine
    computes a part.

    Raises:
        Interrupted: It was asked to stop.
        ResourceError: The disk that they were to be kept on is full.
    """
    local = LocalProcesses.of(context.accelerator)
    groups, count = context.groups, len(context.batches.all_indices)
    computed: list[tuple[int, int, Target, Path]] = []
    levels = _open(context, local, [_shapes(context, network, group, views) for group in range(len(groups))])
    if levels is None:
        logger.info("the features do not fit into the memory for the cache: they are computed every time")
        return None
    rows = _rows_of(groups)
    order = context.batches.plain(views)[local.index :: local.count]
    for number, batch in enumerate(context.plain_loader(order)):
        view = order[number][0][0] - 1
        group = int(groups.of_image[batch.indices[0]])
        features = _features(context, network, batch.images)
        for level, feature in zip(levels[group], features, strict=True):
            level[view, rows[torch.tensor(batch.indices)]] = feature.to(level.dtype)
        computed += zip([view] * len(batch.indices), batch.indices, batch.targets, batch.paths, strict=True)
        if context.stop.signal is not None:
            raise Interrupted(context.stop.signal, context.folder)
    targets: list[list[Target]] = [[Target(np.empty((0, 4)), np.empty(0, np.int64))] * count for _ in range(views)]
    paths = [Path()] * count
    for view, index, target, path in gather_object(computed):  # and waits for the others
        targets[view][index], paths[index] = target, path
    pin = context.accelerator.device.type == "cuda"
    return FeatureLoader(levels, groups, context.batches, targets, paths, pin=pin)


def _rows_of(groups: ShapeGroups) -> torch.Tensor:
    """Return the place (N,) of each image in its group."""
    rows = torch.empty(len(groups.of_image), dtype=torch.int64)
    for group in range(len(groups)):
        members = groups.members(group)
        rows[members] = torch.arange(len(members))
    return rows


def _shapes(context: TrainContext, network: SplitNetwork, group: int, views: int) -> list[tuple[int, ...]]:
    """Return the shape of the features of all images of a group, at each level."""
    blank = torch.zeros(1, 3, *context.groups.sizes[group].hw, dtype=torch.uint8)
    count = len(context.groups.members(group))
    return [(views, count, *feature.shape[1:]) for feature in _features(context, network, blank)]


@torch.no_grad()
def _features(context: TrainContext, network: SplitNetwork, images: torch.Tensor) -> list[torch.Tensor]:
    device = context.accelerator.device
    with autocast(device, context.precision):
        inputs = context.detector.preprocess(images.to(device)).contiguous(memory_format=torch.channels_last)
        return [feature.cpu() for feature in network.trunk(inputs)]


def _open(
    context: TrainContext, local: LocalProcesses, shapes: Sequence[Sequence[tuple[int, ...]]]
) -> list[list[torch.Tensor]] | None:
    """Return room for the features of all groups and levels, or None."""
    dtype = _DTYPE[context.precision]
    size = sum(int(np.prod(shape)) for levels in shapes for shape in levels) * dtype.itemsize
    cache = context.settings.cache
    if cache == "memory" and size > context.memory_bytes:
        raise ResourceError(
            "MEMORY_CACHE",
            f"the features need {size >> 20} MiB, {context.memory_bytes >> 20} MiB may be used",
            field="train.cache_mb",
            remedy="set train.cache=disk, a larger train.cache_mb, or fewer views in cache_features",
        )
    if cache == "none" or (cache == "auto" and size > context.memory_bytes):
        return None
    in_file = cache == "disk" or local.count > 1
    opened: list[list[torch.Tensor]] = []
    for group, levels in enumerate(shapes):
        opened.append([])
        for i, shape in enumerate(levels):
            path = context.cache_folder / f"features_{local.machine}_{group}_{i}.bin" if in_file else None
            array = open_array(shape, _NUMPY[dtype], path, local, required=cache != "auto")
            if array is None:
                return None
            opened[-1].append(torch.from_numpy(array).view(dtype))
    return opened
