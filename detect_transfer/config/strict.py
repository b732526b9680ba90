"""What all parts of the config share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
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
