"""Hugging Face transformers: imported when it is used, and never with the network."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from detect_transfer.core.errors import InputError, ResourceError

_OFFLINE = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
_OF_THE_INPUT = ("eval_size", "anchor_image_size")  # they would fix the size of the input; ours comes in any


@functools.cache
def load_library() -> Any:
    """Import transformers once, with its downloads turned off.

    Raises:
        ResourceError: It is not installed.
    """
    for name in _OFFLINE:
        os.environ.setdefault(name, "1")
    try:
        import transformers
    except ImportError as error:
        raise ResourceError(
            "PACKAGE_MISSING",
            f"the transformers family needs Hugging Face transformers, which is not installed ({error})",
            field="model.family",
            value="transformers",
            remedy="pip install 'detect-transfer[transformers]'",
        ) from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def make_config(model_type: str, settings: Mapping[str, Any], n_classes: int) -> Any:
    """Return the library's config of a network for so many classes and input of any size.

    Keys that the library does not know, and those by which it would fetch weights, are left out.

    Raises:
        InputError: The settings do not fit each other.
    """
    library = load_library()
    kind = library.CONFIG_MAPPING[model_type]
    own = _known(kind, settings)
    backbone = settings.get("backbone_config")
    with _as_input_error():
        if isinstance(backbone, Mapping) and "model_type" in backbone:
            inner = library.CONFIG_MAPPING[str(backbone["model_type"])]
            outputs = {key: backbone[key] for key in ("out_features", "out_indices") if backbone.get(key) is not None}
            if "out_features" in outputs:
                outputs.pop("out_indices", None)
            own["backbone_config"] = inner(**_known(inner, backbone), **outputs)
        own.update({key: None for key in _OF_THE_INPUT if key in _fields(kind)})
        return kind(**own, num_labels=n_classes)


def build_stock(model_type: str, settings: Mapping[str, Any], n_classes: int) -> Any:
    """Build the library's network for object detection, untrained, from torch's random state.

    Raises:
        InputError: The settings are of no network.
    """
    config = make_config(model_type, settings, n_classes)
    with _as_input_error():
        return load_library().AutoModelForObjectDetection.from_config(config).to(torch.float32)


@contextmanager
def _as_input_error() -> Iterator[None]:
    """Turn what the library says of a config that is of no network into an error of the input."""
    from huggingface_hub.errors import StrictDataclassError

    kinds = (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError)
    try:
        yield
    except kinds as error:
        raise InputError(
            "WEIGHTS_CARD",
            f"the config of the network cannot be used ({type(error).__name__}: {' '.join(str(error).split())})",
            field="config.json",
            remedy="give the config.json that was published with the weights",
        ) from error


def _known(kind: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a config has a field for."""
    return {key: value for key, value in settings.items() if key in _fields(kind)}


def _fields(kind: Any) -> set[str]:
    hidden = {"backbone_config", "model_type", "id2label", "label2id", "num_labels", "architectures", "dtype"}
    own = {field.name for base in kind.__mro__ for field in _declared(base)}
    return {name for name in own if not name.startswith("_")} - hidden - {"transformers_version", "torch_dtype"}


def _declared(kind: Any) -> tuple[Any, ...]:
    return dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
