"""The torchvision family: Faster R-CNN on any classification backbone, RetinaNet, FCOS and SSDlite as a `Detector`.

The tensors keep torchvision's names, so its checkpoints load; how the networks differ from stock is told in
`tv_regions`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch

from detect_transfer.config import Model, Stage
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import ClassInit, LossPart, Prediction, SplitNetwork, Target, TransferReport
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.torchvision.anchors import AnchorShapes
from detect_transfer.models.torchvision.build import ARCHITECTURES, CHOSEN_BACKBONE, Built, Options, build
from detect_transfer.models.torchvision.head_transfer import class_layers, take_over
from detect_transfer.models.torchvision.losses import TargetDict
from detect_transfer.models.torchvision.network import Network, Rest, pick

_DEFAULT_ARCH = "fasterrcnn_mobilenet_v3_large_320_fpn"


class TorchvisionDetector:
    """A torchvision network with its class names."""

    family = "torchvision"

    def __init__(
        self,
        built: Built,
        arch: str,
        class_names: Sequence[str],
        options: Options,
        new_class_params: frozenset[str] = frozenset(),
    ) -> None:
        self.module: Network = built.network
        self.arch = arch
        self.class_names = tuple(class_names)
        self.options = options
        self.new_class_params = new_class_params
        self.trainable = frozenset(name for name, _ in built.network.named_parameters())
        self._built = built

    @classmethod
    def from_scratch(cls, model: Model, class_names: Sequence[str]) -> TorchvisionDetector:
        """Build an untrained detector of the config's architecture from torch's random state.

        Raises:
            InputError: There is no such architecture, or what is chosen about it is not for it.
        """
        arch = model.arch or (CHOSEN_BACKBONE if model.backbone else _DEFAULT_ARCH)
        options = Options(model.backbone, model.sampled_regions)
        return cls(build(arch, len(class_names), options), arch, class_names, options)

    @classmethod
    def from_source(
        cls, source: SourceWeights, class_names: Sequence[str], rows: Sequence[ClassInit], model: Model | None
    ) -> tuple[TorchvisionDetector, TransferReport]:
        """Build a detector for new classes from a pretrained one, or on a pretrained backbone.

        Args:
            source: The pretrained model.
            class_names: The target classes in order.
            rows: From which source classes each target class starts.
            model: The model part of the config; what it leaves open is that of the source.

        Raises:
            InputError: The weights are of another architecture or backbone.
        """
        arch = (model.arch if model else None) or source.arch or (CHOSEN_BACKBONE if model and model.backbone else "")
        if not arch:
            raise InputError(
                "ARCH_MISSING",
                "these weights are of a backbone alone",
                where=source.path,
                field="model.arch",
                remedy="give model.arch=fasterrcnn with model.backbone, or one of " + ", ".join(ARCHITECTURES),
            )
        options = _options(model, source.metadata)
        built = build(arch, len(class_names), options)
        taken = take_over(built.network, source, rows)
        layers = class_layers(built.network)
        slower_rest = not layers & set(taken.new_tensors)  # else the whole head is new, and learns alike
        new_class_params = layers if slower_rest and any(not row.sources for row in taken.rows) else frozenset()
        return cls(built, arch, class_names, options, new_class_params), taken

    def fit_anchors(self, sizes_wh: FloatArray) -> None:
        """Choose anchors by the training boxes (N, 2), width and height in network pixels.

        Raises:
            InputError: The architecture has no anchors to fit, or there is no box.
        """
        self.options = replace(self.options, anchors=self.module.fit_anchors(sizes_wh))

    @property
    def class_weights(self) -> torch.Tensor | None:
        """(K,) weight of each class in the classification loss; None weighs all alike."""
        return self.module.class_weights

    @class_weights.setter
    def class_weights(self, weights: torch.Tensor | None) -> None:
        self.module.class_weights = weights

    def with_module(self, module: Any) -> TorchvisionDetector:
        """Return a detector of the same kind around another copy of the network."""
        return TorchvisionDetector(
            replace(self._built, network=module), self.arch, self.class_names, self.options, self.new_class_params
        )

    def stages(self) -> dict[str, Stage]:
        """Return the stage of every parameter and buffer: by its stride in the backbone, then neck, rpn and head."""
        return {name: self._stage(name) for name in self.module.state_dict()}

    def _stage(self, name: str) -> Stage:
        return next((stage for start, stage in self._built.stages.items() if name.startswith(start)), "head")

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (B, 3, H, W) uint8 RGB into single precision with the mean and spread that the weights know."""
        mean, std = (
            images.new_tensor(each, dtype=torch.float32).view(3, 1, 1) for each in (self._built.mean, self._built.std)
        )
        return torch.addcmul(-mean / std, images.float(), 1 / (255 * std))

    def forward_args(self, inputs: torch.Tensor, targets: Sequence[Target] | None) -> tuple[Any, ...]:
        """Return the inputs and the targets as the network takes them.

        Raises:
            InputError: An image or a box is not finite, a box has no area or a label is none of the classes: a kernel
                would crash on it or batch norm keep it for good.
        """
        finite = torch.isfinite(inputs.detach().flatten(1).sum(dim=1))
        if not bool(finite.all()):
            raise InputError(
                "INPUT_NOT_FINITE",
                f"image {int((~finite).nonzero()[0])} of the batch has values that are not finite",
                remedy="look at this image and at the augmentations",
            )
        return inputs, self._prepare(targets, inputs.device)

    def _prepare(self, targets: Sequence[Target] | None, device: torch.device) -> list[TargetDict] | None:
        if targets is None:
            return None
        for i, target in enumerate(targets):
            _check(i, target, len(self.class_names))
        shift = int(self.module.has_background)
        return [
            {
                "boxes": torch.as_tensor(target.xyxy, dtype=torch.float32).reshape(-1, 4).to(device),
                "labels": torch.as_tensor(target.labels, dtype=torch.int64).to(device) + shift,
                "ignored": torch.as_tensor(target.ignored, dtype=torch.float32).reshape(-1, 4).to(device),
            }
            for target in targets
        ]

    def split(self, frozen: frozenset[Stage]) -> SplitNetwork | None:
        """Cut the network behind its backbone, or behind its neck, where all before is frozen."""
        backbone = set(self.stages().values()) - {"neck", "rpn", "head"}
        if not backbone <= frozen:
            return None
        network, behind_neck = self.module, "neck" in frozen

        def trunk(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = network.body(images)
            return network.neck(maps) if behind_neck else maps

        return SplitNetwork(trunk, Rest(network, behind_neck=behind_neck, prepare=self._prepare))

    def loss(self, outputs: Any, targets: Sequence[Target], size_hw: tuple[int, int]) -> dict[str, LossPart]:
        """Return the loss parts that the network itself has made."""
        return dict(outputs)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Take no notice: no loss of this family follows a schedule."""

    @torch.no_grad()
    def postprocess(self, outputs: Any, *, score_floor: float, nms_iou: float, max_detections: int) -> list[Prediction]:
        """Suppress doubles among the scored boxes; one box may be found as several classes."""
        return [pick(each, score_floor=score_floor, nms_iou=nms_iou, max_detections=max_detections) for each in outputs]

    def metadata(self) -> dict[str, str]:
        """Return the architecture, what was chosen about it, and the class names."""
        rows = len(self.class_names) + self.module.has_background
        metadata = {
            "family": self.family,
            "arch": self.arch,
            "names": json.dumps(list(self.class_names), ensure_ascii=False),
            "built_classes": str(rows),
            "sampled_regions": str(self.options.sampled_regions),
        }
        if self.options.backbone is not None:
            metadata["backbone"] = self.options.backbone
        if self.options.anchors is not None:
            metadata["anchors"] = json.dumps(asdict(self.options.anchors))
        return metadata


def _options(model: Model | None, metadata: dict[str, str]) -> Options:
    """Return what is chosen about an architecture: by the config, else as the source was built."""
    anchors = None
    try:
        if "anchors" in metadata:
            told = json.loads(metadata["anchors"])
            anchors = AnchorShapes(*(tuple(map(tuple, told[key])) for key in ("sizes", "aspect_ratios")))
        regions = model.sampled_regions if model else int(metadata.get("sampled_regions", Options.sampled_regions))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "WEIGHTS_CARD", f"the header of the weights cannot be read ({error!r})", remedy="fetch them again"
        ) from error
    return Options((model.backbone if model else None) or metadata.get("backbone"), regions, anchors)


def _check(place: int, target: Target, n_classes: int) -> None:
    """Raise where a box or a label could harm a kernel."""
    xyxy, labels = np.asarray(target.xyxy).reshape(-1, 4), np.asarray(target.labels)
    what = ""
    if not (np.isfinite(xyxy).all() and np.isfinite(target.ignored).all()):
        what = "a box that is not finite"
    elif (xyxy[:, 2:] <= xyxy[:, :2]).any():
        what = "a box without area"
    elif len(labels) != len(xyxy) or ((labels < 0) | (labels >= n_classes)).any():
        what = f"labels that are not one class index in 0..{n_classes - 1} for each box"
    if what:
        raise InputError(
            "TARGET_WRONG", f"image {place} of the batch has {what}", remedy="fix the boxes of the data set"
        )
