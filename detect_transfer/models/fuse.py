"""Batch norm folded into the convolution before it, for prediction: the same function in fewer steps."""

from __future__ import annotations

import copy
import logging
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._pytree import tree_leaves
from torchvision.ops import FrozenBatchNorm2d

from detect_transfer.models.base import Predictor

logger = logging.getLogger(__name__)

_PROBE_PX = 64
_CLOSE = 1e-3  # of outputs, relative to the largest value of each; single precision gives 1e-5


def fused(detector: Predictor) -> Predictor:
    """Return a detector for prediction alone whose batch norms are folded into convolutions; the given one stays.

    A batch norm is folded where it is registered right behind a convolution of as many channels. The result is kept
    only if it gives what the network gave on noise.
    """
    if not hasattr(detector, "with_module"):  # it was exported
        return detector
    module = copy.deepcopy(detector.module).eval()
    if not _fold(module):
        return detector
    folded: Predictor = detector.with_module(module)
    if not _agree(detector, folded):
        logger.warning("%s is not the same with batch norms folded in; it predicts as it is", detector.arch)
        return detector
    return folded


def _fold(module: nn.Module) -> int:
    """Fold every pair of convolution and batch norm below a module; return how many there were."""
    count = 0
    for parent in list(module.modules()):
        for (_, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if type(conv) is not nn.Conv2d or not isinstance(norm, nn.BatchNorm2d | FrozenBatchNorm2d):
                continue
            mean, variance = norm.running_mean, norm.running_var
            if mean is None or variance is None or mean.numel() != conv.out_channels:
                continue
            weight, bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
            )
            conv.weight, conv.bias = weight, bias
            setattr(parent, norm_name, nn.Identity())
            count += 1
    return count


@torch.no_grad()
def _agree(detector: Predictor, folded: Predictor) -> bool:
    parameter = next(folded.module.parameters())
    noise = torch.randint(0, 256, (1, 3, _PROBE_PX, _PROBE_PX), generator=torch.Generator().manual_seed(0))
    inputs = detector.preprocess(noise.to(torch.uint8).to(parameter.device))
    was_training = detector.module.training
    detector.module.eval()
    try:
        outputs = [
            [leaf for leaf in tree_leaves(each.module(*each.forward_args(inputs, None))) if _is_number(leaf)]
            for each in (detector, folded)
        ]
    finally:
        detector.module.train(was_training)
    return len(outputs[0]) == len(outputs[1]) and all(
        a.shape == b.shape and bool((a - b).abs().max() <= _CLOSE * a.abs().max().clamp(min=1e-6))
        for a, b in zip(*outputs, strict=True)
        if a.numel()
    )


def _is_number(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
