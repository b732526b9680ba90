"""Two or more trainings compared: paired over images, over seeds and over classes, with a verdict and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.evaluation import Case, known_policy
from detect_transfer.evaluation.coco.bootstrap import LEVEL, SAMPLED, Sampled, draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds, units_of
from detect_transfer.evaluation.comparison import Comparison, Plan, compare_groups
from detect_transfer.report.compare_page import ComparePage, Line, Pair, write_compare_page
from detect_transfer.workflows.comparison_inputs import Run, RunGroup


@dataclass(frozen=True)
class Compared:
    """The result: every further side against the first.

    Args:
        sides: The sides; the first is what the others are compared with.
        numbers: `AP`, `AP50`, `AP75` and `AR100` of each set of detections, by side.
        comparisons: A comparison for each further side.
        truth: What all were scored on.
        plan: How it was compared.
    """

    sides: tuple[RunGroup, ...]
    numbers: tuple[tuple[dict[str, float | None], ...], ...]
    comparisons: tuple[Comparison, ...]
    truth: AnnotationTable
    plan: Plan

    @property
    def class_names(self) -> dict[int, str]:
        """The name of each category id."""
        return dict(self.truth.categories.sort("category_id").select("category_id", "name").iter_rows())

    def as_dict(self) -> dict[str, Any]:
        """Return what `compare.json` holds."""
        _, n_units = units_of(self.truth)
        return {
            "margin": self.plan.margin,
            "level": LEVEL,
            "draws": self.plan.n_draws,
            "seed": self.plan.seed,
            "images": self.truth.images.height,
            "units": n_units,
            "sides": [
                {
                    "name": side.name,
                    "runs": [
                        {"name": entry.name, **row, **plan_facts(entry)}
                        for entry, row in zip(side.entries, rows, strict=True)
                    ],
                }
                for side, rows in zip(self.sides, self.numbers, strict=True)
            ],
            "comparisons": [
                {
                    "first": self.sides[0].name,
                    "second": side.name,
                    "metrics": [d.as_dict() for d in comparison.metrics],
                    "classes": [
                        {"category_id": i, "class": name, **d.as_dict()}
                        for (i, name), d in zip(self.class_names.items(), comparison.classes, strict=True)
                    ],
                }
                for side, comparison in zip(self.sides[1:], self.comparisons, strict=True)
            ],
        }


def compare_and_write(sides: Sequence[RunGroup], out: Path, *, plan: Plan, ignore_policy: str = "region") -> Compared:
    """Compare and write `compare.json` and `compare.html`.

    Raises:
        InputError: Detections name unknown ids, or `out` is not empty.
    """
    require_new(out)
    compared = compare(sides, plan=plan, ignore_policy=ignore_policy)
    with new_folder(out) as building:
        write_json(building / "compare.json", compared.as_dict())
        write_compare_page(building / "compare.html", _page(compared))
    return compared


def compare(sides: Sequence[RunGroup], *, plan: Plan, ignore_policy: str = "region") -> Compared:
    """Score all sides on the same draws, and every further side against the first.

    Raises:
        InputError: Detections name unknown ids, there are too few draws, or there is no such policy.
    """
    policy = known_policy(ignore_policy)
    truth = sides[0].entries[0].truth
    marked = [[match_at_thresholds(Case(truth, entry.detections, policy)) for entry in side.entries] for side in sides]
    weights = draw_weights(units_of(truth)[1], n_draws=plan.n_draws, seed=plan.seed)
    sampled = [[sample(one, weights) for one in side] for side in marked]
    ids = truth.categories["category_id"].sort().to_list()
    return Compared(
        sides=tuple(sides),
        numbers=tuple(tuple(_numbers(one) for one in side) for side in sampled),
        comparisons=tuple(compare_groups(sampled[0], other, ids, plan) for other in sampled[1:]),
        truth=truth,
        plan=plan,
    )


def plan_facts(entry: Run) -> dict[str, Any]:
    """Return what tells one run from another; nothing for detections of a file."""
    if entry.config is None:
        return {}
    config, source = entry.config, entry.transfer.get("source") or {}
    return {
        "strategy": entry.transfer.get("strategy"),
        "phases": "; ".join(_phase(phase) for phase in entry.transfer.get("phases", [])),
        "starts from": source.get("file", "scratch"),
        "family": config.model.family,
        "imgsz": config.train.imgsz,
        "batch": config.train.batch,
        "seed": config.train.seed,
        "epochs": max((row["epoch"] for row in entry.history), default=None),
        "seconds": round(sum(row.get("epoch_seconds", 0.0) for row in entry.history), 1),
    }


def _phase(phase: dict[str, Any]) -> str:
    first, rates = phase["first_epoch"], phase["rates"]
    trained = ", ".join(f"{stage} {rate:.1e}" for stage, rate in rates.items())
    if len(rates) > 1 and len({*rates.values()}) == 1:
        trained = f"{', '.join(rates)} {next(iter(rates.values())):.1e}"
    return f"epochs {first}-{first + phase['epochs'] - 1}: {trained or 'nothing'}"


def _numbers(one: Sampled) -> dict[str, float | None]:
    values = {name: float(one.metrics[name][0]) for name in SAMPLED}
    return {name: value if value == value else None for name, value in values.items()}  # NaN is not itself


def _page(compared: Compared) -> ComparePage:
    names = compared.class_names
    pairs = []
    for side, comparison in zip(compared.sides[1:], compared.comparisons, strict=True):
        rows = tuple(zip(names.values(), comparison.classes, strict=True))
        pairs.append(Pair(compared.sides[0].name, side.name, comparison.metrics, rows))
    told = compared.as_dict()
    runs = [{"side": side["name"], **run} for side in told["sides"] for run in side["runs"]]
    lines = [Line(i, e.name, e.history) for i, side in enumerate(compared.sides) for e in side.entries if e.history]
    return ComparePage(
        title=" against ".join(side.name for side in reversed(compared.sides[:2])),
        n_images=told["images"],
        n_units=told["units"],
        plan=compared.plan,
        pairs=tuple(pairs),
        runs=tuple(runs),
        lines=tuple(lines),
    )
