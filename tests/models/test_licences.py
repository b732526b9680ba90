"""The licence ledger of a run, and a process where ultralytics cannot be imported."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from detect_transfer.core.errors import ResourceError
from detect_transfer.models import save_weights
from detect_transfer.models.licences import code_ledger, ledger_text, weights_ledger
from detect_transfer.models.transformers.library import load_library
from detect_transfer.models.yolo.family import YoloFamily
from detect_transfer.models.yolo.ultralytics import known_architectures, load_ultralytics

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ultralytics":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
sys.path.insert(0, "tests")
from detect_transfer.cli import main
"""


def test_weights_ledger__goes_back_to_the_first_weights(tmp_path: Path) -> None:
    tensors = {"backbone.body.x": torch.zeros(1)}
    for name, texts in (("first", {"licence": "Apache-2.0"}), ("second", {})):
        path = tmp_path / f"{name}.safetensors"
        source = None if name == "first" else _source(tmp_path / "first.safetensors")
        save_weights(path, tensors, {**texts, **ledger_text(source)})
    rows = weights_ledger(_source(tmp_path / "second.safetensors"))
    assert [(row["file"], row["licence"]) for row in rows] == [
        ("second.safetensors", "unknown"),
        ("first.safetensors", "Apache-2.0"),
    ]
    assert weights_ledger(None) == []


def _source(path: Path):
    from detect_transfer.models.checkpoints import read_checkpoint
    from detect_transfer.models.source_weights import SourceWeights

    read = read_checkpoint(path)
    return SourceWeights(read.tensors, "", (), path, read.sha256, read.metadata)


def test_code_ledger__names_what_the_process_has_loaded() -> None:
    rows = {row["package"]: row for row in code_ledger()}
    assert rows["detect-transfer"]["licence"] == "AGPL-3.0-or-later"
    assert "BSD" in rows["torch"]["licence"]
    assert all(row["version"] and len(row["licence"]) <= 60 for row in rows.values())


def test_requirements_without_ultralytics__are_the_others_of_the_base() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [each for each in project["dependencies"] if not each.startswith("ultralytics")]
    lines = (ROOT / "requirements" / "permissive.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == wanted


@pytest.mark.slow
def test_all_but_yolo__works_where_ultralytics_is_not_installed(tiny_data: Path, tmp_path: Path) -> None:
    """torchvision and transformers train in one process; what YOLO needs says how to get it."""
    pytest.importorskip("transformers")
    code = f"""
from pathlib import Path
from tiny_transformers import tiny
from detect_transfer.models import save_weights
detector = tiny("rt_detr_v2")
save_weights(Path({str(tmp_path / "tiny.safetensors")!r}), detector.module.state_dict(), detector.metadata())
common = ["train", "data.path={tiny_data}", "train.imgsz=64", "train.batch=8", "train.epochs=1", "train.mosaic=0",
          "transfer.strategy=full", "transfer.interpolate=off", "transfer.soup_epochs=0"]
for code, words in (
    (0, ["model.family=transformers", "model.weights={tmp_path}/tiny.safetensors", "out={tmp_path}/t"]),
    (0, ["model.family=torchvision", "model.arch=ssdlite320_mobilenet_v3_large", "model.weights=scratch",
         "out={tmp_path}/v"]),
    (3, ["model.weights=embedded", "out={tmp_path}/y"]),
):
    sys.argv = ["detect-transfer", *common, *words]
    try:
        main()
    except SystemExit as ended:
        assert (ended.code or 0) == code, (words, ended.code)
assert "ultralytics" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "PACKAGE_MISSING model.family=yolo" in done.stdout + done.stderr
    for run, package in (("t", "transformers"), ("v", "torchvision")):
        record = json.loads((tmp_path / run / "transfer.json").read_text())
        names = {row["package"] for row in record["licences_of_code"]}
        assert package in names
        assert "ultralytics" not in names
        assert "ultralytics" not in json.loads((tmp_path / run / "manifest.json").read_text())["versions"]
    assert [row["file"] for row in record["licences_of_weights"]] == []
    assert "AGPL-3.0-or-later" in (tmp_path / "t" / "report.html").read_text()


def test_family_without_its_package__is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ResourceError, match=r"PACKAGE_MISSING model\.family=yolo .*; pip install ultralytics=="):
        load_ultralytics.__wrapped__()
    assert YoloFamily().known_weights() == []  # what is offered in errors of the other families
    monkeypatch.setattr("detect_transfer.models.yolo.ultralytics.load_ultralytics", load_ultralytics.__wrapped__)
    monkeypatch.setattr("detect_transfer.models.yolo.ultralytics.known_architectures", known_architectures.__wrapped__)
    assert YoloFamily().weights_url("dfine_n") is None
    with pytest.raises(ResourceError, match="PACKAGE_MISSING"):
        YoloFamily().weights_url("yolo11n")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ResourceError, match=r"PACKAGE_MISSING .*; pip install 'detect-transfer\[transformers\]'"):
        load_library.__wrapped__()
