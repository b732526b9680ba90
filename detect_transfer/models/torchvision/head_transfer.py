"""What a network of the torchvision family takes over from its source: tensors by name and shape, classes by row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import torch

from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import SourceWeights, check_share
from detect_transfer.models.torchvision.network import Network

BACKGROUND = "__background__"
NOT_USED = "N/A"  # rows of COCO's category ids that no class has
_COUNTER = "num_batches_tracked"  # frozen batch norm has none
_BODY = ("backbone.body.", "backbone.features.")
_BOXES = re.compile(r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)")  # four numbers a class
_CLASSES = re.compile(
    r"roi_heads\.box_predictor\.cls_score\.(weight|bias)"
    r"|head\.classification_head\.(cls_logits|module_list\.\d+\.1)\.(weight|bias)"
)
_CLASS_AND_BOX = (  # a class layer, and the layer that gives four numbers for each of its anchors
    ("roi_heads.box_predictor.cls_score.bias", None),
    ("head.classification_head.cls_logits.bias", "head.regression_head.bbox_reg.bias"),
    ("head.classification_head.module_list.0.1.bias", "head.regression_head.module_list.0.1.bias"),
)


def class_layers(network: Network) -> frozenset[str]:
    """Return the names of the parameters that give a class its score."""
    return frozenset(name for name in network.state_dict() if _CLASSES.fullmatch(name))


def in_rows(name: str) -> bool:
    """Tell whether a parameter of this name has rows that belong to classes."""
    return _CLASSES.fullmatch(name) is not None or _BOXES.fullmatch(name) is not None


def class_rows(network: Network, n_classes: int) -> dict[str, list[int]]:
    """Return the class index of each row of the tensors that have rows of classes; -1 is the background."""
    shift = int(network.has_background)
    return {
        name: [row // _numbers(name) % (n_classes + shift) - shift for row in range(len(tensor))]
        for name, tensor in network.state_dict().items()
        if in_rows(name)
    }


def count_rows(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return for how many classes, with the background, a detector has rows; 0 without class layers."""
    for class_layer, box_layer in _CLASS_AND_BOX:
        if class_layer in tensors and (box_layer is None or box_layer in tensors):
            return len(tensors[class_layer]) // (len(tensors[box_layer]) // 4 if box_layer else 1)
    return 0


def load_tensors(network: Network, source: SourceWeights, rows: Sequence[ClassInit]) -> TransferReport:
    """Load what fits into an untrained network, and report what that was.

    Args:
        network: Built for the target classes.
        source: A detector, or the features of a classification network.
        rows: The start of each target class; a new class starts from the mean of all, or stays random.

    Raises:
        InputError: Too little of what the source should have fits.
    """
    state = network.state_dict()
    is_detector = any(name.startswith("backbone.") for name in source.tensors)
    tensors = source.tensors if is_detector else _as_backbone(list(state), source.tensors)
    by_row = {k for k in state if is_detector and in_rows(k)}
    fits = {k: t for k, t in tensors.items() if k in state and k not in by_row and state[k].shape == t.shape}
    expected = [
        k for k in state if k not in by_row and (is_detector or k.startswith(_BODY)) and not k.endswith(_COUNTER)
    ]
    check_share(source, sum(k in fits for k in expected), len(expected))
    network.load_state_dict(fits, strict=False)
    names = [str(name) for name in json.loads(source.metadata["head_rows"])]
    chosen = _source_rows(names, rows, has_background=network.has_background) if names else []
    filled = {
        k for k in by_row if names and k in tensors and _fill(state[k], tensors[k], len(names), chosen, _numbers(k))
    }
    new = [k for k in state if k not in fits and k not in filled and not k.endswith(_COUNTER)]
    if any(in_rows(k) or k.startswith(("roi_heads.box_head.", "head.classification_head.")) for k in new):
        rows = [ClassInit(row.target, (), "random") for row in rows]
    used = {id(tensor) for name, tensor in tensors.items() if name in fits or name in filled}
    left_out = tuple(sorted(name for name, tensor in source.tensors.items() if id(tensor) not in used))
    lacking = tuple(k for k in new if k in expected or k in by_row)
    return TransferReport(tuple(rows), len(fits), tuple(new), tuple(sorted(filled)), left_out, lacking)


def _numbers(name: str) -> int:
    """Return how many numbers a class layer gives for a class of an anchor or region."""
    return 4 if _BOXES.fullmatch(name) else 1


def _source_rows(names: Sequence[str], rows: Sequence[ClassInit], *, has_background: bool) -> list[list[int]]:
    """Return the source rows that each new row is the mean of; none leaves it random."""
    index = {name: i for i, name in enumerate(names)}
    every = [i for i, name in enumerate(names) if name not in (BACKGROUND, NOT_USED)]
    chosen = [[index[BACKGROUND]]] if has_background else []
    for row in rows:
        chosen.append([index[name] for name in row.sources] or ([] if row.how == "random" else every))
    return chosen


@torch.no_grad()
def _fill(new: torch.Tensor, old: torch.Tensor, n_old: int, chosen: Sequence[Sequence[int]], numbers: int) -> bool:
    """Fill the rows of a class layer from an old one; return whether the old one is of its form.

    Args:
        new: (anchors * classes * numbers, ...), changed in place.
        old: The same with the classes of the source.
        n_old: Classes of the source.
        chosen: Of each new class, the source rows.
        numbers: For a class of an anchor or region.
    """
    anchors = new.shape[0] // (len(chosen) * numbers)
    if old.shape != (anchors * n_old * numbers, *new.shape[1:]):
        return False
    new_rows = new.view(anchors, len(chosen), numbers, -1)
    old_rows = old.reshape(anchors, n_old, numbers, -1)
    for i, sources in enumerate(chosen):
        if sources:
            new_rows[:, i] = old_rows[:, list(sources)].mean(dim=1)
    return True


def _as_backbone(names: Sequence[str], tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a classification network under the names that they have in a detector."""
    cut_block = max((int(name.split(".")[3]) for name in names if name.startswith("backbone.features.0.")), default=0)
    return {name: tensors[old] for name in names for old in _feature_names(name, cut_block) if old in tensors}


def _feature_names(name: str, cut_block: int) -> list[str]:
    """Return the names that a tensor of a detector may have in the classification network of its backbone.

    Args:
        name: In the detector.
        cut_block: SSDlite takes its first map from the middle of this block of MobileNetV3.
    """
    rest = name.removeprefix("backbone.body.")
    if rest != name:
        return [rest, f"features.{rest}", f"layers.{rest}"]
    if not name.startswith("backbone.features."):
        return []
    half, block, inner = name.removeprefix("backbone.features.").split(".", 2)
    if half == "0":
        middle = "block.0." if int(block) == cut_block else ""
        return [f"features.{block}.{middle}{inner}"]
    return [f"features.{cut_block}.block.{inner}" if block == "0" else f"features.{cut_block + int(block)}.{inner}"]
