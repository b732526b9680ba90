"""What is in an exported model by others, and what that means for whoever uses it or passes it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from detect_transfer.models.licences import UNKNOWN

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


def licence_ledger(
    family: str, weights: Sequence[Mapping[str, str]], data_sha256: str | None
) -> tuple[dict[str, str], ...]:
    """Return a row for the code, the weights and the data: `part`, `what`, `licence` and `means`.

    Args:
        family: The family of the detector.
        weights: `file`, `sha256` and `licence` of each file of weights that it was made from; none from scratch.
        data_sha256: The hash of the data that it was trained on, where known.
    """
    package, licence, means = _CODE.get(family, (family, UNKNOWN, "ask whoever wrote it"))
    rows = [{"part": "network", "what": _with_version(package), "licence": licence, "means": means}]
    for row in weights:
        means = (
            _AGPL if "AGPL" in row["licence"] else "read the licence, and the terms of the data they were trained on"
        )
        means = "ask whoever published them" if row["licence"] == UNKNOWN else means
        what = f"{row['file']} (sha256 {row['sha256'][:12]})"
        rows.append({"part": "weights", "what": what, "licence": row["licence"], "means": means})
    data = "not known" if data_sha256 is None else f"sha256 {data_sha256[:12]}"
    rows.append({"part": "data", "what": data, "licence": UNKNOWN, "means": "read the terms of the data set yourself"})
    tool, licence, means = _TOOL
    rows.append({"part": "tool", "what": _with_version(tool), "licence": licence, "means": means})
    return tuple(rows)


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except ImportError:  # PackageNotFoundError: run from a checkout that is not installed
        return package
