"""What a network of the transformers family takes over from its source: tensors by name and shape, classes by row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import torch

from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.models.source_weights import SourceWeights, check_share
from detect_transfer.models.transformers.network import Network

NOT_USED = ("N/A", "__background__", "background")  # rows of COCO's category ids that no class has
_CLASSES = re.compile(
    r"model\.(enc_score_head|decoder\.class_embed\.\d+|enc_out_class_embed\.\d+)\.(weight|bias)|class_embed\.(weight|bias)"
)
_NOISED = "model.denoising_class_embed.weight"  # what a class looks like as a query; its last row stands for none
_COUNTER = "num_batches_tracked"


def class_layers(network: Network) -> frozenset[str]:
    """Return the names of the parameters that give a class its score."""
    return frozenset(name for name in network.state_dict() if _CLASSES.fullmatch(name))


def in_rows(name: str) -> bool:
    """Tell whether a parameter of this name has rows that belong to classes."""
    return name == _NOISED or _CLASSES.fullmatch(name) is not None


def class_rows(network: Network, n_classes: int) -> dict[str, list[int]]:
    """Return the class index of each row of the tensors that have rows of classes; -1 is no class."""
    rows = list(range(n_classes))
    return {name: [*rows, -1] if name == _NOISED else rows for name in network.state_dict() if in_rows(name)}


def count_rows(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return for how many classes a detector has rows; 0 without class layers."""
    return next((len(tensor) for name, tensor in tensors.items() if _CLASSES.fullmatch(name)), 0)


def load_tensors(network: Network, source: SourceWeights, rows: Sequence[ClassInit]) -> TransferReport:
    """Load what fits into an untrained network, and report what that was.

    Args:
        network: Built for the target classes.
        source: A detector; its metadata name the rows of its class layers.
        rows: The start of each target class; a new class starts from the mean of all, or stays random.

    Raises:
        InputError: Too little of what the source should have fits.
    """
    state, tensors = network.state_dict(), source.tensors
    by_row = {name for name in state if in_rows(name)}
    fits = {k: t for k, t in tensors.items() if k in state and k not in by_row and state[k].shape == t.shape}
    expected = [k for k in state if k not in by_row and not k.endswith(_COUNTER)]
    check_share(source, sum(k in fits for k in expected), len(expected))
    network.load_state_dict(fits, strict=False)
    names = row_names(source)
    chosen = _source_rows(names, rows)
    filled = {k for k in by_row if k in tensors and _fill(state[k], tensors[k], len(names), chosen)}
    new = [k for k in state if k not in fits and k not in filled and not k.endswith(_COUNTER)]
    if any(_CLASSES.fullmatch(k) for k in new):
        rows = [ClassInit(row.target, (), "random") for row in rows]
    left_out = tuple(sorted(tensors.keys() - fits.keys() - filled))
    lacking = tuple(k for k in new if k != _NOISED)
    return TransferReport(tuple(rows), len(fits), tuple(new), tuple(sorted(filled)), left_out, lacking)


def row_names(source: SourceWeights) -> list[str]:
    """Return what the rows of the class layers of a source stand for."""
    return [str(name) for name in json.loads(source.metadata["head_rows"])]


def _source_rows(names: Sequence[str], rows: Sequence[ClassInit]) -> list[list[int]]:
    """Return the source rows that each new row is the mean of; none leaves it random."""
    index = {name: i for i, name in enumerate(names)}
    every = [i for i, name in enumerate(names) if name not in NOT_USED]
    return [[index[name] for name in row.sources] or ([] if row.how == "random" else every) for row in rows]


@torch.no_grad()
def _fill(new: torch.Tensor, old: torch.Tensor, n_old: int, chosen: Sequence[Sequence[int]]) -> bool:
    """Fill the rows of a class layer (K, ...) from an old one; return whether the old one is of its form."""
    beyond = len(new) - len(chosen)  # the row of no class
    if not n_old or old.shape != (n_old + beyond, *new.shape[1:]):
        return False
    for i, sources in enumerate(chosen):
        if sources:
            new[i] = old[list(sources)].mean(dim=0)
    new[len(chosen) :] = old[n_old:]
    return True
