"""The transformers family: its published weights, and building detectors from these or from other files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import torch

from detect_transfer.config import Model
from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import Checkpoint, SourceWeights
from detect_transfer.models.transformers import checkpoints
from detect_transfer.models.transformers.architectures import ARCHITECTURES
from detect_transfer.models.transformers.build import DEFAULT_ARCH, build
from detect_transfer.models.transformers.detector import TransformersDetector
from detect_transfer.models.transformers.head_transfer import class_layers, load_tensors

_HUB_URL = "https://huggingface.co/{repository}/resolve/main/model.safetensors"


class TransformersFamily:
    """D-FINE, RT-DETRv2 and RF-DETR."""

    name = "transformers"
    own_keys: frozenset[str] = frozenset()
    default_weights: str | None = None

    def known_weights(self) -> tuple[str, ...]:
        """Return the names of the detectors (COCO)."""
        return tuple(ARCHITECTURES)

    def weights_url(self, name: str) -> str | None:
        """Return where the weights of a known name are published."""
        known = ARCHITECTURES.get(name)
        return None if known is None else _HUB_URL.format(repository=known.repository)

    def owns(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Tell whether tensors are of a detector of this family."""
        return checkpoints.owns(tensors)

    def recognise(self, checkpoint: Checkpoint) -> SourceWeights:
        """Find architecture and classes of a checkpoint."""
        return checkpoints.recognise(checkpoint)

    def from_scratch(self, model: Model, class_names: Sequence[str]) -> TransformersDetector:
        """Build an untrained detector of the config's architecture from torch's random state."""
        arch = model.arch or DEFAULT_ARCH
        return TransformersDetector(build(arch, len(class_names)), arch, class_names)

    def from_source(
        self, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[TransformersDetector, TransferReport]:
        """Build a detector for new classes from a pretrained one.

        Raises:
            InputError: Too little of the architecture is in the weights.
        """
        settings = json.loads(source.metadata["config"]) if "config" in source.metadata else None
        network = build(source.arch, len(class_names), settings)
        report = load_tensors(network, source, rows)
        layers = class_layers(network)
        rest_learnt = not layers & set(report.new_tensors)  # else the whole head is new, and learns alike
        new_class_params = layers if rest_learnt and any(not row.known for row in report.rows) else frozenset()
        return TransformersDetector(network, source.arch, class_names, settings, new_class_params), report
