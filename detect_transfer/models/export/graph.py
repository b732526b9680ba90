"""The graph that is exported: from pixels as they are to boxes and scores, or to detections."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torchvision.models.detection._utils import _topk_min
from torchvision.ops import nms

from detect_transfer.core.choices import NmsPlace
from detect_transfer.core.input_size import InputSize
from detect_transfer.models.base import Detector, Postprocess
from detect_transfer.models.postprocess import MOST_CANDIDATES, SMALLEST_SIDE

INPUT = "images"
_TRACED = InputSize(640, 640)
OUTPUTS = {NmsPlace.BESIDE: ("boxes", "scores"), NmsPlace.INSIDE: ("boxes", "scores", "labels")}


@dataclass(frozen=True)
class GraphOptions:
    """The form of a graph.

    Args:
        nms: Where doubles are suppressed.
        batch: Images that it always takes; None takes any number.
        size: It takes images of that size alone; None takes any multiple of 32.
        traced: The size of the image that it is traced with, where any is taken.
    """

    nms: NmsPlace = NmsPlace.BESIDE
    batch: int | None = None
    size: InputSize | None = None
    traced: InputSize = _TRACED

    @property
    def dynamic_axes(self) -> dict[str, dict[int, str]]:
        """The axes of inputs and outputs whose length is not fixed, by their names."""
        batch = {} if self.batch is not None else {0: "batch"}
        size = {} if self.size is not None else {2: "height", 3: "width"}
        axes = {INPUT: batch | size}
        for name in OUTPUTS[self.nms]:
            axes[name] = {0: "detections"} if self.nms is NmsPlace.INSIDE else batch | {1: "boxes"}
        return axes

    def example(self) -> torch.Tensor:
        """Return images that a graph is traced with; no rectangle with equal sides hides a mistaken axis."""
        height, width = (self.size or self.traced).hw
        if self.size is None and height == width:
            height -= 32
        generator = torch.Generator().manual_seed(0)
        size = (self.batch or 1, 3, max(32, height), width)
        return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


class ExportGraph(nn.Module):
    """A detector from (B, 3, H, W) uint8 RGB to what a runtime gives.

    Beside: boxes (B, R, 1 or K, 4) in network pixels and scores (B, R, K). Inside, for a batch of one: boxes (N, 4),
    scores (N,) and labels (N,).

    Args:
        detector: Its network is copied.
        options: The form.
        settings: How detections are chosen, where that is in the graph.
    """

    def __init__(self, detector: Detector, options: GraphOptions, settings: Postprocess) -> None:
        super().__init__()
        self.network = copy.deepcopy(detector.module).cpu().eval().float()
        self._detector = detector.with_module(self.network)
        self._options = options
        self._settings = settings

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run preprocessing, the network, decoding and, where it is inside, the choice of detections."""
        inputs = self._detector.preprocess(images)
        outputs: Any = self.network(*self._detector.forward_args(inputs, None))
        boxes, scores = (
            torch.stack(each) if isinstance(each, list) else each for each in self._detector.decode(outputs)
        )
        if self._options.nms is NmsPlace.BESIDE:
            return boxes, scores
        return self._choose(boxes[0], scores[0], images.shape[2] + images.shape[3])

    def _choose(self, boxes: torch.Tensor, scores: torch.Tensor, apart: Any) -> tuple[torch.Tensor, ...]:
        """Choose the detections of one image as `select` does, of operations that a graph can hold."""
        settings = self._settings
        if settings.multi_label:
            row, label = torch.nonzero(scores > settings.score_floor).unbind(1)
        else:
            best, every = scores.max(dim=1)
            row = torch.nonzero(best > settings.score_floor).flatten()
            label = every[row]
        score, top = scores[row, label].topk(_topk_min(row, MOST_CANDIDATES, 0))
        row, label = row[top], label[top]
        xyxy = boxes[row, label if boxes.shape[1] > 1 else torch.zeros_like(label)]
        whole = torch.nonzero((xyxy[:, 2:] - xyxy[:, :2] >= SMALLEST_SIDE).all(dim=1)).flatten()
        xyxy, score, label = xyxy[whole], score[whole], label[whole]
        if self._detector.suppresses or settings.agnostic:
            offset = torch.zeros_like(label) if settings.agnostic else label * apart  # classes do not meet
            keep = nms(xyxy + offset[:, None], score, settings.nms_iou or self._detector.nms_iou)
            xyxy, score, label = xyxy[keep], score[keep], label[keep]
        most = settings.max_detections
        return xyxy[:most], score[:most], label[:most]
