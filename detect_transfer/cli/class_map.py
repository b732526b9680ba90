"""The command that asks weights about data: suggest-class-map."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.core.errors import InputError
from detect_transfer.core.temporary import scratch_folder


def suggest_class_map(
    words: Annotated[list[str] | None, typer.Argument(help="[CONFIG.yaml] [key.subkey=value ...]")] = None,
    data: Annotated[Path | None, typer.Option(help="The data, as data.path of a config.")] = None,
    weights: Annotated[str | None, typer.Option(help="A file or a known name, as model.weights of a config.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole table as JSON.")] = False,
) -> None:
    """Ask pretrained weights which of their classes yours are, and print a class map as YAML."""
    from detect_transfer.workflows.run_config import config_of_words
    from detect_transfer.workflows.suggest_class_map import class_map_yaml
    from detect_transfer.workflows.suggest_class_map import suggest_class_map as suggest

    files = [word for word in words or [] if "=" not in word]
    overrides = [word for word in words or [] if "=" in word]
    overrides += [] if data is None else [f"data.path={data}"]
    overrides += [] if weights is None else [f"model.weights={weights}"]
    if len(files) > 1 or not (words or data):
        raise InputError(
            "USAGE",
            "one config, or data and weights, were expected",
            field="arguments",
            value=" ".join(words or []),
            remedy="detect-transfer suggest-class-map CONFIG.yaml, or --data MY_DATA --weights yolo11n",
        )
    config, _ = config_of_words(Path(files[0]) if files else None, overrides)
    with scratch_folder() as scratch:
        seen = suggest(config, scratch=scratch, on_stage=lambda text: print(f"... {text}", file=sys.stderr))
    own = config.transfer.named_classes
    record = {"class_map": {**seen.class_map, **own}, **seen.as_record()}
    print(json.dumps(record, indent=2, ensure_ascii=False) if as_json else class_map_yaml(seen, own).rstrip())
