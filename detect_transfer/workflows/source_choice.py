"""Asking several sources, before training, which of them knows the data best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torchvision.ops import roi_align

from detect_transfer.config import STAGES, RunConfig, Transfer
from detect_transfer.core.annotations import XYXY
from detect_transfer.core.arrays import FloatArray, IntArray
from detect_transfer.core.boxes import iou
from detect_transfer.core.input_size import InputSize
from detect_transfer.data.run_data import RunData
from detect_transfer.models import Detector, build_detector, find_weights, load_weights
from detect_transfer.models.predict import read_images
from detect_transfer.models.source_choice import SourceRank, best_source, log_me, mean_score
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.workflows.class_evidence import ask_source, choose_images

MOST_BOXES = 2000  # for the features
_BACKBONE = frozenset(STAGES) - {"neck", "rpn", "head"}
_BACKGROUND_IOU = 0.1  # of a box beside the objects with any of them, at most
_SEED = 0


def rank_sources(
    config: RunConfig, data: RunData, *, device: torch.device, on_stage: Callable[[str], None] = lambda _: None
) -> list[SourceRank]:
    """Return what each of `model.sources` knows of the training images; the best is marked.

    Raises:
        InputError: Weights cannot be used by the family of the config.
        ResourceError: Weights cannot be had.
    """
    ranks = []
    for weights in config.model.sources:
        source = load_weights(find_weights(weights))
        on_stage(f"asking the source {weights}")
        evidence = ask_source(source, data, imgsz=config.train.imgsz, device=device)
        features, note = _log_me(config, weights, source, data, device)
        ranks.append(
            SourceRank(
                weights,
                source.path.name,
                source.sha256,
                source.arch,
                mean_score(evidence),
                len(evidence.class_map),
                features,
                "; ".join(filter(None, (evidence.note, note))),
            )
        )
    best = best_source(ranks)
    ranks[best] = replace(ranks[best], chosen=True)
    for rank in ranks:
        on_stage(f"  {rank.sentence}")
    return ranks


def _log_me(
    config: RunConfig, weights: str, source: SourceWeights, data: RunData, device: torch.device
) -> tuple[float | None, str]:
    """Return LogME of a source, or None and why."""
    model = config.model.model_copy(update={"weights": weights})
    detector, _ = build_detector(model, Transfer(class_map="none"), data.train.class_names, source)
    detector.module.to(device).eval()
    features, labels = box_features(detector, data, imgsz=config.train.imgsz)
    if len(np.unique(labels)) < 2:
        return None, "no box to look at"
    return log_me(features, labels), ""


@torch.no_grad()
def box_features(detector: Detector, data: RunData, *, imgsz: int | InputSize) -> tuple[FloatArray, IntArray]:
    """Return the mean features (N, D) of boxes on the maps of the backbone, and their classes (N,).

    For each annotated box a box of its size elsewhere in the image stands for the background, -1, where there is room.
    """
    split = detector.split(_BACKBONE)
    if split is None:
        return np.empty((0, 0)), np.empty(0, dtype=np.int64)
    device = next(detector.module.parameters()).device
    random, names = np.random.default_rng(_SEED), list(data.train.class_names)
    index = dict(data.train.categories.select("category_id", "name").iter_rows())
    boxes = data.train.boxes.filter(~pl.col("ignore") & ~pl.col("iscrowd"))
    features, labels = list[FloatArray](), list[int]()
    ids = choose_images(data.train)
    for image in read_images([(i, data.paths[i]) for i in ids], imgsz, data.intake):
        own = boxes.filter(pl.col("image_id") == image.image_id)
        xyxy = image.fit.to_network(own.select(XYXY).to_numpy())
        beside = _background(xyxy, (image.pixels.shape[1], image.pixels.shape[0]), random)
        inputs = detector.preprocess(torch.from_numpy(image.pixels).permute(2, 0, 1)[None].to(device))
        maps = split.trunk(inputs)
        features.append(_pooled(maps, np.concatenate([xyxy, beside]), int(inputs.shape[2])))
        labels += [names.index(index[i]) for i in own["category_id"]] + [-1] * len(beside)
        if len(labels) >= MOST_BOXES:
            break
    return (np.concatenate(features) if features else np.empty((0, 0))), np.array(labels, dtype=np.int64)


def _pooled(maps: Sequence[torch.Tensor], xyxy: FloatArray, height: int) -> FloatArray:
    """Return the mean features (N, D) of boxes in network pixels, of all maps beside each other."""
    rows = torch.cat([torch.zeros(len(xyxy), 1), torch.from_numpy(xyxy).float()], dim=1).to(maps[0].device)
    pooled = [roi_align(each.float(), rows, 1, each.shape[2] / height, 2, aligned=True).flatten(1) for each in maps]
    return np.asarray(torch.cat(pooled, dim=1).cpu().double().numpy())


def _background(xyxy: FloatArray, size_wh: tuple[int, int], random: np.random.Generator) -> FloatArray:
    """Return boxes of the same sizes at places without an object, (M, 4) in network pixels."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    low = random.random(sides.shape) * np.clip(np.array(size_wh) - sides, 0, None)
    moved = np.concatenate([low, low + sides], axis=1)
    return np.asarray(moved[iou(moved, xyxy).max(axis=1, initial=0) <= _BACKGROUND_IOU])
