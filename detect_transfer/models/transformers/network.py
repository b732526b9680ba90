"""The networks of the transformers family: the library's parts under its names, and our losses.

In training a network is called with targets and gives loss parts; without targets it gives boxes and scores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torchvision.ops import box_convert

from detect_transfer.models.base import LossPart
from detect_transfer.models.device import sent
from detect_transfer.models.network_parts import Maps
from detect_transfer.models.torchvision.losses import TargetDict, not_finite
from detect_transfer.models.transformers.losses import (
    Layer,
    Matches,
    Pairs,
    corner_loss,
    distillation,
    overlap_aware,
    varifocal,
)
from detect_transfer.models.transformers.matchers import CornerTargets, group_matcher, one_matcher


class Network(nn.Module):
    """A network of the library, run in three parts: the backbone, the neck, and the decoder with its heads.

    Args:
        stock: The library's network for object detection; its parts are taken over.
    """

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.model: Any = stock.model
        self.settings = stock.config
        self.class_weights: torch.Tensor | None = None
        self.strides: tuple[int, ...] = ()  # of the levels that the queries are chosen from
        self.body_stride = 0  # of the first map of the backbone
        self.multiple = 32  # of which both sides of the input are
        self.least_cells = 0  # of an input

    def forward(self, images: torch.Tensor, targets: Sequence[TargetDict] | None = None) -> Any:
        """Run the whole network on (B, 3, H, W)."""
        size_hw = (int(images.shape[2]), int(images.shape[3]))
        return self.heads(self.neck(self.body(images)), size_hw, targets)

    def body(self, images: torch.Tensor) -> Maps:
        """Return the maps of the backbone."""
        raise NotImplementedError

    def neck(self, maps: Sequence[torch.Tensor]) -> Maps:
        """Return the maps that the decoder looks at."""
        raise NotImplementedError

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or boxes and scores; `size_hw` is that of the input in pixels."""
        raise NotImplementedError

    def cells(self, size_hw: tuple[int, int]) -> int:
        """Return from how many cells queries are chosen in an input of this size."""
        return sum((size_hw[0] // stride) * (size_hw[1] // stride) for stride in self.strides)


class RtDetr(Network):
    """RT-DETRv2: a hybrid encoder, and a decoder that refines boxes.

    The library keeps its class and box layers twice; only those that are used are taken over.
    """

    def __init__(self, stock: Any) -> None:
        super().__init__(stock)
        levels, strides = self.settings.num_feature_levels, [int(each) for each in self.settings.feat_strides]
        self.strides = tuple([*strides, *(strides[-1] * 2**i for i in range(1, levels))][:levels])
        self.body_stride = strides[0]
        self._most_queries = int(self.settings.num_queries)
        self._match = one_matcher(self.settings)

    def body(self, images: torch.Tensor) -> Maps:
        """Return the maps of the backbone."""
        return tuple(self.model.backbone.model(images).feature_maps)

    def neck(self, maps: Sequence[torch.Tensor]) -> Maps:
        """Return the maps of the encoder."""
        projected = [layer(each) for layer, each in zip(self.model.encoder_input_proj, maps, strict=True)]
        return tuple(self.model.encoder(projected).last_hidden_state)

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or boxes and scores."""
        self.settings.num_queries = min(self._most_queries, self.cells(size_hw))  # a small input has fewer cells
        outputs = self.model(None, inputs_embeds=maps[0], encoder_outputs=(list(maps),), labels=targets)
        logits, boxes = outputs.intermediate_logits, outputs.intermediate_reference_points
        if targets is None:
            return _scored(logits[:, -1], boxes[:, -1], size_hw)
        with torch.autocast(logits.device.type, enabled=False):
            return self._losses(outputs, targets)

    def layers(self, outputs: Any, queries: slice) -> list[Layer]:
        """Return what each layer of the decoder gives for some queries, the last layer last."""
        logits, boxes = outputs.intermediate_logits.float(), outputs.intermediate_reference_points.float()
        return [Layer(logits[:, i, queries], boxes[:, i, queries]) for i in range(logits.shape[1])]

    def _losses(self, outputs: Any, targets: Sequence[TargetDict]) -> dict[str, LossPart]:
        denoising = outputs.denoising_meta_values
        first = denoising["dn_num_split"][0] if denoising else 0
        normal = self.layers(outputs, slice(first, None))
        chosen = Layer(outputs.enc_topk_logits.float(), outputs.enc_topk_bboxes.float())
        count = float(sum(len(target["class_labels"]) for target in targets))
        matched = [(each, Matches.of(each, self._match(each, targets), targets)) for each in [*normal, chosen]]
        sums = {name: [value] for name, value in self._sums(matched, normal[-1]).items()}
        counts = [count]
        if denoising:
            noisy = self.layers(outputs, slice(0, first))
            pairs, real = _denoising_pairs(denoising, targets)
            sums_of_noisy = self._sums([(e, Matches.of(e, pairs, targets, real)) for e in noisy], noisy[-1])
            counts.append(count * denoising["dn_num_group"])
        else:
            sums_of_noisy = {name: torch.zeros_like(value[0]) for name, value in sums.items()}
            counts.append(0.0)
        images = float(len(targets))
        parts = {}
        for name, values in sums.items():
            total = torch.stack([*values, sums_of_noisy[name]])
            each_count = [images, images if denoising else 0.0] if name == "distillation" else counts
            parts[name] = LossPart(total, sent(torch.tensor(each_count), total.device))
        part = parts["class"]
        extra = not_finite(outputs.intermediate_logits.float(), outputs.intermediate_reference_points.float())
        if hasattr(self.model, "denoising_class_embed"):  # several processes wait for its gradient where no box is
            extra = extra + 0 * self.model.denoising_class_embed.weight.float().sum()
        return {**parts, "class": LossPart(part.total + torch.stack([extra, torch.zeros_like(extra)]), part.count)}

    def _sums(self, matched: Sequence[tuple[Layer, Matches]], last: Layer) -> dict[str, torch.Tensor]:
        """Return the weighted sum of each loss over some layers."""
        settings = self.settings
        alpha, gamma = settings.focal_loss_alpha, settings.focal_loss_gamma
        classes, boxes = [], []
        for layer, matches in matched:
            classes.append(settings.weight_loss_vfl * varifocal(layer, matches, alpha, gamma, self.class_weights))
            distance, overlap = matches.box_losses(layer.boxes)
            boxes.append(settings.weight_loss_bbox * distance + settings.weight_loss_giou * overlap)
        return {"class": torch.stack(classes).sum(), "box": torch.stack(boxes).sum()}


class DFine(RtDetr):
    """D-FINE: its layers give distributions of edges, and the earlier ones learn from the last."""

    def __init__(self, stock: Any) -> None:
        super().__init__(stock)
        self._corner_targets = CornerTargets(self.settings.max_num_bins)

    def layers(self, outputs: Any, queries: slice) -> list[Layer]:
        """Return what each layer gives; the first is the box before its edges are refined, without corners."""
        first, *rest = super().layers(outputs, queries)
        corners, starts = outputs.intermediate_predicted_corners.float(), outputs.initial_reference_points.float()
        return [
            first,
            *(Layer(e.logits, e.boxes, corners[:, i, queries], starts[:, i, queries]) for i, e in enumerate(rest)),
        ]

    def _sums(self, matched: Sequence[tuple[Layer, Matches]], last: Layer) -> dict[str, torch.Tensor]:
        clamped = [(Layer(e.logits, e.boxes.clamp(0, 1), e.corners, e.starts), m) for e, m in matched]
        sums = super()._sums(clamped, last)
        zero = torch.zeros_like(sums["class"])
        decoder, edges, followed = self.model.decoder, [zero], [zero]
        for layer, matches in clamped:
            if layer.corners is None:
                continue
            edges.append(corner_loss(layer, matches, self._corner_targets(layer, matches, decoder)))
            if layer.corners is not last.corners:
                followed.append(distillation(layer, last, matches))
        return {
            **sums,
            "corner": self.settings.weight_loss_fgl * torch.stack(edges).sum(),
            "distillation": self.settings.weight_loss_ddf * torch.stack(followed).sum(),
        }


class _Given(nn.Module):
    """Stands for the backbone of RF-DETR in the library: its maps are computed before, and passed through."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.backbone, self.projector = encoder.backbone, encoder.projector

    def forward(self, features: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both; nothing is masked."""
        return features, mask.bool()


class RfDetr(Network):
    """RF-DETR: DINOv2 with windows, one map, and groups of queries in training."""

    def __init__(self, stock: Any) -> None:
        super().__init__(stock)
        self.class_embed, self.bbox_embed = stock.class_embed, stock.bbox_embed
        self.model.backbone = _Given(stock.model.backbone)
        backbone = self.settings.backbone_config
        self.strides, self.body_stride = (int(backbone.patch_size),), int(backbone.patch_size)
        self.multiple = int(backbone.patch_size * backbone.num_windows)
        self.least_cells = int(self.settings.num_queries)  # each is learnt, so none is left out
        self._match = group_matcher(self.settings)

    def body(self, images: torch.Tensor) -> Maps:
        """Return the maps of the backbone."""
        return tuple(self.model.backbone.backbone(images).feature_maps)

    def neck(self, maps: Sequence[torch.Tensor]) -> Maps:
        """Return the one map that the maps are projected to."""
        return (self.model.backbone.projector(maps),)

    def heads(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int], targets: Any) -> Any:
        """Return the loss parts, or boxes and scores."""
        outputs = self.model(maps[0])
        states, starts = outputs.intermediate_hidden_states, outputs.intermediate_reference_points
        if targets is None:
            logits, boxes = self._predict(outputs.last_hidden_state, starts[-1])
            return _scored(logits, boxes, size_hw)
        logits, boxes = self._predict(states, starts)
        queries = outputs.enc_outputs_class.split(self.settings.num_queries, dim=1)
        embedded = zip(self.model.enc_out_class_embed, queries, strict=False)
        chosen = torch.cat([layer(each) for layer, each in embedded], dim=1)
        with torch.autocast(logits.device.type, enabled=False):
            pairs = zip([*logits, chosen], [*boxes, outputs.enc_outputs_coord_logits], strict=True)
            return self._losses([Layer(a.float(), b.float()) for a, b in pairs], len(queries), targets)

    def _predict(self, states: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = self.bbox_embed(states)
        centre = moved[..., :2] * starts[..., 2:] + starts[..., :2]
        return self.class_embed(states), torch.cat([centre, moved[..., 2:].exp() * starts[..., 2:]], dim=-1)

    def _losses(self, layers: Iterable[Layer], groups: int, targets: Sequence[TargetDict]) -> dict[str, LossPart]:
        settings = self.settings
        classes, boxes, outputs = [], [], []
        for layer in layers:
            matches = Matches.of(layer, self._match(layer, targets, groups), targets)
            loss = overlap_aware(layer, matches, settings.focal_alpha, self.class_weights)
            classes.append(settings.class_loss_coefficient * loss)
            distance, overlap = matches.box_losses(layer.boxes)
            boxes.append(settings.bbox_loss_coefficient * distance + settings.giou_loss_coefficient * overlap)
            outputs += [layer.logits, layer.boxes]
        count = float(groups * sum(len(target["class_labels"]) for target in targets))
        total = torch.stack(classes).sum() + not_finite(*outputs)
        return {"class": LossPart.of(total, count), "box": LossPart.of(torch.stack(boxes).sum(), count)}


NETWORKS: dict[str, type[Network]] = {"d_fine": DFine, "rt_detr_v2": RtDetr, "rf_detr": RfDetr}


def _denoising_pairs(facts: Any, targets: Sequence[TargetDict]) -> tuple[Pairs, torch.Tensor]:
    """Return which denoising queries stand for which target, and (B, Q) which are no filling."""
    sizes = [len(target["class_labels"]) for target in targets]
    device = targets[0]["class_labels"].device
    pairs = [
        (query.to(device), torch.arange(size, device=device).tile(facts["dn_num_group"]))
        for query, size in zip(facts["dn_positive_idx"], sizes, strict=True)
    ]
    number = torch.arange(facts["dn_num_split"][0], device=device) % max(sizes)
    return pairs, number[None] < sent(torch.tensor(sizes), device)[:, None]


def _scored(logits: torch.Tensor, boxes: torch.Tensor, size_hw: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes (B, Q, 1, 4) in network pixels and scores (B, Q, K)."""
    height, width = size_hw
    xyxy = box_convert(boxes.float(), "cxcywh", "xyxy") * boxes.new_tensor([width, height] * 2, dtype=torch.float32)
    return xyxy[:, :, None], logits.float().sigmoid()
