"""What every model family offers, and the words they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from detect_transfer.config import Stage, Transfer
from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.source_weights import SourceWeights


@dataclass(frozen=True)
class ClassInit:
    """Where the output row of one target class comes from.

    Args:
        target: The target class.
        sources: The source classes whose rows are averaged; empty for a new class.
        how: `class_map`, `same name`, `mean of all rows` or `random`.
    """

    target: str
    sources: tuple[str, ...]
    how: str


@dataclass(frozen=True)
class TransferReport:
    """What a detector took over from its source.

    Args:
        rows: A row a target class.
        tensors: How many tensors were copied whole.
        new_tensors: Names of the tensors that the source does not have or has in another shape.
        by_rows: Names of the tensors that were filled row by row, a class each.
        left_out: Names of the source's tensors that were not used.
    """

    rows: tuple[ClassInit, ...]
    tensors: int
    new_tensors: tuple[str, ...]
    by_rows: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """The training targets of one image.

    Args:
        xyxy: (N, 4) in network pixels.
        labels: (N,) class indices from 0, in the order of the class names.
        ignored: (M, 4) regions in network pixels that are neither target nor background.
    """

    xyxy: FloatArray
    labels: Any
    ignored: FloatArray = field(default_factory=lambda: np.empty((0, 4)))


@dataclass(frozen=True)
class Prediction:
    """What a detector found in one image: boxes (N, 4) in network pixels, scores (N,), labels (N,)."""

    xyxy: FloatArray
    scores: Any
    labels: Any


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two: the frozen part, whose outputs are computed once, and the rest.

    Args:
        trunk: Turns inputs (B, 3, H, W), as of `preprocess`, into tensors with the batch first.
        tail: Called with these tensors and the targets (None to predict); gives what the whole network gives.
    """

    trunk: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
    tail: torch.nn.Module


@dataclass(frozen=True)
class LossPart:
    """A part of the loss of a batch, kept as sums and counts: only so are the parts of a larger batch put together.

    Args:
        total: (G,) sums, one for each thing that is counted.
        count: (G,) what each sum is divided by, such as targets, positives or images; below 1 it counts as 1.
    """

    total: torch.Tensor
    count: torch.Tensor

    @classmethod
    def of(cls, total: torch.Tensor, count: torch.Tensor | float) -> LossPart:
        """Return a part with one sum."""
        return cls(total.reshape(1), torch.as_tensor(count, dtype=total.dtype, device=total.device).reshape(1))

    def mean(self, count: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of the batch, or its share in that of a larger batch with these counts (G,)."""
        return (self.total / (self.count if count is None else count).clamp(min=1)).sum()


class Detector(Protocol):
    """A network of one family with its class names; training and prediction go through this alone.

    Attributes:
        family: The name of the family.
        arch: The architecture with its size letter.
        class_names: The classes in order.
        module: The network.
        new_class_params: Names of the parameters of the last class layer, where some class has no row in the source.
        trainable: Names of the parameters that may train at all; some families hold constants as parameters.
        class_weights: (K,) weight of each class in the classification loss; None weighs all alike.
    """

    family: str
    arch: str
    class_names: tuple[str, ...]
    module: torch.nn.Module
    new_class_params: frozenset[str]
    trainable: frozenset[str]
    class_weights: torch.Tensor | None

    def with_module(self, module: torch.nn.Module) -> Detector:
        """Return a detector of the same kind around another copy of the network."""

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer by its name."""

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Choose anchors by the training boxes (N, 2), width and height in network pixels; some families have none."""

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into what the network takes."""

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return what the network is called with: the inputs, and what it needs of the targets; None to predict."""

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Cut the network behind its last layer before which all stages are frozen; None if there is no such place."""

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts; their means are summed to the loss.

        What lies in an ignored region and is no target carries no loss.
        """

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Be told that an epoch begins, for losses that follow a schedule."""

    def postprocess(self, outputs: Any, *, score_floor: float, nms_iou: float, max_detections: int) -> list[Prediction]:
        """Turn the outputs of the network in evaluation mode into what was found in each image."""

    def metadata(self) -> dict[str, str]:
        """Return what must stand beside the tensors so that the detector can be built again."""


def class_inits(
    source: SourceWeights, class_names: Sequence[str], class_map: dict[str, list[str]], transfer: Transfer
) -> tuple[ClassInit, ...]:
    """Decide from which source classes the head row of each target class starts.

    Args:
        source: The pretrained model.
        class_names: The target classes in order.
        class_map: Target class to source classes.
        transfer: Whether classes of one name meet (case, spaces, hyphens and underscores do not count), and how new
            classes start.
    """
    by_plain_name = {_plain(name): name for name in source.class_names}
    rows = []
    for name in class_names:
        if name in class_map:
            rows.append(ClassInit(name, tuple(class_map[name]), "class_map"))
        elif transfer.match_names and _plain(name) in by_plain_name:
            rows.append(ClassInit(name, (by_plain_name[_plain(name)],), "same name"))
        else:
            rows.append(ClassInit(name, (), "random" if transfer.new_class_init == "random" else "mean of all rows"))
    return tuple(rows)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
