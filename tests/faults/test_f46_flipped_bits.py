"""F46: one flipped bit in weights or in a state is seen by whoever loads it."""

import random
import shutil
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from detect_transfer.core.errors import InputError
from detect_transfer.models import save_weights
from detect_transfer.models.checkpoints import read_checkpoint
from detect_transfer.training.checkpoint import Progress, read_states, save_state


def flip(path: Path, position: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def inside(path: Path) -> int:
    """Return the middle of a file, and of an archive that of its largest part, as nothing is held between parts."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size // 2
    with zipfile.ZipFile(path) as archive:
        part = max(archive.infolist(), key=lambda each: each.file_size)
    lengths = path.read_bytes()[part.header_offset + 26 : part.header_offset + 30]  # of the name and of the padding
    return part.header_offset + 30 + sum(struct.unpack("<HH", lengths)) + part.file_size // 2


def test_every_bit_of_small_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    tensors = {"a": torch.arange(6.0), "n": torch.tensor([3])}
    save_weights(path, tensors, {"names": '["é"]', "imgsz": "64"})
    assert read_checkpoint(path).metadata == {"names": '["é"]', "imgsz": "64"}
    whole = path.read_bytes()
    name_of_the_hash = range(at := whole.index(b"content_sha256"), at + len(b"content_sha256"))
    for position in range(len(whole)):
        flip(path, position, position % 8)
        if position in name_of_the_hash:  # then nothing may be compared, and nothing else has changed
            with suppress(InputError):
                assert read_checkpoint(path).tensors["a"].tolist() == tensors["a"].tolist()
        else:
            with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
                read_checkpoint(path)
        path.write_bytes(whole)


@pytest.mark.parametrize("seed", range(4))
def test_bits_of_a_file_of_torch(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.rand(4000)}, path)
    flip(path, random.Random(seed).randrange(1500, 15_000), seed)
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        read_checkpoint(path)


@pytest.mark.parametrize("seed", range(4))
def test_bits_of_a_state(tmp_path: Path, seed: int) -> None:
    path, states = tmp_path / "state.pt", {"module": {"a": torch.rand(4000)}, "average": {"a": torch.rand(4)}}
    save_state(path, Progress(), "data", states)
    assert read_states(path)["fingerprint"] == "data"
    flip(path, random.Random(seed).randrange(2500, 15_000), seed)
    with pytest.raises(InputError, match="RESUME_DAMAGED"):
        read_states(path)


@pytest.fixture(scope="module")
def finished(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    from detect_transfer.config import RunConfig
    from detect_transfer.workflows.train import train

    out = tmp_path_factory.mktemp("finished") / "run"
    settings = {"epochs": 1, "imgsz": 64, "batch": 8}
    config = {"data": {"path": few_data}, "model": {"weights": "embedded"}, "out": out}
    config |= {"train": settings, "transfer": {"strategy": "full", "interpolate": "off"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detect_transfer.workflows.evaluate.write_report", lambda path, _: path.write_text(""))
        train(RunConfig.model_validate(config), name="test", command="test")
    return out


@pytest.mark.parametrize("name", ["weights/best.safetensors", "weights/last.safetensors", "weights/state.pt"])
def test_commands__see_it(finished: Path, data_folder: Path, tmp_path: Path, name: str, command: Callable) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    path = next(run.rglob(Path(name).name))
    flip(path, inside(path))
    out, images = ("--out", tmp_path / "out"), data_folder / "images" / "val"
    words = [("train", "--resume", run, "train.epochs=2")]
    if path.suffix == ".safetensors":
        source = run if path.stem == "best" else path
        words += [("predict", source, images, *out), ("evaluate", source, "--data", data_folder, *out)]
        words += [("train", f"data.path={data_folder}", f"model.weights={path}", f"out={tmp_path / 'new'}")]
    for each in words:
        ended = command(*each)
        assert ended.code == 2, (each, ended)
        assert f"_DAMAGED {path}" in ended.err, (each, ended)
