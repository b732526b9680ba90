"""The commands on configs: config, init."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.cli.console import make_console, print_lines, progress_bar
from detect_transfer.cli.options import complete_key


def config(
    key: Annotated[str | None, typer.Argument(help="A key such as train.epochs, or a part such as train.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the key means; of all keys without one.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema, for editors.")] = False,
    study: Annotated[bool, typer.Option("--study", help="With --schema: of the config of a study.")] = False,
) -> None:
    """Explain the keys of a config: meaning, unit, range and default."""
    from detect_transfer.config import RunConfig, StudyConfig, schema_text
    from detect_transfer.config import explain as explained

    if schema:
        print(schema_text(StudyConfig if study else RunConfig))
        return
    print_lines([entry.text for entry in explained(key, StudyConfig)])  # which has all keys of a run, and its own


def init(
    source: Annotated[Path, typer.Argument(help="Your data: the folder or file, in any format that convert knows.")],
    words: Annotated[
        list[str] | None, typer.Argument(help="[key.subkey=value ...] that are given.", autocompletion=complete_key)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The config to write; without it the name of the data and .yaml.")
    ] = None,
    measure: Annotated[bool, typer.Option(help="Train a few steps, to say how long the whole takes.")] = True,
) -> None:
    """Look at your data and write a config that is chosen for them, with the reasons in comments."""
    from detect_transfer.workflows.init import init_config
    from detect_transfer.workflows.run_config import name_of_data

    path = out or Path(f"{name_of_data(source)}.yaml")
    console = make_console()
    with progress_bar("images") as advance:
        made = init_config(
            source,
            path,
            words or [],
            measure=measure,
            on_stage=lambda text: console.print(f"... {text}", markup=False),
            progress=advance,
        )
    print_lines(made.lines)
