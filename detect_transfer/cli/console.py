"""What the command line shows: progress bars, tables, a line an epoch."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect_transfer.cli.signals import TERMINATE, raise_stopped, stops_handled
from detect_transfer.core.counted import counted

if TYPE_CHECKING:
    from rich.console import Console

    from detect_transfer.core.ledger import LedgerLine
    from detect_transfer.workflows.watch import Watch


_SETTINGS = {"quiet": False, "verbose": False, "json": False}


def be_quiet(quiet: bool) -> None:
    """Show nothing but warnings and errors from now on, or everything again."""
    _SETTINGS["quiet"] = quiet


def be_verbose(verbose: bool) -> None:
    """Let commands show all they have from now on, or what matters again."""
    _SETTINGS["verbose"] = verbose


def answer_in_json(wanted: bool) -> None:
    """Let commands show what they have on the error stream, and one JSON object on the other, or all on that."""
    _SETTINGS["json"] = wanted


def print_json(answer: Mapping[str, Any]) -> None:
    """Print the answer of a command as JSON, where that is wanted."""
    if _SETTINGS["json"] and os.environ.get("RANK", "0") == "0":
        import orjson

        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS | orjson.OPT_INDENT_2
        print(orjson.dumps(answer, option=options, default=str).decode())


def is_verbose() -> bool:
    """Return whether commands show all they have."""
    return _SETTINGS["verbose"]


def make_console() -> Console:
    """Return the console that everything is shown on; of several processes the first one shows."""
    from rich.console import Console

    class OurConsole(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the command line what becomes of a reader that went away."""
            raise BrokenPipeError

    is_first = os.environ.get("RANK", "0") == "0"
    return OurConsole(
        soft_wrap=True, highlight=False, quiet=_SETTINGS["quiet"] or not is_first, stderr=_SETTINGS["json"]
    )


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Any]:
    """Show a bar that is moved by `advance(stage, done, total)`."""
    from rich.progress import Progress

    with Progress(console=make_console(), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(f"{stage} {what if stage != what else ''}", total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


@contextlib.contextmanager
def training_watch(console: Console) -> Iterator[Watch]:
    """Show stages, the plan, a bar and a line an epoch; a signal asks training to stop, a second one ends it."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    from detect_transfer.workflows.run_clock import duration
    from detect_transfer.workflows.watch import Watch, epoch_line

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as bars:
        whole = bars.add_task("", total=1.0, visible=False, left="")
        parts: dict[str, Any] = {}
        began, shown = time.monotonic(), 0.0

        def on_step(epoch: int, step: int, steps: int, loss: float, share: float, left: float) -> None:
            nonlocal shown
            gone = time.monotonic() - began
            text = f"epoch {epoch}, step {step} of {steps}  loss {loss:.3f}"
            # where a phase takes longer than it seemed the bar waits, and does not go back
            shown = max(shown, gone / (gone + left))
            bars.update(whole, description=text, completed=shown, visible=True, left=f"{duration(left)} left")

        def on_progress(what: str, done: int, total: int) -> None:
            if what not in parts:
                parts[what] = bars.add_task(what, total=total, left="")
            bars.update(parts[what], completed=done, total=total, visible=done < total)

        def on_stage(text: str) -> None:
            bars.update(whole, visible=False)
            console.print(f"... {text}", markup=False)

        watch = Watch(
            on_stage=on_stage,
            on_plan=lambda plan, rows: print_plan(console, plan, rows),
            on_step=on_step,
            on_epoch=lambda row: console.print(epoch_line(row), markup=False),
            on_progress=on_progress,
        )

        def on_signal(number: int) -> None:
            if watch.stop.signal is not None:
                raise_stopped(number)
            watch.stop.signal = number

        with stops_handled(on_signal, signal.SIGINT, *TERMINATE):
            yield watch


def print_plan(console: Console, plan: Any, rows: list[dict[str, Any]]) -> None:
    """Show the stages and their rates in each phase."""
    from rich.table import Table

    lengths = plan.course_epochs
    epochs = counted(plan.epochs, "epoch")
    if len(lengths) > 1:
        each = f"{' and '.join(map(str, lengths))} epochs"
        epochs = f"{len(lengths)} plans of {each}, {plan.epochs} epochs in all"
    table = Table(title=f"strategy {plan.strategy}: {epochs}", title_justify="left", box=None)
    for heading in ("stage", "tensors", "parameters", *(f"epochs {p.first_epoch}-{p.last_epoch}" for p in plan.phases)):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for row in rows:
        rates = ["frozen" if rate is None else f"{rate:.2e}" for rate in row["rates"]]
        table.add_row(row["stage"], f"{row['tensors']:,}", f"{row['parameters']:,}", *rates)
    console.print(table)
    for phase in plan.phases:
        facts = _phase_facts(phase)
        if facts:
            console.print(f"  epochs {phase.first_epoch}-{phase.last_epoch}: {'; '.join(facts)}", markup=False)


def _phase_facts(phase: Any) -> list[str]:
    """Return what the table of stages does not tell of a phase."""
    until = " and ".join(f"{name} {value:g}" for name, value in (phase.until or {}).items())
    then = "training ends" if phase.on_until == "stop" else "the next phase begins"
    facts = {
        f"starts from the {'source' if phase.start == 'source' else 'best epoch'} again": phase.start != "previous",
        f"frozen features computed once in {phase.views} views": phase.views,
        f"pull to the source {phase.l2sp:g}": phase.l2sp,
        f"at {until} {then}": until,
        f"ends after {counted(phase.patience or 0, 'epoch')} without a better AP": phase.patience,
    }
    return [text for text, holds in facts.items() if holds]


def print_reading(lines: Sequence[LedgerLine]) -> None:
    """Show what a reader left out because it was asked to, with the first place of each reason."""
    console = make_console()
    for line in lines:
        example = f"  e.g. {line.examples[0]}" if line.examples else ""
        what = "left out" if line.action == "dropped" else line.action
        console.print(f"{what}: {counted(line.count, f'{line.kind} row')}, {line.reason}{example}", markup=False)


def print_lines(lines: Sequence[str]) -> None:
    """Show lines of text as they are."""
    console = make_console()
    for line in lines:
        console.print(line, markup=False)


def print_result(result: Any) -> None:
    """Show what a run came to and where it lies."""
    from detect_transfer.workflows.result_lines import result_lines
    from detect_transfer.workflows.run_folder import RunFolder

    print_lines(result_lines(RunFolder(result.folder), result.scores, result.progress))


def print_scores(scores: Any) -> None:
    """Show the twelve numbers with the intervals of some, and the strict ones where they differ."""
    console = make_console()
    for words, value in scores.headline:
        console.print(f"{words}: {'null' if value is None else f'{value:.4f}'}", markup=False)
    if scores.sizes_note:
        console.print(f"objects by size: {scores.sizes_note}", markup=False)
    for name, value in scores.metrics.items():
        text = f"null ({scores.reasons.get(name, '')})" if value is None else f"{value:.4f}"
        span = scores.interval.get(name) if scores.interval is not None else None
        text += "" if span is None else f" [{span[0]:.4f}, {span[1]:.4f}]"
        other = f"   strict {scores.strict[name]:.4f}" if scores.strict and scores.strict.get(name) is not None else ""
        console.print(f"{name:10s} {text}{other}", markup=False)
    if scores.interval is not None and scores.interval.caution:
        console.print(f"intervals: {scores.interval.caution}", markup=False)


def print_explanation(explanation: Any) -> None:
    """Show the way from COCO's AP to that of ultralytics, a step a line."""
    console = make_console()

    def row(name: str, values: Sequence[float | None], sign: str, text: str) -> None:
        numbers = " ".join(f"{'null' if v is None else format(v, sign + '.4f'):>8s}" for v in values)
        console.print(f"{name:16s} {numbers}   {text}", markup=False)

    console.print(f"{'':16s} {'AP':>8s} {'AP50':>8s}", markup=False)
    row(
        "COCO",
        (explanation.coco["AP"], explanation.coco["AP50"]),
        "",
        "ignored regions excused, 100 detections a class and image",
    )
    for step in explanation.steps:
        row(step.name, (step.part, step.part50), "+", step.text)
    row("ultralytics", (explanation.ultralytics["AP"], explanation.ultralytics["AP50"]), "", "what its validator gives")


def print_comparison(compared: Any) -> None:
    """Show the differences of every side from the first, and the classes that differ."""
    console = make_console()

    def shown(name: str, d: Any) -> str:
        if d.difference is None:
            return f"{name}: {d.reason}"
        span = "no interval" if d.interval is None else f"[{d.interval[0]:+.4f}, {d.interval[1]:+.4f}]"
        verdict = f"same within {compared.plan.margin:g}" if d.verdict == "same" else d.verdict
        p = " / ".join("< 0.0001" if v < 1e-4 else f"{v:.4f}" for v in (d.p_holm, d.p_signs) if v is not None)
        why = f" ({d.reason})" if d.reason else ""
        numbers = f"{d.first:.4f} -> {d.second:.4f}  {d.difference:+.4f} {span}, p {p or 'unknown'}"
        return f"{name:10s} {numbers}: {verdict}{why}"

    for group, comparison in zip(compared.groups[1:], compared.comparisons, strict=True):
        console.print(f"{group.name} against {compared.groups[0].name}", markup=False)
        for d in comparison.metrics:
            console.print(f"  {shown(d.name, d)}", markup=False)
        console.print(f"  {comparison.seeds}", markup=False)
        counts: dict[str, int] = {}
        for name, d in zip(compared.class_names.values(), comparison.classes, strict=True):
            counts[d.verdict] = counts.get(d.verdict, 0) + 1
            if d.verdict in ("better", "worse"):
                console.print(f"    class {shown(name, d)}", markup=False)
        text = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        console.print(f"  classes: {text or 'none'}", markup=False)


def print_metrics(path: Path) -> None:
    """Show the numbers over all classes of each further protocol, with what they were made under."""
    from detect_transfer.core.io import read_json
    from detect_transfer.workflows.result_lines import notes_once

    console = make_console()
    for name, result in read_json(path)["metrics"].items():
        values = {key: value for key, value in result["values"].items() if "/" not in key}
        if name == "coco" or not values:  # shown before, or of classes and slices alone
            continue
        text = ", ".join(f"{key} {'null' if value is None else f'{value:.4g}'}" for key, value in values.items())
        console.print(f"{name}: {text}", markup=False)
        for note in notes_once(result["bounds"].get("notes", ())):
            console.print(note, markup=False)
