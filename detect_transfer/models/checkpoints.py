"""Weights files: reading them without running code from them, and saving ours.

Ours are safetensors with texts in the header. Of a file of `torch.save` the tensors and plain containers are read; what
else it names, of whatever class, becomes an inert stand-in that holds its state and runs nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import read_errors, sha256_file, write_atomic
from detect_transfer.core.opening import open_regular
from detect_transfer.models.families import FAMILIES
from detect_transfer.models.source_weights import Checkpoint, SourceWeights
from detect_transfer.models.tensor_files import damaged_part, first_not_finite, pack_tensors, read_tensors

ASSETS = Path(__file__).parents[1] / "assets"
EMBEDDED = ASSETS / "quickstart.safetensors"
EXPORTED_SUFFIXES = (".onnx", ".torchscript")
_INSIDE = (  # averaged weights first
    *("ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "model_ema_state_dict"),
    *("model", "state_dict", "model_state_dict", "net", "network", "weights", "module"),
)
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    TypeError,
    AttributeError,
    ValueError,
    EOFError,
    ImportError,
    OSError,
    LookupError,
    SyntaxError,
)
_TRAIN_ARGS = ("train_args", "args", "opt")  # of ultralytics, of its model, and of YOLOv5
_NAMES = ("names", "class_names", "classes")
_WRAPPER = re.compile(r"(module|model|net|network|detector|_orig_mod)\.(?!\d)")  # `model.0.` is a layer of YOLO


def load_weights(path: Path) -> SourceWeights:
    """Read a weights file of any family, by its content, without running code from it.

    Args:
        path: safetensors or a file of `torch.save`: a state dict, a training checkpoint or a whole model.

    Raises:
        InputError: The file is damaged, holds no detector of a known family, or its class names do not fit its tensors.
    """
    checkpoint = read_checkpoint(path)
    family = checkpoint.metadata.get("family")
    if family is not None and family not in FAMILIES:
        raise InputError(
            "WEIGHTS_CARD",
            "its header names a family that is not known here",
            where=path,
            field="family",
            value=family,
            remedy=did_you_mean(family, list(FAMILIES)),
        )
    owners = [
        each for each in FAMILIES.values() if each.name == family or (family is None and each.owns(checkpoint.tensors))
    ]
    if not owners:
        raise checkpoint.error(
            "WEIGHTS_ARCH",
            f"its tensors are of no family that is known here: {', '.join(list(checkpoint.tensors)[:3])} ...",
            f"give weights of a {' or '.join(FAMILIES)} detector",
        )
    return owners[0].recognise(checkpoint)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors of a weights file and what it says of them.

    Raises:
        InputError: It is damaged, or holds no tensors by name.
        ResourceError: The machine does not let us read it.
    """
    if path.suffix in EXPORTED_SUFFIXES:
        raise InputError(
            "WEIGHTS_EXPORTED",
            "an exported model cannot be trained on or exported again",
            where=path,
            remedy="give the run or the weights that it was exported from",
        )
    with read_errors(path), open_regular(path) as stream:
        is_empty = not stream.read(1)
    if is_empty:
        raise InputError("WEIGHTS_DAMAGED", "the file has no bytes", where=path, remedy="copy or fetch it again")
    read = _read_safetensors if path.suffix == ".safetensors" else _read_pickled
    tensors, metadata, arch, names = read(path)
    if not tensors:
        raise InputError(
            "WEIGHTS_DAMAGED", "it holds no tensors by name", where=path, remedy="give a state dict of a detector"
        )
    while 2 * len(wrapped := [name for name in tensors if _WRAPPER.match(name)]) > len(tensors):
        tensors = {_WRAPPER.sub("", name, 1) if name in wrapped else name: t for name, t in tensors.items()}
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    if broken := first_not_finite(tensors):
        what = f"its tensor {broken} has values that are not finite: training that made it has failed"
        raise InputError("WEIGHTS_DAMAGED", what, where=path, remedy="give weights of an earlier epoch")
    return Checkpoint(tensors, path, sha256_file(path), metadata, arch.removesuffix(".yaml"), names)


_Content = tuple[dict[str, torch.Tensor], dict[str, str], str, Any]  # tensors, header, architecture, class names


def _read_safetensors(path: Path) -> _Content:
    tensors, metadata = read_tensors(path)
    try:
        names = json.loads(metadata["names"]) if "names" in metadata else None
        InputSize.of(metadata.get("imgsz", "1"))
    except ValueError as error:
        raise InputError(
            "WEIGHTS_CARD", f"its header cannot be read ({error!r})", where=path, remedy="fetch it again"
        ) from error
    return tensors, metadata, metadata.get("arch", ""), names


class _Inert:
    """Stands for whatever a file names that is neither tensor nor plain container; it holds its state, no more."""

    state: Any = None

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _read_pickled(path: Path) -> _Content:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the form of files that are refused below
            zipped = zipfile.is_zipfile(path)
            if zipped and (part := damaged_part(path)):
                raise zipfile.BadZipFile(f"bits of its part {part} have changed")
            unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path) if zipped else []
            with torch.serialization.safe_globals([(_Inert, name) for name in unknown]):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = str(error).partition("\n")[0].partition(". ")[0]  # torch goes on with advice to run what is in it
        raise InputError(
            "WEIGHTS_DAMAGED",
            f"no whole file of tensors ({type(error).__name__}: {reason})",
            where=path,
            remedy="copy or fetch it again, or save its state dict: torch.save(model.state_dict(), path)",
        ) from error
    owner = _owner_of_tensors(content)
    facts = {**_attributes(content), **_attributes(owner)}
    names = next((facts[key] for key in _NAMES if isinstance(facts.get(key), dict | list | tuple)), None)
    arch = Path(str(_attributes(facts.get("yaml")).get("yaml_file", ""))).stem
    arch = arch or str(_attributes(facts.get("args")).get("model", ""))
    metadata = {"licence": str(facts["license"])} if facts.get("license") else {}
    imgsz = next((own["imgsz"] for key in _TRAIN_ARGS if "imgsz" in (own := _attributes(facts.get(key)))), None)
    with contextlib.suppress(ValueError):
        metadata["imgsz"] = str(InputSize.of(imgsz))
    return dict(_tensors_in(owner)), metadata, arch, names


def _attributes(content: Any) -> dict[Any, Any]:
    """Return what a mapping or the state of a stand-in holds by name."""
    attributes = content.state if isinstance(content, _Inert) else content
    return attributes if isinstance(attributes, dict) else {}


def _owner_of_tensors(content: Any) -> Any:
    """Return the mapping or the module that holds the tensors, which may lie in a training checkpoint."""
    for key in _INSIDE:
        if isinstance(content, dict) and any(_tensors_in(inner := _owner_of_tensors(content.get(key)))):
            return inner
    return content


def _tensors_in(content: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Give the tensors of a state dict, or of a pickled module and its children, by name."""
    if isinstance(content, _Inert):
        for part in ("_parameters", "_buffers"):
            yield from _tensors_in(_attributes(content).get(part))
        for name, child in _attributes(_attributes(content).get("_modules")).items():
            yield from ((f"{name}.{inner}", tensor) for inner, tensor in _tensors_in(child))
    elif isinstance(content, dict):
        yield from ((str(name), tensor) for name, tensor in content.items() if isinstance(tensor, torch.Tensor))


def save_weights(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], *, half: bool = False) -> str:
    """Save tensors and their metadata as safetensors, atomically; return the SHA-256.

    Args:
        path: The file.
        tensors: Name to tensor.
        metadata: Texts for the header: those of `Detector.metadata`, `imgsz`, and `category_ids` in class order.
        half: Store floating-point tensors in half precision.

    Raises:
        InputError: A value is not finite, in half precision where that is asked for.
        ResourceError: The disk is full or does not let us write.
    """
    stored = {
        key: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for key, t in tensors.items()
    }
    data = pack_tensors(stored, metadata)
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()
