"""`MetricResult`: what every metric of `METRICS` gives, and the sheet that it is written on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Numbers = dict[str, float | None]
Curves = dict[str, dict[str, list[float]]]  # name -> axis -> values


@dataclass(frozen=True)
class MetricResult:
    """The numbers of one protocol.

    Args:
        name: The protocol, as in `METRICS`.
        values: Numbers by name. `AP` is the mean over the classes that have a number, `AP/car` that of one class. None
            where there is nothing to score; never 0 or -1 instead.
        reasons: For each None in `values`, why.
        bounds: What the numbers were made under, to be printed beside them; JSON-ready.
        curves: Lines to draw, as lists of equal length by the name of the axis.
    """

    name: str
    values: Numbers
    reasons: dict[str, str]
    bounds: dict[str, Any]
    curves: Curves = field(default_factory=dict)

    def as_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """Return what `metrics.json` holds; curves on request."""
        value: dict[str, Any] = {
            "values": dict(self.values),
            "reasons": dict(self.reasons),
            "bounds": dict(self.bounds),
        }
        return {**value, "curves": self.curves} if curves else value


@dataclass(frozen=True)
class Sheet:
    """Values and reasons in the making; a None is only accepted with its reason."""

    values: Numbers = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: float | None, reason: str) -> None:
        """Add a number, or None with the reason."""
        self.values[name] = None if value is None else float(value)
        if value is None:
            self.reasons[name] = reason

    def spread(self, name: str, by_class: Mapping[str, float | None], reason: str) -> None:
        """Add the mean over the classes that have a number under `name`, and each class under `name/class`."""
        present = [value for value in by_class.values() if value is not None]
        self.put(name, sum(present) / len(present) if present else None, reason)
        for class_name, value in by_class.items():
            self.put(f"{name}/{class_name}", value, reason)

    def result(self, name: str, bounds: dict[str, Any], curves: Curves | None = None) -> MetricResult:
        """Return the finished result."""
        return MetricResult(name, self.values, self.reasons, bounds, curves or {})
