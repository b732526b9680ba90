"""What scores a network while it trains."""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import polars as pl
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn

from detect_transfer.config import RunConfig, Stage
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.data.published import as_published
from detect_transfer.data.run_data import RunData
from detect_transfer.evaluation import coco_metrics
from detect_transfer.models.base import Detector
from detect_transfer.models.postprocess import OutputNotFinite
from detect_transfer.models.predict import FittedImage, predict, read_images
from detect_transfer.training.array_store import memory_bytes_of
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.selection import ScoredDetections
from detect_transfer.workflows.watch import Watch

logger = logging.getLogger(__name__)


class ScoredImages:
    """Images that networks of a run are scored on again and again, shared out over the devices.

    They stay in memory where they fit, and so do the outputs of the stages that are still those of the source.
    """

    def __init__(self, config: RunConfig, table: AnnotationTable, data: RunData, accelerator: Accelerator) -> None:
        self.table = table
        self._config = config
        self._accelerator = accelerator
        self._intake = data.intake
        ids = table.images["image_id"].to_list()[accelerator.process_index :: accelerator.num_processes]
        self._chosen = [(image_id, data.paths[image_id]) for image_id in ids]
        self._memory = memory_bytes_of(config.train.cache_mb) // 4
        self._fits = len(ids) * config.train.imgsz.area * 3 <= self._memory
        self._images: list[FittedImage] = []
        self._frozen: frozenset[Stage] = frozenset()
        self._features: list[tuple[torch.Tensor, ...]] = []

    def detect(self, detector: Detector, as_source: frozenset[Stage], watch: Watch) -> Detections:
        """Return what a network detects on them, of which these stages are those of the source.

        Nothing, with a warning, where what it gives is not finite: the epoch has an AP of 0, and training goes on.
        """
        if self._fits and not self._images:
            self._images = list(read_images(self._chosen, self._config.train.imgsz, self._intake))
        try:
            detections = predict(
                detector,
                self._images or read_images(self._chosen, self._config.train.imgsz, self._intake),
                settings=self._config.evaluate,
                category_ids=self.table.categories["category_id"].sort().to_list(),
                forward=self._forward(detector, as_source),
                progress=watch.counting("scoring", len(self._chosen)),
            )
        except OutputNotFinite as error:
            logger.warning("%s; nothing is scored of this epoch", error)
            detections = Detections.empty()
        many = self._accelerator.num_processes > 1
        return Detections(pl.concat(gather_object([detections.rows]))) if many else detections

    def _forward(self, detector: Detector, as_source: frozenset[Stage]) -> Callable[[torch.Tensor], Any] | None:
        """Return what runs the network from its kept features on, batch after batch; None runs all of it."""
        if as_source != self._frozen:
            self._frozen, self._features = as_source, []
        everything = as_source == frozenset(detector.stages().values())
        cut = None if everything or not self._fits else detector.split(as_source)
        if cut is None:
            return None
        number = 0

        def forward(images: torch.Tensor) -> Any:
            nonlocal number
            number += 1
            if number > len(self._features):
                features = cut.trunk(images)
                cached_bytes = sum(tensor.nbytes for tensors in self._features for tensor in tensors)
                if number == len(self._features) + 1 and cached_bytes < self._memory:
                    self._features.append(tuple(feature.cpu() for feature in features))  # it is the host's memory
            else:
                features = tuple(feature.to(images.device) for feature in self._features[number - 1])
            return cut.tail(features, None)

        return forward


class RunScorer:
    """Scores a network on the validation images, and on a part of the training images where the config asks for it."""

    def __init__(
        self, config: RunConfig, detector: Detector, data: RunData, folder: RunFolder, accelerator: Accelerator
    ) -> None:
        self.watch = Watch()  # sees how many images are scored
        self._policy = config.evaluate.ignore_policy
        self._detector = detector
        self._is_main = accelerator.is_main_process
        self._scored = ScoredDetections(folder.scored_epochs)
        self._val = ScoredImages(config, data.val, data, accelerator)
        part = part_of_train(data, config.evaluate.train_images)
        self._train = None if part is None else ScoredImages(config, part, data, accelerator)

    def __call__(self, module: nn.Module, as_source: frozenset[Stage], name: str) -> dict[str, float | None]:
        """Return the twelve numbers of a network of which these stages are those of the source, and `train_AP`."""
        detector = self._detector.with_module(module)
        detections = self._val.detect(detector, as_source, self.watch)
        if self._is_main:
            self._scored.add(name, detections)
        metrics = coco_metrics(self._val.table, detections, ignore_policy=self._policy)
        if self._train is not None:
            learnt = self._train.detect(detector, as_source, self.watch)
            metrics["train_AP"] = coco_metrics(self._train.table, learnt, ignore_policy=self._policy)["AP"]
        return metrics


def part_of_train(data: RunData, n_images: int) -> AnnotationTable | None:
    """Return so many training images, chosen by the hashes of their names, with the boxes as published; None for 0."""
    if not n_images:
        return None
    names = {sha256(name.encode()).digest(): i for i, name in data.train.images.select("image_id", "file_name").rows()}
    return as_published(data.train.select_images(names[key] for key in sorted(names)[:n_images]))
