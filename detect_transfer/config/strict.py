"""What all parts of the config share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from detect_transfer.core.input_size import MOST_IMGSZ, InputSize

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
_SIDE = {"type": "integer", "minimum": 32, "maximum": MOST_IMGSZ, "multipleOf": 32}
_PAIR = {"type": "array", "items": _SIDE, "minItems": 2, "maxItems": 2}


def _sides(value: Any) -> InputSize:
    try:
        return InputSize.of(value, least=32, multiple=32)
    except ValueError as error:
        raise PydanticCustomError("input_size", "{what}", {"what": str(error)}) from error


ImageSides = Annotated[
    InputSize,
    PlainValidator(_sides),
    PlainSerializer(lambda size: size.plain),
    WithJsonSchema({"anyOf": [_SIDE, _PAIR, {"type": "string", "pattern": "^[0-9]+(x[0-9]+)?$"}]}),
]


class Strict(BaseModel):
    """A part of the config: unknown keys are refused and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Spell a boolean out where a number is expected, which refuses it: pydantic takes `yes` for 1."""
        return _spelled_out(value) if _is_of_numbers(cls.model_fields[str(info.field_name)].annotation) else value


def _spelled_out(value: Any) -> Any:
    """Return a value with `true` and `false` in the place of its booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return [_spelled_out(each) for each in value]
    return {key: _spelled_out(each) for key, each in value.items()} if isinstance(value, dict) else value


def _is_of_numbers(annotation: Any) -> bool:
    """Tell whether a type has numbers in it, and nothing that a boolean or a word may be."""
    types = set(_types(annotation))
    return not types.isdisjoint({int, float}) and types.isdisjoint({bool, str, Any})


def _types(annotation: Any) -> Iterator[Any]:
    """Return the types that a value, or a value in it, may have; keys of mappings and words of choices are none."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is None:
        yield annotation
    elif origin is Annotated:
        yield from _types(inner[0])
    elif origin is not Literal:
        for each in inner[1:] if origin is dict else inner:
            yield from _types(each)
