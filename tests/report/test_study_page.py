"""The page of a study: the verdict in words, every run, what failed, and names that try to do harm."""

import re
from dataclasses import replace

import numpy as np
import pytest
from simulated_study import ARMS, simulated_runs

from detect_transfer.evaluation.study.agreement import agreement
from detect_transfer.evaluation.study.answers import study_answers
from detect_transfer.evaluation.study.cross_domain import DomainRun, cross_domain
from detect_transfer.evaluation.study.forgetting import Interpolated, forgetting_curve
from detect_transfer.evaluation.study.scores import Estimate
from detect_transfer.report.study_page import (
    FailedRun,
    StudyPage,
    images_text,
    missing_runs,
    sentence_of,
    write_study_page,
)
from detect_transfer.report.study_plots import curves_plot

TWO = {"arms": ("scratch", "full"), "baseline": "scratch"}


def written(tmp_path, runs, arms=tuple(ARMS), baseline="scratch", **keys):
    path = tmp_path / "study.html"
    write_study_page(path, StudyPage("Signs", study_answers(runs, arms=arms, baseline=baseline), **keys))
    return path.read_text()


def test_page__says_the_verdict_first_and_shows_every_run(tmp_path) -> None:
    failed = (FailedRun("full", 150, 3, "DISK run.pt - no space left", "logs/x.txt"),)
    html = written(
        tmp_path, simulated_runs(), failed=failed, n_planned=28, paragraph="We trained.", not_tested=["Rain."]
    )
    assert re.search(r'id="difference">\+0\.2\d\d', html)
    assert '<b class="up">better</b>' in html
    assert html.count(">open</a>") == 27
    for text in ("27 finished runs of 28", "1 run failed", "DISK run.pt", "We trained.", "<li>Rain.</li>"):
        assert text in html
    assert html.count("<img src=") == 6
    assert not re.search(r"https?://", html.split("<body>")[1].replace("http://www.w3.org", ""))


def test_page__of_one_size_says_each_verdict_once(tmp_path) -> None:
    runs = simulated_runs()
    several, largest = written(tmp_path, runs), max(run.n_images for run in runs)
    html = written(tmp_path, [run for run in runs if run.n_images == largest])
    sizes = len({run.n_images for run in runs})
    assert several.count('<td class="words">') == (len(ARMS) - 1) * (1 + sizes)
    assert html.count('<td class="words">') == len(ARMS) - 1
    assert "all sizes<" in several
    assert "all sizes<" not in html


def test_page__without_histories_draws_runs_or_a_baseline(tmp_path) -> None:
    bare = [replace(run, draws=None, history=None, cost={}, link="") for run in simulated_runs()]
    html = written(tmp_path, bare)
    assert "No training AP was measured." in html
    assert "not for other test images" in html
    assert html.count("<img src=") == 2
    assert "no finished run of another arm" in written(tmp_path, bare, baseline="none of them")
    assert "0 finished runs" in written(tmp_path, [])


def test_page__a_baseline_that_is_never_behind(tmp_path) -> None:
    html = written(tmp_path, simulated_runs(arms=("scratch", "auto")), baseline="auto")
    assert "It is never behind." in html
    assert '<b class="down">worse</b>' in html


def test_page__forgetting_other_data_sets_and_the_prediction(tmp_path) -> None:
    grid = np.array([0.0, 0.5, 1.0])
    runs = [Interpolated(seed, grid, 0.6 + 0.1 * grid, 0.4 - 0.004 * grid - 0.01 * seed * grid) for seed in (0, 1)]
    first, second = ([DomainRun("A", b, s, ap and ap + 0.01 * s) for b in "AB" for s in (0, 1)] for ap in (0.2, 0.5))
    html = written(
        tmp_path,
        simulated_runs(arms=("full",)),
        forgetting=[("full", forgetting_curve(runs))],
        matrix=[("full", cell) for cell in cross_domain(first, second)],
        agreement=[("full", agreement(np.arange(7.0), np.arange(7.0) ** 2))],
    )
    assert "0.5 <b>chosen</b>" in html
    assert "AP on the new task against AP on the source task" in html
    assert html.count("+0.300") == 2
    assert "τ = +1.00" in html
    links = set(re.findall(r'<a href="#([a-z-]+)">', html))
    assert links >= {"forgetting", "matrix", "prediction"}
    assert all(f'id="{link}"' in html for link in links)


def test_page__a_missing_run_is_named_once(tmp_path) -> None:
    runs = [run for run in simulated_runs() if (run.arm, run.n_images, run.seed) != ("scratch", 50, 1)]
    html = written(tmp_path, runs)
    assert html.count("scratch with 50 images and seed 1") == 1
    answers = study_answers([r for r in simulated_runs(range(9)) if (r.arm, r.seed > 1) != ("full", True)], **TWO)
    assert missing_runs(answers)[-1] == "and 9 more"


def test_page__names_do_no_harm(tmp_path) -> None:
    hostile = "<script>document.title='owned'</script>"
    runs = [replace(run, arm=hostile if run.arm == "full" else run.arm) for run in simulated_runs()]
    html = written(tmp_path, runs, arms=["scratch", hostile])
    assert "<script>document" not in html
    assert "&lt;script&gt;document" in html


def test_sentence__one_pair_is_not_called_better() -> None:
    answers = study_answers(simulated_runs(seeds=(0,)), arms=list(ARMS), baseline="scratch")
    text = sentence_of(answers, answers.against[0])
    assert text.startswith("over 3 sizes and 1 seed: cannot tell: 2 more seeds needed")
    assert "What it reaches" not in text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(331.4, (280.2, 410.9)), "331 images (280 to 411)"),
        (Estimate(12345.0, (9999.0, np.inf)), "12,300 images (10,000 to no bound)"),
        (Estimate(None, (1410.0, np.inf), "never"), "at least 1,410: never"),
        (Estimate(None, None, "no curve"), "no curve"),
    ],
)
def test_images__with_the_digits_that_mean_something(estimate, text) -> None:
    assert images_text(estimate) == text


def test_curves__of_sizes_between_two_powers_of_ten_have_numbers_at_their_axis() -> None:
    answers = study_answers(simulated_runs(sizes=(14, 17, 28)), arms=list(ARMS), baseline="scratch")
    drawn = curves_plot(answers)
    assert "<!-- 14 -->" in drawn
    assert "<!-- 28 -->" in drawn
    assert "<!-- 17 -->" not in drawn


def test_page__of_runs_that_learned_nothing_says_so_and_shows_no_empty_table(tmp_path) -> None:
    html = written(tmp_path, [replace(run, ap=0.001 * run.seed) for run in simulated_runs()])
    assert "Not every run of an arm reached an AP of .01" in html
    assert "runs that got there" not in html
    assert "0.001 (0.000 to 0.003)" in html  # no AP is negative
