"""The licence ledger: which code and which weights a model has touched. Licences are read where they are stated."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import detect_transfer
from detect_transfer.models.source_weights import SourceWeights

UNKNOWN = "unknown"
LEDGER = "weights_ledger"  # its key in the header of our weights
_OURS = {"package": "detect-transfer", "version": detect_transfer.__version__, "licence": "AGPL-3.0-or-later"}
_PACKAGES = {  # by the module whose import says that a run used it
    "accelerate": "accelerate",
    "albumentations": "albumentations",
    "cv2": "opencv-python-headless",
    "hotcoco": "hotcoco",
    "numpy": "numpy",
    "PIL": "pillow",
    "polars": "polars",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "ultralytics": "ultralytics",
}
_LONGEST = 60  # letters; some packages state the whole text of their licence
_CLASSIFIER = "License :: "


def code_ledger(before: Sequence[dict[str, str]] = ()) -> list[dict[str, str]]:
    """Return `package`, `version` and `licence` of this package and of the dependencies that the process has loaded.

    Args:
        before: The rows of earlier processes of the same run, which stay: it may have stopped and gone on.
    """
    rows = [_OURS, *(_package_row(name) for module, name in _PACKAGES.items() if module in sys.modules)]
    return sorted([*before, *(row for row in rows if row not in before)], key=lambda row: row["package"])


def weights_ledger(source: SourceWeights | None) -> list[dict[str, str]]:
    """Return `file`, `sha256` and `licence` of the weights, and of those that they were made from, the first last."""
    if source is None:
        return []
    stated = source.metadata.get("licence") or source.metadata.get("license") or UNKNOWN
    own = {"file": source.path.name, "sha256": source.sha256, "licence": stated}
    return [own, *_rows(source.metadata)]


def ledger_text(source: SourceWeights | None) -> dict[str, str]:
    """Return what the header of weights says of those that they were made from."""
    rows = weights_ledger(source)
    return {LEDGER: json.dumps(rows, ensure_ascii=False)} if rows else {}


def _rows(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows in a header; one that cannot be read is said."""
    try:
        rows = json.loads(texts.get(LEDGER, "[]"))
        return [{key: str(row[key]) for key in ("file", "sha256", "licence")} for row in rows]
    except (ValueError, TypeError, KeyError):
        return [{"file": "its ledger cannot be read", "sha256": UNKNOWN, "licence": UNKNOWN}]


@functools.cache  # a state is saved with them each epoch
def _package_row(package: str) -> dict[str, str]:
    try:
        facts = metadata(package)
    except PackageNotFoundError:
        return {"package": package, "version": UNKNOWN, "licence": UNKNOWN}
    return {"package": package, "version": str(facts["Version"]), "licence": _licence(facts)}


def _licence(facts: Any) -> str:
    """Return the licence as a package states it: its expression, its classifiers, or the first line of its text."""
    stated = facts.get("License-Expression")
    classifiers = [c for c in facts.get_all("Classifier") or [] if c.startswith(_CLASSIFIER)]
    lines = str(facts.get("License") or "").strip().splitlines()
    named = ", ".join(c.rpartition(" :: ")[2] for c in classifiers)
    text = str(stated or named or (lines[0] if lines else "") or UNKNOWN)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
