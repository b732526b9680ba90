"""The YOLO family: any detection architecture of ultralytics as a `Detector`.

The network is built with the class count of its source, so that every hidden tensor of the head is taken over too, and
only the last convolution of the class branch is replaced. Boxes are decoded in single precision whatever the network
computes in: a half-precision distance times a stride of 32 would be off by pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map
from torchvision.ops import batched_nms

from detect_transfer.config import Model, Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.boxes import xyxy_to_cxcywh_norm
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import ClassInit, LossPart, Prediction, SplitNetwork, Target, TransferReport
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.yolo.head_transfer import new_class_branch, row_indices
from detect_transfer.models.yolo.loss import loss_parts, prepare_criterion, set_ignored
from detect_transfer.models.yolo.trunk import cut_network
from detect_transfer.models.yolo.ultralytics import build_module, vendor

_LOSS_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # the published defaults of the family
_MOST_CANDIDATES = 5000
_DEFAULT_ARCH = "yolo11n"
_BACKBONE_STAGES: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4")


class YoloDetector:
    """A YOLO network with its class names."""

    family = "yolo"

    def __init__(
        self,
        module: Any,
        arch: str,
        class_names: Sequence[str],
        built_classes: int,
        new_class_params: frozenset[str] = frozenset(),
    ) -> None:
        self.module = module
        self.arch = arch
        self.class_names = tuple(class_names)
        self.built_classes = built_classes
        self.new_class_params = new_class_params
        self.trainable = frozenset(name for name, p in module.named_parameters() if p.requires_grad)
        self.class_weights: torch.Tensor | None = None
        self._head = module.model[-1]
        self._head.xyxy = True  # decode to corners
        module.args = SimpleNamespace(**_LOSS_GAINS, epochs=1)

    @classmethod
    def from_scratch(cls, model: Model, class_names: Sequence[str]) -> YoloDetector:
        """Build an untrained detector of the config's architecture from torch's random state.

        Raises:
            InputError: There is no such architecture, or it has no plain detection head.
        """
        arch = model.arch or _DEFAULT_ARCH
        return cls(_build(arch, len(class_names)), arch, class_names, len(class_names))

    @classmethod
    def from_source(
        cls, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[YoloDetector, TransferReport]:
        """Build a detector for new classes from a pretrained one.

        Args:
            source: The pretrained model.
            class_names: The target classes in order.
            rows: From which source classes each target class starts.
            model: The model part of the config; the weights tell all that this family needs.

        Raises:
            InputError: The weights are of another architecture than they say.
        """
        module = _build(source.arch, source.built_classes)
        if source.built_classes != len(source.class_names):
            new_class_branch(module, len(source.class_names))
        state = module.state_dict()
        fits = {k: t for k, t in source.tensors.items() if k in state and state[k].shape == t.shape}
        missing = tuple(sorted(state.keys() - fits.keys()))
        if len(missing) > 0.5 * len(state):
            raise InputError(
                "WEIGHTS_ARCH",
                f"only {len(fits)} of {len(state)} tensors fit {source.arch}",
                where=source.path,
                remedy="give weights of this architecture, or set model.arch to theirs",
            )
        module.load_state_dict(fits, strict=False)
        index = {name: i for i, name in enumerate(source.class_names)}
        new_class_params: frozenset[str] = frozenset()
        by_rows: tuple[str, ...] = ()
        if tuple(class_names) != source.class_names or any(row.sources != (row.target,) for row in rows):
            replaced = new_class_branch(module, len(class_names), [row_indices(row, index) for row in rows])
            new_class_params = frozenset() if all(row.sources for row in rows) else replaced
            by_rows = tuple(sorted(replaced))
        detector = cls(module, source.arch, class_names, source.built_classes, new_class_params)
        left_out = tuple(sorted(source.tensors.keys() - fits.keys()))
        return detector, TransferReport(tuple(rows), len(fits) - len(by_rows), missing, by_rows, left_out)

    def with_module(self, module: Any) -> YoloDetector:
        """Return a detector of the same kind around another copy of the network."""
        return YoloDetector(module, self.arch, self.class_names, self.built_classes, self.new_class_params)

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer: by its stride in the backbone, then neck and head."""
        of_layer = self._stage_of_layer()
        return {name: of_layer[int(name.split(".")[1])] for name in self.module.state_dict()}

    def _stage_of_layer(self) -> dict[int, Stage]:
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
        return (inputs,)

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Cut the network behind its last layer before which all stages are frozen, backbone and more."""
        return cut_network(self.module, self._stage_of_layer(), frozen)

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts of the vendor's criterion; ignored cells carry none."""
        height, width = size_hw
        counts = [len(target.labels) for target in targets]
        xyxy = np.concatenate([target.xyxy for target in targets])
        cxcywh_norm = xyxy_to_cxcywh_norm(xyxy, (width, height))
        labels = np.concatenate([target.labels for target in targets])
        batch = {
            "batch_idx": torch.repeat_interleave(torch.arange(len(targets)), torch.tensor(counts)).float(),
            "cls": torch.as_tensor(labels, dtype=torch.float32).reshape(-1, 1),
            "bboxes": torch.as_tensor(cxcywh_norm, dtype=torch.float32).reshape(-1, 4),
        }
        if getattr(self.module, "criterion", None) is None:
            prepare_criterion(self.module, self.class_weights)
        set_ignored(self.module, targets, size_hw)
        return loss_parts(self.module.criterion, _to_float(outputs), batch)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Tell the criterion how far training is; the end-to-end heads shift weight between their two branches."""
        self.module.args.epochs = epochs
        prepare_criterion(self.module, self.class_weights)
        criterion = self.module.criterion
        if hasattr(criterion, "decay"):
            criterion.updates = epoch - 1
            criterion.o2m = criterion.decay(epoch - 1)
            criterion.o2o = max(criterion.total - criterion.o2m, 0)

    @torch.no_grad()
    def postprocess(self, outputs: Any, *, score_floor: float, nms_iou: float, max_detections: int) -> list[Prediction]:
        """Decode in single precision, then suppress doubles; one box may be found as several classes."""
        raw = outputs[1]
        if "one2one" in raw:
            raw = raw["one2one" if self._head.end2end else "one2many"]
        decoded = self._head._inference(_to_float(raw)).permute(0, 2, 1)
        boxes, scores = decoded[..., :4], decoded[..., 4:]
        iou = None if self._head.end2end else nms_iou
        return [
            _pick(b, s, score_floor=score_floor, nms_iou=iou, max_detections=max_detections)
            for b, s in zip(boxes, scores, strict=True)
        ]

    def metadata(self) -> dict[str, str]:
        """Return the architecture, the class names and the class count that the head was built with."""
        names = json.dumps(list(self.class_names), ensure_ascii=False)
        return {"family": self.family, "arch": self.arch, "names": names, "built_classes": str(self.built_classes)}


def _build(arch: str, n_classes: int) -> Any:
    module = build_module(arch, n_classes)
    head = module.model[-1]
    if not isinstance(head, vendor().Detect) or not hasattr(head, "cv3"):
        raise InputError(
            "ARCH_HEAD",
            f"its head is a {type(head).__name__}, a plain detection head was expected",
            field="model.arch",
            value=arch,
            remedy="give a detection architecture such as yolo11n or yolov8n",
        )
    return module


@torch.no_grad()
def _layer_strides(module: Any) -> list[int]:
    """Return by how much each layer's output is smaller than the image, by looking at one blank image."""
    side = 256
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


def _pick(
    boxes: torch.Tensor, scores: torch.Tensor, *, score_floor: float, nms_iou: float | None, max_detections: int
) -> Prediction:
    """Choose the detections of one image from boxes (A, 4) and scores (A, K)."""
    place, label = torch.nonzero(scores > score_floor, as_tuple=True)
    score = scores[place, label]
    top = score.argsort(descending=True, stable=True)[: max_detections if nms_iou is None else _MOST_CANDIDATES]
    xyxy, score, label = boxes[place[top]], score[top], label[top]
    if nms_iou is not None:
        keep = batched_nms(xyxy, score, label, nms_iou)[:max_detections]
        xyxy, score, label = xyxy[keep], score[keep], label[keep]
    return Prediction(xyxy.double().cpu().numpy(), score.double().cpu().numpy(), label.cpu().numpy())
