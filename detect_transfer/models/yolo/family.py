"""The YOLO family: recognising its weights, and building detectors from them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from detect_transfer.config import Model
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import Checkpoint, SourceWeights, check_share
from detect_transfer.models.yolo.detector import YoloDetector
from detect_transfer.models.yolo.head_transfer import class_branches, new_class_branch, row_indices
from detect_transfer.models.yolo.ultralytics import (
    architectures_of_depth,
    build_module,
    full_names,
    is_installed,
    is_known,
    load_ultralytics,
)

logger = logging.getLogger(__name__)

_DEFAULT_ARCH = "yolo11n"
_ULTRALYTICS_URL = "https://github.com/ultralytics/assets/releases/download/v8.4.0/{name}.pt"
_NOT_PUBLISHED = ("-p2", "-ghost", "yolov6")
_TRAINED_AGAIN = ("yolov3", "yolov5")  # with the head of YOLOv8; the files have a u behind their name
_LAYER = re.compile(r"model\.(\d+)\.")
_CLASS_LAYER = re.compile(r"model\.\d+\.cv3\.0\.\d+\.weight")  # the last convolution; those before it are `.conv`
_COUNTER = "num_batches_tracked"


class YoloFamily:
    """Any detection architecture of ultralytics."""

    name = "yolo"
    own_keys: frozenset[str] = frozenset()
    default_weights: str | None = "yolo11n"

    def known_weights(self) -> Sequence[str]:
        """Return the architectures, with their size letter, whose weights are published; none without ultralytics."""
        if not is_installed():
            return []
        return [name for name in sorted(full_names()) if _is_published(name)]

    def weights_url(self, name: str) -> str | None:
        """Return where the weights of an architecture with its size letter are published."""
        if not name.startswith("yolo"):  # else ultralytics would be loaded for the names of other families
            return None
        again = "u" if name.startswith(_TRAINED_AGAIN) else ""
        return _ULTRALYTICS_URL.format(name=name + again) if is_known(name) and _is_published(name) else None

    def owns(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Tell whether most tensors are named after numbered layers."""
        return 2 * sum(_LAYER.match(name) is not None for name in tensors) > len(tensors)

    def recognise(self, checkpoint: Checkpoint) -> SourceWeights:
        """Find architecture and classes of a checkpoint; the shapes of its tensors tell what it does not say."""
        tensors = checkpoint.tensors
        n_rows, width = class_layer_shape(tensors) or (0, 0)
        arch = checkpoint.arch if is_known(checkpoint.arch) else _arch_of(checkpoint, width or 80)
        names = (checkpoint.class_names(n_rows) if n_rows else None) or _numbered(checkpoint, n_rows)
        return SourceWeights(tensors, arch, names, checkpoint.path, checkpoint.sha256, checkpoint.metadata, self.name)

    def from_scratch(self, model: Model, class_names: Sequence[str]) -> YoloDetector:
        """Build an untrained detector of the config's architecture from torch's random state."""
        arch = model.arch or _DEFAULT_ARCH
        return YoloDetector(_build(arch, len(class_names)), arch, class_names)

    def from_source(
        self, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[YoloDetector, TransferReport]:
        """Build a detector for new classes from a pretrained one.

        The network is built around the tensors: with the hidden width of their class branch, and as many class rows.
        Where a part of the class branch is missing, no class has a row.
        """
        n_rows, width = class_layer_shape(source.tensors) or (len(class_names), len(class_names))
        module = _build(source.arch, width)
        if n_rows != width:
            new_class_branch(module, n_rows)
        state = module.state_dict()
        fits = {k: t for k, t in source.tensors.items() if k in state and state[k].shape == t.shape}
        missing = {name for name in state if name not in fits and not name.endswith(_COUNTER)}
        check_share(source, len(state) - len(missing), len(state))
        module.load_state_dict(fits, strict=False)
        if missing & class_branches(module):
            rows = [ClassInit(row.target, (), "random") for row in rows]
        index = {name: i for i, name in enumerate(source.class_names)}
        replaced: frozenset[str] = frozenset()
        if tuple(class_names) != source.class_names or any(row.sources != (row.target,) for row in rows):
            replaced = new_class_branch(module, len(class_names), [row_indices(row, index) for row in rows])
        by_rows = replaced if any(row.how != "random" for row in rows) else frozenset()
        report = TransferReport(
            tuple(rows),
            len(fits.keys() - replaced),
            tuple(sorted(missing | replaced - by_rows)),
            tuple(sorted(by_rows)),
            tuple(sorted(source.tensors.keys() - fits.keys())),
            tuple(sorted(missing)),
        )
        new_class_params = replaced if not all(row.known for row in rows) else frozenset()
        return YoloDetector(module, source.arch, class_names, new_class_params), report


def _is_published(name: str) -> bool:
    return not any(word in name for word in _NOT_PUBLISHED)


def class_layer_shape(tensors: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """Return rows and inputs of the class layer; None where the tensors have no such layer."""
    layer = next((tensor for name, tensor in tensors.items() if _CLASS_LAYER.fullmatch(name)), None)
    return None if layer is None else (int(layer.shape[0]), int(layer.shape[1]))


def _numbered(checkpoint: Checkpoint, n_rows: int) -> tuple[str, ...]:
    if n_rows:
        logger.warning("%s names no classes: they are called class_1 ... class_%d", checkpoint.path.name, n_rows)
    return tuple(f"class_{i}" for i in range(1, n_rows + 1))


def _arch_of(checkpoint: Checkpoint, width: int) -> str:
    """Return the architecture that the tensors fit best; one that the file is named after is looked at first."""
    last = max(int(match[1]) for name in checkpoint.tensors if (match := _LAYER.match(name)))
    has_other_head = any(name.startswith(f"model.{last}.cv4.") for name in checkpoint.tensors)  # masks, key points ...
    candidates = [] if has_other_head else architectures_of_depth(last + 1)
    best, best_share = "", 0.0
    for arch in sorted(candidates, key=lambda arch: (arch not in checkpoint.path.name, candidates.index(arch))):
        state = build_module(arch, width).state_dict()
        same = sum(name in state and state[name].shape == t.shape for name, t in checkpoint.tensors.items())
        share = same / max(len(state), len(checkpoint.tensors))
        if share > best_share:
            best, best_share = arch, share
        if share > 0.98:  # but for the class rows
            break
    if best_share < 0.5:
        raise checkpoint.error(
            "WEIGHTS_ARCH",
            "its tensors are of no detection architecture of ultralytics",
            "give weights of an architecture such as yolo11n, yolov8s or yolo26n",
        )
    return best


def _build(arch: str, n_classes: int) -> Any:
    module = build_module(arch, n_classes)
    head = module.model[-1]
    if not isinstance(head, load_ultralytics().Detect) or not hasattr(head, "cv3"):
        raise InputError(
            "ARCH_HEAD",
            f"its head is a {type(head).__name__}, a plain detection head was expected",
            field="model.arch",
            value=arch,
            remedy="give a detection architecture such as yolo11n or yolov8n",
        )
    return module
