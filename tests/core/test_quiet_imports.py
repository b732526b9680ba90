"""Libraries that report to their makers do not when we import them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from paths import ROOT

LOOK = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event in ('os.fork', 'socket.getaddrinfo') else None)
from detect_transfer.core.quiet_imports import import_openvino
openvino = import_openvino()
openvino.convert_model  # which sends too
from openvino.tools.ovc.telemetry_utils import init_ovc_telemetry
init_ovc_telemetry().send_event('ovc', 'framework', 'onnx')
print(seen)
"""


TRACK = """
import sys, time
seen = []
sys.addaudithook(lambda event, args: seen.append(args[0]) if event == 'socket.getaddrinfo' else None)
from pathlib import Path
from detect_transfer.config import RunConfig
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trackers import tracking
from detect_transfer.workflows.watch import Watch
config = RunConfig.model_validate({'data': {'synthetic': {}}, 'track': {'to': [sys.argv[1]]}})
Path('run').mkdir()
with tracking(config, RunFolder(Path('run')), Watch(), main=True) as tracked:
    tracked.watch.on_epoch({'epoch': 0, 'AP': 0.5, 'AP50': 0.5, 'best': True})
time.sleep(1)  # it asks from a thread
assert list(Path('run', 'tracking', sys.argv[1]).iterdir())
print([name for name in seen if name != 'localhost'])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_tracker__asks_no_network_and_writes_nothing_into_the_home_folder(name: str, tmp_path: Path) -> None:
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    own = ("CI", "PYTEST", "XDG", "WANDB")  # where it reports nothing by itself, or writes elsewhere
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment["HOME"] = str(tmp_path / "home")
    words = [sys.executable, "-c", TRACK, name]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list((tmp_path / "home").rglob("*.*"))


@pytest.mark.parametrize("words", ["import_onnxruntime()", "OnnxSession(Path(sys.argv[1]))"])
def test_onnxruntime__writes_nothing_into_the_home_folder(words: str, tmp_path: Path) -> None:
    """Its telemetry numbers the machine there; under CI and pytest it has none."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", values[:1], values[1:]),
        ir_version=9,
        opset_imports=[onnx.helper.make_opsetid("", 17)],
    )
    onnx.save(model, tmp_path / "a.onnx")
    (tmp_path / "home" / "tmp").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST", "ORT_"))}
    environment |= {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "home" / "tmp")}
    code = [
        *("import sys", "from pathlib import Path"),
        "from detect_transfer.core.quiet_imports import import_onnxruntime",
        f"from detect_transfer.models.export.to_onnx import OnnxSession\n{words}",
    ]
    done = [sys.executable, "-c", "\n".join(code), str(tmp_path / "a.onnx")]
    subprocess.run(done, env=environment, check=True, cwd=tmp_path)
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and "matplotlib" not in str(path)]
    assert left == []


def test_onnxruntime__is_imported_in_one_way() -> None:
    own = "core/quiet_imports.py"
    for path in (ROOT / "detect_transfer").rglob("*.py"):
        assert "import onnxruntime" not in path.read_text() or path.as_posix().endswith(own), path


def test_openvino__asks_no_network_forks_nothing_and_writes_nothing_into_the_home_folder(tmp_path: Path) -> None:
    if find_spec("openvino_telemetry") is None:  # not imported here, where the other tests run
        pytest.skip("it is not installed")
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []
