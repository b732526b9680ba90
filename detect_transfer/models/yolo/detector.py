"""The YOLO family: any detection architecture of ultralytics as a `Detector`.

Boxes are decoded in single precision whatever the network computes in: a half-precision distance times a stride of 32
would be off by pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torchvision
from torch.utils._pytree import tree_map

from detect_transfer.config import Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.boxes import xyxy_to_cxcywh_norm
from detect_transfer.models.base import LossPart, Postprocess, Prediction, SplitNetwork, Target
from detect_transfer.models.postprocess import choose
from detect_transfer.models.yolo.head_transfer import class_layers
from detect_transfer.models.yolo.loss import loss_parts, prepare_criterion, set_ignored
from detect_transfer.models.yolo.split import split_network

_LOSS_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # the published defaults of the family
_NMS_IOU = 0.7
_BACKBONE_STAGES: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4")


class YoloDetector:
    """A YOLO network with its class names."""

    family = "yolo"
    dynamic_axes = frozenset({"batch", "size"})

    def __init__(
        self,
        module: Any,
        arch: str,
        class_names: Sequence[str],
        new_class_params: frozenset[str] = frozenset(),
    ) -> None:
        self.module = module
        self.arch = arch
        self.class_names = tuple(class_names)
        self.new_class_params = new_class_params
        self.trainable = frozenset(name for name, p in module.named_parameters() if p.requires_grad)
        self.class_weights: torch.Tensor | None = None
        self.nms_iou = _NMS_IOU
        self._head = module.model[-1]
        self._head.xyxy = True  # decode to corners
        self._stages: dict[int, Stage] | None = None  # looked up once: it takes a pass of the network
        module.args = SimpleNamespace(**_LOSS_GAINS, epochs=1)

    def with_module(self, module: Any) -> YoloDetector:
        """Return a detector of the same kind around another copy of the network."""
        return YoloDetector(module, self.arch, self.class_names, self.new_class_params)

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer: by its stride in the backbone, then neck and head."""
        of_layer = self._stage_of_layer()
        return {name: of_layer[int(name.split(".")[1])] for name in self.module.state_dict()}

    def class_rows(self) -> dict[str, list[int]]:
        """Return the class index of each row of the last convolution of each class branch."""
        return {name: list(range(len(self.class_names))) for name in class_layers(self.module)}

    def _stage_of_layer(self) -> dict[int, Stage]:
        if self._stages is None:
            self._stages = self._look_up_stages()
        return self._stages

    def _look_up_stages(self) -> dict[int, Stage]:
        n_backbone = len(self.module.yaml["backbone"])
        last = len(self.module.model) - 1
        strides = _layer_strides(self.module)
        stage_of_layer: dict[int, Stage] = {}
        for i in range(last + 1):
            if i == last:
                stage_of_layer[i] = "head"
            elif i >= n_backbone:
                stage_of_layer[i] = "neck"
            else:
                depth = int(np.log2(strides[i])) - 1 if strides[i] >= 2 else 0
                stage_of_layer[i] = _BACKBONE_STAGES[min(depth, 4)]
        return stage_of_layer

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Do nothing: the family has no anchors, and the config refuses to ask for them."""

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into single precision in [0, 1]."""
        return images.float().div_(255)

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the inputs alone: the loss is outside the network."""
        self._head.dynamic = torchvision._is_tracing()  # the cells of one size would be constants of the graph
        return (inputs,)

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Split the network behind its last layer before which all stages are frozen, backbone and more."""
        return split_network(self.module, self._stage_of_layer(), frozen)

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts of the criterion of ultralytics; ignored cells carry none."""
        height, width = size_hw
        counts = [len(target.labels) for target in targets]
        xyxy = np.concatenate([target.xyxy for target in targets])
        cxcywh_norm = xyxy_to_cxcywh_norm(xyxy, (width, height))
        labels = np.concatenate([target.labels for target in targets])
        index = np.repeat(np.arange(len(targets)), counts)
        rows = np.column_stack([index, labels.reshape(-1), cxcywh_norm.reshape(-1, 4)])
        if getattr(self.module, "criterion", None) is None:
            prepare_criterion(self.module, self.class_weights)
        set_ignored(self.module, targets, size_hw)
        return loss_parts(self.module.criterion, _to_float(outputs), torch.as_tensor(rows, dtype=torch.float32))

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Set how far training is in the criterion; the end-to-end heads shift weight between their two branches."""
        self.module.args.epochs = epochs
        prepare_criterion(self.module, self.class_weights)
        criterion = self.module.criterion
        if hasattr(criterion, "decay"):
            criterion.updates = epoch - 1
            criterion.o2m = criterion.decay(epoch - 1)
            criterion.o2o = max(criterion.total - criterion.o2m, 0)

    @property
    def suppresses(self) -> bool:
        """Whether doubles are suppressed; an end-to-end head gives each object once."""
        return not self._head.end2end

    def decode(self, outputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode in single precision to boxes (B, A, 1, 4) and scores (B, A, K)."""
        raw = outputs[1]
        if "one2one" in raw:
            raw = raw["one2many" if self.suppresses else "one2one"]
        if self._head.anchors.dtype != torch.float32:  # made in half precision, without the middles of cells past 128
            self._head.shape = None
        decoded = self._head._inference(_to_float(raw)).permute(0, 2, 1)  # (B, A, 4 + K)
        return decoded[:, :, None, :4], decoded[:, :, 4:]

    @torch.no_grad()
    def postprocess(self, outputs: Any, options: Postprocess) -> list[Prediction]:
        """Decode, then suppress doubles; an end-to-end head gives each object once."""
        return choose(self, outputs, options)

    def metadata(self) -> dict[str, str]:
        """Return the architecture and the class names."""
        names = json.dumps(list(self.class_names), ensure_ascii=False)
        return {"family": self.family, "arch": self.arch, "names": names}


@torch.no_grad()
def _layer_strides(module: Any) -> list[int]:
    """Return by how much each layer's output is smaller than the image, by looking at one blank image."""
    side = 64
    strides: list[int] = []
    hooks = [
        layer.register_forward_hook(
            lambda _m, _i, out: strides.append(side // out.shape[-1] if isinstance(out, torch.Tensor) else 0)
        )
        for layer in module.model
    ]
    was_training, parameter = module.training, next(module.parameters())
    module.eval()
    module(torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype))
    module.train(was_training)
    for hook in hooks:
        hook.remove()
    return strides


def _to_float(outputs: Any) -> Any:
    """Turn every tensor of nested outputs into single precision."""
    return tree_map(lambda value: value.float() if isinstance(value, torch.Tensor) else value, outputs)
