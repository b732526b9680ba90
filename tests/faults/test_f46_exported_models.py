"""F46: one flipped bit in an exported model is seen before it is run."""

import random
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from detect_transfer.core.choices import ExportTarget
from detect_transfer.core.errors import InputError
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.models.export.seal import NO_SEAL, check_seal, seal
from detect_transfer.models.export.targets import open_exported
from detect_transfer.workflows.export import export_detector
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.trained_detector import load_trained

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
WITH_OPENVINO = [ExportTarget.OPENVINO] if find_spec("openvino") else []


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded detector in each form that is run here."""
    out = tmp_path_factory.mktemp("exports") / "models"
    trained = load_trained(EMBEDDED, device="cpu", imgsz=64)
    targets = (ExportTarget.ONNX, ExportTarget.TORCHSCRIPT, *WITH_OPENVINO)
    export_detector(trained, out, ExportOptions(targets), None, gated=False)
    return out


def flip(path: Path, position: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def files_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "export.json"]


def test_flipped_bits__are_seen_in_every_file(exported: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    for path in files_of(exported):
        model = path.parent if path.parent != exported else path
        copy = tmp_path / model.name
        for _ in range(8):
            (shutil.copytree if model.is_dir() else shutil.copy)(model, copy)
            file = copy / path.name if model.is_dir() else copy
            flip(file, rng.randrange(path.stat().st_size), rng.randrange(8))
            with pytest.raises(InputError, match=r"EXPORT_DAMAGED|EXPORT_METADATA|JSON_SYNTAX|TEXT_ENCODING"):
                open_exported(copy)
            shutil.rmtree(copy) if copy.is_dir() else copy.unlink()
        open_exported(model)
    assert len(files_of(exported)) == 2 + 3 * len(WITH_OPENVINO)


def test_weight_of_another_value__is_seen_by_the_command(
    exported: Path, tmp_path: Path, data_folder: Path, command: Callable
) -> None:
    """The file is whole for the runtime, which would detect something else."""
    model = onnx.load(exported / "model.onnx")
    largest = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    largest.raw_data = bytes(len(largest.raw_data))
    onnx.save(model, tmp_path / "model.onnx")
    ended = command("predict", tmp_path / "model.onnx", data_folder / "images" / "val", "--out", tmp_path / "out")
    assert (ended.code, "EXPORT_DAMAGED" in ended.err) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gone", ["model.bin", "model.xml"])
def test_folder_without_a_part__is_said(exported: Path, tmp_path: Path, gone: str) -> None:
    if not WITH_OPENVINO:
        pytest.skip("openvino is not installed")
    copy = Path(shutil.copytree(exported / "model_openvino_model", tmp_path / "model"))
    (copy / gone).unlink()
    (copy / "other.xml").touch()
    with pytest.raises(InputError, match=f"FILE_MISSING .*{gone}"):
        open_exported(copy)


def test_seal__is_not_looked_for_in_the_name_of_a_class(tmp_path: Path) -> None:
    path = tmp_path / "metadata.json"
    name = f'content_sha256\\": \\"{"a" * 64}\\"'
    text = f'{{"a": "{name}", "content_sha256": "{NO_SEAL}", "z": "{name}"}}'
    path.write_text(text)
    seal(path)
    assert path.read_text().count("a" * 64) == 2
    check_seal(path)
    path.write_text(text.replace(f', "content_sha256": "{NO_SEAL}"', ""))
    check_seal(path)  # of an earlier version, which sealed none
