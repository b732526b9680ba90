"""Pretrained weights: finding the file, reading it without running code, saving ours.

Tensors travel as safetensors with a JSON text beside them in the header. A `.pt` of ultralytics is read by the
restricted loader, which builds known classes alone, and a `.pth` of torchvision as tensors alone (`tv_weights`, which
is loaded where it is needed: it knows networks, and these know this module). Nothing is fetched unless a known name was
asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import shutil
import urllib.error
import urllib.request
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from detect_transfer.errors import InputError, ResourceError, did_you_mean
from detect_transfer.files import new_file, sha256_file, write_atomic
from detect_transfer.models.vendor import example_names, known_architectures, vendor

ASSETS = Path(__file__).parents[1] / "assets"
EMBEDDED = ASSETS / "quickstart.safetensors"
WEIGHTS_VARIABLE = "DETECT_TRANSFER_WEIGHTS"
_VENDOR_URL = "https://github.com/ultralytics/assets/releases/download/v8.4.0/{name}.pt"
_SUFFIXES = (".safetensors", ".pt", ".pth")
_SECONDS_TO_CONNECT = 3.0


@dataclass(frozen=True)
class SourceWeights:
    """The tensors of a pretrained model and what is known of it.

    Args:
        tensors: Name to tensor, single precision.
        arch: The architecture with its size letter.
        class_names: The classes of its head, in order.
        built_classes: The class count the network was built with: the width of the head depends on it.
        path: The file.
        sha256: Its hash.
        card: Everything else its header says.
    """

    tensors: dict[str, torch.Tensor]
    arch: str
    class_names: tuple[str, ...]
    built_classes: int
    path: Path
    sha256: str
    card: dict[str, str] = field(default_factory=dict)


def find_weights(wanted: str, *, folders: tuple[Path, ...] = ()) -> Path:
    """Return the file for `embedded`, a path, or a known name such as `yolo11n` or `fasterrcnn_resnet50_fpn`.

    A name is looked for in the folder of the environment variable DETECT_TRANSFER_WEIGHTS, in `folders` and in
    ./weights, then fetched from the vendor into the first of these.

    Raises:
        InputError: A path does not exist, or the name is not known.
        ResourceError: The name is known but the file cannot be had; every place that was looked at is named.
    """
    if wanted == "embedded":
        return EMBEDDED
    path = Path(wanted)
    if path.suffix in _SUFFIXES:
        if path.is_file():
            return path
        raise InputError(
            "WEIGHTS_MISSING", "there is no such file", field="model.weights", value=wanted, remedy="check the path"
        )
    url = _address(wanted)
    named = os.environ.get(WEIGHTS_VARIABLE)
    places = [*([Path(named)] if named else []), *folders, Path("weights")]
    stems = dict.fromkeys([wanted, Path(url).stem])  # as we call it, and as it was published
    candidates = [place / f"{stem}{suffix}" for place in places for stem in stems for suffix in _SUFFIXES]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    return found or _fetch(wanted, url, places[0] / Path(url).name, candidates)


def _address(wanted: str) -> str:
    """Return where a known name is published."""
    from detect_transfer.models import tv_weights

    if wanted in tv_weights.known_names():
        return tv_weights.address(wanted)
    if any(wanted.startswith(arch) for arch in known_architectures()):
        return _VENDOR_URL.format(name=wanted)
    raise InputError(
        "WEIGHTS_UNKNOWN",
        "neither a .pt, .pth or .safetensors file nor a known name",
        field="model.weights",
        value=wanted,
        remedy=did_you_mean(wanted, ["scratch", "embedded", *example_names(), *tv_weights.known_names()]),
    )


def _fetch(name: str, url: str, target: Path, looked_at: list[Path]) -> Path:
    def unavailable(reason: object) -> ResourceError:
        places = ", ".join(str(path) for path in [*looked_at, url])
        return ResourceError(
            "WEIGHTS_UNAVAILABLE",
            f"looked at {places} ({reason})",
            field="model.weights",
            value=name,
            remedy=f"put the file at {target}, or in the folder named by ${WEIGHTS_VARIABLE}, or give its path as "
            "model.weights",
        )

    told = re.search(r"-([0-9a-f]{8})\.pth$", url)  # torchvision's addresses end in the beginning of the hash
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS_TO_CONNECT) as answer, new_file(target) as stream:
            shutil.copyfileobj(answer, stream)
            stream.flush()
            if told and not sha256_file(Path(stream.name)).startswith(told[1]):
                raise unavailable(f"what came does not have the hash {told[1]}...")
    except (OSError, urllib.error.URLError) as error:
        raise unavailable(getattr(error, "reason", error)) from error
    return target


def load_weights(path: Path) -> SourceWeights:
    """Read a `.safetensors`, an ultralytics `.pt` or a torchvision `.pth` without running any code from it.

    Raises:
        InputError: The file is damaged, holds no detector, or names classes that are no plain model parts.
    """
    if path.stat().st_size == 0:
        raise InputError("WEIGHTS_DAMAGED", "the file has no bytes", where=path, remedy="copy or fetch it again")
    if path.suffix == ".pth":
        from detect_transfer.models.tv_weights import read_checkpoint

        sha256 = sha256_file(path)
        read = read_checkpoint(path, sha256)
        return SourceWeights(read.tensors, read.arch, read.class_names, read.n_rows, path, sha256, read.card)
    return _load_safetensors(path) if path.suffix == ".safetensors" else _load_vendor(path)


def _load_safetensors(path: Path) -> SourceWeights:
    try:
        with safe_open(path, framework="pt") as file:
            card = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        raise InputError(
            "WEIGHTS_DAMAGED", f"no whole safetensors file: {error}", where=path, remedy="copy or fetch it again"
        ) from error
    missing = [key for key in ("arch", "names") if key not in card]
    if missing and (features := _features(path, tensors)) is not None:
        return features
    if missing:
        raise InputError(
            "WEIGHTS_CARD",
            f"its header does not tell {' and '.join(missing)}",
            where=path,
            remedy="give a file that this project or its recipe wrote, with `arch` and `names` in the metadata",
        )
    try:
        names = json.loads(card["names"])
        listed = [names[str(i)] for i in range(len(names))] if isinstance(names, dict) else list(names)
        built = int(card.get("built_classes", len(listed)))
    except (ValueError, KeyError) as error:
        raise InputError(
            "WEIGHTS_CARD", f"its header cannot be read ({error!r})", where=path, remedy="fetch it again"
        ) from error
    arch = card["arch"].removesuffix(".yaml")
    floats = {key: t.float() if t.is_floating_point() else t for key, t in tensors.items()}
    return SourceWeights(floats, arch, tuple(map(str, listed)), built, path, sha256_file(path), card)


def _features(path: Path, tensors: dict[str, torch.Tensor]) -> SourceWeights | None:
    """Return the tensors of a classification network as a source without classes; None if they are no such."""
    from detect_transfer.models import tv_weights

    if not tv_weights.is_features(tensors):
        return None
    read = tv_weights.features({key: t.float() if t.is_floating_point() else t for key, t in tensors.items()})
    return SourceWeights(read.tensors, "", (), 0, path, sha256_file(path), read.card)


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


def save_weights(path: Path, tensors: dict[str, torch.Tensor], card: dict[str, str], *, half: bool = False) -> str:
    """Save tensors and a card as safetensors, atomically; return the SHA-256.

    Args:
        path: The file.
        tensors: Name to tensor.
        card: Text facts for the header, `arch` and `names` among them.
        half: Store floating-point tensors in half precision.
    """
    kept = {
        key: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for key, t in tensors.items()
    }
    data = serialise(kept, metadata=card)
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()
