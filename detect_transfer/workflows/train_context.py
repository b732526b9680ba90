"""What a run trains with: the images, the loaders, and what scores the network."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from detect_transfer.config import RunConfig, path_keys
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.intake import Intake
from detect_transfer.core.launcher import end_with_launcher
from detect_transfer.data.run_data import RunData
from detect_transfer.models import load_detector, load_weights, save_weights
from detect_transfer.models.base import Detector, TransferReport
from detect_transfer.models.device import choose_device, choose_precision
from detect_transfer.models.licences import ledger_text
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.training.array_store import LocalProcesses, memory_bytes_of
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.context import TrainContext
from detect_transfer.training.dataset import ImageOptions, TrainSet, choose_workers, make_loader
from detect_transfer.training.epoch_weights import EpochWeights
from detect_transfer.training.fitted_images import FittedImages
from detect_transfer.training.image_store import ImageStore
from detect_transfer.training.mixes import mix_options
from detect_transfer.training.plan import Plan
from detect_transfer.training.pseudo_labels import add_pseudo_labels, has_shared_softmax, with_keep_from
from detect_transfer.training.sampler import EpochBatches, Share
from detect_transfer.training.samples import (
    REPEATING,
    SampleRef,
    TrainSamples,
    box_sizes,
    class_weights,
    repeat_factors,
)
from detect_transfer.training.shapes import ShapeGroups, like_shapes
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.run_scores import RunScorer
from detect_transfer.workflows.watch import Watch

# keys that change where and how long a run computes, not what: they may change when it is resumed
RESUMABLE = (
    *(f"train.{name}" for name in ("accumulate", "workers", "cache", "cache_mb", "cache_folder_mb", "device")),
    *("train.on_not_finite", "train.epochs"),
    "data.verify",
    "transfer.budget",
    *("track.to", "track.project_name"),
)


@dataclass(frozen=True)
class RunContext:
    """Where a run takes place."""

    folder: RunFolder
    accelerator: Accelerator
    augmenter: Augmenter
    watch: Watch


def make_accelerator(device: str) -> Accelerator:
    """Return what the processes of a training share; each of several ends when what started them does.

    Args:
        device: auto, cpu or cuda.
    """
    on_cpu = choose_device(device).type == "cpu"
    accelerator = Accelerator(cpu=on_cpu, mixed_precision="no")  # else the environment would choose it
    if accelerator.num_processes > 1:
        end_with_launcher()
    return accelerator


def make_context(
    config: RunConfig,
    detector: Detector,
    plan: Plan,
    data: RunData,
    *,
    source: tuple[SourceWeights | None, TransferReport],
    run: RunContext,
) -> TrainContext:
    """Put together what the training loop works with.

    Args:
        config: The config.
        detector: The network before training.
        plan: What trains when.
        data: Images and boxes.
        source: The pretrained model, which finds the kept classes in the new images, and what was taken from it.
        run: The run folder, the devices and the augmentation.
    """
    settings, accelerator = config.train, run.accelerator
    device = accelerator.device
    if config.model.anchors == "fit":
        detector.fit_anchors(box_sizes(data.train, settings.imgsz))
    detector.module.to(device).to(memory_format=torch.channels_last)
    config = config.model_copy(update={"transfer": with_keep_from(config.transfer, detector.arch)})
    samples = _samples(config, data, source[0], device)
    _weigh_classes(config, detector, data, samples, device)
    memory = min(gather_object([memory_bytes_of(settings.cache_mb)]))  # all must cache, or none
    groups = groups_of(config, data.train)
    images = _images(config, samples, groups, run, memory=memory // 2, intake=data.intake)
    batches = _batches(config, samples, groups, accelerator)
    workers = choose_workers(settings.workers, device, LocalProcesses.of(accelerator))
    loading: dict[str, Any] = {"workers": workers, "pin": device.type == "cuda"}
    scorer = RunScorer(config, detector, data, run.folder, run.accelerator)
    scorer.watch = run.watch
    return TrainContext(
        detector=detector,
        plan=plan,
        loader=make_loader(images, batches, **loading),
        plain_loader=lambda chosen: make_loader(images, chosen, **loading),
        batches=batches,
        groups=groups,
        settings=settings,
        precision=choose_precision(settings.precision, device),
        score=scorer,
        best_weights=lambda: load_weights(run.folder.best).tensors,
        mixes=mix_options(config.transfer, detector, source[1]),
        epoch_weights=EpochWeights(run.folder.scored_epochs),
        budget_seconds=60 * (config.transfer.budget or math.inf),
        memory_bytes=memory // 2,
        folder=run.folder.path,
        state_path=run.folder.state,
        history_path=run.folder.history,
        cache_folder=run.folder.cache,
        fingerprint=_fingerprint(config, data, source[0]),
        accelerator=accelerator,
        save_best=lambda module: _save(run.folder.best, detector.with_module(module), config, data, source[0]),
        save_last=lambda module: _save(run.folder.last, detector.with_module(module), config, data, source[0]),
    )


def _batches(
    config: RunConfig, samples: Sequence[SampleRef], groups: ShapeGroups, accelerator: Accelerator
) -> EpochBatches:
    """Return the images of each step of this device."""
    settings = config.train
    return EpochBatches(
        repeat_factors(samples) if settings.class_balance in REPEATING else np.ones(len(samples)),
        batch=batch_of_device(settings.batch, accelerator.num_processes),
        seed=settings.seed,
        share=Share(accelerator.process_index, accelerator.num_processes),
        groups=[groups.members(group) for group in range(len(groups))],
    )


def _fingerprint(config: RunConfig, data: RunData, source: SourceWeights | None) -> str:
    """Return a hash of all that decides what a run computes: of files their content, not where they lie."""
    changeable: dict[str, set[str]] = {}
    for part, name in (key.split(".", 1) for key in (*path_keys(), *RESUMABLE)):
        changeable.setdefault(part, set()).add(name)
    settings = config.model_dump_json(exclude={**changeable, "out": True})
    return f"{data.fingerprint} {source.sha256 if source else 'scratch'} {settings}"


def batch_of_device(batch: int, devices: int) -> int:
    """Return the images a step of one of so many devices.

    Raises:
        InputError: They do not divide the batch.
    """
    if batch % devices:
        raise InputError(
            "BATCH_DEVICES",
            f"{devices} devices cannot share the batch evenly",
            field="train.batch",
            value=batch,
            remedy=f"start a run with train.batch={-(-batch // devices) * devices}, or on as many devices as divide it",
        )
    return batch // devices


def drop_cache(folder: RunFolder) -> None:
    """Remove what a run kept on the disk while it trained."""
    shutil.rmtree(folder.cache, ignore_errors=True)


def drop_unfinished(folder: RunFolder) -> None:
    """Remove the half-written files that a process left which was killed."""
    for path in (*folder.path.glob(".*.tmp"), *folder.best.parent.glob(".*.tmp")):
        if path.is_file():
            path.unlink()


def _samples(
    config: RunConfig, data: RunData, source: SourceWeights | None, device: torch.device
) -> Sequence[SampleRef]:
    """Return the training images, with what the source finds of the classes that are to be kept."""
    samples = TrainSamples(data.train, data.paths)
    names = data.train.class_names
    if config.transfer.keep_from == "untouched":
        return samples
    annotated = set(names) - set(data.kept_classes)
    source_labels = {name: names.index(name) for name in config.transfer.keep_source_classes if name not in annotated}
    if not source_labels or source is None:
        return samples
    finder = load_detector(source)
    finder.module.to(device).to(memory_format=torch.channels_last)
    return add_pseudo_labels(
        samples, finder, source_labels, imgsz=config.train.imgsz, transfer=config.transfer, intake=data.intake
    )


def _weigh_classes(
    config: RunConfig, detector: Detector, data: RunData, samples: Sequence[SampleRef], device: torch.device
) -> None:
    """Set the weights of the classes in the loss: by their boxes, and none for kept classes that stay untouched."""
    if config.train.class_balance in ("weights", "both"):
        weights = class_weights(samples, len(detector.class_names))
        detector.class_weights = torch.as_tensor(weights, dtype=torch.float32, device=device)
    if config.transfer.keep_from == "untouched" and data.kept_classes:
        detector.class_weights = _without_kept(detector, data).to(device)


def _without_kept(detector: Detector, data: RunData) -> torch.Tensor:
    """Return the weights (K,) of the classes in the loss, with those of the kept classes at 0.

    Raises:
        InputError: The classes of the architecture share one softmax, which moves the scores of all of them.
    """
    if has_shared_softmax(detector.arch):
        raise InputError(
            "KEEP_UNTOUCHED",
            f"the classes of {detector.arch} share one softmax, so that none is untouched where another is taught",
            field="transfer.keep_from",
            value="untouched",
            remedy="use transfer.keep_from=pseudo_labels",
        )
    names = data.train.class_names
    weights = torch.ones(len(names)) if detector.class_weights is None else detector.class_weights.clone()
    weights[[names.index(name) for name in data.kept_classes]] = 0.0
    return weights


def groups_of(config: RunConfig, table: AnnotationTable) -> ShapeGroups:
    """Return which training images share batches by a config."""
    size = config.train.imgsz
    if config.train.batch_shapes == "one":
        return ShapeGroups.one(table.images.height, size)
    sizes_hw = table.images.select(pl.col("height").fill_null(size.height), pl.col("width").fill_null(size.width))
    return like_shapes(sizes_hw.to_numpy(), size, batch=config.train.batch)


def _images(
    config: RunConfig,
    samples: Sequence[SampleRef],
    groups: ShapeGroups,
    run: RunContext,
    *,
    memory: int,
    intake: Intake | None,
) -> TrainSet:
    settings = config.train
    local = LocalProcesses.of(run.accelerator)
    kept = None
    if settings.cache_folder is not None:
        most = settings.cache_folder_mb << 20
        kept = FittedImages(settings.cache_folder, decode=settings.decode, intake=intake, most_bytes=most)
        kept.prepare([ref.path for ref in samples], groups, local)
    options = ImageOptions(settings.imgsz, run.augmenter, settings.seed, intake, settings.decode, kept)
    store = ImageStore.open(
        groups,
        cache=settings.cache,
        memory_bytes=memory,
        folder=run.folder.cache,
        local=local,
    )
    return TrainSet(samples, options, store, local, groups)


def _save(path: Path, detector: Detector, config: RunConfig, data: RunData, source: SourceWeights | None) -> None:
    category_ids = data.train.categories["category_id"].sort().to_list()
    metadata = {"imgsz": str(config.train.imgsz), "category_ids": json.dumps(category_ids)}
    if data.intake is not None:
        metadata["intake"] = data.intake.as_json()
    save_weights(path, detector.module.state_dict(), {**detector.metadata(), **metadata, **ledger_text(source)})
