"""The class rows of a YOLO head: the last convolution of each class branch, made again for other classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from detect_transfer.models.base import ClassInit

_PRIOR = 0.01  # probability of an object, with which a random class row starts


def row_indices(row: ClassInit, index: dict[str, int]) -> list[int] | None:
    """Return the source rows whose mean a row starts from; None for a random start."""
    if row.how == "random":
        return None
    return [index[name] for name in row.sources] or list(index.values())


def new_class_branch(module: Any, n_classes: int, rows: Sequence[Sequence[int] | None] | None = None) -> frozenset[str]:
    """Replace the last convolution of each class branch; a row is the mean of the source rows that it names.

    Returns the names of the parameters that were replaced.
    """
    head = module.model[-1]
    replaced = []
    for branch in ("cv3", "one2one_cv3"):
        for i_level, level in enumerate(getattr(head, branch, None) or ()):
            old = level[-1]
            new: Any = nn.Conv2d(old.in_channels, n_classes, 1)
            if rows is not None:
                with torch.no_grad():
                    new.bias.fill_(math.log(_PRIOR / (1 - _PRIOR)))
                    for i, sources in enumerate(rows):
                        if sources is not None:
                            new.weight[i] = old.weight[list(sources)].mean(dim=0)
                            new.bias[i] = old.bias[list(sources)].mean()
            level[-1] = new
            prefix = f"model.{len(module.model) - 1}.{branch}.{i_level}.{len(level) - 1}"
            replaced += [f"{prefix}.weight", f"{prefix}.bias"]
    head.nc = n_classes
    head.no = n_classes + head.reg_max * 4
    module.names = {i: str(i) for i in range(n_classes)}
    return frozenset(replaced)
