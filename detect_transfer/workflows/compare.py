"""Two or more trainings compared: paired over images, over seeds and over classes, with a verdict and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.io import new_folder, require_new, write_json
from detect_transfer.evaluation import Case, parse_ignore_policy
from detect_transfer.evaluation.coco.bootstrap import LEVEL, SAMPLED, Sampled, draw_weights, sample
from detect_transfer.evaluation.coco.threshold_matches import match_at_thresholds, units_of
from detect_transfer.evaluation.comparison import Comparison, Difference, Plan, compare_groups
from detect_transfer.report.compare_page import ComparePage, Line, Pair, write_compare_page
from detect_transfer.workflows.comparison_inputs import Run, RunGroup


@dataclass(frozen=True)
class Compared:
    """The result: every further group against the first.

    Args:
        groups: The groups; the first is what the others are compared with.
        numbers: `AP`, `AP50`, `AP75` and `AR100` of each set of detections, by group.
        comparisons: A comparison for each further group.
        truth: What all were scored on.
        plan: How it was compared.
    """

    groups: tuple[RunGroup, ...]
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
            "groups": [
                {
                    "name": group.name,
                    "runs": [
                        {"name": run.name, **row, **plan_facts(run)} for run, row in zip(group.runs, rows, strict=True)
                    ],
                }
                for group, rows in zip(self.groups, self.numbers, strict=True)
            ],
            "comparisons": [
                {
                    "first": self.groups[0].name,
                    "second": group.name,
                    "seeds": comparison.seeds,
                    "metrics": [d.as_dict() for d in comparison.metrics],
                    "classes": [
                        {"category_id": i, "class": name, **d.as_dict()}
                        for (i, name), d in zip(self.class_names.items(), comparison.classes, strict=True)
                    ],
                }
                for group, comparison in zip(self.groups[1:], self.comparisons, strict=True)
            ],
        }


def compare_and_write(groups: Sequence[RunGroup], out: Path, *, plan: Plan, ignore_policy: str = "region") -> Compared:
    """Compare and write `compare.json` and `compare.html`.

    Raises:
        InputError: Detections name unknown ids, or `out` is not empty.
    """
    require_new(out)
    compared = compare(groups, plan=plan, ignore_policy=ignore_policy)
    with new_folder(out) as building:
        write_json(building / "compare.json", compared.as_dict())
        write_compare_page(building / "compare.html", _page(compared))
    return compared


def compare(groups: Sequence[RunGroup], *, plan: Plan, ignore_policy: str = "region") -> Compared:
    """Score all groups on the same draws, and every further group against the first.

    Raises:
        InputError: Detections name unknown ids, there are too few draws, or there is no such policy.
    """
    policy = parse_ignore_policy(ignore_policy)
    truth = groups[0].runs[0].truth
    weights = draw_weights(units_of(truth)[1], n_draws=plan.n_draws, seed=plan.seed)
    sampled = [
        [sample(match_at_thresholds(Case(truth, run.detections, policy)), weights) for run in group.runs]
        for group in groups
    ]
    ids = truth.categories["category_id"].sort().to_list()
    return Compared(
        groups=tuple(groups),
        numbers=tuple(tuple(map(_numbers, group)) for group in sampled),
        comparisons=tuple(compare_groups(sampled[0], other, ids, plan) for other in sampled[1:]),
        truth=truth,
        plan=plan,
    )


def plan_facts(run: Run) -> dict[str, Any]:
    """Return what distinguishes one run from another; nothing for detections of a file."""
    if run.config is None:
        return {}
    config, source = run.config, run.transfer.get("source") or {}
    return {
        "strategy": run.transfer.get("strategy"),
        "phases": "; ".join(_phase(phase) for phase in run.transfer.get("phases", [])),
        "starts from": source.get("file", "scratch"),
        "family": config.model.family,
        "imgsz": config.train.imgsz.plain,
        "batch": config.train.batch,
        "seed": config.train.seed,
        "epochs": max((row["epoch"] for row in run.history), default=None),
        "seconds": round(sum(row.get("epoch_seconds", 0.0) for row in run.history), 1),
    }


def _phase(phase: dict[str, Any]) -> str:
    first, rates = phase["first_epoch"], phase["rates"]
    trained = ", ".join(f"{stage} {rate:.1e}" for stage, rate in rates.items())
    if len(rates) > 1 and len({*rates.values()}) == 1:
        trained = f"{', '.join(rates)} {next(iter(rates.values())):.1e}"
    return f"epochs {first}-{first + phase['epochs'] - 1}: {trained or 'nothing'}"


def _numbers(sampled: Sampled) -> dict[str, float | None]:
    values = {name: float(sampled.metrics[name][0]) for name in SAMPLED}
    return {name: value if value == value else None for name, value in values.items()}  # NaN is not itself


def _has_objects(d: Difference) -> bool:
    return d.first is not None or d.second is not None


def _page(compared: Compared) -> ComparePage:
    names = compared.class_names
    pairs = []
    for group, comparison in zip(compared.groups[1:], compared.comparisons, strict=True):
        scored = [row for row in zip(names.values(), comparison.classes, strict=True) if _has_objects(row[1])]
        rows = tuple(sorted(scored, key=lambda row: row[1].difference is None))
        empty = len(names) - len(rows)
        pairs.append(Pair(compared.groups[0].name, group.name, comparison.metrics, rows, comparison.seeds, empty))
    record = compared.as_dict()
    runs = [{"group": group["name"], **run} for group in record["groups"] for run in group["runs"]]
    lines = [Line(i, e.name, e.history) for i, group in enumerate(compared.groups) for e in group.runs if e.history]
    return ComparePage(
        title=" against ".join(group.name for group in reversed(compared.groups[:2])),
        n_images=record["images"],
        n_units=record["units"],
        plan=compared.plan,
        pairs=tuple(pairs),
        runs=tuple(runs),
        lines=tuple(lines),
    )
