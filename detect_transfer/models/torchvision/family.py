"""The torchvision family: its published weights, and building detectors from these or from other files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from detect_transfer.config import Model
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import Checkpoint, SourceWeights
from detect_transfer.models.torchvision import checkpoints
from detect_transfer.models.torchvision.anchors import AnchorShapes
from detect_transfer.models.torchvision.backbones import known_backbones
from detect_transfer.models.torchvision.build import ARCHITECTURES, CHOSEN_BACKBONE, build
from detect_transfer.models.torchvision.detector import TorchvisionDetector
from detect_transfer.models.torchvision.faster_rcnn import Options
from detect_transfer.models.torchvision.head_transfer import class_layers, load_tensors

_DEFAULT_ARCH = "fasterrcnn_mobilenet_v3_large_320_fpn"
_NUMBERS = ("sampled_regions", "training_proposals", "proposals")  # options that the metadata hold as numbers


class TorchvisionFamily:
    """Faster R-CNN on any classification backbone, RetinaNet, FCOS and SSDlite."""

    name = "torchvision"
    own_keys: frozenset[str] = frozenset({"backbone", "anchors", *_NUMBERS})
    default_weights: str | None = None

    def known_weights(self) -> tuple[str, ...]:
        """Return the names of detectors (COCO) and of backbones (ImageNet)."""
        return (*(name for name in ARCHITECTURES if name != CHOSEN_BACKBONE), *known_backbones())

    def weights_url(self, name: str) -> str | None:
        """Return where torchvision publishes the weights of a known name."""
        return checkpoints.published_url(name) if name in self.known_weights() else None

    def owns(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Tell whether tensors are of a detector with a backbone, or of a classification network."""
        return any(name.startswith("backbone.") for name in tensors) or checkpoints.is_features(tensors)

    def recognise(self, checkpoint: Checkpoint) -> SourceWeights:
        """Find architecture and classes of a checkpoint."""
        return checkpoints.recognise(checkpoint)

    def from_scratch(self, model: Model, class_names: Sequence[str]) -> TorchvisionDetector:
        """Build an untrained detector of the config's architecture from torch's random state."""
        arch = model.arch or (CHOSEN_BACKBONE if model.backbone else _DEFAULT_ARCH)
        options = _options(model, {})
        return TorchvisionDetector(build(arch, len(class_names), options), arch, class_names, options)

    def from_source(
        self, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[TorchvisionDetector, TransferReport]:
        """Build a detector for new classes from a pretrained one, or on a pretrained backbone.

        Raises:
            InputError: The weights are of another architecture, or of a backbone alone and no architecture is chosen.
        """
        arch = (model.arch if model else None) or source.arch or (CHOSEN_BACKBONE if model and model.backbone else "")
        if not arch:
            raise InputError(
                "ARCH_MISSING",
                "these weights are of a backbone alone",
                where=source.path,
                field="model.arch",
                remedy="give model.arch=fasterrcnn with model.backbone, or one of " + ", ".join(ARCHITECTURES),
            )
        options = _options(model, source.metadata)
        built = build(arch, len(class_names), options)
        report = load_tensors(built.network, source, rows)
        layers = class_layers(built.network)
        rest_learnt = not layers & set(report.new_tensors)  # else the whole head is new, and learns alike
        new_class_params = layers if rest_learnt and any(not row.known for row in report.rows) else frozenset()
        return TorchvisionDetector(built, arch, class_names, options, new_class_params), report


def _options(model: Model | None, metadata: Mapping[str, str]) -> Options:
    """Return what is chosen about an architecture: by the config, else as the source was built."""
    anchors = None
    try:
        if "anchors" in metadata:
            shapes = json.loads(metadata["anchors"])
            anchors = AnchorShapes(*(tuple(map(tuple, shapes[key])) for key in ("sizes", "aspect_ratios")))
        numbers: dict[str, Any] = {key: int(metadata[key]) for key in _NUMBERS if key in metadata}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "WEIGHTS_CARD", f"the header of the weights cannot be read ({error!r})", remedy="fetch them again"
        ) from error
    if model is not None:
        numbers = {key: getattr(model, key) for key in _NUMBERS}
        numbers["proposals"] = None if model.proposals == "auto" else model.proposals
    return Options((model.backbone if model else None) or metadata.get("backbone"), anchors, **numbers)
