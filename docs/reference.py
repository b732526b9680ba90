"""The pages of the reference, made from the code when the documentation is built."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from detect_transfer import config, evaluation, formats
from detect_transfer.cli.main import app
from detect_transfer.data.findings import REMEDIES

ROOT = Path(__file__).resolve().parents[1]
ERRORS = ("InputError", "ResourceError", "InternalError")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    for name, make in PAGES.items():
        files.append(File.generated(config, name, content=make()))
    return files


def commands() -> str:
    """Return the help of every command."""
    group = typer.main.get_command(app)
    parts = ["# Commands\n\nAlso `python -m detect_transfer COMMAND`, and `python tools/COMMAND.py` in a checkout."]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        context = command.make_context(f"detect-transfer {name}", [], resilient_parsing=True)
        parts.append(f"## {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(parts)


def config_keys() -> str:
    """Return a table for each part of the config."""
    parts = [
        "# Config\n\nA run config is one YAML file; `key.subkey=value` words on the command line replace its values. "
        "An unknown key is an error. `detect-transfer config --explain KEY` prints what stands here, "
        "`detect-transfer config --schema` the JSON schema, [config.schema.json](config.schema.json), by which editors "
        "complete and check keys. Paths are relative to the folder of the config, or to the folder that the command "
        "runs in; on the command line to the latter alone. `study` is of the config of a study alone. `configs/` has "
        "examples.",
        _table_of("The file", [key for key in config.keys_of(config.StudyConfig) if "." not in key.name]),
    ]
    for part in config.keys_of(config.StudyConfig):
        inside = [
            key
            for key in config.keys_of(config.StudyConfig)
            if key.name.rpartition(".")[0].removesuffix("[]") == part.name
        ]
        if inside:
            parts.append(_table_of(f"`{part.name}`", inside, part.meaning))
    return "\n\n".join(parts)


def _table_of(title: str, keys: list[config.Key], meaning: str = "") -> str:
    rows = [(f"`{key.name}`", key.values, f"`{key.default}`" if key.default else "", key.meaning) for key in keys]
    return "\n\n".join(filter(None, [f"## {title}", meaning, _table(("key", "takes", "default", "meaning"), rows)]))


def native_formats() -> str:
    """Return a table of the formats and the options of each reader."""
    rows = [
        (f"`{name}`", form.summary, ", ".join(f"`{key}`" for key in form.options))
        for name, form in sorted(formats.READERS.items())
    ]
    return (
        "# Formats\n\nThe names that `convert` and `--truth-format` take. Options are given as `--option key=value`; "
        "`datasets/` has a card and a tiny sample of each.\n\n" + _table(("name", "what it is", "options"), rows)
    )


def metrics() -> str:
    """Return a table of the metrics, and of those that a data set brings."""
    rows = [(f"`{name}`", _first_sentence(metric)) for name, metric in sorted(evaluation.METRICS.items())]
    own = [(f"`{name}`", ", ".join(f"`{m}`" for m in names)) for name, names in evaluation.METRICS_OF_DATA.items()]
    return (
        "# Metrics\n\nThe names that `evaluate --metrics` takes.\n\n"
        + _table(("name", "what it is"), rows)
        + "\n\n## Of each data set\n\nWithout `--metrics` the format that the truth came from decides; "
        "for others it is `coco`.\n\n" + _table(("format", "metrics"), own)
    )


def _first_sentence(function: Any) -> str:
    function = getattr(function, "func", function)  # of a partial
    return (inspect.getdoc(function) or "").split("\n")[0]


def errors() -> str:
    """Return a table of the codes of all errors, with their exit codes and modules."""
    codes: dict[str, tuple[str, set[str]]] = {}
    for path in sorted((ROOT / "detect_transfer").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
                continue
            if node.args and isinstance(node.args[0], ast.Constant):
                modules = codes.setdefault(str(node.args[0].value), (node.func.id, set()))[1]
                modules.add(".".join(path.relative_to(ROOT / "detect_transfer").with_suffix("").parts))
    exit_code = {"InputError": "2", "ResourceError": "3", "InternalError": "4"}
    rows = [(f"`{code}`", exit_code[kind], ", ".join(sorted(m))) for code, (kind, m) in sorted(codes.items())]
    return (
        "# Errors\n\nOne line each, `CODE file:line field=value - what; remedy`, and an exit code: 0 done, 2 the input "
        "is wrong, 3 the machine failed (disk, memory, missing weights), 4 a bug of ours, 130 and 143 on signals. "
        "`--debug` adds a traceback.\n\n" + _table(("code", "exit", "raised in"), rows)
    )


def findings() -> str:
    """Return a table of what a check finds, and what to do about each."""
    rows = [(f"`{code}`", remedy) for code, remedy in sorted(REMEDIES.items())]
    return (
        "# Findings\n\nWhat `detect-transfer check` finds, and what to do about it. Errors make results wrong, "
        "warnings may, notes are worth knowing; any error ends the command with exit code 2.\n\n"
        + _table(("code", "what to do"), rows)
    )


def schema() -> str:
    """Return the JSON schema of a config."""
    return config.schema_text()


def contributing() -> str:
    """Return CONTRIBUTING.md."""
    return (ROOT / "CONTRIBUTING.md").read_text()


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/config.md": config_keys,
    "reference/config.schema.json": schema,
    "reference/formats.md": native_formats,
    "reference/findings.md": findings,
    "reference/metrics.md": metrics,
    "reference/errors.md": errors,
    "contributing.md": contributing,
}
