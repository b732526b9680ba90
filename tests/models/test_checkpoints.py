"""Weights: finding, refusing, and never running code from a file."""

import hashlib
import io
import json
import pickle
import re
import shutil
import socket
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.models import FAMILIES, find_weights, load_detector
from detect_transfer.models.checkpoints import EMBEDDED, load_weights, read_checkpoint, save_weights
from detect_transfer.models.hub import architecture_of
from detect_transfer.models.published_hashes import SHA256


class Evil:
    """Unpickling it would write a file."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path(self.marker).write_text, ("ran",))


class EvilExpression(Evil):
    """Unpickling it would evaluate an expression that makes a file."""

    def __reduce__(self):
        return (eval, (f"open({self.marker!r}, 'w')",))


@pytest.mark.parametrize("how", ["zip", "legacy", "plain"])
def test_malicious_checkpoint__is_refused_and_does_not_run(tmp_path: Path, how: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pt"
    evil = {"model": Evil(str(marker))}
    if how == "plain":
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=how == "zip")
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        load_weights(path)
    assert not marker.exists()


def test_code_beside_the_tensors__does_not_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "mixed.pt"
    torch.save({"state_dict": {"a": torch.ones(2)}, "callbacks": [EvilExpression(str(marker))]}, path)
    assert read_checkpoint(path).tensors.keys() == {"a"}
    assert not marker.exists()


@pytest.mark.parametrize("name", ["empty.pt", "text.pt", "empty.safetensors", "text.safetensors"])
def test_damaged_file__is_reported_with_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"" if name.startswith("empty") else b"this is no checkpoint at all")
    with pytest.raises(InputError, match=rf"WEIGHTS_DAMAGED .*{name}"):
        load_weights(path)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_truncated_file__is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.safetensors"
    save_weights(path, {"a": torch.zeros(1000)}, {"arch": "yolo11n", "names": "[]"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        load_weights(path)


def test_truncated_real_checkpoint__is_refused(tmp_path: Path, coco_weights: Path) -> None:
    path = tmp_path / "cut.pt"
    data = coco_weights.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        load_weights(path)


def test_tensors_of_no_family__are_refused_whatever_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, {"arch": "yolo11n"})
    with pytest.raises(InputError, match=r"WEIGHTS_ARCH .*bare\.safetensors - its tensors are of no family"):
        load_weights(path)


@pytest.mark.parametrize(
    "facts",
    [
        {"names": "5"},
        {"names": "[]"},
        {"names": '{"0": "a", "2": "b"}'},
        {"names": "not JSON"},
        {"names": '["a", "b"]'},
        {"imgsz": "large"},
        {"imgsz": "0"},
        {"category_ids": "7"},
        {"category_ids": "[7, 8]"},
        {"category_ids": '["x"]'},
    ],
    ids=str,
)
def test_header_with_wrong_facts__is_reported(tmp_path: Path, facts: dict[str, str]) -> None:
    path = tmp_path / "wrong.safetensors"
    tensors = {f"model.{i}.conv.weight": torch.zeros(1) for i in range(23)}
    tensors["model.23.cv3.0.2.weight"] = torch.zeros(1, 80, 1, 1)
    save_weights(path, tensors, {"arch": "yolo11n", "names": '["a"]', **facts})
    with pytest.raises(InputError, match=r"WEIGHTS_CARD .*wrong\.safetensors - .*(cannot be read|it names)"):
        _ = load_weights(path).category_ids


def test_unknown_family__is_reported(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, {"arch": "x", "names": '["a"]', "family": "yollo"})
    with pytest.raises(InputError, match=r"WEIGHTS_CARD .*new\.safetensors family=yollo - .*did you mean 'yolo'"):
        load_detector(load_weights(path))


def test_half_precision__is_read_as_single(tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    names = json.dumps(["a"])
    save_weights(path, {"w": torch.full((2,), 0.5), "n": torch.tensor(3)}, {"arch": "x", "names": names}, half=True)
    read = read_checkpoint(path)
    assert read.tensors["w"].dtype == torch.float32
    assert read.tensors["n"].dtype == torch.int64
    assert read.class_names(1) == ("a",)


def test_saved_twice__is_the_same_file(tmp_path: Path) -> None:
    metadata = {"arch": "x", "names": json.dumps(["é"], ensure_ascii=False), **{f"fact_{i}": str(i) for i in range(20)}}
    tensors = {f"t{i}": torch.full((i + 1,), float(i)) for i in range(20)}
    sums = {
        save_weights(tmp_path / "w.safetensors", tensors, dict(reversed(metadata.items())) if i % 2 else metadata)
        for i in range(4)
    }
    assert len(sums) == 1
    loaded = read_checkpoint(tmp_path / "w.safetensors")
    assert loaded.metadata == metadata
    assert loaded.tensors.keys() == tensors.keys()
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())


def test_known_name_without_network__names_every_place_quickly(tmp_path: Path, monkeypatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setenv("DETECT_TRANSFER_WEIGHTS", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    with pytest.raises(ResourceError) as caught:
        find_weights("yolo11n")
    assert time.monotonic() - began < 5
    message = str(caught.value)
    assert caught.value.exit_code == 3
    for place in (tmp_path / "mine" / "yolo11n.pt", "weights/yolo11n.safetensors", "https://", "put the file at"):
        assert str(place) in message
    assert list(tmp_path.iterdir()) == []


def test_known_name_with_network__is_fetched_whole_into_the_first_place(tmp_path: Path, monkeypatch) -> None:
    requests = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        requests.append((url, timeout))
        return io.BytesIO(b"the published bytes")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    monkeypatch.setenv("DETECT_TRANSFER_WEIGHTS", str(tmp_path / "mine"))
    with pytest.raises(ResourceError, match=r"what came has the hash .*, not 0ebbc80d[0-9a-f]{56}"):
        find_weights("yolo11n")
    assert list(tmp_path.glob("mine/*")) == []
    requests.clear()
    monkeypatch.setitem(SHA256, "yolo11n", (hashlib.sha256(b"the published bytes").hexdigest(),))
    path = find_weights("yolo11n")
    assert path == tmp_path / "mine" / "yolo11n.pt"
    assert path.read_bytes() == b"the published bytes"
    assert requests[0][0].startswith("https://github.com/ultralytics/assets/")
    assert requests[0][1] <= 5
    assert find_weights("yolo11n") == path
    assert len(requests) == 1


def test_known_name__is_found_in_the_folder_of_the_variable(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "yolo11n.safetensors"
    path.write_bytes(b"x")
    monkeypatch.setenv("DETECT_TRANSFER_WEIGHTS", str(tmp_path))
    assert find_weights("yolo11n") == path


def test_folder_of_a_run__is_told_to_be_one(tmp_path: Path) -> None:
    best = tmp_path / "run" / "weights" / "best.safetensors"
    best.parent.mkdir(parents=True)
    with pytest.raises(InputError, match=r"WEIGHTS_UNKNOWN .*a folder.* give model.weights=a file in it"):
        find_weights(str(tmp_path / "run"))
    shutil.copyfile(EMBEDDED, best)
    with pytest.raises(InputError, match=rf"WEIGHTS_UNKNOWN .*a folder.* give model.weights={best}"):
        find_weights(str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        pytest.param("yolo99z", "WEIGHTS_UNKNOWN", id="none"),
        pytest.param("yolo11nano", "WEIGHTS_UNKNOWN .*did you mean 'yolo11n'", id="longer"),
        pytest.param("yolo11n/../../evil", "WEIGHTS_UNKNOWN", id="a-path"),
        pytest.param("yolo11n\n", "WEIGHTS_UNKNOWN", id="a-line"),
        pytest.param("yolov8n-p2", "WEIGHTS_UNKNOWN .*did you mean 'yolov8n'", id="not-published"),
        pytest.param("no/such.pt", "WEIGHTS_MISSING", id="file"),
    ],
)
def test_wrong_name__is_refused(wanted: str, code: str) -> None:
    with pytest.raises(InputError, match=code):
        find_weights(wanted)


@pytest.mark.parametrize("name", ["yolov5n", "yolov3-tiny"])
def test_known_name__whose_file_has_another_is_asked_for_by_that(name: str) -> None:
    assert str(FAMILIES["yolo"].weights_url(name)).endswith(f"/{name}u.pt")


def test_published_hashes__are_whole_and_of_names_that_are_fetched() -> None:
    for name, digests in SHA256.items():
        urls = [url for family in FAMILIES.values() if (url := family.weights_url(name)) is not None]
        assert len(urls) == 1, name
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)
        if urls[0].endswith(".pth"):
            assert digests[0].startswith(urls[0][-12:-4])


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Publishers that answer to every address with the same bytes, and the addresses that were asked for."""
    asked: list[str] = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(b"the published bytes")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    monkeypatch.chdir(tmp_path)
    return asked


@pytest.mark.parametrize("name", ["yolov9c", "vgg19_bn", "dfine_n", "mnasnet0_5"])
def test_name_whose_whole_hash_is_not_held__is_not_fetched(tmp_path: Path, published: list[str], name: str) -> None:
    with pytest.raises(InputError, match=rf"WEIGHTS_HASH model.weights={name} - .*; .*{name}@sha256:HASH") as caught:
        find_weights(name)
    assert "https://" in caught.value.remedy
    assert published == []
    assert list(tmp_path.iterdir()) == []


def test_stated_hash__lets_a_name_be_fetched_and_holds_for_files_too(tmp_path: Path, published: list[str]) -> None:
    right, wrong = (hashlib.sha256(data).hexdigest() for data in (b"the published bytes", b"others"))
    with pytest.raises(ResourceError, match=f"what came has the hash {right}, not {wrong}"):
        find_weights(f"yolov9c@sha256:{wrong}")
    path = find_weights(f"yolov9c@sha256:{right}")
    assert path.read_bytes() == b"the published bytes"
    assert len(published) == 2
    for wanted in (f"yolov9c@sha256:{right}", f"{path}@sha256:{right.upper()}", "yolov9c"):
        assert find_weights(wanted) == path
    for wanted in (f"yolov9c@sha256:{wrong}", f"{path}@sha256:{wrong}"):
        with pytest.raises(InputError, match=f"WEIGHTS_HASH {path} - its hash is {right}, not {wrong}"):
            find_weights(wanted)
    assert len(published) == 2
    assert architecture_of(f"yolov9c@sha256:{right}") == "yolov9c"


@pytest.mark.parametrize("digest", ["", "HASH", "0" * 63, "0" * 65, "g" * 64])
def test_stated_hash__that_is_none_is_refused(published: list[str], digest: str) -> None:
    with pytest.raises(InputError, match=r"WEIGHTS_HASH .*64 digits"):
        find_weights(f"yolo11n@sha256:{digest}")
    assert published == []


def test_real_checkpoints__load_whole(shared: Path, coco_weights: Path) -> None:
    first = load_weights(coco_weights)
    second = load_weights(shared / "weights" / "yolo11n_coco_fp16.safetensors")
    assert first.arch == second.arch == "yolo11n"
    assert first.class_names == second.class_names
    assert len(first.class_names) == 80
    assert first.tensors.keys() == second.tensors.keys()


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda ema, other: {"ema": {"module": ema}, "model": other}, id="ema-module"),
        pytest.param(lambda ema, other: {"state_dict": other, "state_dict_ema": ema}, id="state_dict_ema"),
        pytest.param(lambda ema, other: {"model_state_dict": other, "ema_state_dict": ema}, id="ema_state_dict"),
    ],
)
def test_averaged_weights__are_taken_before_others(tmp_path: Path, wrap: Any) -> None:
    path = tmp_path / "both.pt"
    torch.save(wrap({"a": torch.ones(2)}, {"a": torch.zeros(2)}), path)
    assert read_checkpoint(path).tensors["a"].tolist() == [1.0, 1.0]


def test_weights_that_are_not_finite__are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nan.pt"
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(InputError, match=r"WEIGHTS_DAMAGED .* its tensor b has values that are not finite"):
        read_checkpoint(path)
