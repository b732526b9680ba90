"""The command that makes one detector of several runs: average."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import make_console, print_lines
from detect_transfer.cli.options import DeviceOption, Out


def average(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN ...", help="Finished runs of one config, other seeds.")
    ],
    out: Out,
    device: DeviceOption = "auto",
) -> None:
    """Average the best weights of runs that differ in their seed, and keep the average where it scores better."""
    from detect_transfer.workflows.average import average_runs

    console = make_console()
    made = average_runs(runs, out, device=device, on_scored=lambda line: console.print(f"... {line}", markup=False))
    ap = made.scores.metrics["AP"]
    shown = "none" if ap is None else f"{ap:.3f}"
    print_lines(
        [
            f"AP {shown}  {' + '.join(made.runs)}",
            f"{made.selection.sentence}; the epochs of each run were chosen on it before",
            f"next: detect-transfer predict {out} IMAGES --out predicted",
        ]
    )
