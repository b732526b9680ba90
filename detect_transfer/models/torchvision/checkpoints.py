"""Checkpoints of torchvision: their names and addresses, and reading them without running code.

A file that torchvision published is known by its hash, whatever its name is now: the address of each ends in the first
eight digits of the SHA-256.
"""

from __future__ import annotations

import functools
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision

from detect_transfer.core.errors import InputError
from detect_transfer.models.torchvision.backbones import known_backbones
from detect_transfer.models.torchvision.build import ARCHITECTURES, CHOSEN_BACKBONE, Options, build
from detect_transfer.models.torchvision.head_transfer import BACKGROUND, NOT_USED, is_class_layer

_INSIDE = ("model", "state_dict")  # where training scripts put the tensors
_NO_EPSILON = "fasterrcnn_resnet50_fpn"  # its published weights are of batch norm without an epsilon
_EPSILON = 1e-5
_LEAST_FIT = 0.5  # of the tensors of an architecture
_OLD_NAMES = (  # before version 2 of these modules
    (re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)"), r"\1.0.0.\2"),
)
_FEATURES = re.compile(r"(features|layers|layer\d|conv1|bn1|stem|trunk_output|stage\d|conv5|fc|classifier)\.")


@dataclass(frozen=True)
class Checkpoint:
    """A file of torchvision, read.

    Args:
        tensors: Name to tensor.
        arch: Empty for the features of a classification network.
        class_names: The classes that have a row.
        n_rows: Rows of the class layers.
        metadata: `family`, and `head_rows`: what each row stands for.
    """

    tensors: dict[str, torch.Tensor]
    arch: str
    class_names: tuple[str, ...]
    n_rows: int
    metadata: dict[str, str]


@functools.cache
def known_names() -> tuple[str, ...]:
    """Return the names that weights can be fetched by: of detectors (COCO) and of backbones (ImageNet)."""
    return (*(name for name in ARCHITECTURES if name != CHOSEN_BACKBONE), *known_backbones())


def address(name: str) -> str:
    """Return where torchvision publishes the weights of a known name."""
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


def is_features(names: Mapping[str, Any]) -> bool:
    """Tell whether these are mostly names of a classification network's tensors."""
    return 2 * sum(_FEATURES.match(name) is not None for name in names) > len(names)


def read_checkpoint(path: Path, sha256: str) -> Checkpoint:
    """Read a `.pth` of torchvision.

    Raises:
        InputError: It is damaged, holds more than tensors, or is of no architecture that is known here.
    """
    tensors = {_new_name(name): each for name, each in _read_tensors(path).items()}
    if is_features(tensors):
        return features(tensors)
    published = next(
        (arch for arch in _detectors() if sha256.startswith(Path(address(arch)).stem.rpartition("-")[2])), None
    )
    if published == _NO_EPSILON:  # ours has one: what it adds is taken off before
        tensors = {k: t - _EPSILON if k.endswith("running_var") else t for k, t in tensors.items()}
    arch = published or _recognise(tensors, path)
    rows = _row_names(arch, tensors)
    names = tuple(name for name in rows if name not in (BACKGROUND, NOT_USED))
    return Checkpoint(tensors, arch, names, len(rows), {"family": "torchvision", "head_rows": json.dumps(rows)})


def features(tensors: dict[str, torch.Tensor]) -> Checkpoint:
    """Return the tensors of a classification network as a checkpoint without classes."""
    return Checkpoint(tensors, "", (), 0, {"family": "torchvision", "head_rows": "[]"})


def _detectors() -> list[str]:
    return [name for name in ARCHITECTURES if name != CHOSEN_BACKBONE]


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the form of files that are refused below
            read = torch.load(path, map_location="cpu", weights_only=True)
        for key in _INSIDE:
            read = read[key] if isinstance(read, dict) and isinstance(read.get(key), dict) else read
        tensors = {name: each for name, each in read.items() if isinstance(each, torch.Tensor)}
    except (
        RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError,
        AttributeError, ImportError, LookupError, OSError,
    ) as error:  # fmt: skip
        raise InputError(
            "WEIGHTS_DAMAGED",
            f"no whole file of tensors ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            where=path,
            remedy="fetch it again; files that need code of their own to load are refused",
        ) from error
    if not tensors:
        raise InputError(
            "WEIGHTS_DAMAGED", "it holds no tensors by name", where=path, remedy="give a state dict of torchvision"
        )
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES:
        if old.fullmatch(name):
            return old.sub(new, name)
    return name


@functools.cache
def _shapes(arch: str) -> dict[str, torch.Size]:
    """Return the shapes of the tensors of an architecture with one class."""
    with torch.device("meta"):
        return {name: each.shape for name, each in build(arch, 1, Options()).network.state_dict().items()}


def _recognise(tensors: Mapping[str, torch.Tensor], path: Path) -> str:
    """Return the architecture that most of these tensors fit; of two alike, the one that the file is named after."""
    best, likeness = "", (0.0, False)
    for arch in _detectors():
        shapes = _shapes(arch)
        same = sum(name in tensors and tensors[name].shape == shape for name, shape in shapes.items())
        if (same / len(shapes), arch in path.name) > likeness:
            best, likeness = arch, (same / len(shapes), arch in path.name)
    if likeness[0] < _LEAST_FIT:
        raise InputError(
            "WEIGHTS_ARCH",
            "its tensors are those of no architecture that is known here",
            where=path,
            remedy="give weights of " + ", ".join(_detectors()) + ", or of a classification network",
        )
    return best


def _row_names(arch: str, tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Return what the rows of the class layers stand for: COCO's where there are as many, else numbers."""
    one = 1 + ARCHITECTURES[arch].has_background
    there = [(tensors[k], shape) for k, shape in _shapes(arch).items() if is_class_layer(k) and k in tensors]
    if not there:
        return []
    n_rows = there[0][0].shape[0] * one // there[0][1][0]
    coco = [str(name) for name in torchvision.models.get_model_weights(arch).DEFAULT.meta["categories"]]
    return coco if n_rows == len(coco) else [BACKGROUND, *(f"class_{i}" for i in range(1, n_rows))]
