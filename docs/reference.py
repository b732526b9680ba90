"""The pages of the reference, made from the code when the documentation is built."""

from __future__ import annotations

import ast
import inspect
import re
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
EXITS = {"InputError": "2", "ResourceError": "3", "InternalError": "4", "DetectTransferError": "of the signal"}
CODE = re.compile("[A-Z][A-Z0-9]+(_[A-Z0-9]+)+")
NO_ERRORS = {"append", "get", "getattr", "make_finding", "normalize", "put", "setdefault", "_near_finding"}


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
    codes: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted((ROOT / "detect_transfer").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT / "detect_transfer").with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            for code, exit_code in _codes_of(node):
                exits, modules = codes.setdefault(code, (set(), set()))
                exits.add(exit_code)
                modules.add(module)
    rows = [(f"`{code}`", ", ".join(sorted(e)), ", ".join(sorted(m))) for code, (e, m) in sorted(codes.items())]
    return (
        "# Errors\n\nOne line each, `CODE file:line field=value - what; remedy`, and an exit code: 0 done, 2 the input "
        "is wrong, 3 the machine failed (disk, memory, weights), 4 a bug of ours, 128 and its number on a signal "
        "(129 SIGHUP, 130 SIGINT, 143 SIGTERM), 141 where nobody reads what is printed. `--debug` adds a traceback; "
        "`--json-errors` makes each an object with the keys `code`, `where`, `field`, `value`, `what`, `remedy` and "
        "`exit_code`.\n\n" + _table(("code", "exit", "raised in"), rows)
    )


def _codes_of(node: ast.AST) -> Iterable[tuple[str, str]]:
    """Give the codes that a call raises or collects, or that a function returns, with the exit code of each."""
    name, given = "", []
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        given = [node.value]
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [*node.args[:3], *(keyword.value for keyword in node.keywords if keyword.arg == "code")]
    if name in NO_ERRORS:
        return
    for value in (part for argument in given for part in _parts(argument)):
        if isinstance(value, str) and (CODE.fullmatch(value) or (name in EXITS and value.isupper())):
            yield value, EXITS.get(name, "2")


def _parts(node: ast.expr) -> Iterable[object]:
    """Give the constants that an argument may be: also of `A if b else C`, and of `*(A, b)`."""
    inner = [node.body, node.orelse] if isinstance(node, ast.IfExp) else []
    if isinstance(node, ast.Starred):
        inner = [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]
    if isinstance(node, ast.Tuple):
        inner = node.elts[:1]
    if isinstance(node, ast.Constant):
        yield node.value
    for each in inner:
        yield from _parts(each)


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
