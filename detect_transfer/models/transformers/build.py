"""Building a network of the transformers family, and which stage each of its tensors belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from detect_transfer.config import Stage
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.models.transformers.architectures import ARCHITECTURES, MODEL_TYPES
from detect_transfer.models.transformers.library import build_stock
from detect_transfer.models.transformers.network import NETWORKS, Network

DEFAULT_ARCH = "dfine_n"
_STAGES: tuple[Stage, ...] = ("stage1", "stage2", "stage3", "stage4")
_STAGE = re.compile(r"model\.backbone\.model\.encoder\.stages\.(\d+)\.")
_LAYER = re.compile(r"model\.backbone\.backbone\.encoder\.layer\.(\d+)\.")
_NECK = ("model.encoder_input_proj.", "model.encoder.", "model.backbone.projector.")
_STEM = ("model.backbone.model.embedder.", "model.backbone.backbone.embeddings.")


def build(arch: str, n_classes: int, settings: Mapping[str, Any] | None = None) -> Network:
    """Build an untrained network, from torch's random state.

    Args:
        arch: A name of `ARCHITECTURES`, or a model type of the library, which comes with settings.
        n_classes: As many rows have its class layers.
        settings: Keys of the library's config, in the place of those of the architecture.

    Raises:
        InputError: There is no such architecture, or the settings are of no network.
    """
    known = ARCHITECTURES.get(arch)
    if known is None and (settings is None or arch not in MODEL_TYPES):
        raise InputError(
            "ARCH_UNKNOWN",
            "there is no such architecture of the transformers family",
            field="model.arch",
            value=arch,
            remedy=did_you_mean(arch, list(ARCHITECTURES)),
        )
    model_type = known.model_type if known else arch
    chosen = settings if settings is not None else known.settings if known else {}
    return NETWORKS[model_type](build_stock(model_type, chosen, n_classes))


def stage_of(name: str, network: Network) -> Stage:
    """Return the stage of a tensor: by its place in the backbone, then neck and head."""
    if name.startswith(_STEM):
        return "stem"
    if match := _STAGE.match(name):
        return _STAGES[min(int(match[1]), 3)]
    if match := _LAYER.match(name):
        return _STAGES[int(match[1]) * 4 // int(network.settings.backbone_config.num_hidden_layers)]
    if name.startswith(_NECK):
        return "neck"
    return "stage4" if name.startswith("model.backbone.") else "head"
