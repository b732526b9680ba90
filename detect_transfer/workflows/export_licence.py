"""What is in an exported model by others, and what that means for whoever uses it or passes it on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

_AGPL = (
    "whoever passes it on, or lets others use it over a network, offers them the source of the whole work under the "
    "AGPL, or has another licence from its owner"
)
_CODE = {
    "yolo": ("ultralytics", "AGPL-3.0", f"{_AGPL}; ultralytics sells an Enterprise licence"),
    "torchvision": ("torchvision", "BSD-3-Clause", "keep its copyright notice"),
    "transformers": ("transformers", "Apache-2.0", "keep its licence and its notices"),
}
_TOOL = ("detect-transfer", "AGPL-3.0-or-later", f"for infer.py, which is of it: {_AGPL}")
_UNKNOWN = "not stated"


def licence_ledger(
    family: str, source: Mapping[str, Any] | None, stated: str | None, data_sha256: str | None
) -> tuple[dict[str, str], ...]:
    """Return a row for the code, the weights and the data: `part`, `what`, `licence` and `means`.

    Args:
        family: The family of the detector.
        source: `file` and `sha256` of the weights that training started from, or of the weights themselves; None for
            training from scratch.
        stated: The licence that the weights file states; None where it states none.
        data_sha256: The hash of the data that it was trained on, where known.
    """
    rows = []
    package, licence, means = _CODE.get(family, (family, _UNKNOWN, "ask whoever wrote it"))
    rows.append({"part": "network", "what": _with_version(package), "licence": licence, "means": means})
    if source is None:
        rows.append({"part": "pretrained weights", "what": "none: trained from scratch", "licence": "", "means": ""})
    else:
        what = f"{source.get('file')} (sha256 {str(source.get('sha256'))[:12]})"
        means = _AGPL if stated and "AGPL" in stated else "ask whoever published them, and read the terms of their data"
        rows.append({"part": "pretrained weights", "what": what, "licence": stated or _UNKNOWN, "means": means})
    data = "not known" if data_sha256 is None else f"sha256 {data_sha256[:12]}"
    rows.append(
        {"part": "training data", "what": data, "licence": _UNKNOWN, "means": "read the terms of the data set yourself"}
    )
    tool, licence, means = _TOOL
    rows.append({"part": "tool", "what": _with_version(tool), "licence": licence, "means": means})
    return tuple(rows)


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except ImportError:  # PackageNotFoundError: run from a checkout that is not installed
        return package
