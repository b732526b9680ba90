"""Files of tensors that are whole: their header holds a hash of all else of them, and every value is finite."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch.nn.utils import get_total_norm

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_bytes

_KEY = "content_sha256"
_SEAL = re.compile(rb'"content_sha256":"([0-9a-f]{64})"')
_NO_SEAL = "0" * 64  # stands in its place while the hash is taken


def first_not_finite(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the first tensor with a value that is not finite, None where there is none."""
    floating = {name: t.detach() for name, t in tensors.items() if t.is_floating_point() and t.numel()}
    if not floating or math.isfinite(get_total_norm(floating.values(), math.inf)):  # one pass, and NaN stays NaN
        return None
    return next(name for name, t in floating.items() if not t.isfinite().all())


def pack_tensors(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    """Return tensors and texts as the bytes of a safetensors file, in the same order every time, with their hash.

    Raises:
        InputError: A value is not finite.
    """
    if (name := first_not_finite(tensors)) is not None:
        raise InputError(
            "WEIGHTS_NOT_FINITE",
            f"the tensor {name} has values that are not finite, so the weights are not saved",
            remedy="train with a lower train.lr or train.precision=fp32",
        )
    data = _with_sorted_header(save(tensors, metadata={**metadata, _KEY: _NO_SEAL}))
    match = _seal_of(data)
    assert match is not None
    seal = hashlib.sha256(data).hexdigest().encode()
    return data[: match.start(1)] + seal + data[match.end(1) :]


def unpack_tensors(data: bytes, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and the texts of its header.

    Args:
        data: All bytes of the file.
        path: The file, for the message.

    Raises:
        InputError: It is no whole safetensors file, or not what `pack_tensors` wrote.
    """
    try:
        tensors = dict(sorted(load(data).items()))  # it gives them in any order
        metadata = json.loads(data[8 : _header_end(data)]).get("__metadata__", {})
    except (SafetensorError, LookupError, ValueError) as error:
        what = f"no whole safetensors file: {error}"
        raise InputError("WEIGHTS_DAMAGED", what, where=path, remedy="copy or fetch it again") from error
    if metadata.pop(_KEY, None) is not None and not _seal_fits(data):
        what = "its content is not what was saved: bits have changed since"
        raise InputError("WEIGHTS_DAMAGED", what, where=path, remedy="copy it again, or take another epoch")
    return tensors, metadata


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file; see `unpack_tensors`."""
    return unpack_tensors(read_bytes(path), path)


def damaged_part(path: Path) -> str | None:
    """Return the first part of a file of `torch.save` that its checksum does not fit, which torch does not look at.

    Raises:
        BadZipFile: Its directory is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        return archive.testzip()


def _header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _seal_of(data: bytes) -> re.Match[bytes] | None:
    return _SEAL.search(data, 8, _header_end(data))


def _seal_fits(data: bytes) -> bool:
    match = _seal_of(data)
    if match is None:
        return False
    digest, view = hashlib.sha256(), memoryview(data)
    for part in (view[: match.start(1)], _NO_SEAL.encode(), view[match.end(1) :]):
        digest.update(part)
    return digest.hexdigest().encode() == match[1]


def _with_sorted_header(data: bytes) -> bytes:
    """Return a safetensors file whose header is in order: the library writes the metadata in another one every time."""
    end = _header_end(data)
    header = json.loads(data[8:end])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **header}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors behind it stay aligned
    return len(text).to_bytes(8, "little") + text + data[end:]
