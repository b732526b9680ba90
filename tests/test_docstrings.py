"""Docstrings say what the code says: the fields of classes, and the errors that a function raises itself.

Arguments of functions are held by ruff (D417, DOC102).
"""

import ast
import re
from pathlib import Path

import pytest
from paths import ROOT

PACKAGE = ROOT / "detect_transfer"
ERRORS = {"InputError", "ResourceError"}  # a bug of ours is nothing that a caller handles


def section(docstring: str, name: str) -> list[str] | None:
    """Return the names that a section of a docstring explains; None where it has no such section."""
    match = re.search(rf"^( *){name}:\n((?:\1    .*\n|\s*\n)*)", docstring + "\n", re.MULTILINE)
    if match is None:
        return None
    return re.findall(rf"^{match[1]}    \*{{0,2}}(\w+):", match[2], re.MULTILINE)


def faults(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    told = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            told += faults_of_class(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            told += faults_of_function(node)
    return [f"{path.relative_to(ROOT)}:{line}" for line in told]


def faults_of_class(node: ast.ClassDef) -> list[str]:
    """A class whose docstring explains fields names all of them, and none that it does not have."""
    docstring = ast.get_docstring(node) or ""
    explained = section(docstring, "Args")
    fields = [
        n.target.id
        for n in node.body
        if isinstance(n, ast.AnnAssign)
        and isinstance(n.target, ast.Name)
        and not n.target.id.startswith("_")
        and "ClassVar" not in ast.unparse(n.annotation)
        and "init=False" not in ast.unparse(n)
    ]
    if explained is None or not fields:
        return []
    missing = set(fields) - set(re.findall(r"\w+", docstring))
    return [f"{node.lineno} {node.name}.{name}: not in the docstring" for name in sorted(missing)] + [
        f"{node.lineno} {node.name}.{name}: in the docstring alone" for name in explained if name not in fields
    ]


def faults_of_function(node: ast.FunctionDef) -> list[str]:
    """A function names those of our errors that stand behind a `raise` in it."""
    docstring = ast.get_docstring(node)
    if docstring is None:
        return []
    raised = {
        n.exc.func.id
        for n in ast.walk(node)
        if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call) and isinstance(n.exc.func, ast.Name)
    }
    missing = (raised & ERRORS) - set(section(docstring, "Raises") or ())
    return [f"{node.lineno} {node.name}: raises {name}, the docstring does not say so" for name in sorted(missing)]


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name != "cli"]  # a docstring there is the help


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_docstrings_say_what_the_code_says(path: Path) -> None:
    assert faults(path) == []
