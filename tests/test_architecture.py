"""Design rules that would rot unseen: import order, complete registries, quick help, no forbidden calls."""

import ast
import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from paths import ROOT
from processes import loaded_after

PACKAGE = ROOT / "detect_transfer"

PACKAGES = (
    "core",
    "config",
    "synthetic",
    "formats",
    "evaluation",
    "data",
    "models",
    "report",
    "training",
    "workflows",
    "cli",
)  # a package imports from those before it alone
TOP_LEVEL = {
    *(".ci", ".gitignore", ".mkdocs.yml", ".pre-commit-config.yaml", "Makefile", "requirements", "setup.py"),
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("detect_transfer", "datasets", "configs", "docs", "tests", "tools"),
}  # what a run or a tracker leaves behind is not committed
WITH_TORCH = {"models", "training"}
WORKFLOWS_WITH_TORCH = {
    "merged_classes",
    "run_estimate",
    "run_scores",
    "source_choice",
    "start_source",
    "train",
    "train_context",
    "train_outputs",
    "trained_detector",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in modules()}


def package_of(name: str) -> str | None:
    """Return the package of a module, None for the public face itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def imported_modules(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, at any place in it."""
    return {name for name in imported_names(path) if name in MODULES}


def imported_names(path: Path, *, top_level: bool = False) -> list[str]:
    """Return what a file imports: a module, or the module that holds the imported name."""
    tree = ast.parse(path.read_text())
    found = []
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            full = [f"{module}.{alias.name}" for alias in node.names]
            found += [name if name in MODULES else module for name in full]
    return found


def top_level_imports(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_the_packages_are_those_of_the_plan() -> None:
    held = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").is_file()}
    assert held == set(PACKAGES)
    assert {p.name for p in PACKAGE.glob("*.py")} <= {"__init__.py", "__main__.py"}


def test_the_top_level_is_that_of_the_plan() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    assert {path.partition("/")[0] for path in listed.split("\0") if path} <= TOP_LEVEL


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    package = package_of(module_name(path))
    if package is None or module_name(path) == "detect_transfer.__main__":
        return
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    for name in imported_modules(path):
        assert package_of(name) in (None, *allowed), f"{package} must not import {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    face = "detect_transfer"  # it imports what is asked of it, and gives its version to all
    imports = {name: imported_modules(path) - {name, face} for name, path in MODULES.items()}
    while leaves := [name for name, others in imports.items() if not others & imports.keys()]:
        for name in leaves:
            del imports[name]
    assert not imports, f"these modules stand in circles, or import one that does: {sorted(imports)}"


def test_ultralytics_is_imported_in_one_module_and_inside_functions() -> None:
    users = [p for p in modules() if any(n.split(".")[0] == "ultralytics" for n in imported_names(p))]
    assert [p.name for p in users] == ["ultralytics.py"]
    assert "ultralytics" not in top_level_imports(users[0])
    fenceless = [p for p in (ROOT / "tests").rglob("*.py") if "ultralytics" in top_level_imports(p)]
    assert fenceless == [], "imported without its fence it replaces PIL.Image.open for all tests"


def test_packages_without_torch_do_not_import_it() -> None:
    for name, path in MODULES.items():
        package = package_of(name)
        if package in WITH_TORCH or (package == "workflows" and path.stem in WORKFLOWS_WITH_TORCH):
            continue
        heavy = {"torch", "torchvision", "ultralytics", "accelerate"} & top_level_imports(path)
        assert not heavy, f"{path}: {heavy}"


def test_importing_the_package_loads_neither_torch_nor_ultralytics() -> None:
    assert loaded_after("import detect_transfer") == set()


@pytest.mark.parametrize(
    "command",
    ["", "init", "convert", "check", "config", "train", "predict", "evaluate", "compare", "visualize", "study"],
)
def test_help_loads_neither_torch_nor_ultralytics(command: str) -> None:
    words = [command, "--help"] if command else ["--help"]
    code = (
        "from detect_transfer.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as e: assert e.code == 0, e.code"
    )
    assert loaded_after(code) == set()


def test_scoring_needs_no_torch() -> None:
    assert loaded_after("import detect_transfer.workflows.evaluate, detect_transfer.data.convert") == set()


def test_every_config_loads() -> None:
    from detect_transfer.config import StudyConfig, load_config, make_config_of, read_yaml

    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert len(paths) >= 5
    for path in paths:
        if "study" in read_yaml(path):
            make_config_of(StudyConfig, read_yaml(path))
        else:
            load_config(path)
        assert "Command:" in path.read_text()


def test_every_key_of_the_config_is_explained() -> None:
    from detect_transfer import config

    models = [m for m in vars(config).values() if isinstance(m, type) and hasattr(m, "model_fields")]
    assert len(models) >= 8
    for model in models:
        unexplained = [name for name, field in model.model_fields.items() if not field.description]
        assert not unexplained, f"{model.__name__}: give {unexplained} a docstring"


def test_the_embedded_config_is_the_one_in_configs() -> None:
    assert (PACKAGE / "assets" / "quickstart.yaml").read_text() == (ROOT / "configs" / "quickstart.yaml").read_text()


def test_the_embedded_checkpoint_is_small_and_has_a_card() -> None:
    assets = PACKAGE / "assets"
    assert (assets / "quickstart.safetensors").stat().st_size <= 6_000_000
    assert "source task" in (assets / "quickstart.md").read_text()


def test_no_call_runs_code_from_data() -> None:
    """No unpickling of what we did not write, no eval, no shell."""
    banned = ("pickle.load", "yaml.unsafe_load", "shell=True", "extractall", "allow_pickle=True", "os.system")
    for path in modules():
        text = path.read_text()
        for word in banned:
            assert word not in text, f"{path}: {word}"
        calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert not {n.func.id for n in calls} & {"eval", "exec", "compile"}, path
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, f"{path}: {line}"


def test_no_duration_is_of_the_clock_of_the_day() -> None:
    """Which may be set while a run goes on; only the age of a file is told by it."""
    assert {module_name(p) for p in modules() if "time.time()" in p.read_text()} == {"detect_transfer.core.temporary"}


def test_only_the_command_line_prints() -> None:
    for path in modules():
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        prints = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert not prints or package_of(module_name(path)) == "cli", path


@pytest.mark.parametrize("path", sorted((ROOT / "tools").rglob("*.py")), ids=lambda p: p.stem)
def test_tools_import_what_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "detect_transfer":
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or name in MODULES, f"{path}: {name}"


ERRORS = {"InputError", "ResourceError"}  # a bug of ours is nothing that a caller handles


def section(docstring: str, name: str) -> list[str] | None:
    """Return the names that a section of a docstring explains; None where it has no such section."""
    match = re.search(rf"^( *){name}:\n((?:\1    .*\n|\s*\n)*)", docstring + "\n", re.MULTILINE)
    if match is None:
        return None
    return re.findall(rf"^{match[1]}    \*{{0,2}}(\w+):", match[2], re.MULTILINE)


def docstring_faults(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            faults += faults_of_class(node)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            faults += faults_of_function(node)
    return [f"{path.relative_to(ROOT)}:{line}" for line in faults]


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


def test_docstrings_name_the_fields_of_classes_and_the_errors_of_functions() -> None:
    faults = [fault for path in modules() if path.parent.name != "cli" for fault in docstring_faults(path)]
    assert not faults, "\n".join(faults)  # a docstring in cli is the help of a command
