"""The run config: pydantic models of every key, and one loader that reports all problems at once.

Rank 2: imports only `errors` and `files`. A config is one flat YAML file; `key.subkey=value` overrides come after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from detect_transfer.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.files import read_text

Stage = Literal["stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head"]
STAGES: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head")
StrategyName = Literal["scratch", "head_only", "frozen_backbone", "full", "gradual", "discriminative"]

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Strict(BaseModel):
    """A part of the config: unknown keys are refused and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Synthetic(Strict):
    """Street scenes that the project draws itself."""

    task: Literal["source", "target"] = "target"
    train_images: Positive = 240
    val_images: Positive = 80
    size: Annotated[int, Field(ge=64, le=2048)] = 320


class Data(Strict):
    """Where pictures and annotations are: one of `path`, `train_json` with `val_json`, or `synthetic`."""

    path: Path | None = None  # a data folder, or a folder or file of the format named below
    format: str = "auto"  # auto: our data folder, a COCO folder, or an ultralytics data.yaml
    train_json: Path | None = None
    val_json: Path | None = None
    images: Path | None = None  # the folder that file_name is relative to; found by itself where possible
    synthetic: Synthetic | None = None
    train_split: str = "train"
    val_split: str = "val"
    allow_missing_labels: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        pair = self.train_json is not None and self.val_json is not None
        given = [self.path is not None, pair, self.synthetic is not None]
        if sum(given) != 1 or (self.train_json is None) != (self.val_json is None):
            raise ValueError("give exactly one of data.path, data.train_json with data.val_json, or data.synthetic")
        return self


class Model(Strict):
    """Which detector, and what it starts from."""

    family: Literal["yolo"] = "yolo"
    arch: str | None = None  # None: what the weights say
    weights: str = "yolo11n"  # a known name, a .pt or .safetensors path, `embedded`, or `scratch`


class Phase(Strict):
    """A stretch of training: which stages, for how many epochs, at which rate."""

    epochs: Positive
    train: Literal["all"] | Annotated[list[Stage], Field(min_length=1)] = "all"
    lr: Rate = 1e-3
    lr_decay_per_stage: Annotated[float, Field(gt=0, le=1)] = 1.0  # each stage further from the head learns slower


class Transfer(Strict):
    """What is taken over from the source, and what trains when: a named strategy or a list of phases."""

    strategy: StrategyName | None = None
    phases: list[Phase] | None = None
    class_map: dict[str, str | list[str]] = {}  # target class: the source class or classes its head rows start from
    match_names: bool = True  # classes of one name (case, spaces and hyphens aside) start from that row
    batchnorm: Literal["with_stage", "frozen", "all"] = "with_stage"
    fresh_lr_factor: Annotated[float, Field(ge=1, le=100)] = (
        10.0  # rate of a class layer with new classes, in stage rates
    )

    @model_validator(mode="after")
    def _one_plan(self) -> Transfer:
        if self.strategy is not None and self.phases is not None:
            raise ValueError("give transfer.strategy or transfer.phases, not both")
        if self.phases is not None and not self.phases:
            raise ValueError("transfer.phases is empty: give at least one phase")
        return self


class Train(Strict):
    """How training runs."""

    epochs: Positive = 20  # of a named strategy; phases say their own
    batch: Positive = 16  # images a step, over all devices
    imgsz: Annotated[int, Field(ge=32, multiple_of=32)] = 640  # pixels of the long side
    lr: Rate | None = None  # of a named strategy; None: the strategy's own
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps of a phase with a rising rate
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    lr_end: Annotated[float, Field(ge=0, le=1)] = 0.02  # last rate as a share of the first
    clip_norm: Annotated[float, Field(gt=0)] = 10.0
    patience: Positive | None = None  # epochs without a better AP before training stops
    seed: Annotated[int, Field(ge=0)] = 0
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    cache_mb: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"  # memory for decoded pictures; 0: none


class Evaluate(Strict):
    """How a model is scored."""

    score_floor: Annotated[float, Field(ge=0, lt=1)] = 0.001
    nms_iou: Annotated[float, Field(gt=0, le=1)] = 0.7
    max_detections: Positive = 300
    batch: Positive = 16
    ignore_policy: Literal["region", "strict"] = "region"


class RunConfig(Strict):
    """Everything that a training run depends on."""

    data: Data
    model: Model = Model()
    transfer: Transfer = Transfer()
    train: Train = Train()
    augment: Literal["default", "none"] | list[dict[str, dict[str, Any]]] = "default"  # albumentations, by class name
    evaluate: Evaluate = Evaluate()
    out: Path | None = None  # the run folder; None: runs/<name of the config>, numbered


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' stands twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> Any:
    """Read a YAML file with the safe loader; a key that stands twice is refused.

    Raises:
        InputError: The file is missing or is no YAML; with the line.
    """
    return _parse_yaml(read_text(path), path)


def parse_value(text: str, key: str) -> Any:
    """Read the value of a `key=value` word of the command line as YAML.

    Raises:
        InputError: It is no YAML.
    """
    return _parse_yaml(text, f"command line ({key})")


def _parse_yaml(text: str, where: Path | str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError(
            "YAML_SYNTAX",
            str(getattr(error, "problem", None) or error),
            where=f"{where}:{mark.line + 1}" if mark else where,
            remedy="mend the line",
        ) from error
    except (ValueError, TypeError, RecursionError) as error:  # a date out of range, an unhashable key, deep nesting
        raise InputError("YAML_SYNTAX", str(error), where=where, remedy="mend the file") from error


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Load a run config, apply `key.subkey=value` overrides and check everything.

    Args:
        path: The YAML file.
        overrides: Words such as `train.epochs=5`; the value is read as YAML.

    Raises:
        InputError: The file cannot be read, or keys or values are wrong; all problems are told at once.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise InputError("CONFIG_KIND", "a mapping of keys was expected", where=path, remedy="see configs/")
    problems: list[DetectTransferError] = []
    for word in overrides:
        try:
            _override(raw, word)
        except InputError as error:
            problems.append(error)
    try:
        config = RunConfig.model_validate(raw)
    except ValidationError as error:
        problems += [_problem(path, detail) for detail in error.errors() if not _is_other_branch(detail)]
    raise_problems(problems)
    return config


def _override(raw: dict[str, Any], word: str) -> None:
    key, equals, value = word.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise InputError(
            "CONFIG_OVERRIDE", "key=value was expected", where="command line", field=word, remedy="e.g. train.epochs=5"
        )
    node = raw
    for part in parts[:-1]:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    node[parts[-1]] = parse_value(value, key)


def _is_other_branch(detail: Any) -> bool:
    """Tell whether a finding is of the word branch of a key that was given a list: the list branch tells its own."""
    return detail["type"] == "literal_error" and isinstance(detail["input"], list)


def _problem(path: Path, detail: Any) -> InputError:
    """Put one pydantic finding into our words."""
    location = [str(part) for part in detail["loc"] if not str(part).startswith(("function-", "list[", "constrained-"))]
    field = ".".join(location) or "config"
    if detail["type"] == "extra_forbidden":
        return InputError(
            "CONFIG_KEY",
            "there is no such key",
            where=path,
            field=field,
            remedy=did_you_mean(location[-1], _keys_at(location[:-1])),
        )
    what = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return InputError("CONFIG_VALUE", what, where=path, field=field, remedy="mend it in the config")
    value = detail["input"] if detail["type"] != "missing" else "(missing)"
    return InputError("CONFIG_VALUE", what, where=path, field=field, value=value, remedy="see configs/ for examples")


def _keys_at(location: Sequence[str]) -> list[str]:
    model: type[BaseModel] = RunConfig
    for part in location:
        if part.isdigit() or part not in model.model_fields:
            continue
        named = [t for t in _models_in(model.model_fields[part].annotation)]
        if named:
            model = named[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in getattr(annotation, "__args__", ()) for m in _models_in(a)]


def dump_config(config: RunConfig) -> str:
    """Return the resolved config as YAML, with every default spelt out."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
