"""Weights of YOLO from elsewhere: whole, in part, in any wrapping, with right and wrong names."""

import argparse
import collections
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from detect_transfer.config import Model, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.models import build_detector, load_detector, load_weights
from detect_transfer.models.yolo.ultralytics import load_ultralytics

NAMES = ["red", "green", "blue", "white"]


def fine_tuned(arch: str = "yolov8n", n_classes: int = 4) -> Any:
    """A network as ultralytics 8.4.190 leaves it: the class branch of COCO, rows for the new classes."""
    torch.manual_seed(0)
    model = load_ultralytics().DetectionModel(f"{arch}.yaml", nc=80, verbose=False)
    head = model.model[-1]
    for branch in ("cv3", "one2one_cv3"):
        for level in getattr(head, branch, None) or ():
            level[-1] = torch.nn.Conv2d(level[-1].in_channels, n_classes, 1)
    head.nc, head.no = n_classes, n_classes + head.reg_max * 4
    model.yaml["nc"] = n_classes
    model.names = dict(enumerate(NAMES[:n_classes]))
    return model.eval()


def save(path: Path, model: Any, **more: Any) -> Path:
    torch.save({"model": model, "ema": None, "epoch": -1, "train_args": {"imgsz": 64}, **more}, path)
    return path


@pytest.fixture(scope="module")
def model() -> Any:
    return fine_tuned()


@pytest.mark.parametrize(
    "arch", ["yolov5n", "yolov6n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"]
)
def test_fine_tuned_checkpoint__is_taken_whole(tmp_path: Path, arch: str) -> None:
    model = fine_tuned(arch)
    source = load_weights(save(tmp_path / "best.pt", model))
    assert (source.arch, source.class_names) == (arch, tuple(NAMES))
    detector, report = build_detector(Model(), Transfer(), NAMES, source)
    assert report.new_tensors == report.left_out == ()
    assert {row.how for row in report.rows} == {"same name"}
    state = detector.module.state_dict()
    assert all(torch.equal(tensor.float(), state[name].float()) for name, tensor in model.state_dict().items())
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        theirs, ours = (each.eval()(image)[1] for each in (model, load_detector(source).module))
    for branch in ("one2many", "one2one") if "one2one" in theirs else (None,):
        source_outputs, our_outputs = (each[branch] if branch else each for each in (theirs, ours))
        assert torch.equal(source_outputs["scores"], our_outputs["scores"])


@pytest.mark.parametrize(
    "names",
    [NAMES, tuple(NAMES), {str(i): name for i, name in enumerate(NAMES)}, dict(enumerate(NAMES, start=1))],
    ids=["list", "tuple", "text keys", "from 1"],
)
def test_names__are_read_in_any_form(tmp_path: Path, model: Any, names: Any) -> None:
    model.names = names
    assert load_weights(save(tmp_path / "best.pt", model)).class_names == tuple(NAMES)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (NAMES[:3], "it names 3 classes, but its tensors have rows for 4"),
        ([*NAMES, "more"], "it names 5 classes, but its tensors have rows for 4"),
        ({0: "red", 2: "green", 3: "blue", 4: "white"}, "its class names cannot be read"),
        ({"a": "red"}, "its class names cannot be read"),
        ([["red"], None], "its class names cannot be read"),
        (["red", "green", "red", "white"], "two of its classes have one name"),
    ],
    ids=["too few", "too many", "gap", "words as keys", "no texts", "twice"],
)
def test_names__that_do_not_fit_the_rows_are_refused(tmp_path: Path, model: Any, names: Any, message: str) -> None:
    model.names = names
    with pytest.raises(InputError, match=rf"WEIGHTS_CARD .*best\.pt - {message}"):
        load_weights(save(tmp_path / "best.pt", model))


WRAPPERS = {
    "state_dict": lambda state: {"state_dict": state},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "epoch": 3},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1, out=Path("x"))},
    "data parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "lightning": lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "plain": lambda state: state,
    "odd class": lambda state: {"state_dict": state, "meta": collections.UserDict(a=1)},
}


@pytest.mark.parametrize(("wrapper", "suffix"), list(zip(WRAPPERS, [".pt", ".pth", ".bin", ".ckpt"] * 2, strict=True)))
def test_state_dict__is_read_in_any_wrapping(tmp_path: Path, model: Any, wrapper: str, suffix: str) -> None:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = tmp_path / f"yolov8n_mine{suffix}"
    torch.save(WRAPPERS[wrapper](state), path)
    source = load_weights(path)
    assert (source.arch, len(source.class_names)) == ("yolov8n", 4)
    assert source.tensors.keys() == state.keys()
    load_detector(source)


def test_plain_safetensors__are_known_by_their_tensors(tmp_path: Path, model: Any, caplog: Any) -> None:
    path = tmp_path / "whatever.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    source = load_weights(path)
    assert source.arch == "yolov8n"
    assert source.class_names == ("class_1", "class_2", "class_3", "class_4")
    assert "whatever.safetensors names no classes: they are called class_1 ... class_4" in caplog.text
    load_detector(source)


def cut(path: Path, model: Any, part: str) -> Path:
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(part)}
    torch.save({"state_dict": state, "names": NAMES}, path)
    return path


def test_cut_weights__are_reported_by_group_and_never_scored(tmp_path: Path, model: Any, caplog: Any) -> None:
    source = load_weights(cut(tmp_path / "yolov8n.pt", model, "model.8."))
    _, report = build_detector(Model(), Transfer(), NAMES, source)
    missing = {name for name in model.state_dict() if name.startswith("model.8.") and "num_batches" not in name}
    assert set(report.new_tensors) == missing
    assert f"yolov8n.pt fits yolov8n in part: {len(missing)} tensors start at random: model.8.cv1" in caplog.text
    with pytest.raises(
        InputError, match=rf"WEIGHTS_ARCH .*{len(missing)} tensors of yolov8n are missing .*model\.8\.cv1"
    ):
        load_detector(source)


@pytest.mark.parametrize("part", ["model.22.cv3.", "model.22.cv3.0.0.", "model.22.cv3.1.2."])
def test_rows_of_a_cut_class_branch__are_called_random(tmp_path: Path, model: Any, part: str) -> None:
    source = load_weights(cut(tmp_path / "yolov8n.pt", model, part))
    detector, report = build_detector(Model(), Transfer(), NAMES, source)
    assert {row.how for row in report.rows} == {"random"}
    rows = {name for name in detector.module.state_dict() if re.search(r"\.cv3\.\d\.2\.", name)}
    assert set(report.new_tensors) >= rows == detector.new_class_params
    assert report.by_rows == ()


def test_weights_of_too_small_a_part__are_refused(tmp_path: Path, model: Any) -> None:
    state = {name: tensor for name, tensor in model.state_dict().items() if int(name.split(".")[1]) < 6}
    torch.save({"state_dict": state}, tmp_path / "yolov8n.pt")
    with pytest.raises(InputError, match="WEIGHTS_ARCH"):
        build_detector(Model(), Transfer(), NAMES, load_weights(tmp_path / "yolov8n.pt"))


@pytest.mark.parametrize("task", ["-seg", "-pose", "-obb"])
def test_weights_for_another_task__are_refused(tmp_path: Path, model: Any, task: str) -> None:
    state = {**model.state_dict(), "model.22.cv4.0.2.weight": torch.zeros(1)}
    torch.save({"state_dict": state, "yaml": {"yaml_file": f"yolov8n{task}.yaml"}}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"WEIGHTS_ARCH .*w\.pt - its tensors are of no detection architecture"):
        load_weights(tmp_path / "w.pt")
