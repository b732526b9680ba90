"""`SourceWeights`: the tensors of a pretrained model and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass(frozen=True)
class SourceWeights:
    """The tensors of a pretrained model and what is known of it.

    Args:
        tensors: Name to tensor, single precision.
        arch: The architecture with its size letter.
        class_names: The classes of its head, in order.
        built_classes: The class count the network was built with: the width of the head depends on it.
        path: The file.
        sha256: Its hash.
        metadata: Everything else its header says.
    """

    tensors: dict[str, torch.Tensor]
    arch: str
    class_names: tuple[str, ...]
    built_classes: int
    path: Path
    sha256: str
    metadata: dict[str, str] = field(default_factory=dict)
