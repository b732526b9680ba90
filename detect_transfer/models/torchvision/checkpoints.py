"""Recognising weights of torchvision.

A file that torchvision published is known by its hash, whatever its name is now: the address of each ends in the first
eight digits of the SHA-256. Any other is recognised by the names and shapes of its tensors.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision

from detect_transfer.models.source_weights import Checkpoint, SourceWeights
from detect_transfer.models.torchvision.build import ARCHITECTURES, CHOSEN_BACKBONE, build
from detect_transfer.models.torchvision.faster_rcnn import Options
from detect_transfer.models.torchvision.head_transfer import BACKGROUND, NOT_USED, count_rows, in_rows

logger = logging.getLogger(__name__)

_NO_EPSILON = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn")  # published with batch norm without an epsilon
_EPSILON = 1e-5
_LEAST_FIT = 0.5  # of the tensors of an architecture and of the file
_OLD_NAMES = (  # before version 2 of these modules
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)"), r"\1.0.0.\2"),
)
_OLD_RETINANET = re.compile(r"(head\.(?:classification|regression)_head\.conv)\.([0246])\.(weight|bias)")  # also FCOS's
_FEATURES = re.compile(r"(features|layers|layer\d|conv1|bn1|stem|trunk_output|stage\d|conv5|fc|classifier)\.")


def published_url(name: str) -> str:
    """Return where torchvision publishes the weights of a network."""
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


def is_features(names: Mapping[str, Any]) -> bool:
    """Tell whether these are mostly names of a classification network's tensors."""
    return 2 * sum(_FEATURES.match(name) is not None for name in names) > len(names)


def recognise(checkpoint: Checkpoint) -> SourceWeights:
    """Find architecture and class rows of a detector; the features of a classification network have neither.

    Raises:
        InputError: It is of no known architecture, or its class names do not fit its class rows.
    """
    is_fcos = "head.regression_head.bbox_ctrness.weight" in checkpoint.tensors
    tensors = {_new_name(name, is_fcos=is_fcos): each for name, each in checkpoint.tensors.items()}
    if is_features(tensors):
        return _source(checkpoint, tensors, "", [])
    sha256 = checkpoint.sha256
    published = next((arch for arch in _detectors() if sha256.startswith(_published_hash(arch))), None)
    if published in _NO_EPSILON:  # ours has one: what it adds is taken off before
        tensors = {k: t - _EPSILON if k.endswith("running_var") else t for k, t in tensors.items()}
    arch = published or (checkpoint.arch if checkpoint.arch in ARCHITECTURES else _arch_of(checkpoint, tensors))
    return _source(checkpoint, tensors, arch, _rows(checkpoint, arch, tensors, published=published is not None))


def _source(checkpoint: Checkpoint, tensors: dict[str, torch.Tensor], arch: str, rows: list[str]) -> SourceWeights:
    names = tuple(name for name in rows if name not in (BACKGROUND, NOT_USED))
    metadata = {**checkpoint.metadata, "head_rows": json.dumps(rows)}
    return SourceWeights(tensors, arch, names, checkpoint.path, checkpoint.sha256, metadata, "torchvision")


def _detectors() -> list[str]:
    return [name for name in ARCHITECTURES if name != CHOSEN_BACKBONE]


def _published_hash(arch: str) -> str:
    return Path(published_url(arch)).stem.rpartition("-")[2]


def _new_name(name: str, *, is_fcos: bool) -> str:
    if (match := _OLD_RETINANET.fullmatch(name)) and not is_fcos:
        return f"{match[1]}.{int(match[2]) // 2}.0.{match[3]}"
    for old, new in _OLD_NAMES:
        if old.fullmatch(name):
            return old.sub(new, name)
    return name


@functools.cache
def _shapes(arch: str) -> dict[str, torch.Size]:
    """Return the shapes of the tensors of an architecture, but for those that depend on the classes."""
    with torch.device("meta"):
        state = build(arch, 1, Options()).network.state_dict()
    return {name: each.shape for name, each in state.items() if _is_fixed(name)}


def _is_fixed(name: str) -> bool:
    """Tell whether a tensor is the same in all files of an architecture; frozen batch norm counts no batches."""
    return not in_rows(name) and not name.endswith("num_batches_tracked")


def _arch_of(checkpoint: Checkpoint, tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the architecture that these tensors fit best; of two alike, the one that the file names."""
    best, best_fit = "", (0.0, False)
    fixed = {name: tensor.shape for name, tensor in tensors.items() if _is_fixed(name)}
    for arch in _detectors():
        shapes = _shapes(arch)
        share = len(fixed.items() & shapes.items()) / len(fixed.keys() | shapes.keys())
        fit = (share, arch in checkpoint.path.name)
        if fit > best_fit:
            best, best_fit = arch, fit
    if best_fit[0] < _LEAST_FIT:
        raise checkpoint.error(
            "WEIGHTS_ARCH",
            "its tensors are those of no architecture that is known here",
            f"give weights of {', '.join(_detectors())}, or of a classification network",
        )
    return best


def _rows(checkpoint: Checkpoint, arch: str, tensors: Mapping[str, torch.Tensor], *, published: bool) -> list[str]:
    """Return what the rows of the class layers stand for: by the file, else COCO's where there are as many."""
    n_rows = count_rows(tensors)
    if not n_rows:
        return []
    background = int(ARCHITECTURES[arch].has_background)
    names = checkpoint.names
    if isinstance(names, list | tuple) and len(names) == n_rows and "background" in str(names[0]).lower():
        checkpoint, background = dataclasses.replace(checkpoint, names=[BACKGROUND, *names[1:]]), 0
    elif names is not None and len(names) == n_rows - 1:
        background = 1  # torchvision counts one for RetinaNet and FCOS too, though they never find it
    if (given := checkpoint.class_names(n_rows - background)) is not None:
        return [*[BACKGROUND] * background, *given]
    coco = [str(name) for name in torchvision.models.get_model_weights(_detectors()[0]).DEFAULT.meta["categories"]]
    if n_rows != len(coco):
        coco = [BACKGROUND, *(f"class_{i}" for i in range(1, n_rows))]
    if not published:
        logger.warning(
            "%s names no classes; its %d class rows are taken for %s ... %s: if they are others, no name is right",
            checkpoint.path.name,
            n_rows,
            coco[1],
            coco[-1],
        )
    return coco
