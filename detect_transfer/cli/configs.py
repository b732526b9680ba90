"""The commands on configs: config."""

from __future__ import annotations

from typing import Annotated

import typer

from detect_transfer.cli.console import print_lines


def config(
    key: Annotated[str | None, typer.Argument(help="A key such as train.epochs, or a part such as train.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what the key means; of all keys without one.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema, for editors.")] = False,
) -> None:
    """Explain the keys of a config: meaning, unit, range and default."""
    from detect_transfer.config import explain as explained
    from detect_transfer.config import schema_text

    if schema:
        print(schema_text())
        return
    print_lines([entry.text for entry in explained(key)])
