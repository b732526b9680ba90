"""The time that a run still takes, on a clock that is moved by hand."""

import pytest

from detect_transfer.training.plan import Plan, PlannedPhase
from detect_transfer.workflows.run_clock import RunClock, duration, timed
from detect_transfer.workflows.watch import Watch

N_TRAIN, N_VAL = 100, 50
SECONDS = {1: 5.0, 2: 40.0}  # an epoch of each phase
SCORE = 10.0


def phase(number: int, first: int, epochs: int, stages: tuple[str, ...], *, views: int) -> PlannedPhase:
    return PlannedPhase(
        number, first, epochs, dict.fromkeys(stages, 1e-3), start="previous", schedule="cosine", warmup=0.1,
        batchnorm="with_stage", l2sp=0.0, views=views, until={}, on_until="stop", patience=None,
    )  # fmt: skip


PLAN = Plan("auto", (phase(1, 1, 3, ("head",), views=4), phase(2, 4, 2, ("head", "stage4"), views=0)), 10.0)


def row(epoch: int, number: int) -> dict[str, float]:
    trained = SECONDS.get(number, 0.0)
    return {
        "epoch": epoch, "phase": number, "score_seconds": SCORE, "train_seconds": trained / 1.1,
        "epoch_seconds": trained + SCORE,
    }  # fmt: skip


def test_the_time_left__goes_to_zero_over_the_whole_run() -> None:
    now = 0.0
    clock = RunClock(PLAN, N_TRAIN, N_VAL, now=lambda: now)
    clock.note(row(0, 0))
    assert clock.seconds_left() == pytest.approx(3 * (0.2 * 25 + 10) + 2 * (0.2 * 120 + 10)), "by the scoring alone"
    left, truth = [], []
    total = 3 * (SECONDS[1] + SCORE) + 2 * (SECONDS[2] + SCORE)
    for epoch, number in ((1, 1), (2, 1), (3, 1), (4, 2), (5, 2)):
        for step in range(1, 5):
            now += SECONDS[number] / 4
            share = (epoch - 1 + step / 4) / PLAN.epochs
            left.append(clock.seconds_left_in(step, 4, share))
            truth.append(total - now)
        now += SCORE
        clock.note(row(epoch, number))
    assert clock.seconds_left() == 0
    assert left[-1] == pytest.approx(SCORE), "the last epoch is still scored"
    assert left[-4:] == pytest.approx(truth[-4:], rel=0.01), "measured"
    assert all(0.4 < a / b < 2 for a, b in zip(left, truth, strict=True)), "never far off"


def test_the_averages__are_scored_after_the_last_epoch() -> None:
    clock = RunClock(PLAN, N_TRAIN, N_VAL, averages=3)
    for epoch, number in ((0, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 2)):
        clock.note(row(epoch, number))
    assert clock.seconds_left() == pytest.approx(3 * SCORE)
    untrained = RunClock(Plan("epoch0", (), 1.0), N_TRAIN, N_VAL, averages=3)
    untrained.note(row(0, 0))
    assert untrained.seconds_left() == 0, "of nothing that was trained there is no average"


def test_features_that_are_computed_first__do_not_count_as_steps() -> None:
    now = 0.0
    clock = RunClock(PLAN, N_TRAIN, N_VAL, now=lambda: now)
    clock.note(row(0, 0))
    now = 300.0  # the features
    for step in range(1, 11):
        now += SECONDS[1] / 100
        left = clock.seconds_left_in(step, 100, step / 100 / PLAN.epochs)
    assert left == pytest.approx(0.9 * SECONDS[1] + SCORE + 2 * (25 / 5 + SCORE) + 2 * (0.2 * 120 + SCORE))


def test_scoring_that_keeps_features__says_nothing_of_a_phase_that_trains_all() -> None:
    clock = RunClock(PLAN, N_TRAIN, N_VAL)
    for epoch, number, seconds in ((0, 0, 30.0), (1, 1, SCORE), (2, 1, 1.0), (3, 1, 1.0)):
        clock.note({**row(epoch, number), "score_seconds": seconds})
    assert clock.seconds_left() == pytest.approx(2 * (1.2 / 0.25 * SECONDS[1] + SCORE), rel=0.01)


def test_a_run_that_goes_on__knows_what_its_epochs_took() -> None:
    clock = RunClock(PLAN, N_TRAIN, N_VAL)
    clock.begin_at([row(epoch, number) for epoch, number in ((0, 0), (1, 1), (2, 1), (3, 1), (4, 2))])
    assert clock.seconds_left_in(1, 4, 4.25 / 5) == pytest.approx(0.75 * SECONDS[2] + SCORE)
    assert clock.seconds_left() == pytest.approx(SECONDS[2] + SCORE)


def test_a_budget__ends_what_is_left() -> None:
    now = 0.0
    clock = RunClock(PLAN, N_TRAIN, N_VAL, budget_seconds=50.0, now=lambda: now)
    clock.note(row(0, 0))
    now = 20.0
    assert clock.seconds_left() == pytest.approx(30)


def test_a_phase_that_ends_sooner__leaves_the_others() -> None:
    clock = RunClock(PLAN, N_TRAIN, N_VAL)
    for number, epoch in ((0, 0), (1, 1), (2, 2)):
        clock.note(row(epoch, number))
    assert clock.seconds_left() == pytest.approx(SECONDS[2] + SCORE)


def test_the_watch__is_told_in_words_after_epoch_0_and_each_phase_that_is_new() -> None:
    lines: list[str] = []
    on_step, on_epoch = timed(Watch(on_stage=lines.append), RunClock(PLAN, N_TRAIN, N_VAL))
    for epoch, number in ((0, 0), (1, 1), (2, 1), (3, 1), (4, 2)):
        on_epoch(row(epoch, number))
    on_step(5, 1, 2, 0.5, 0.9)
    assert len(lines) == 3
    assert all("of training to go" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (119, "119 s"), (180, "3 min"), (7000, "117 min"), (9000, "2 h 30 min"), (345600, "4.0 days")],
)
def test_a_duration__in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
