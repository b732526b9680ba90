"""The torchvision family: Faster R-CNN on any classification backbone, RetinaNet, FCOS and SSDlite as a `Detector`.

The tensors keep torchvision's names, so its checkpoints load; `faster_rcnn` says how the networks differ from stock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import nn

from detect_transfer.config import Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.models.base import LossPart, Postprocess, Prediction, SplitNetwork, Target
from detect_transfer.models.device import sent
from detect_transfer.models.network_parts import split_parts
from detect_transfer.models.postprocess import choose
from detect_transfer.models.targets import check_inputs, check_targets
from detect_transfer.models.torchvision.build import Built
from detect_transfer.models.torchvision.faster_rcnn import Options
from detect_transfer.models.torchvision.head_transfer import class_rows
from detect_transfer.models.torchvision.losses import TargetDict


class TorchvisionDetector:
    """A torchvision network with its class names."""

    family = "torchvision"
    suppresses = True

    def __init__(
        self,
        built: Built,
        arch: str,
        class_names: Sequence[str],
        options: Options,
        new_class_params: frozenset[str] = frozenset(),
    ) -> None:
        self._network = built.network
        self.module: nn.Module = built.network
        self.arch = arch
        self.class_names = tuple(class_names)
        self.options = options
        self.new_class_params = new_class_params
        self.trainable = frozenset(name for name, _ in built.network.named_parameters())
        self._built = built

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Choose anchors by the training boxes (N, 2), width and height in network pixels.

        Raises:
            InputError: The architecture has no anchors to fit, or there is no box.
        """
        self.options = replace(self.options, anchors=self._network.fit_anchors(sizes_wh))

    @property
    def class_weights(self) -> torch.Tensor | None:
        """(K,) weight of each class in the classification loss; None weighs all alike."""
        return self._network.class_weights

    @class_weights.setter
    def class_weights(self, weights: torch.Tensor | None) -> None:
        self._network.class_weights = weights

    @property
    def nms_iou(self) -> float:
        """Overlap at which torchvision suppresses doubles of this architecture."""
        return self._built.nms_iou

    @property
    def dynamic_axes(self) -> frozenset[str]:
        """The number of images is fixed: proposals are chosen image by image."""
        return frozenset({"size"}) if self._network.any_size else frozenset()

    def with_module(self, module: Any) -> TorchvisionDetector:
        """Return a detector of the same kind around another copy of the network."""
        return TorchvisionDetector(
            replace(self._built, network=module), self.arch, self.class_names, self.options, self.new_class_params
        )

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer: by its stride in the backbone, then neck, rpn and head."""
        return {name: self._stage(name) for name in self.module.state_dict()}

    def class_rows(self) -> dict[str, list[int]]:
        """Return the class index of each row of the class layers, and of box layers with rows of classes."""
        return class_rows(self._network, len(self.class_names))

    def _stage(self, name: str) -> Stage:
        return next((stage for start, stage in self._built.stages.items() if name.startswith(start)), "head")

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into single precision with the mean and spread of the pretrained weights."""
        mean, std = sent(torch.tensor([self._built.mean, self._built.std]), images.device).view(2, 3, 1, 1)
        return torch.addcmul(-mean / std, images.float(), 1 / (255 * std))

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the inputs and the targets as the network takes them.

        Raises:
            InputError: An image or a box is not finite, a box has no area or a label is none of the classes: a kernel
                would crash on it or batch norm keep it for good.
        """
        check_inputs(inputs)
        return inputs, self._prepare(targets, inputs.device)

    def _prepare(self, targets: Sequence[Target] | None, device: torch.device) -> list[TargetDict] | None:
        if targets is None:
            return None
        check_targets(targets, len(self.class_names))
        shift = int(self._network.has_background)
        return [
            {
                "boxes": sent(torch.as_tensor(target.xyxy, dtype=torch.float32).reshape(-1, 4), device),
                "labels": sent(torch.as_tensor(target.labels, dtype=torch.int64) + shift, device),
                "ignored": sent(torch.as_tensor(target.ignored, dtype=torch.float32).reshape(-1, 4), device),
            }
            for target in targets
        ]

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Split the network behind its backbone, or behind its neck, where all before is frozen."""
        return split_parts(
            self._network,
            self.stages().values(),
            frozen,
            lambda targets, _, device: self._prepare(targets, device),
        )

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts that the network itself has made."""
        return dict(outputs)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Do nothing: no loss of this family follows a schedule."""

    def decode(self, outputs: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the scored boxes that the network itself has decoded."""
        return [each.boxes for each in outputs], [each.scores for each in outputs]

    @torch.no_grad()
    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Suppress doubles among the scored boxes."""
        return choose(self, outputs, options)

    def metadata(self) -> dict[str, str]:
        """Return the architecture, what was chosen about it, and the class names."""
        metadata = {
            "family": self.family,
            "arch": self.arch,
            "names": json.dumps(list(self.class_names), ensure_ascii=False),
            "sampled_regions": str(self.options.sampled_regions),
            "training_proposals": str(self.options.training_proposals),
        }
        if self.options.proposals is not None:
            metadata["proposals"] = str(self.options.proposals)
        if self.options.backbone is not None:
            metadata["backbone"] = self.options.backbone
        if self.options.anchors is not None:
            metadata["anchors"] = json.dumps(asdict(self.options.anchors))
        return metadata
