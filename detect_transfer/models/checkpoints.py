"""Pretrained weights: reading them without running code, saving ours.

Tensors travel as safetensors with a JSON text beside them in the header. A `.pt` of ultralytics is read by the
restricted loader, which builds known classes alone, and a `.pth` of torchvision as tensors alone.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import sha256_file, write_atomic
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.torchvision import checkpoints
from detect_transfer.models.yolo.ultralytics import vendor

ASSETS = Path(__file__).parents[1] / "assets"
EMBEDDED = ASSETS / "quickstart.safetensors"


def load_weights(path: Path) -> SourceWeights:
    """Read a `.safetensors`, an ultralytics `.pt` or a torchvision `.pth` without running any code from it.

    Raises:
        InputError: The file is damaged, holds no detector, or names classes that are no plain model parts.
    """
    if path.stat().st_size == 0:
        raise InputError("WEIGHTS_DAMAGED", "the file has no bytes", where=path, remedy="copy or fetch it again")
    if path.suffix == ".pth":
        sha256 = sha256_file(path)
        read = checkpoints.read_checkpoint(path, sha256)
        return SourceWeights(read.tensors, read.arch, read.class_names, read.n_rows, path, sha256, read.metadata)
    return _load_safetensors(path) if path.suffix == ".safetensors" else _load_vendor(path)


def _load_safetensors(path: Path) -> SourceWeights:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise InputError(
            "WEIGHTS_DAMAGED", f"no whole safetensors file: {error}", where=path, remedy="copy or fetch it again"
        ) from error
    missing = [key for key in ("arch", "names") if key not in metadata]
    if missing and (features := _features(path, tensors)) is not None:
        return features
    if missing:
        raise InputError(
            "WEIGHTS_CARD",
            f"its header does not tell {' and '.join(missing)}",
            where=path,
            remedy="give a file that this project or its recipe wrote, with `arch` and `names` in the metadata",
        )
    listed, built = _classes_of(metadata, path)
    arch = metadata["arch"].removesuffix(".yaml")
    floats = {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    return SourceWeights(floats, arch, listed, built, path, sha256_file(path), metadata)


def _classes_of(metadata: dict[str, str], path: Path) -> tuple[tuple[str, ...], int]:
    """Return the class names that a header tells, and the class count that the network was built with."""
    try:
        names = json.loads(metadata["names"])
        listed = [names[str(i)] for i in range(len(names))] if isinstance(names, dict) else list(names)
        built, imgsz = (int(metadata.get(key, 1)) for key in ("built_classes", "imgsz"))
        if not listed or min(built, imgsz) < 1:
            raise ValueError("names, built_classes and imgsz tell of nothing")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "WEIGHTS_CARD", f"its header cannot be read ({error!r})", where=path, remedy="fetch it again"
        ) from error
    return tuple(map(str, listed)), built if "built_classes" in metadata else len(listed)


def _features(path: Path, tensors: dict[str, torch.Tensor]) -> SourceWeights | None:
    """Return the tensors of a classification network as a source without classes; None if they are no such."""
    if not checkpoints.is_features(tensors):
        return None
    read = checkpoints.features({key: t.float() if t.is_floating_point() else t for key, t in tensors.items()})
    return SourceWeights(read.tensors, "", (), 0, path, sha256_file(path), read.metadata)


def _load_vendor(path: Path) -> SourceWeights:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the form of files that are refused below
            checkpoint, _ = vendor().safe_load(str(path), safe_only=True)
        model = checkpoint.get("ema") or checkpoint["model"]
        model = model.float()
        state, names = model.state_dict(), dict(model.names)
        arch = Path(str(model.yaml.get("yaml_file", ""))).stem
        built = int(model.yaml["nc"])
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, TypeError, KeyError, AttributeError, ValueError,
        EOFError, ImportError, OSError, LookupError, SyntaxError,
    ) as error:  # fmt: skip
        raise InputError(
            "WEIGHTS_DAMAGED",
            "no whole ultralytics checkpoint of plain model parts "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            where=path,
            remedy="fetch it again; files that need code of their own to load are refused",
        ) from error
    listed = tuple(str(names[i]) for i in range(len(names)))
    licence = str(checkpoint.get("license", ""))
    return SourceWeights(state, arch, listed, built, path, sha256_file(path), {"licence": licence} if licence else {})


def save_weights(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str], *, half: bool = False) -> str:
    """Save tensors and a metadata as safetensors, atomically; return the SHA-256.

    Args:
        path: The file.
        tensors: Name to tensor.
        metadata: Text facts for the header, `arch` and `names` among them.
        half: Store floating-point tensors in half precision.
    """
    kept = {
        key: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for key, t in tensors.items()
    }
    data = _with_sorted_header(serialise(kept, metadata=metadata))
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()


def _with_sorted_header(data: bytes) -> bytes:
    """Return a safetensors file whose header is in order: the library writes the metadata in another one every time."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors behind it stay aligned
    return len(text).to_bytes(8, "little") + text + data[end:]
