"""The transformers family: D-FINE, RT-DETRv2 and RF-DETR as a `Detector`.

The tensors keep the library's names. Queries give each object once, so doubles are not suppressed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from detect_transfer.config import Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.boxes import xyxy_to_cxcywh_norm
from detect_transfer.models.base import LossPart, Postprocess, Prediction, SplitNetwork, Target
from detect_transfer.models.device import sent
from detect_transfer.models.letterbox import PAD_VALUE
from detect_transfer.models.network_parts import split_parts
from detect_transfer.models.postprocess import choose
from detect_transfer.models.targets import check_inputs, check_targets
from detect_transfer.models.torchvision.losses import TargetDict
from detect_transfer.models.transformers.build import stage_of
from detect_transfer.models.transformers.head_transfer import class_rows
from detect_transfer.models.transformers.network import Network

_CONSTANTS = ("decoder.reg_scale", "decoder.up", "embeddings.mask_token")  # parameters in name alone
_NMS_IOU = 0.7  # where doubles of different classes are to be suppressed
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, for RF-DETR; the others take [0, 1]


class TransformersDetector:
    """A network of the library with its class names."""

    family = "transformers"
    suppresses = False

    def __init__(
        self,
        network: Network,
        arch: str,
        class_names: Sequence[str],
        settings: Mapping[str, Any] | None = None,
        new_class_params: frozenset[str] = frozenset(),
    ) -> None:
        self._network = network
        self.module: nn.Module = network
        self.arch = arch
        self.class_names = tuple(class_names)
        self.settings = settings
        self.new_class_params = new_class_params
        self.trainable = frozenset(name for name, _ in network.named_parameters() if not name.endswith(_CONSTANTS))
        self.nms_iou = _NMS_IOU

    @property
    def dynamic_axes(self) -> frozenset[str]:
        """None: cells and positions of one size are constants of a traced graph."""
        return frozenset()

    @property
    def class_weights(self) -> torch.Tensor | None:
        """(K,) weight of each class in the classification loss; None weighs all alike."""
        return self._network.class_weights

    @class_weights.setter
    def class_weights(self, weights: torch.Tensor | None) -> None:
        self._network.class_weights = weights

    def with_module(self, module: Any) -> TransformersDetector:
        """Return a detector of the same kind around another copy of the network."""
        return TransformersDetector(module, self.arch, self.class_names, self.settings, self.new_class_params)

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer: by its place in the backbone, then neck and head."""
        return {name: stage_of(name, self._network) for name in self.module.state_dict()}

    def class_rows(self) -> dict[str, list[int]]:
        """Return the class index of each row of the class layers, and of the queries that denoise."""
        return class_rows(self._network, len(self.class_names))

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Do nothing: the family has no anchors, and the config refuses to ask for them."""

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into single precision, padded right and below to a size that the network takes.

        That is a multiple of its patches or strides; in RF-DETR with a cell for each query.
        """
        height, width = self._input_size(int(images.shape[2]), int(images.shape[3]))
        padding = (0, width - int(images.shape[3]), 0, height - int(images.shape[2]))
        if any(padding):
            images = functional.pad(images, padding, value=PAD_VALUE)
        if self._network.settings.model_type != "rf_detr":
            return images.float().div_(255)
        mean, std = sent(torch.tensor([_MEAN, _STD]), images.device).view(2, 3, 1, 1)
        return torch.addcmul(-mean / std, images.float(), 1 / (255 * std))

    def _input_size(self, height: int, width: int) -> tuple[int, int]:
        multiple = self._network.multiple
        height, width = (-(-side // multiple) * multiple for side in (height, width))
        while self._network.cells((height, width)) < self._network.least_cells:
            height, width = (height + multiple, width) if height <= width else (height, width + multiple)
        return height, width

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the inputs and the targets as the network takes them.

        Raises:
            InputError: An image or a box is not finite, a box has no area or a label is none of the classes.
        """
        check_inputs(inputs)
        size_hw = (int(inputs.shape[2]), int(inputs.shape[3]))
        return inputs, self._prepare(targets, size_hw, inputs.device)

    def _prepare(
        self, targets: Sequence[Target] | None, size_hw: tuple[int, int], device: torch.device
    ) -> list[TargetDict] | None:
        """Return the targets as shares of the input."""
        if targets is None:
            return None
        check_targets(targets, len(self.class_names))
        height, width = size_hw
        sides = torch.tensor([width, height] * 2, dtype=torch.float32)
        on_host = [
            {
                "boxes": torch.as_tensor(
                    xyxy_to_cxcywh_norm(target.xyxy.reshape(-1, 4), (width, height)), dtype=torch.float32
                ),
                "class_labels": torch.as_tensor(target.labels, dtype=torch.int64),
                "ignored": torch.as_tensor(target.ignored, dtype=torch.float32).reshape(-1, 4) / sides,
            }
            for target in targets
        ]
        return [{name: sent(tensor, device) for name, tensor in each.items()} for each in on_host]

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Split the network behind its backbone, or behind its neck, where all before is frozen."""
        return split_parts(self._network, self.stages().values(), frozen, self._prepare)

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts that the network itself has made."""
        return dict(outputs)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Do nothing: no loss of this family follows a schedule."""

    def decode(self, outputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the boxes (B, Q, 1, 4) and scores (B, Q, K) that the network itself has decoded."""
        boxes, scores = outputs
        return boxes, scores

    @torch.no_grad()
    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Choose among the scored boxes; doubles are suppressed where those of different classes are to be."""
        return choose(self, outputs, options)

    def metadata(self) -> dict[str, str]:
        """Return the architecture, the class names, and the config of a network of no known architecture."""
        metadata = {
            "family": self.family,
            "arch": self.arch,
            "names": json.dumps(list(self.class_names), ensure_ascii=False),
        }
        if self.settings is not None:
            metadata["config"] = json.dumps(self.settings, sort_keys=True)
        return metadata
