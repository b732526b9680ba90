"""Design rules that would rot unseen: import ranks, complete registries, quick help, no forbidden calls."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "detect_transfer"

RANKS = {
    "__init__": 0, "errors": 0, "headers": 0, "boxes": 0, "images": 0, "files": 0, "media": 0,
    "columns": 0, "disguise": 0, "temporary": 0,
    "table": 1, "ledger": 1,
    "config": 2,
    "formats": 3, "prepare": 3, "exports": 3, "evaluation": 3, "synthetic": 3,
    "models": 4, "report": 4,
    "training": 5,
    "convert": 6, "roundtrip": 6, "sources": 6, "truth": 6, "checking": 6,
    "run": 6, "run_data": 6, "run_job": 6, "run_outputs": 6, "thresholds": 6, "scoring": 6, "inference": 6,
    "sides": 6, "comparing": 6, "explaining": 6,
    "cli": 7, "terminal": 7,
}  # fmt: skip
ORDER_IN_RANK = [
    "roundtrip",
    "sources",
    "truth",
    "convert",
    "checking",
    "run_data",
    "sides",
    "comparing",
    "explaining",
    "thresholds",
    "scoring",
    "inference",
    "run_job",
    "run_outputs",
    "run",
]  # later may import earlier
BESIDE = {
    "images": {"errors", "headers"},
    "files": {"disguise", "errors", "temporary"},
    "media": {"errors"},
    "table": {"ledger"},
}
TORCH_FREE = {r for r, rank in RANKS.items() if rank <= 3} | {
    "report",
    "convert",
    "roundtrip",
    "sources",
    "truth",
    "checking",
    "thresholds",
    "scoring",
    "sides",
    "comparing",
    "explaining",
    "cli",
    "terminal",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_names(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found += [f"{module}.{alias.name}" for alias in node.names] if module == "detect_transfer" else [module]
    return found


def top_level_imports(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_the_ranks(path: Path) -> None:
    room = room_of(path)
    assert room in RANKS, f"{room} has no rank"
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] != "detect_transfer" or len(parts) == 1 or parts[1] == "__version__":
            continue
        other = parts[1]
        if other == room:
            continue
        lower = RANKS[other] < RANKS[room]
        allowed_beside = other in BESIDE.get(room, set()) or {room, other} == {"cli", "terminal"}
        in_order = (
            room in ORDER_IN_RANK and other in ORDER_IN_RANK and ORDER_IN_RANK.index(other) < ORDER_IN_RANK.index(room)
        )
        assert lower or allowed_beside or in_order, f"{path}: {room} must not import {other}"


def test_ultralytics_is_imported_in_one_module_and_inside_functions() -> None:
    users = [p for p in modules() if any(n.split(".")[0] == "ultralytics" for n in imported_names(p))]
    assert [p.name for p in users] == ["vendor.py"]
    assert "ultralytics" not in top_level_imports(users[0])


def test_rooms_without_torch_do_not_import_it() -> None:
    for path in modules():
        if room_of(path) in TORCH_FREE:
            heavy = {"torch", "torchvision", "ultralytics", "accelerate"} & top_level_imports(path)
            assert not heavy, f"{path}: {heavy}"


def loaded_after(code: str) -> set[str]:
    code += "\nimport sys, json; print(json.dumps([m for m in ('torch', 'ultralytics') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_neither_torch_nor_ultralytics() -> None:
    assert loaded_after("import detect_transfer") == set()


@pytest.mark.parametrize("command", ["", "convert", "check", "train", "predict", "evaluate", "compare", "visualize"])
def test_help_loads_neither_torch_nor_ultralytics(command: str) -> None:
    words = [command, "--help"] if command else ["--help"]
    code = (
        "from detect_transfer.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as e: assert e.code == 0, e.code"
    )
    assert loaded_after(code) == set()


def test_scoring_needs_no_torch() -> None:
    assert loaded_after("import detect_transfer.scoring, detect_transfer.convert") == set()


def test_every_reader_has_a_data_set_card() -> None:
    import yaml

    from detect_transfer.formats import READERS

    cards = [yaml.safe_load(p.read_text()) for p in (ROOT / "datasets").glob("*/dataset.yaml")]
    assert set(READERS) - {"data_folder"} <= {card["format"] for card in cards}


def test_every_config_loads() -> None:
    from detect_transfer.config import load_config

    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert len(paths) >= 5
    for path in paths:
        load_config(path)
        assert "Command:" in path.read_text()


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


def test_only_the_command_line_prints() -> None:
    for path in modules():
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        prints = [n for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
        assert not prints or room_of(path) == "cli", path
