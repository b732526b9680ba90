"""The commands of a study: init, plan, run, resume, extend, report."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detect_transfer.cli.command import CommandWithChoices
from detect_transfer.cli.console import is_verbose, make_console, print_lines
from detect_transfer.cli.signals import TERMINATE, stops_handled
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError

if TYPE_CHECKING:
    from detect_transfer.workflows.verify import Check

study = typer.Typer(
    help="Measure what the pretrained weights are worth on your data: several arms, sizes and seeds.",
    rich_markup_mode=None,
    add_completion=False,
)
StudyPath = Annotated[Path, typer.Argument(help="The YAML file of a study, or its folder.")]
Words = Annotated[list[str] | None, typer.Argument(help="[key.subkey=value ...], such as study.seeds=[0,1,2,3,4]")]
_MOST_ROWS = 40
_OUTCOMES = ("confirmed", "denied", "not checked")


@study.command(cls=CommandWithChoices)
def init(
    data: Annotated[Path, typer.Argument(help="Data that train reads: a data folder, or any format that shows.")],
    out: Annotated[Path | None, typer.Option(help="The YAML file; without it NAME_study.yaml here.")] = None,
    weights: Annotated[str, typer.Option(help="What the arms start from, as model.weights.")] = "yolo11n",
    format: Annotated[str, typer.Option(help="The format of the data, as data.format.")] = "auto",
) -> None:
    """Look at the data and write the YAML of a study of them."""
    from detect_transfer.workflows.run_config import name_of_data
    from detect_transfer.workflows.study.init import init_study

    path = out or Path(f"{name_of_data(data)}_study.yaml")
    config = init_study(data, path, weights=weights, format=format)
    sizes = ", ".join(f"{size:g} %" for size in sorted(config.study.sizes))
    print_lines([f"written: {path}", f"arms {', '.join(config.study.arms)}; sizes {sizes}; seeds {config.study.seeds}"])
    print_lines([f"next: detect-transfer study plan {shlex.quote(str(path))}"])


@study.command(cls=CommandWithChoices)
def plan(study: StudyPath, words: Words = None) -> None:
    """Show the runs, and what they will take in time and disk; nothing is trained."""
    print_study_plan(_plan(study, words))


def _plan(path: Path, words: list[str] | None) -> Any:
    from detect_transfer.workflows.study.folder import load_study
    from detect_transfer.workflows.study.plan import make_study_plan

    for word in words or []:
        if "=" not in word:
            raise InputError(
                "USAGE", "key=value was expected", field="arguments", value=word, remedy="e.g. study.seeds=[0,1,2]"
            )
    config, folder = load_study(path, tuple(words or ()))
    if path.is_dir() and folder.config_warning:
        print_lines([f"warning: {folder.config_warning}"])
    return make_study_plan(config, folder, on_stage=lambda text: print_lines([f"... {text}"]))


def print_study_plan(plan: Any) -> None:
    """Show the arms and sizes with their runs, and what is left to do."""
    from rich.table import Table

    from detect_transfer.evaluation.study.power import FEWEST_SEEDS
    from detect_transfer.workflows.run_clock import duration
    from detect_transfer.workflows.study.cost import cost_of, cost_of_search
    from detect_transfer.workflows.study.runs import finished_seconds, n_of_others

    seconds = finished_seconds(plan)
    console = make_console()
    table = Table(title=f"study in {plan.folder.path}", title_justify="left", box=None)
    for heading in ("arm", "% of train", "images", "epochs", "images seen", "runs", "done"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    groups: dict[tuple[str, float], list[Any]] = {}
    for run in plan.runs:
        groups.setdefault((run.arm, run.percent), []).append(run)
    for (arm, percent), runs in list(groups.items())[:_MOST_ROWS]:
        first, done = runs[0], sum(run.key in seconds for run in runs)
        seen = f"{plan.images_seen(arm, percent):,}"
        table.add_row(
            arm, f"{percent:g}", str(first.n_images), str(first.epochs), seen, str(len(runs)), f"{done} of {len(runs)}"
        )
    console.print(table)
    if len(groups) > _MOST_ROWS:
        console.print(f"  and {len(groups) - _MOST_ROWS:,} more rows")
    data, left = plan.data, [run for run in plan.runs if run.key not in seconds]
    lines = [
        f"the best epoch is chosen on {data.n_val} validation images, the verdict is about {data.n_test} test images",
        *data.notes,
    ]
    cost = cost_of(plan, left, seconds)
    kind = f"for {cost.measured} of them as measured" if cost.measured else "rough: no run of this study has finished"
    at_a_time = f", {plan.jobs} at a time" if plan.jobs > 1 else ""
    lines.append(
        f"{counted(len(plan.runs), 'run')}{at_a_time}, {len(plan.runs) - len(left):,} done; the others take about "
        f"{duration(cost.seconds / plan.jobs)} ({kind}) and {cost.megabytes / 1000:.1f} GB"
    )
    if plan.fewer_jobs:
        lines.append(plan.fewer_jobs)
    if plan.to_search and (search := plan.config.study.search) is not None:
        cost = cost_of_search(plan)
        lines.append(
            f"rates of {', '.join(plan.to_search)} are searched first, {search.trials} trials each on "
            f"{data.n_images(search.percent)} images: about {duration(cost.seconds / plan.jobs)} (rough) "
            f"and {cost.megabytes / 1000:.1f} GB more"
        )
    if n_others := n_of_others(plan):
        lines.append(f"{n_others} run folders there are not used: of another config, other data, weights or code")
    n_seeds = len(plan.config.study.seeds)
    if n_seeds < FEWEST_SEEDS and not data.overlap:
        lines.append(
            f"{n_seeds} of {FEWEST_SEEDS} seeds: every verdict will be 'cannot tell'; give three or more in study.seeds"
        )
    print_lines(lines)


@study.command(cls=CommandWithChoices)
def run(
    study: StudyPath,
    words: Words = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try runs again that stand as failed.")] = False,
) -> None:
    """Do every run that is not done, then report; stop it when you like, the same command goes on."""
    _run_and_report(_plan(study, words), retry_failed=retry_failed)


@study.command(cls=CommandWithChoices)
def resume(
    study: StudyPath,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try runs again that stand as failed.")] = False,
) -> None:
    """Go on with a study that was begun, as it was planned then."""
    _run_and_report(_plan(_begun(study), None), retry_failed=retry_failed)


@study.command(cls=CommandWithChoices)
def extend(study: StudyPath, words: Words = None) -> None:
    """Add seeds, sizes or arms to a study that was begun, and do the runs that are new."""
    from detect_transfer.workflows.study.folder import load_study, refuse_less

    if not words:
        raise InputError("USAGE", "nothing to add was given", field="arguments", remedy="e.g. study.seeds=[0,1,2,3,4]")
    folder = _begun(study)
    refuse_less(load_study(folder)[0], load_study(folder, tuple(words))[0])
    _run_and_report(_plan(folder, words), retry_failed=False)
    print_lines([f"the study as it is now: {folder / 'study.yaml'}; give the folder {folder} from now on"])


@study.command(cls=CommandWithChoices)
def report(study: StudyPath) -> None:
    """Write study.html, study.json and the tables from the runs that have ended."""
    from detect_transfer.workflows.study.report import report_study

    _print_report(report_study(_plan(study, None), on_stage=lambda text: print_lines([text])))


def _begun(path: Path) -> Path:
    """Return the folder of a study that was begun."""
    from detect_transfer.workflows.study.folder import load_study

    _, folder = load_study(path)
    if not folder.config.is_file():
        raise InputError(
            "STUDY_MISSING",
            "no study was begun there",
            where=folder.path,
            remedy=f"detect-transfer study run {path}",
        )
    return folder.path


def _run_and_report(plan: Any, *, retry_failed: bool) -> None:
    from detect_transfer.workflows.study.report import report_study
    from detect_transfer.workflows.study.run import Launcher

    print_study_plan(plan)
    launcher = Launcher(plan, lambda text: print_lines([text]))
    numbers: list[int] = []

    def on_signal(number: int) -> None:
        # a terminal sends SIGINT to the runs as well, which end at once when they are asked twice
        launcher.stop(ask_runs=number != signal.SIGINT or bool(numbers))
        numbers.append(number)

    with stops_handled(on_signal, signal.SIGINT, *TERMINATE):
        launcher.run(retry_failed=retry_failed)
    if numbers:
        print_lines([f"stopped; go on with: detect-transfer study resume {plan.folder.path}"])
        raise typer.Exit(128 + numbers[0])
    _print_report(report_study(launcher.plan, on_stage=lambda text: print_lines([text])))


def _print_report(result: Any) -> None:
    """Show the verdicts, what failed and where the page is."""
    lines = [
        f"{row.comparison.second} against {row.comparison.first}{_over(row.comparison)}: "
        + ("" if row.comparison.overall.difference is None else f"{row.comparison.overall.difference:+.3f} test AP, ")
        + row.comparison.overall.words
        for answers in (result.answers, *([] if result.timed is None else [result.timed]))
        for row in answers.against
    ]
    lines += [f"failed: {run.plan.words}: {run.message}" for run in result.failed]
    if result.missing:
        lines.append(f"{len(result.missing)} runs have not ended")
    print_lines([*lines, f"report: {result.page}"])


def _over(comparison: Any) -> str:
    """Return what a verdict is about, where there are several sizes."""
    return ", over all sizes" if len(comparison.by_size) > 1 else ""


def verify(
    path: Annotated[Path, typer.Argument(help="A run folder, or the folder of a study.")],
    stored_only: Annotated[
        bool, typer.Option("--stored-only", help="Score the stored detections; do not run the weights again.")
    ] = False,
) -> None:
    """Look again at what a run or a study states: files, data, weights, code and scores; exit 2 where one is not so."""
    from detect_transfer.workflows.study.verify import is_study, verify_study
    from detect_transfer.workflows.verify import refuse_denied, verify_run

    def on_stage(text: str) -> None:
        print_lines([f"... {text}"])

    look = verify_study if is_study(path) else verify_run
    checks = look(path, predict=not stored_only, on_stage=on_stage)
    print_lines(_verified_lines(checks, all_of_them=is_verbose()))
    refuse_denied(checks, path)


def _verified_lines(checks: Sequence[Check], *, all_of_them: bool) -> list[str]:
    """Return what is denied, a line each, what was not checked, a line a reason (or every check), and the counts."""
    of = {outcome: [check for check in checks if check.outcome == outcome] for outcome in _OUTCOMES}
    unchecked: dict[str, list[str]] = {}
    for check in of["not checked"]:
        unchecked.setdefault(check.reason, []).append(check.name.rpartition(": ")[2])  # without the run of a study
    lines = [_line(check) for check in of["denied"]]
    if all_of_them:
        lines += [_line(check) for outcome in ("not checked", "confirmed") for check in of[outcome]]
    else:
        for reason, names in unchecked.items():
            different = list(dict.fromkeys(names))
            times = f", {len(names)} in all" if len(names) > len(different) else ""
            lines.append(f"not checked  {', '.join(different)}{times} ({reason})")
    counts = ", ".join(f"{len(of[outcome])} {outcome}" for outcome in _OUTCOMES)
    return [*lines, counts if all_of_them else f"{counts}; -v shows all"]


def _line(check: Check) -> str:
    values = {"denied": f": stated {check.stated}, now {check.measured}", "not checked": f": stated {check.stated}"}
    why = f" ({check.reason})" if check.reason else ""
    return f"{check.outcome:12s} {check.name}{values.get(check.outcome, '')}{why}"
