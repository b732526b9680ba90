"""Suggesting a class map: what the source detects on the boxes of the target classes, as YAML for a config."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from detect_transfer.config import RunConfig
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import load_run_data, with_kept_classes
from detect_transfer.models import find_weights, load_weights
from detect_transfer.models.class_evidence import ClassEvidence
from detect_transfer.models.device import choose_device
from detect_transfer.models.families import check_class_names
from detect_transfer.workflows.class_evidence import ask_source
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.run_source import make_run_data


def suggest_class_map(
    config: RunConfig, *, scratch: Path, on_stage: Callable[[str], None] = lambda _: None
) -> ClassEvidence:
    """Ask the source of a config which of its classes the classes of the training images are.

    Args:
        config: Data, weights, `train.imgsz` and `train.device` are used; the class map is checked.
        scratch: A folder for data that have to be converted or drawn first.
        on_stage: Called with what begins.

    Raises:
        InputError: Data, weights or the class map are wrong, or the config trains from scratch.
        ResourceError: The weights cannot be had.
    """
    if config.model.weights == "scratch":
        raise InputError(
            "SCRATCH",
            "training from scratch has no source to ask",
            field="model.weights",
            value="scratch",
            remedy="name weights, such as --weights yolo11n",
        )
    source = load_weights(find_weights(config.model.weights))
    folder = RunFolder(scratch)
    native = make_run_data(config, folder.drawn_data, on_stage=on_stage)
    data = load_run_data(config.data, drawn=folder.drawn_data, native=native)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    check_class_names(config.transfer, data.train.class_names, source)
    return ask_source(source, data, imgsz=config.train.imgsz, device=choose_device(config.train.device))


def class_map_yaml(evidence: ClassEvidence, own: Mapping[str, Sequence[str]]) -> str:
    """Return the clear matches as `transfer.class_map`, and the others beside them as comments.

    Args:
        evidence: The table.
        own: The entries that the config has itself; they win.
    """
    lines = [f"# {evidence.sentence}", "transfer:"]
    lines += ["  class_map:" if evidence.class_map or own else "  class_map: auto  # nothing matches clearly"]
    for match in evidence.matches:
        is_own = match.target in own
        entry = _entry(match.target, own.get(match.target, match.sources))
        lead = "    " if is_own or match.match == "clear" else "    # "
        said = " ".join(match.sentence.split())
        lines.append(f"{lead}{entry}  # {f'of the config; the source: {said}' if is_own else said}")
    asked = {match.target for match in evidence.matches}
    lines += [
        f"    {_entry(target, sources)}  # of the config" for target, sources in own.items() if target not in asked
    ]
    return "\n".join(lines) + "\n"


def _entry(target: str, sources: Sequence[str]) -> str:
    """Return `target: [sources]` as one line of YAML, whatever stands in the names."""
    if any("\n" in name for name in (target, *sources)):
        return f"{json.dumps(target)}: {json.dumps(list(sources))}"
    text: str = yaml.safe_dump({target: list(sources)}, default_flow_style=None, allow_unicode=True, width=10_000)
    return text.strip()
