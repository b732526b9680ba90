"""The class rows of a YOLO head: the last convolution of each class branch, made again for other classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from detect_transfer.models.base import ClassInit

_PRIOR = 0.01  # probability of an object, with which a random class row starts
_BRANCHES = ("cv3", "one2one_cv3")


def row_indices(row: ClassInit, index: dict[str, int]) -> list[int] | None:
    """Return the source rows whose mean a row starts from; None for a random start."""
    if row.how == "random":
        return None
    return [index[name] for name in row.sources] or list(index.values())


def class_branches(module: Any) -> set[str]:
    """Return the names of all tensors of the class branches."""
    last = len(module.model) - 1
    starts = tuple(f"model.{last}.{branch}." for branch in _BRANCHES)
    return {name for name in module.state_dict() if name.startswith(starts)}


def class_layers(module: Any) -> list[str]:
    """Return the names of the parameters of the last convolution of each class branch."""
    last, head = len(module.model) - 1, module.model[-1]
    return [
        f"model.{last}.{branch}.{i_level}.{len(level) - 1}.{kind}"
        for branch in _BRANCHES
        for i_level, level in enumerate(getattr(head, branch, None) or ())
        for kind in ("weight", "bias")
    ]


@torch.no_grad()
def new_class_branch(module: Any, n_classes: int, rows: Sequence[Sequence[int] | None] | None = None) -> frozenset[str]:
    """Replace the last convolution of each class branch.

    Args:
        module: The network, changed in place.
        n_classes: Rows of the new convolutions.
        rows: Of each new row, the old rows that it is the mean of, None for a random start; none leaves all unset.

    Returns:
        The names of the parameters that were replaced.
    """
    head = module.model[-1]
    for branch in _BRANCHES:
        for level in getattr(head, branch, None) or ():
            old = level[-1]
            new: Any = nn.Conv2d(old.in_channels, n_classes, 1)
            new.bias.fill_(math.log(_PRIOR / (1 - _PRIOR)))
            for i, sources in enumerate(rows or ()):
                if sources is not None:
                    new.weight[i] = old.weight[list(sources)].mean(dim=0)
                    new.bias[i] = old.bias[list(sources)].mean()
            level[-1] = new
    head.nc = n_classes
    head.no = n_classes + head.reg_max * 4
    module.names = {i: str(i) for i in range(n_classes)}
    return frozenset(class_layers(module))
