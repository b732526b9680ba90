"""An exported model at work: what a runtime gives, as the predicting half of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from detect_transfer.core.choices import NmsPlace
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.base import BatchedTensors, Postprocess, Prediction, Predictor, Target
from detect_transfer.models.export.metadata import ExportMetadata
from detect_transfer.models.letterbox import PAD_VALUE
from detect_transfer.models.postprocess import choose
from detect_transfer.models.predict import postprocess_of

Output = tuple[torch.Tensor, ...]  # of one image


class Session(Protocol):
    """A model in its runtime.

    Attributes:
        runtime: Its name and version.
    """

    runtime: str

    def __call__(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the model on (B, 3, H, W) RGB; give its outputs in order."""

    def layers(self) -> dict[str, int]:
        """Count the layers with weights by the numbers that they really compute with, such as `fp32`."""


@dataclass(frozen=True)
class Opened:
    """An exported model as its runtime has it, and what it says of itself."""

    session: Session
    metadata: ExportMetadata


class RuntimeModule(nn.Module):
    """A model in its runtime as a module: it pads images to the side and the batch that the model takes.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        super().__init__()
        self._opened = opened

    def forward(self, images: torch.Tensor) -> list[Output]:
        """Run the model on (B, 3, H, W) uint8 RGB; give the outputs of each image, with boxes in its pixels."""
        metadata = self._opened.metadata
        left, top = 0, 0
        if metadata.fixed is not None:
            images, left, top = pad_to(images, metadata.fixed)
        offset = torch.tensor([left, top, left, top], dtype=torch.float32)
        outputs: list[Output] = []
        size = 1 if metadata.nms is NmsPlace.INSIDE else metadata.batch or len(images)
        for part in torch.split(images.cpu(), size):
            full = torch.cat([part, part[-1:].expand(size - len(part), -1, -1, -1)])
            arrays = self._opened.session(np.ascontiguousarray(full.numpy()))
            tensors = [torch.from_numpy(np.asarray(each)) for each in arrays]
            if metadata.nms is NmsPlace.INSIDE:
                outputs.append((tensors[0] - offset, *tensors[1:]))
            else:
                outputs += [(tensors[0][i] - offset, *(each[i] for each in tensors[1:])) for i in range(len(part))]
        return outputs


def pad_to(images: torch.Tensor, size: InputSize) -> tuple[torch.Tensor, int, int]:
    """Pad images (B, 3, H, W) with grey to a size; return them, and what was added on the left and on top.

    Raises:
        InputError: They are larger.
    """
    height, width = images.shape[2:]
    if height > size.height or width > size.width:
        raise InputError(
            "EXPORT_SIZE",
            f"the model takes images of {size} px alone",
            field="--imgsz",
            value=str(InputSize(height, width)),
            remedy="leave --imgsz out, or export it again with this --imgsz",
        )
    right, below = size.width - width, size.height - height
    left, top = right // 2, below // 2
    return functional.pad(images, (left, right - left, top, below - top), value=PAD_VALUE), left, top


class ExportedDetector:
    """The predicting half of a detector around an exported model.

    Args:
        opened: The model.
    """

    def __init__(self, opened: Opened) -> None:
        self.export = opened.metadata
        self.session = opened.session
        self.module: nn.Module = RuntimeModule(opened)
        self.family, self.arch = self.export.family, self.export.arch
        self.class_names = self.export.names
        self.nms_iou = self.export.nms_iou
        self.suppresses = self.export.suppresses

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Return (B, 3, H, W) uint8 RGB as they are: the rest is in the graph."""
        return images

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the inputs alone: nothing is trained."""
        return (inputs,)

    def decode(self, outputs: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the boxes and scores that the graph has decoded."""
        return [each[0] for each in outputs], [each[1] for each in outputs]

    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Choose detections as of the detector itself; those that were chosen in the graph are taken as they are.

        Raises:
            InputError: They are to be chosen in another way than the graph does.
        """
        if self.export.nms is NmsPlace.BESIDE:
            return choose(self, outputs, options)
        self._check_choice(options)
        predictions = []
        for boxes, scores, labels in outputs:
            wanted = scores > options.score_floor
            if options.labels is not None:
                wanted &= torch.isin(labels, torch.tensor(options.labels))
            chosen = torch.nonzero(wanted).flatten()[: options.max_detections]
            xyxy, score = boxes[chosen].double().numpy(), scores[chosen].double().numpy()
            predictions.append(Prediction(xyxy, score, labels[chosen].long().numpy()))
        return predictions

    def _check_choice(self, options: Postprocess) -> None:
        """Raise where detections are to be chosen in another way than the graph has chosen them."""
        own = postprocess_of(self.export.settings)
        iou, own_iou = (each.nms_iou or self.nms_iou for each in (options, own))
        most, own_most = options.max_detections, own.max_detections
        doubles = "of all classes together" if own.agnostic else "class by class"
        suppresses = self.suppresses or own.agnostic
        for field, value, is_other, done in (
            ("--agnostic", options.agnostic, options.agnostic != own.agnostic, f"suppresses doubles {doubles}"),
            ("--iou", iou, suppresses and iou != own_iou, f"suppresses doubles from an overlap of {own_iou:g} on"),
            ("--max-detections", most, most > own_most, f"gives {own_most} detections at most"),
        ):
            if is_other:
                raise InputError(
                    "EXPORT_NMS",
                    f"detections are chosen in the graph of the model, which {done}",
                    field=field,
                    value=value,
                    remedy="leave it out, or export the model with --nms beside",
                )


class PaddedDetector:
    """A detector that sees its images as an exported model of a fixed size sees them, so that the two compare.

    Args:
        detector: The detector.
        size: What its images are padded to.
    """

    def __init__(self, detector: Predictor, size: InputSize) -> None:
        self._detector = detector
        self._size = size
        self._offset = torch.zeros(4)
        self.module = detector.module
        self.family, self.arch, self.class_names = detector.family, detector.arch, detector.class_names
        self.nms_iou, self.suppresses = detector.nms_iou, detector.suppresses

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Pad (B, 3, H, W) uint8 RGB and turn it into the input of the network."""
        padded, left, top = pad_to(images, self._size)
        self._offset = torch.tensor([left, top, left, top], dtype=torch.float32, device=images.device)
        return self._detector.preprocess(padded)

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the arguments of the network."""
        return self._detector.forward_args(inputs, targets)

    def decode(self, outputs: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return boxes in pixels of the images before they were padded, and scores."""
        boxes, scores = self._detector.decode(outputs)
        return [each - self._offset for each in boxes], list(scores)

    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Choose the detections of each image."""
        return choose(self, outputs, options)


class GreyDetector:
    """A detector that is shown grey images in the place of those it is given, of the same sizes.

    Args:
        detector: The detector.
    """

    def __init__(self, detector: Predictor) -> None:
        self._detector = detector
        self.module = detector.module
        self.family, self.arch, self.class_names = detector.family, detector.arch, detector.class_names
        self.nms_iou, self.suppresses = detector.nms_iou, detector.suppresses

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn as many grey images as (B, 3, H, W) uint8 RGB into the input of the network."""
        return self._detector.preprocess(torch.full_like(images, PAD_VALUE))

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the arguments of the network."""
        return self._detector.forward_args(inputs, targets)

    def decode(self, outputs: Any) -> tuple[BatchedTensors, BatchedTensors]:
        """Return boxes and scores as the detector does."""
        return self._detector.decode(outputs)

    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Choose the detections of each image."""
        return self._detector.postprocess(outputs, options)
