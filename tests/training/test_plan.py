"""Plans: named strategies, phases and rates."""

import pytest

from detect_transfer.config import Phase, Train, Transfer
from detect_transfer.errors import InputError
from detect_transfer.training.optim import rate_factor
from detect_transfer.training.plan import make_plan

YOLO = frozenset({"stem", "stage1", "stage2", "stage3", "stage4", "neck", "head"})


@pytest.mark.parametrize(
    ("strategy", "trained"),
    [
        ("full", YOLO),
        ("scratch", YOLO),
        ("discriminative", YOLO),
        ("head_only", {"head"}),
        ("frozen_backbone", {"neck", "head"}),
    ],
)
def test_named_strategy__trains_its_stages(strategy: str, trained: set[str]) -> None:
    plan = make_plan(Transfer(strategy=strategy), Train(epochs=7), YOLO)
    assert plan.trained == trained
    assert (plan.epochs, len(plan.phases)) == (7, 1)


def test_gradual__unfreezes_step_by_step_within_the_epochs() -> None:
    plan = make_plan(Transfer(strategy="gradual"), Train(epochs=20), YOLO)
    assert [set(p.rates) for p in plan.phases] == [{"head"}, {"neck", "head"}, set(YOLO)]
    assert plan.epochs == 20
    assert [(p.first_epoch, p.last_epoch) for p in plan.phases] == [(1, 4), (5, 8), (9, 20)]


def test_gradual__with_fewer_epochs_than_phases_trains_all_at_once() -> None:
    plan = make_plan(Transfer(strategy="gradual"), Train(epochs=2), YOLO)
    assert (len(plan.phases), plan.epochs) == (1, 2)


def test_rates__fall_with_the_distance_from_the_head() -> None:
    phase = Phase(epochs=1, train="all", lr=1e-3, lr_decay_per_stage=0.5)
    rates = make_plan(Transfer(phases=[phase]), Train(), YOLO).phases[0].rates
    assert rates["head"] == 1e-3
    assert rates["neck"] == 5e-4
    assert rates["stage4"] == 2.5e-4
    assert rates["stem"] == pytest.approx(1e-3 * 0.5**6)


def test_phases__follow_each_other() -> None:
    phases = [Phase(epochs=2, train=["head"]), Phase(epochs=3, train="all")]
    plan = make_plan(Transfer(phases=phases), Train(epochs=99), YOLO)
    assert [(p.number, p.first_epoch, p.last_epoch) for p in plan.phases] == [(1, 1, 2), (2, 3, 5)]
    assert plan.strategy == "phases"


def test_a_phase_that_trains_nothing__is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"PLAN_TRAINS_NOTHING transfer\.phases\.0\.train.*stem.*head"):
        make_plan(Transfer(phases=[Phase(epochs=1, train=["rpn"])]), Train(), YOLO)


def test_rate_factor__rises_then_falls_to_its_end() -> None:
    settings = Train(warmup=0.1, schedule="cosine", lr_end=0.02)
    factors = [rate_factor(step, 100, settings) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 11)
    assert max(factors) == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[-1] == pytest.approx(0.02, abs=2e-3)


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_rate_factor__other_schedules(schedule: str) -> None:
    settings = Train(warmup=0.0, schedule=schedule, lr_end=0.5)
    assert rate_factor(0, 10, settings) == 1.0
    assert rate_factor(5, 10, settings) == (0.75 if schedule == "linear" else 1.0)
