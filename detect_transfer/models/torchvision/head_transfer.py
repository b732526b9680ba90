"""What a network of the torchvision family takes over from its source: tensors by name and shape, classes by row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import torch

from detect_transfer.core.errors import InputError
from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.torchvision.network import Network

BACKGROUND = "__background__"
NOT_USED = "N/A"  # rows of COCO's category ids that no class has
_COUNTER = "num_batches_tracked"  # frozen batch norm has none
_LEAST_TAKEN = 0.5  # of the tensors that the source should have
_BODY = ("backbone.body.", "backbone.features.")
_BOXES = re.compile(r"roi_heads\.box_predictor\.bbox_pred\.(weight|bias)")  # four numbers a class
_CLASSES = re.compile(
    r"roi_heads\.box_predictor\.cls_score\.(weight|bias)"
    r"|head\.classification_head\.(cls_logits|module_list\.\d+\.1)\.(weight|bias)"
)


def class_layers(network: Network) -> frozenset[str]:
    """Return the names of the parameters that give a class its score."""
    return frozenset(name for name in network.state_dict() if is_class_layer(name))


def is_class_layer(name: str) -> bool:
    """Tell whether a parameter of this name gives a class its score."""
    return _CLASSES.fullmatch(name) is not None


def row_names(source: SourceWeights, *, has_background: bool) -> list[str]:
    """Return what each row of the class layers of a source stands for."""
    if "head_rows" in source.metadata:
        return [str(name) for name in json.loads(source.metadata["head_rows"])]
    return [*([BACKGROUND] if has_background else []), *source.class_names]


def take_over(network: Network, source: SourceWeights, rows: Sequence[ClassInit]) -> TransferReport:
    """Load what fits into an untrained network, and tell what that was.

    Args:
        network: Built for the target classes.
        source: A detector, or the features of a classification network.
        rows: From which source classes each target class starts; a new class starts from the mean of all, or stays
            random where its row says so.

    Raises:
        InputError: Less than half of what the source should have fits.
    """
    state = network.state_dict()
    is_detector = any(name.startswith("backbone.") for name in source.tensors)
    given = source.tensors if is_detector else _as_backbone(list(state), source.tensors)
    in_rows = {k for k in state if is_detector and (is_class_layer(k) or _BOXES.fullmatch(k))}
    fits = {k: t for k, t in given.items() if k in state and k not in in_rows and state[k].shape == t.shape}
    asked = [k for k in state if k not in in_rows and (is_detector or k.startswith(_BODY)) and not k.endswith(_COUNTER)]
    taken = sum(k in fits for k in asked)
    if taken < _LEAST_TAKEN * len(asked):
        raise InputError(
            "WEIGHTS_ARCH",
            f"only {taken} of the {len(asked)} tensors of this architecture are there in their shape",
            where=source.path,
            remedy="give weights of this architecture or backbone, or set model.arch and model.backbone to theirs",
        )
    network.load_state_dict(fits, strict=False)
    names = row_names(source, has_background=network.has_background)
    chosen = _chosen_rows(names, rows, has_background=network.has_background) if names else []
    placed = {
        k for k in in_rows if names and k in given and _place(state[k], given[k], len(names), chosen, _numbers(k))
    }
    new = [k for k in state if k not in fits and k not in placed and not k.endswith(_COUNTER)]
    told = rows if placed else [ClassInit(row.target, (), "random") for row in rows]
    used = {id(tensor) for name, tensor in given.items() if name in fits or name in placed}
    left_out = tuple(sorted(name for name, tensor in source.tensors.items() if id(tensor) not in used))
    return TransferReport(tuple(told), len(fits), tuple(new), tuple(sorted(placed)), left_out)


def _numbers(name: str) -> int:
    """Return how many numbers a class layer gives for a class of an anchor or region."""
    return 4 if _BOXES.fullmatch(name) else 1


def _chosen_rows(names: Sequence[str], rows: Sequence[ClassInit], *, has_background: bool) -> list[list[int]]:
    """Return the source rows that each new row is the mean of; none leaves it random."""
    index = {name: i for i, name in enumerate(names)}
    every = [i for i, name in enumerate(names) if name not in (BACKGROUND, NOT_USED)]
    chosen = [[index[BACKGROUND]]] if has_background else []
    for row in rows:
        named = [index[name] for name in row.sources]
        chosen.append(named or ([] if row.how == "random" else every))
    return chosen


@torch.no_grad()
def _place(new: torch.Tensor, old: torch.Tensor, n_old: int, chosen: Sequence[Sequence[int]], numbers: int) -> bool:
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
    into = new.view(anchors, len(chosen), numbers, -1)
    of = old.reshape(anchors, n_old, numbers, -1)
    for i, places in enumerate(chosen):
        if places:
            into[:, i] = of[:, list(places)].mean(dim=1)
    return True


def _as_backbone(names: Sequence[str], given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a classification network under the names that they have in a detector."""
    cut_block = max((int(name.split(".")[3]) for name in names if name.startswith("backbone.features.0.")), default=0)
    found = {}
    for name in names:
        for old in _feature_names(name, cut_block):
            if old in given:
                found[name] = given[old]
    return found


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
