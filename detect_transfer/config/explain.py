"""What every key of a config means: its type and range, its default, and the sentence of its docstring.

The models are the one source; the command line, the reference page and the JSON schema are made of it.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from detect_transfer.config.parts import RunConfig
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.input_size import InputSize, size_words

REQUIRED = "required"  # in place of a default
_WORDS = {
    **{int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path", Any: "anything"},
    InputSize: size_words(32, 32),
}

# what other tools call what stands elsewhere here: a key, or what to do instead
_NAMES_ELSEWHERE = {
    "amp": "train.precision",
    "backbone_lr": "transfer.phases",
    "batch_size": "train.batch",
    "close_mosaic": "train.mosaic_until",
    "copy_paste": "augment",
    "mixup": "augment",
    "conf": "evaluate.score_floor",
    "cos_lr": "train.schedule",
    "dataset": "data.path",
    "fliplr": "mirror.images",
    "freeze": "transfer.strategy",
    "image_size": "train.imgsz",
    "img": "train.imgsz",
    "img_size": "train.imgsz",
    "iou": "evaluate.nms_iou",
    "learning_rate": "train.lr",
    "lr0": "train.lr",
    "lrf": "train.lr_end",
    "max_det": "evaluate.max_detections",
    "max_epochs": "train.epochs",
    "name": "out",
    "num_epochs": "train.epochs",
    "num_workers": "train.workers",
    "output": "out",
    "pretrained": "model.weights",
    "project": "out",
    "rect": "train.batch_shapes",
    "save_dir": "out",
    "warmup_epochs": "train.warmup",
}
_NO_CHOICE = {
    "single_cls": "map the classes when converting: convert --classes object=a,object=b",
    "optimizer": "training is by AdamW: set train.lr and train.weight_decay",
    "momentum": "training is by AdamW: set train.lr and train.weight_decay",
    "resume": "write --resume RUN_FOLDER",
}


@dataclass(frozen=True)
class Key:
    """A key of a config.

    Args:
        name: Its whole name, such as `train.epochs`; `[]` stands for an entry of a list.
        values: What it takes, with the range.
        default: As YAML has it; "" where the key has parts of its own, "required" where there is none.
        meaning: What it does, in words.
    """

    name: str
    values: str
    default: str
    meaning: str

    @property
    def text(self) -> str:
        """The key in two lines."""
        default = {"": "", REQUIRED: f"; {REQUIRED}"}.get(self.default, f"; default {self.default}")
        return f"{self.name}: {self.values}{default}\n    {self.meaning}"


def keys_of(model: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[Key]:
    """Yield every key of a config in the order of the models, a part before its keys."""
    for name, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        parts = models_in(field.annotation)
        values = _values(field.annotation, tuple(field.metadata))
        yield Key(f"{prefix}{name}", values, _default(field), meaning)
        for part in parts:
            is_listed = "list" in str(field.annotation)
            yield from keys_of(part, f"{prefix}{name}{'[]' if is_listed else ''}.")


def explain(name: str | None = None, model: type[BaseModel] = RunConfig) -> list[Key]:
    """Return the key of that name and the keys under it; all keys for None.

    Raises:
        InputError: There is no such key; it says what comes nearest.
    """
    keys = list(keys_of(model))
    if name is None:
        return keys
    plain = plain_name(name)
    chosen = [key for key in keys if f"{plain_name(key.name)}.".startswith(f"{plain}.")]
    if chosen:
        return chosen
    raise InputError("CONFIG_KEY", "there is no such key", field=name, remedy=nearest_key(name, model))


def plain_name(name: str) -> str:
    """Return the name of a key without the marks and numbers of entries, such as those of `transfer.phases[0].lr`."""
    return re.sub(r"\.\d+(?=\.|$)|\[\d*\]", "", name)


def nearest_key(name: str, model: type[BaseModel] = RunConfig) -> str:
    """Return a remedy for a key that is not there: what is meant by its last word, its spelling, or in other tools."""
    parent, _, last = re.sub(r"\.\d+", "[]", name).rpartition(".")
    if last in _NO_CHOICE:
        return _NO_CHOICE[last]
    names = [key.name for key in keys_of(model)]
    if last in _NAMES_ELSEWHERE:
        return f"did you mean '{_NAMES_ELSEWHERE[last]}'?"
    same = [full for full in names if full.rpartition(".")[2] == last and "[]" not in full]
    if same:
        return f"did you mean {' or '.join(repr(full) for full in same)}?"
    siblings = [full for full in names if full.rpartition(".")[0] == parent]
    near = get_close_matches(last, [full.rpartition(".")[2] for full in siblings], n=1, cutoff=0.6)
    if near:
        return f"did you mean '{parent}.{near[0]}'?" if parent else f"did you mean '{near[0]}'?"
    by_last = {full.rpartition(".")[2]: full for full in reversed(names) if "[]" not in full}
    near = get_close_matches(last, list(by_last), n=1, cutoff=0.75)
    return f"did you mean '{by_last[near[0]]}'?" if near else did_you_mean(last, siblings or names)


def schema_text(model: type[BaseModel] = RunConfig) -> str:
    """Return the JSON schema of a config, by which editors complete and check a file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in models_in(part)]


def _values(annotation: Any, metadata: tuple[Any, ...] = ()) -> str:
    """Return in words what an annotation takes, with the range that its constraints leave."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _values(arguments[0], (*metadata, *annotation.__metadata__))
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, arguments))}" if len(arguments) > 1 else str(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys("nothing" if a is type(None) else _values(a, metadata) for a in arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)} {_plain(arguments[0])}"
    if origin in (list, tuple):
        return f"a list of {_plain(arguments[0])}"
    if origin is dict:
        return f"a mapping from {_plain(arguments[0])} to {_values(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys of its own"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    return f"{_WORDS.get(annotation, 'anything')}{_range(metadata)}"


def _plain(annotation: Any) -> str:
    """Return what the entries of a list are, in words."""
    words = {int: "whole numbers", float: "numbers", str: "words", Path: "paths"}
    if typing.get_origin(annotation) is typing.Annotated and typing.get_args(annotation)[0] in words:
        return words[typing.get_args(annotation)[0]] + _range(annotation.__metadata__)
    if typing.get_origin(annotation) is dict:
        return "mappings"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(_plain(part) for part in typing.get_args(annotation))
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return "parts with the keys below" if is_model else words.get(annotation, _values(annotation))


def _range(metadata: tuple[Any, ...]) -> str:
    bounds: dict[str, Any] = {}
    for item in metadata:
        for part in item.metadata if isinstance(item, FieldInfo) else (item,):
            for bound in ("ge", "gt", "le", "lt", "multiple_of"):
                value = getattr(part, bound, None)
                bounds |= {} if value is None else {bound: value}
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    text = ""
    if low is not None and high is not None and high < 2**31:
        text = f" in {'[' if 'ge' in bounds else '('}{low:g}, {high:g}{']' if 'le' in bounds else ')'}"
    elif low is not None:
        text = f" from {low:g} on" if "ge" in bounds else f" above {low:g}"
    elif high is not None:
        text = f" up to {high:g}" if "le" in bounds else f" below {high:g}"
    return text + (f", a multiple of {bounds['multiple_of']:g}" if "multiple_of" in bounds else "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return ""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return "empty" if value in ({}, [], ()) else str(value)
