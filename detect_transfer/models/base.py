"""What every model family offers, and the types that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from detect_transfer.config import Model, Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.class_evidence import ClassEvidence
from detect_transfer.models.source_weights import Checkpoint, SourceWeights

WEAK_EVIDENCE = "weak evidence"
BatchedTensors = torch.Tensor | list[torch.Tensor]  # with the batch first, or a tensor an image


@dataclass(frozen=True)
class ClassInit:
    """Where the output row of one target class comes from.

    Args:
        target: The target class.
        sources: The source classes whose rows are averaged; empty for a new class.
        how: `class_map`, `same name`, `evidence`, `weak evidence`, `mean of all rows` or `random`.
    """

    target: str
    sources: tuple[str, ...]
    how: str

    @property
    def known(self) -> bool:
        """Whether the source knows the class; a weak match is a better start than none, and no more."""
        return bool(self.sources) and self.how != WEAK_EVIDENCE


@dataclass(frozen=True)
class TransferReport:
    """What a detector took over from its source.

    Args:
        rows: The start of each target class.
        tensors: How many tensors were copied whole.
        new_tensors: Names of the tensors that the source does not have or has in another shape.
        by_rows: Names of the tensors that were filled row by row, a class each.
        left_out: Names of the source's tensors that were not used.
        lacking: Names of those new tensors that whole weights of this kind would have.
        evidence: What the target classes look like to the source; None where it was not asked.
    """

    rows: tuple[ClassInit, ...]
    tensors: int
    new_tensors: tuple[str, ...]
    by_rows: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    evidence: ClassEvidence | None = None


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
    """The detections in one image: boxes (N, 4) in network pixels, scores (N,), labels (N,)."""

    xyxy: FloatArray
    scores: Any
    labels: Any


@dataclass(frozen=True)
class Postprocess:
    """How the raw boxes of a network become detections.

    Args:
        score_floor: Detections at or below it are left out.
        max_detections: Of an image.
        nms_iou: Overlap from which the lower of two boxes is suppressed; None is the value of the architecture.
        multi_label: A box is a detection of each class whose score is above the floor, not of its best class alone.
        agnostic: Boxes of different classes suppress each other too.
        labels: The class indices that are looked for; None looks for all.
    """

    score_floor: float
    max_detections: int
    nms_iou: float | None = None
    multi_label: bool = True
    agnostic: bool = False
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class SplitNetwork:
    """A network in two: the frozen trunk, whose outputs are computed once, and the trainable tail.

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
        if not isinstance(count, torch.Tensor):  # filled in on the device: a copy would let the host wait
            count = torch.full((), count, dtype=total.dtype, device=total.device)
        return cls(total.reshape(1), count.to(total.dtype).reshape(1))

    def mean(self, count: torch.Tensor | None = None) -> torch.Tensor:
        """Return the loss of the batch, or its share in that of a larger batch with these counts (G,)."""
        return (self.total / (self.count if count is None else count).clamp(min=1)).sum()


class Predictor(Protocol):
    """What finds things in images: a detector of a family, or one that was exported.

    Attributes:
        family: The name of the family.
        arch: The architecture with its size letter.
        class_names: The classes in order.
        module: The network, or what runs it.
    """

    family: str
    arch: str
    class_names: tuple[str, ...]
    module: torch.nn.Module

    @property
    def nms_iou(self) -> float:
        """Overlap from which the architecture suppresses the lower of two boxes, where nothing else is chosen."""

    @property
    def suppresses(self) -> bool:
        """Whether doubles are suppressed at all; an end-to-end head gives each object once."""

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into the input of the network."""

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the arguments of the network: the inputs, and what it needs of the targets; None to predict."""

    def decode(self, outputs: Any) -> tuple[BatchedTensors, BatchedTensors]:
        """Turn the outputs of the network in evaluation mode into boxes and scores, before any is chosen.

        Returns:
            For each image boxes (R, 1, 4), or one a class (R, K, 4), in network pixels; and scores (R, K).
        """

    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Turn the outputs of the network in evaluation mode into the detections of each image."""


class Detector(Predictor, Protocol):
    """A network of one family with its class names; training and prediction go through this alone.

    Attributes:
        new_class_params: Names of the parameters of the last class layer, where some class has no row in the source.
        trainable: Names of the parameters that may train at all; some families hold constants as parameters.
        class_weights: (K,) weight of each class in the classification loss; None weighs all alike.
        dynamic_axes: Which of `batch` and `size` an exported graph of it can take any of; of others it is made for one.
    """

    new_class_params: frozenset[str]
    trainable: frozenset[str]
    class_weights: torch.Tensor | None

    @property
    def dynamic_axes(self) -> frozenset[str]:
        """As above."""

    def with_module(self, module: torch.nn.Module) -> Detector:
        """Return a detector of the same kind around another copy of the network."""

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer by its name."""

    def class_rows(self) -> dict[str, list[int]]:
        """Return for each tensor of the class layers the class index of each of its rows; -1 is the background."""

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Choose anchors by the training boxes (N, 2), width and height in network pixels; some families have none."""

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Split the network behind its last layer before which all stages are frozen; None if there is none."""

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts; their means are summed to the loss.

        What lies in an ignored region and is no target carries no loss.
        """

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Prepare for an epoch, for losses that follow a schedule."""

    def metadata(self) -> dict[str, str]:
        """Return the texts from which, with the tensors, the detector can be built again."""


class Family(Protocol):
    """A model family: its weights, its config keys, and how its detectors are built.

    Attributes:
        name: As `model.family` gives it.
        own_keys: The keys of `model` that the family has beyond `family`, `arch` and `weights`.
        default_weights: The known name that a config starts from where it gives none; None asks for one.
    """

    name: str
    own_keys: frozenset[str]
    default_weights: str | None

    def known_weights(self) -> Sequence[str]:
        """Return names that weights can be fetched by; where sizes exist, an example of each architecture."""

    def weights_url(self, name: str) -> str | None:
        """Return where the weights of a known name are published; None if it is no name of this family."""

    def owns(self, tensors: Mapping[str, torch.Tensor]) -> bool:
        """Tell by their names whether tensors are of this family."""

    def recognise(self, checkpoint: Checkpoint) -> SourceWeights:
        """Find architecture and classes of a checkpoint of this family, by its tensors where it does not say.

        Raises:
            InputError: It is of no known architecture, or its class names do not fit its tensors.
        """

    def from_scratch(self, model: Model, class_names: Sequence[str]) -> Detector:
        """Build an untrained detector of the config's architecture from torch's random state.

        Raises:
            InputError: There is no such architecture, or what is chosen about it is not for it.
        """

    def from_source(
        self, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[Detector, TransferReport]:
        """Build a detector for new classes from a pretrained one.

        Args:
            source: The pretrained model.
            class_names: The target classes in order.
            rows: The start of each target class.
            model: The model part of the config; what it leaves open, or None, is that of the source.

        Raises:
            InputError: Too little of the architecture is in the weights.
        """
