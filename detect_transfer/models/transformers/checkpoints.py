"""Recognising weights of Hugging Face transformers.

What `config.json` beside a file says comes first, as the hub publishes both in one folder; without it the shapes of the
tensors tell the architecture.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torchvision
import yaml

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_bytes
from detect_transfer.models.source_weights import Checkpoint, SourceWeights
from detect_transfer.models.transformers.architectures import ARCHITECTURES, MODEL_TYPES
from detect_transfer.models.transformers.build import build
from detect_transfer.models.transformers.head_transfer import NOT_USED, count_rows, in_rows
from detect_transfer.models.transformers.library import load_library, make_config
from detect_transfer.models.transformers.network import Network

logger = logging.getLogger(__name__)

CONFIG = "config.json"
_LEAST_FIT = 0.5  # of the tensors of an architecture and of the file
_MARKS = ("encoder_input_proj.", "enc_score_head.", "enc_out_class_embed.", "transformer.enc_out_class_embed.")
_NAMELESS = "LABEL_"  # what the library calls classes that nobody named
_LABEL_KEYS = ("id2label", "label2id")


def owns(names: Mapping[str, Any]) -> bool:
    """Tell whether these are names of a detector of this family; the reader of files may have cut off `model.`."""
    return any(name.removeprefix("model.").startswith(_MARKS) for name in names)


def recognise(checkpoint: Checkpoint) -> SourceWeights:
    """Find architecture and class rows of a detector.

    Raises:
        InputError: It is of no known architecture, its config cannot be used, or its class names do not fit its rows.
    """
    given, labels = _settings_of(checkpoint)
    tensors = {_whole_name(name): tensor for name, tensor in checkpoint.tensors.items()}
    if given is None:
        arch, settings = _arch_of(checkpoint, tensors), None
    else:
        arch, settings = _known_arch(*given)
    n_rows = count_rows(tensors)
    with torch.device("meta"):
        network = build(arch, n_rows or 1, settings)
    if not {name for name in network.state_dict() if not in_rows(name)} & tensors.keys() or not n_rows:
        raise checkpoint.error("WEIGHTS_ARCH", f"its tensors are not those of {arch}", "give whole weights of it")
    tensors = _in_names_of(network, tensors)
    rows = _rows(replace(checkpoint, names=checkpoint.names if checkpoint.names is not None else labels), n_rows)
    metadata = {**_licence_of_card(checkpoint.path), **checkpoint.metadata, "head_rows": json.dumps(rows)}
    if settings is not None:
        metadata["config"] = json.dumps(settings, sort_keys=True)
    names = tuple(name for name in rows if name not in NOT_USED)
    return SourceWeights(tensors, arch, names, checkpoint.path, checkpoint.sha256, metadata, "transformers")


def _settings_of(checkpoint: Checkpoint) -> tuple[tuple[str, Mapping[str, Any] | None] | None, Any]:
    """Return model type or architecture with the settings, and the class names beside the file; None without."""
    arch = checkpoint.metadata.get("arch", "")
    if checkpoint.metadata.get("family") == "transformers":
        text = checkpoint.metadata.get("config")
        return (arch, None if text is None else _object(text, checkpoint.path)), None
    path = checkpoint.path.parent / CONFIG
    if not path.is_file():
        return ((checkpoint.arch, None) if checkpoint.arch in ARCHITECTURES else None), None
    content = _object(read_bytes(path).decode("utf-8", "replace"), path)
    model_type = str(content.get("model_type"))
    if model_type not in MODEL_TYPES:
        raise InputError(
            "WEIGHTS_ARCH",
            "no network of this type is known here",
            where=path,
            field="model_type",
            value=model_type,
            remedy="give weights of " + ", ".join(MODEL_TYPES),
        )
    labels = content.get("id2label")
    named = isinstance(labels, dict) and not all(str(name).startswith(_NAMELESS) for name in labels.values())
    return (model_type, content), labels if named else None


def _licence_of_card(path: Path) -> dict[str, str]:
    """Return the licence that the card of a model on the hub states, which lies beside its weights as README.md."""
    card = path.parent / "README.md"
    if not (path.parent / CONFIG).is_file() or not card.is_file():
        return {}
    _, *parts = read_bytes(card).decode("utf-8", "replace").split("---\n", 2)
    try:
        facts = yaml.safe_load(parts[0]) if len(parts) == 2 else None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return {}
    stated = facts.get("license") if isinstance(facts, dict) else None
    words = [word for word in (stated if isinstance(stated, list) else [stated]) if isinstance(word, str)]
    return {"licence": ", ".join(words)} if words else {}


def _object(text: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        raise InputError(
            "WEIGHTS_CARD", f"the config of the network cannot be read ({error})", where=path, remedy="fetch it again"
        ) from error
    return content


def _known_arch(name: str, settings: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any] | None]:
    """Return the architecture that these settings are of, without them; else the type of network, and them."""
    if settings is None:
        return name, None
    wanted = _comparable(name, settings)
    for arch, known in ARCHITECTURES.items():
        if known.model_type == name and _comparable(name, known.settings) == wanted:
            return arch, None
    return name, {key: value for key, value in settings.items() if key not in _LABEL_KEYS}


def _comparable(model_type: str, settings: Mapping[str, Any]) -> str:
    config = make_config(model_type, settings, 1).to_dict()
    return json.dumps(config, sort_keys=True, default=str)


def _whole_name(name: str) -> str:
    """Return the name with `model.`, which readers of files cut off; the class layers of the library stand twice."""
    if name.startswith(("model.", "class_embed.", "bbox_embed.", "transformer.", "backbone.0.")):
        return name
    return f"model.{name}"


@functools.cache
def _shapes(arch: str) -> dict[str, torch.Size]:
    """Return the shapes of the tensors of an architecture, but for those that depend on the classes."""
    with torch.device("meta"):
        state = build(arch, 1).state_dict()
    return {name: each.shape for name, each in state.items() if _is_fixed(name)}


def _is_fixed(name: str) -> bool:
    return not in_rows(name) and not name.endswith("num_batches_tracked")


def _arch_of(checkpoint: Checkpoint, tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the architecture that these tensors fit best; of two alike, the one that the file is named after."""
    fixed = {name: tensor.shape for name, tensor in tensors.items() if _is_fixed(name)}
    best, best_fit = "", (0.0, False)
    for arch in ARCHITECTURES:
        shapes = _shapes(arch)
        share = len(fixed.items() & shapes.items()) / len(fixed.keys() | shapes.keys())
        fit = (share, arch in checkpoint.path.name)
        if fit > best_fit:
            best, best_fit = arch, fit
        if share == 1:
            break
    if best_fit[0] < _LEAST_FIT:
        raise checkpoint.error(
            "WEIGHTS_ARCH",
            "its tensors are those of no architecture that is known here",
            f"put its {CONFIG} beside it, or give weights of {', '.join(ARCHITECTURES)}",
        )
    return best


def _in_names_of(network: Network, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors under the names of the network; the library turns those of its older versions into them."""
    state = network.state_dict()
    tensors = _class_layers_once(state, tensors)
    lacking = [name for name in state.keys() - tensors.keys() if not name.endswith("num_batches_tracked")]
    if not lacking or not tensors.keys() - state.keys():
        return tensors
    kind = load_library().MODEL_FOR_OBJECT_DETECTION_MAPPING[type(network.settings)]
    stock, info = kind.from_pretrained(
        None, config=network.settings, state_dict=tensors, output_loading_info=True, ignore_mismatched_sizes=True
    )
    unread = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}  # which are random now
    return _class_layers_once(state, {name: t for name, t in stock.state_dict().items() if name not in unread})


def _class_layers_once(state: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors with class and box layers of the decoder under the one name that the network has."""
    renamed = {}
    for name, tensor in tensors.items():
        inner = f"model.decoder.{name}"
        renamed[inner if name not in state and inner in state else name] = tensor
    for name in state:
        for part in ("class_embed", "bbox_embed"):  # one layer for all is stored once
            start = f"model.decoder.{part}."
            if name.startswith(start) and name not in renamed:
                first = f"{start}0.{name.removeprefix(start).split('.', 1)[1]}"
                if first in renamed:
                    renamed[name] = renamed[first]
    return renamed


def _rows(checkpoint: Checkpoint, n_rows: int) -> list[str]:
    """Return what the rows of the class layers stand for: by the file, else COCO's where there are as many."""
    names = checkpoint.names
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=int)] if all(str(k).isdigit() for k in names) else names
    unused = [isinstance(names, list) and str(name) in NOT_USED for name in names or []]
    if isinstance(names, list) and any(unused) and len(names) == n_rows:
        used = [name for name, skip in zip(names, unused, strict=True) if not skip]
        replace(checkpoint, names=used).class_names(len(used))
        return [str(name) for name in names]
    if (given := checkpoint.class_names(n_rows)) is not None:
        return list(given)
    coco = [str(n) for n in torchvision.models.detection.FasterRCNN_ResNet50_FPN_Weights.DEFAULT.meta["categories"]]
    used = [name for name in coco if name not in NOT_USED]
    rows = {len(used): used, len(coco): coco}.get(n_rows, [f"class_{i}" for i in range(1, n_rows + 1)])
    logger.warning(
        "%s names no classes; its %d class rows are taken for %s ... %s: if they are others, no name is right",
        checkpoint.path.name,
        n_rows,
        next(name for name in rows if name not in NOT_USED),
        rows[-1],
    )
    return rows
