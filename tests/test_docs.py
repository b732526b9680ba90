"""The documentation, the README and the heads of configs say what works: commands parse, configs load."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml
from paths import ROOT

from detect_transfer.cli import main
from detect_transfer.cli.main import app
from detect_transfer.config import RunConfig, StudyConfig, load_config, make_config_of
from detect_transfer.workflows.run_config import config_of_words

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
GROUP = typer.main.get_command(app)
SMALL = ["data.synthetic={task: target, train_images: 8, val_images: 8, size: 96}", "train.imgsz=96", "train.epochs=1"]


def blocks(page: Path, *languages: str) -> list[str]:
    """Return the fenced blocks of a page in one of these languages; "" is none."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def commands(page: Path) -> list[list[str]]:
    """Return the words of every command of ours on a page, the name of the command first."""
    lines = [line for text in blocks(page, "sh", "") for line in text.splitlines()]
    lines += re.findall(r"`((?:python tools/\w+\.py|detect-transfer) [^`]+ [^`]+)`", page.read_text())
    lines += re.findall(r"^# (?:Command|Convert): +(\S+ \S+ ?.*?)(?:   .*)?$", page.read_text(), re.MULTILINE)
    words = []
    for line in lines:
        match = re.search(
            r"(?:detect-transfer|python -m detect_transfer|tools/(?=\w+\.py)) ?(.*)", line.split(" && ")[-1]
        )
        if match and "benchmarks" not in line and not line.startswith(("cp ", "ls ", "pip ")):
            first, *rest = shlex.split(re.sub(r"\s#.*", "", match[1])) or [""]
            words.append([first.removesuffix(".py"), *rest])
    return [w for w in words if w[0] in GROUP.commands and "..." not in w]


CASES = [
    pytest.param(words, id=f"{page.stem}: {' '.join(words)}") for page in [*PAGES, *CONFIGS] for words in commands(page)
]


def test_commands_are_found_on_the_pages() -> None:
    assert len(CASES) >= 25
    assert {words.values[0][0] for words in CASES} == set(GROUP.commands)


@pytest.mark.parametrize("words", CASES)
def test_command__has_the_options_that_the_page_gives_it(words: list[str]) -> None:
    name, *rest = words
    GROUP.commands[name].make_context(name, ["vs" if word == "--" else word for word in rest])
    for word in rest:
        if word.startswith(("configs/", "datasets/")):
            assert (ROOT / word.split("#")[0]).exists(), word
    if name == "train" and "--resume" not in rest:
        paths = [word for word in rest if word.endswith(".yaml")]
        overrides = [word for word in rest if "=" in word]
        if paths and not paths[0].startswith("MY_"):  # which is a file of the reader
            load_config(ROOT / paths[0], overrides)
        else:
            config_of_words(None, overrides if not paths else ["data.path=MY_DATA", *overrides])


EXAMPLES = [pytest.param(text, id=f"{page.stem}-{i}") for page in PAGES for i, text in enumerate(blocks(page, "yaml"))]


@pytest.mark.parametrize("text", EXAMPLES)
def test_config__has_the_keys_that_the_page_gives_it(text: str) -> None:
    content = yaml.safe_load(text)
    if "__rest__" in content:
        return  # a class map
    kind = StudyConfig if "study" in content else RunConfig
    if "study" in content:
        content["study"] = {"arms": ["scratch", "full"], **content["study"]}
    make_config_of(kind, {"data": {"path": "x"}, "model": {"weights": "yolo11s"}, **content})


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_python__compiles(page: Path) -> None:
    for text in blocks(page, "python"):
        compile(text, str(page), "exec")


def test_ci__installs_and_tests_with_the_line_of_the_readme() -> None:
    pattern = re.search(r"grep -m1 -E '([^']*)' README.md", (ROOT / ".ci" / "run").read_text())
    assert pattern is not None
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if re.search(pattern[1], line)]
    assert len(lines) == 1
    assert "-r requirements/lock.txt" in lines[0]


def test_lock__has_one_version_with_hashes_of_all_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for name in ("ray", "mlflow", "wandb", "trackio", "fuzz"):  # many packages, or not for all systems: not in CI
        extras.pop(name)
    named = [*project["dependencies"], *(word for group in extras.values() for word in group)]
    lock = (ROOT / "requirements" / "lock.txt").read_text()
    for word in named:
        name = re.split(r"[<>=\[ ]", word)[0].lower().replace("_", "-")
        assert re.search(rf"^{re.escape(name)}==\S+.*\\\n +--hash=sha256:", lock, re.MULTILINE), (
            f"run make lock: {name}"
        )
    assert "://" not in lock


def run_here(words: list[str]) -> None:
    """Run a command of ours in this process, which is quicker than a process each."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code, words


@pytest.mark.slow
def test_tutorial__runs_from_the_first_command_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(ROOT / "docs" / "tutorial.md"):
        run_here([*words, *SMALL] if words[0] == "train" else words)
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    assert (tmp_path / "compared" / "compare.html").is_file()


@pytest.mark.slow
def test_five_lines_of_the_readme__lead_from_a_folder_to_an_exported_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of drawn scenes, and shortened: tools/ci/newcomer.py goes the same way as a reader would."""
    monkeypatch.syspath_prepend(ROOT / "tools" / "ci")
    newcomer = importlib.import_module("newcomer")
    monkeypatch.chdir(tmp_path)
    newcomer.prepare(tmp_path, layout="pedestrians", data=None, weights=newcomer.EMBEDDED, images=24)
    lines = newcomer.shortened(newcomer.lines_of_readme()[1:], brief=True)
    newcomer.walk(tmp_path, lines, run=lambda line, _: run_here(shlex.split(line)[1:]))


@pytest.mark.parametrize(("page", "n_rows"), [("SECURITY.md", 6), ("docs/reference/faults.md", 60)])
def test_rows_of_promises__name_tests_that_are_there(page: str, n_rows: int) -> None:
    """Each row of the table has a test, and each test named is in its file."""
    rows = re.findall(r"^\| (?!promise|#|---)[^\n]+ \|(.*)\|$", (ROOT / page).read_text(), re.MULTILINE)
    assert len(rows) >= n_rows
    for row in rows:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert tests, row
        for path, name in tests:
            assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_codes_of_the_faults__stand_in_the_tables_of_errors_and_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mkdocs", reason="the tables are made where the documentation is built")
    monkeypatch.syspath_prepend(ROOT / "docs")
    reference = importlib.import_module("reference")
    listed = set(re.findall(r"^\| `([A-Z_0-9]+)`", reference.errors() + reference.findings(), re.MULTILINE))
    named = set(re.findall(r"`([A-Z][A-Z0-9]+_[A-Z_0-9]+)`", (ROOT / "docs/reference/faults.md").read_text()))
    assert len(named) > 40
    assert named <= listed
    assert {"USAGE", "BUG", "INTERRUPTED", "WRITE_FAILED", "DISK_FULL", "CLASS_MIXED", "TRUTH_UNKNOWN"} <= listed
