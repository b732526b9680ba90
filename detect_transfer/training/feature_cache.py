"""What frozen layers give, computed once: a phase that trains what is behind them reads it instead of images.

An image is looked at in a few augmented views, each computed once; an epoch takes one view of each image.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from detect_transfer.core.errors import ResourceError
from detect_transfer.models.base import SplitNetwork, Target
from detect_transfer.models.device import Precision, autocast
from detect_transfer.training.array_store import LocalProcesses, open_array
from detect_transfer.training.context import Interrupted, TrainContext
from detect_transfer.training.dataset import Batch, chunks
from detect_transfer.training.sampler import EpochBatches

logger = logging.getLogger(__name__)

_NUMPY = {torch.bfloat16: np.uint16, torch.float16: np.float16, torch.float32: np.float32}
_DTYPE: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class FeatureBatch:
    """Features (B, C, H, W) of each level, with the targets and files of their images."""

    features: list[torch.Tensor]
    targets: list[Target]
    paths: list[Path]

    def split(self, parts: int) -> list[FeatureBatch]:
        """Return the batch in at most so many parts."""
        return [
            FeatureBatch([f[part] for f in self.features], self.targets[part], self.paths[part])
            for part in chunks(len(self.targets), parts)
        ]


class FeatureLoader:
    """Gives the batches of an epoch as features.

    Args:
        levels: For each level the features (views, N, C, H, W) of all images.
        batches: Which images make up the batches.
        targets: The targets of each view and image.
        paths: The file of each image.
        pin: Whether batches lie in memory from which a GPU copies while it computes.
    """

    def __init__(
        self,
        levels: Sequence[torch.Tensor],
        batches: EpochBatches,
        targets: Sequence[Sequence[Target]],
        paths: Sequence[Path],
        *,
        pin: bool,
    ) -> None:
        self._pin = pin
        self._levels = levels
        self._batches = batches
        self._targets = targets
        self._paths = paths

    def __iter__(self) -> Iterator[FeatureBatch]:
        """Give the batches; an image shows its views in turn, each image another one."""
        views = len(self._targets)
        for batch in self._batches:
            index = torch.tensor([index for _, index, _ in batch])
            view = torch.tensor([(epoch + index) % views for epoch, index, _ in batch])
            features = [level[view, index] for level in self._levels]
            yield FeatureBatch(
                [level.pin_memory() for level in features] if self._pin else features,
                [self._targets[v][p] for v, p in zip(view.tolist(), index.tolist(), strict=True)],
                [self._paths[p] for p in index.tolist()],
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
    count = len(context.batches.all_indices)
    computed: list[tuple[int, int, Target, Path]] = []
    levels: list[torch.Tensor] = []
    order = context.batches.plain(views)
    order = order[local.index :: local.count] or order[:1]  # the shapes are known from a batch
    for number, batch in enumerate(context.plain_loader(order)):
        view = order[number][0][0] - 1
        features = _features(context, network, batch)
        if not levels:
            opened = _open(context, local, [(views, count, *f.shape[1:]) for f in features])
            if opened is None:
                logger.info("the features do not fit into the memory for the cache: they are computed every time")
                return None
            levels = opened
        for level, feature in zip(levels, features, strict=True):
            level[view, torch.tensor(batch.indices)] = feature.to(level.dtype)
        computed += zip([view] * len(batch.indices), batch.indices, batch.targets, batch.paths, strict=True)
        if context.stop.signal is not None:
            raise Interrupted(context.stop.signal, context.folder)
    targets: list[list[Target]] = [[Target(np.empty((0, 4)), np.empty(0, np.int64))] * count for _ in range(views)]
    paths = [Path()] * count
    for view, index, target, path in gather_object(computed):  # and waits for the others
        targets[view][index], paths[index] = target, path
    return FeatureLoader(levels, context.batches, targets, paths, pin=context.accelerator.device.type == "cuda")


@torch.no_grad()
def _features(context: TrainContext, network: SplitNetwork, batch: Batch) -> list[torch.Tensor]:
    device = context.accelerator.device
    with autocast(device, context.precision):
        inputs = context.detector.preprocess(batch.images.to(device)).contiguous(memory_format=torch.channels_last)
        return [feature.cpu() for feature in network.trunk(inputs)]


def _open(context: TrainContext, local: LocalProcesses, shapes: Sequence[tuple[int, ...]]) -> list[torch.Tensor] | None:
    """Return room for the features of all levels, or None."""
    dtype = _DTYPE[context.precision]
    size = sum(int(np.prod(shape)) for shape in shapes) * dtype.itemsize
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
    paths = [context.cache_folder / f"features_{local.machine}_{i}.bin" for i in range(len(shapes))]
    levels: list[Any] = [
        open_array(shape, _NUMPY[dtype], path if in_file else None, local, required=cache != "auto")
        for shape, path in zip(shapes, paths, strict=True)
    ]
    if any(level is None for level in levels):
        return None
    return [torch.from_numpy(level).view(dtype) for level in levels]
