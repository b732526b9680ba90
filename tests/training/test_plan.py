"""Plans: named strategies, phases and rates."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torchvision

from detect_transfer.cli.console import make_console, print_plan
from detect_transfer.config import Model, Phase, RunConfig, StrategyName, Train, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.models import build_detector, save_weights
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.ending import ended
from detect_transfer.training.optim import rate_factor
from detect_transfer.training.plan import Plan, PlannedPhase, make_plan, parts_note
from detect_transfer.training.pseudo_labels import with_keep_from
from detect_transfer.training.strategies import STRATEGIES, classes_of_source, phases_of
from detect_transfer.workflows.train import dry_run

YOLO = frozenset({"stem", "stage1", "stage2", "stage3", "stage4", "neck", "head"})


TRAINED = {
    "auto": YOLO,
    "epoch0": set(),
    "full": YOLO,
    "scratch": YOLO,
    "discriminative": YOLO,
    "gradual": YOLO,
    "head_then_full": YOLO,
    "head_only": {"head"},
    "frozen_backbone": {"neck", "head"},
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_named_strategy__trains_its_stages(name: str) -> None:
    plan = make_plan(Transfer(strategy=name), Train(epochs=10), YOLO, "some")
    assert plan.strategy == name
    assert plan.trained == TRAINED[name]
    assert plan.epochs == {"auto": 14, "epoch0": 0}.get(name, 10)


def test_strategies__are_those_of_the_config() -> None:
    assert set(STRATEGIES) == set(get_args(StrategyName))


def test_unknown_strategy__is_refused_and_trains_nothing() -> None:
    with pytest.raises(InputError, match=r"STRATEGY_UNKNOWN transfer\.strategy=ful .*did you mean 'full'"):
        phases_of("ful", Transfer(), Train(), "some")


def test_gradual__unfreezes_step_by_step_within_the_epochs() -> None:
    plan = make_plan(Transfer(strategy="gradual"), Train(epochs=20), YOLO, "some")
    assert [set(p.rates) for p in plan.phases] == [{"head"}, {"neck", "head"}, set(YOLO)]
    assert plan.epochs == 20
    assert [(p.first_epoch, p.last_epoch) for p in plan.phases] == [(1, 4), (5, 8), (9, 20)]


def test_head_then_full__goes_on_from_the_best_head() -> None:
    head, full = make_plan(Transfer(strategy="head_then_full"), Train(epochs=9), YOLO, "some").phases
    assert (set(head.rates), head.epochs, set(full.rates), full.epochs, full.start) == (
        {"head"},
        3,
        set(YOLO),
        6,
        "best",
    )
    assert head.views
    assert len(make_plan(Transfer(strategy="head_then_full"), Train(epochs=2), YOLO, "some").phases) == 1


def test_gradual__with_fewer_epochs_than_phases_trains_all_at_once() -> None:
    plan = make_plan(Transfer(strategy="gradual"), Train(epochs=2), YOLO, "some")
    assert (len(plan.phases), plan.epochs) == (1, 2)


def test_rates__fall_with_the_distance_from_the_head() -> None:
    phase = Phase(epochs=1, train="all", lr=1e-3, lr_decay_per_stage=0.5)
    rates = make_plan(Transfer(phases=[phase]), Train(), YOLO, "some").phases[0].rates
    assert rates["head"] == 1e-3
    assert rates["neck"] == 5e-4
    assert rates["stage4"] == 2.5e-4
    assert rates["stem"] == pytest.approx(1e-3 * 0.5**6)


def test_phases__follow_each_other() -> None:
    phases = [Phase(epochs=2, train=["head"]), Phase(epochs=3, train="all")]
    plan = make_plan(Transfer(phases=phases), Train(epochs=99), YOLO, "some")
    assert [(p.number, p.first_epoch, p.last_epoch) for p in plan.phases] == [(1, 1, 2), (2, 3, 5)]
    assert plan.strategy == "phases"


def test_a_phase_that_trains_nothing__is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"PLAN_TRAINS_NOTHING transfer\.phases\.0\.train.*stem.*head"):
        make_plan(Transfer(phases=[Phase(epochs=1, train=["rpn"])]), Train(), YOLO, "some")


def planned(**settings: object) -> PlannedPhase:
    return PlannedPhase(1, 1, 10, {"head": 1e-3}, **settings)


def test_rate_factor__rises_then_falls_to_its_end() -> None:
    factors = [rate_factor(step, 100, planned(warmup=0.1, schedule="cosine"), 0.02) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0.02, abs=2e-3)


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_rate_factor__other_schedules(schedule: str) -> None:
    phase = planned(warmup=0.0, schedule=schedule)
    assert rate_factor(0, 10, phase, 0.5) == 1.0
    assert rate_factor(5, 10, phase, 0.5) == (0.75 if schedule == "linear" else 1.0)


def test_rate_factor__one_cycle_peaks_at_three_tenths() -> None:
    factors = [rate_factor(step, 100, planned(schedule="one_cycle"), 0.01) for step in range(100)]
    assert factors[0] == pytest.approx(0.04)
    assert factors.index(max(factors)) == 30
    assert factors[:31] == sorted(factors[:31])
    assert factors[-1] == pytest.approx(0.01, abs=2e-3)


def test_without_a_strategy__the_head_comes_first_and_all_stages_go_on_from_the_best() -> None:
    """Gently where the source knows every class, the head shortly where it knows none; from scratch in one phase."""
    new, some, known = (make_plan(Transfer(), Train(epochs=10), YOLO, known) for known in ("none", "some", "all"))
    assert [[phase.epochs for phase in plan.phases] for plan in (new, some, known)] == [[2, 12], [5, 9], [5, 9]]
    assert new.phases[1].rates == some.phases[1].rates
    assert [(set(p.rates), p.start) for p in some.phases] == [({"head"}, "previous"), (set(YOLO), "best")]
    assert known.phases[1].rates["head"] == pytest.approx(some.phases[1].rates["head"] / 5)
    assert some.phases[0].views > 0
    assert make_plan(Transfer(), Train(), YOLO, "no source").strategy == "scratch"


def test_without_a_strategy__the_head_alone_trains_where_kept_classes_are_untouched() -> None:
    """All stages would forget most of them. Classes that share one softmax have targets, and are not untouched."""
    kept = Transfer(keep_source_classes=["car"])
    assert [with_keep_from(kept, arch).keep_from for arch in ("yolo11n", "ssdlite320_mobilenet_v3_large")] == [
        "untouched",
        "pseudo_labels",
    ]
    plans = {arch: make_plan(with_keep_from(kept, arch), Train(), YOLO, "some") for arch in ("yolo11n", "fasterrcnn")}
    assert {arch: plan.strategy for arch, plan in plans.items()} == {"yolo11n": "head_only", "fasterrcnn": "auto"}
    asked = Transfer(keep_source_classes=["car"], keep_from="ignore")
    assert make_plan(with_keep_from(asked, "yolo11n"), Train(), YOLO, "some").strategy == "auto"
    assert make_plan(with_keep_from(Transfer(), "yolo11n"), Train(), YOLO, "some").strategy == "auto"


def test_classes_of_source__tells_how_many_it_knows() -> None:
    known = [None, [False, False], [True, False], [True, True]]
    assert [classes_of_source(each) for each in known] == ["no source", "none", "some", "all"]


def test_course__begins_anew_where_a_phase_does() -> None:
    phases = [Phase(epochs=2), Phase(epochs=3), Phase(epochs=4, start="source"), Phase(epochs=1)]
    plan = make_plan(Transfer(phases=phases), Train(), YOLO, "some")
    assert [plan.course(phase) for phase in plan.phases] == [(0, 5), (2, 5), (0, 5), (4, 5)]


def test_kept_features__need_frozen_statistics() -> None:
    phase = Phase(epochs=1, train=["head"], cache_features=True, batchnorm="all")
    with pytest.raises(InputError, match=r"PLAN_FEATURES transfer\.phases\.0\.cache_features"):
        make_plan(Transfer(phases=[phase]), Train(), YOLO, "some")


def test_default_strategy__learns_at_a_full_rate_from_a_backbone_alone(
    config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    """No class is known there, so there is nothing to be gentle with."""
    backbone = torchvision.models.get_model("mobilenet_v2", weights=None)
    path = tmp_path / "mobilenet_v2.safetensors"
    save_weights(path, backbone.state_dict(), {})
    model = {"family": "torchvision", "arch": "fasterrcnn", "backbone": "mobilenet_v2", "weights": str(path)}
    plan, _, report = dry_run(config(model=model, transfer={}), scratch=tmp_path)
    assert {row.how for row in report.rows} == {"random"}
    assert plan.strategy == "auto"
    assert plan.phases[1].rates["head"] == pytest.approx(5e-4)


def test_scratch__keeps_the_architecture_of_the_weights_that_it_leaves_out(
    config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    detector = build_detector(Model(arch="yolov8n"), Transfer(), ["a"], None)[0]
    path = tmp_path / "w.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    tables = [
        dry_run(config(model=model, transfer={"strategy": "scratch"}), scratch=tmp_path)[1]
        for model in ({"weights": str(path)}, {"weights": "yolov8n"}, {"weights": "scratch", "arch": "yolov8n"}, {})
    ]
    assert tables[0] == tables[1] == tables[2] != tables[3]


def test_kept_features__need_a_frozen_backbone() -> None:
    transfer = Transfer(phases=[Phase(epochs=1, train=["stage4", "neck", "head"], cache_features=True)])
    with pytest.raises(InputError, match=r"PLAN_FEATURES transfer\.phases\.0\.cache_features=True - .*backbone"):
        make_plan(transfer, Train(), YOLO, "some")


def test_plan_of_two_plans__says_what_the_epochs_of_the_config_mean(capsys: pytest.CaptureFixture[str]) -> None:
    for strategy, title in (
        (None, "strategy auto: 2 plans of 1 and 2 epochs, 3 epochs in all"),
        ("full", "strategy full: 2 epochs"),
    ):
        plan = make_plan(Transfer(strategy=strategy), Train(epochs=2), YOLO, "some")
        print_plan(make_console(), plan, [])
        assert capsys.readouterr().out.splitlines()[0].strip() == title


def test_batch_in_parts__says_that_batch_norm_sees_each_part_alone() -> None:
    plan = make_plan(Transfer(strategy="full"), Train(), YOLO, "some")
    frozen = make_plan(Transfer(strategy="full", batchnorm="frozen"), Train(), YOLO, "some")
    assert "in 4 parts" in parts_note(plan, 4)[0]
    assert parts_note(plan, 1) == parts_note(frozen, 4) == []


def progress_of(plan: Plan, values: list[float]) -> Progress:
    """Return how far a run of two plans is whose first one came to AP 0.5 in three epochs."""
    rows = [{"epoch": i, "phase": 1, "AP": ap} for i, ap in enumerate([0.1, 0.3, 0.5, 0.4])]
    rows += [{"epoch": 4 + i, "phase": 2, "AP": ap} for i, ap in enumerate(values)]
    return Progress(
        epoch=rows[-1]["epoch"],
        best_epoch=2,
        best_ap=0.5,
        history=rows,
        phase=2,
        phase_epoch=len(values),
        course_start=3,
    )


@pytest.mark.parametrize(
    ("values", "end"),
    [
        pytest.param([0.1, 0.2, 0.3, 0.35], None, id="still-improves"),
        pytest.param([0.1, 0.3, 0.2, 0.25], "stop", id="no-longer"),
        pytest.param([0.6, 0.5, 0.4], "stop", id="better-than-the-first-and-no-longer"),
    ],
)
def test_patience__counts_from_the_start_of_the_plan_that_trains(values: list[float], end: str | None) -> None:
    plan = make_plan(Transfer(), Train(epochs=9), YOLO, "some")
    context = SimpleNamespace(progress=progress_of(plan, values), settings=Train(patience=2), plan=plan, on_stage=print)
    assert ended(context, plan.phases[1]) == end
