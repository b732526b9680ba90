"""The YOLO family: stages, head rows, loss, decoding."""

from typing import Any

import numpy as np
import pytest
import torch

from detect_transfer.config import STAGES, Model, Transfer
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.models import build_detector, load_detector, load_weights, save_weights
from detect_transfer.models.base import Postprocess, Target
from detect_transfer.models.checkpoints import SourceWeights
from detect_transfer.models.device import Precision
from detect_transfer.models.predict import run_batch


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> SourceWeights:
    """A random YOLO11n with four classes, saved and loaded again."""
    torch.manual_seed(0)
    detector, _ = build_detector(Model(arch="yolo11n"), Transfer(), ["person", "car", "bus", "stop sign"], None)
    path = tmp_path_factory.mktemp("source") / "source.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    return load_weights(path)


def class_rows(detector) -> list[torch.Tensor]:
    return [level[-1].weight.detach() for level in detector.module.model[-1].cv3]


@pytest.mark.parametrize("arch", ["yolo11n", "yolov8n", "yolo26n", "yolov5n", "yolov9t", "yolo12n"])
def test_stages__name_every_tensor_in_order(arch: str) -> None:
    detector, report = build_detector(Model(arch=arch), Transfer(), ["a", "b"], None)
    stages = detector.stages()
    assert set(stages) == set(detector.module.state_dict())
    assert set(stages.values()) == set(STAGES) - {"rpn"}
    order = [STAGES.index(stage) for stage in stages.values()]
    backbone = [i for i in order if i < STAGES.index("neck")]
    assert backbone == sorted(backbone)
    assert report.tensors == 0


def test_save_and_load__gives_the_same_outputs(source: SourceWeights) -> None:
    first, second = load_detector(source), load_detector(source)
    image = torch.rand(1, 3, 64, 64)
    first.module.eval(), second.module.eval()
    with torch.no_grad():
        assert torch.equal(first.module(image)[0], second.module(image)[0])
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, source.tensors[name]), name


def test_class_map__copies_and_averages_head_rows(source: SourceWeights) -> None:
    transfer = Transfer(class_map={"pedestrian": "person", "vehicle": ["car", "bus"]})
    names = ["pedestrian", "vehicle", "Stop-Sign", "new"]
    detector, report = build_detector(Model(), transfer, names, source)
    names_of_rows = sorted(name for name in source.tensors if ".cv3." in name and name.endswith(".2.weight"))
    old = [source.tensors[name] for name in names_of_rows]
    for before, after in zip(old, class_rows(detector), strict=True):
        assert torch.equal(after[0], before[0])
        torch.testing.assert_close(after[1], before[1:3].mean(dim=0))
        assert torch.equal(after[2], before[3])
        torch.testing.assert_close(after[3], before.mean(dim=0))
    assert [row.how for row in report.rows] == ["class_map", "class_map", "same name", "mean of all rows"]
    assert report.new_tensors == ()
    assert len(detector.new_class_params) == 6  # weight and bias of three levels: some class is new


def test_class_map__keeps_every_hidden_tensor_of_the_head(source: SourceWeights) -> None:
    detector, _ = build_detector(Model(), Transfer(), ["only"], source)
    state = detector.module.state_dict()
    same = [n for n, t in source.tensors.items() if state[n].shape == t.shape and torch.equal(state[n], t)]
    assert len(same) == len(state) - 6


def test_same_classes__change_nothing(source: SourceWeights) -> None:
    detector, _ = build_detector(Model(), Transfer(), list(source.class_names), source)
    assert all(torch.equal(t, source.tensors[n]) for n, t in detector.module.state_dict().items())
    assert detector.new_class_params == frozenset()


@pytest.mark.parametrize(
    ("class_map", "message"),
    [
        ({"pedestrian": "persn"}, "CLASS_UNKNOWN transfer.class_map.pedestrian=persn.*did you mean 'person'"),
        ({"pedestrain": "person"}, "CLASS_UNKNOWN transfer.class_map=pedestrain.*did you mean 'pedestrian'"),
        ({"pedestrian": ""}, "CLASS_UNKNOWN"),
    ],
)
def test_class_map__unknown_classes_are_refused(source: SourceWeights, class_map: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_detector(Model(), Transfer(class_map=class_map), ["pedestrian"], source)


def test_arch__must_be_that_of_the_weights(source: SourceWeights) -> None:
    with pytest.raises(InputError, match=r"WEIGHTS_ARCH .*model\.arch=yolov8n - the weights are of yolo11n"):
        build_detector(Model(arch="yolov8n"), Transfer(), ["a"], source)


def test_family__must_be_that_of_the_weights(source: SourceWeights) -> None:
    model = Model(family="torchvision", weights="w.safetensors")
    with pytest.raises(InputError, match=r"WEIGHTS_FAMILY .*model\.family=torchvision - .*set model\.family to yolo"):
        build_detector(model, Transfer(), ["a"], source)


@pytest.mark.parametrize("arch", ["yolo99n", "yolo11n-seg", "yolov8n-p6", "resnet50", "../evil"])
def test_arch__unknown_ones_are_refused(arch: str) -> None:
    with pytest.raises(DetectTransferError, match=r"ARCH_UNKNOWN model\.arch="):
        build_detector(Model(arch=arch), Transfer(), ["a"], None)


@pytest.mark.parametrize("arch", ["yolo11n", "yolo26n"])
def test_loss__is_finite_without_targets_and_has_gradients_with_them(arch: str) -> None:
    torch.manual_seed(0)
    detector, _ = build_detector(Model(arch=arch), Transfer(), ["a", "b"], None)
    detector.module.train()
    outputs = detector.module(torch.rand(2, 3, 64, 64))
    empty = [Target(np.empty((0, 4)), np.empty(0, np.int64))] * 2
    assert all(bool(torch.isfinite(v.mean())) for v in detector.loss(outputs, empty, (64, 64)).values())
    target = Target(np.array([[8.0, 8.0, 40.0, 48.0]]), np.array([1]))
    outputs = detector.module(torch.rand(2, 3, 64, 64))
    parts = detector.loss(outputs, [target, empty[0]], (64, 64))
    sum(part.mean() for part in parts.values()).backward()
    gradients = [p.grad for p in detector.module.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)
    assert set(parts) == {"box", "cls", "dfl"}


def test_ignored_cells__carry_no_gradient(source: SourceWeights) -> None:
    """Exactly zero at every cell whose centre is in the region and has no target; not zero at the others."""
    detector = load_detector(source)
    detector.module.train()
    images = torch.rand(1, 3, 64, 64)
    outputs = detector.module(images)
    outputs["scores"].retain_grad()
    target = Target(np.array([[4.0, 4, 20, 20]]), np.array([1]), np.array([[32.0, 0, 64, 64]]))
    sum(part.mean() for part in detector.loss(outputs, [target], (64, 64)).values()).backward()
    gradient = outputs["scores"].grad[0].abs().sum(dim=0)  # (A,) over the classes
    centres = np.concatenate(
        [np.stack(np.meshgrid(*[(np.arange(64 // s) + 0.5) * s] * 2), axis=-1).reshape(-1, 2) for s in (8, 16, 32)]
    )
    inside = torch.as_tensor(centres[:, 0] >= 32)
    assert (gradient[inside] == 0).all()
    assert (gradient[~inside] > 0).all()


def test_a_target_in_an_ignored_region__is_still_learnt(source: SourceWeights) -> None:
    detector = load_detector(source)
    detector.module.train()
    outputs = detector.module(torch.rand(1, 3, 64, 64))
    outputs["scores"].retain_grad()
    target = Target(np.array([[36.0, 4, 60, 30]]), np.array([1]), np.array([[32.0, 0, 64, 64]]))
    parts = detector.loss(outputs, [target], (64, 64))
    sum(part.mean() for part in parts.values()).backward()
    assert parts["box"].mean() > 0
    assert (outputs["scores"].grad[0].abs().sum(dim=0).reshape(-1)[:64].reshape(8, 8)[:, 4:] > 0).any()


def test_loss__of_an_end_to_end_head_ignores_in_both_branches() -> None:
    detector, _ = build_detector(Model(arch="yolo26n"), Transfer(), ["a", "b"], None)
    detector.module.train()
    outputs = detector.module(torch.rand(1, 3, 64, 64))
    for branch in ("one2many", "one2one"):
        outputs[branch]["scores"].retain_grad()
    target = Target(np.empty((0, 4)), np.empty(0, np.int64), np.array([[0.0, 0, 64, 64]]))
    sum(part.mean() for part in detector.loss(outputs, [target], (64, 64)).values()).backward()
    for branch in ("one2many", "one2one"):
        assert (outputs[branch]["scores"].grad == 0).all()


@pytest.mark.parametrize("arch", ["yolo11n", "yolo26n", "yolov8n"])
def test_split__and_whole_give_the_same(arch: str) -> None:
    detector, _ = build_detector(Model(arch=arch), Transfer(), ["a", "b"], None)
    everything = frozenset(detector.stages().values())
    images = torch.rand(2, 3, 64, 64)
    detector.module.eval()
    with torch.no_grad():
        expected = detector.module(images)[0]
        for frozen in (everything - {"head"}, everything - {"head", "neck"}):
            split = detector.split(frozen)
            assert torch.equal(split.tail(split.trunk(images), None)[0], expected)
    assert detector.split(everything - {"head", "stage4"}) is None
    assert detector.split(frozenset()) is None


def test_new_classes__start_at_random_where_asked(source: SourceWeights) -> None:
    detectors = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        transfer = Transfer(new_class_init="random", class_map={"sign": "stop sign"})
        detector, report = build_detector(Model(), transfer, ["sign", "cone"], source)
        detectors.append(class_rows(detector)[0])
        assert [row.how for row in report.rows] == ["class_map", "random"]
    assert torch.equal(detectors[0], detectors[1])
    assert torch.equal(detectors[0][0], detectors[2][0])
    assert not torch.equal(detectors[0][1], detectors[2][1])


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_boxes__are_decoded_in_single_precision(source: SourceWeights, precision: Precision) -> None:
    detector = load_detector(source)
    detector.module.eval()
    raw: dict[str, torch.Tensor] = {}

    def forward(images: torch.Tensor) -> Any:
        outputs = detector.module(images)
        raw.update({name: outputs[1][name].double() for name in ("boxes", "scores")})
        return outputs

    height, width = 64, 1088  # 136 cells at the stride of 8
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    options = Postprocess(score_floor=0.0, nms_iou=1.0, max_detections=2000)
    predictions = run_batch(detector, [pixels], options, precision=precision, forward=forward)
    strides = torch.cat([torch.full((height * width // s**2,), s) for s in (8, 16, 32)]).double()
    cells = [torch.meshgrid(torch.arange(height // s), torch.arange(width // s), indexing="ij") for s in (8, 16, 32)]
    x, y = (torch.cat([each[i].flatten() for each in cells]) + 0.5 for i in (1, 0))
    sides = (raw["boxes"][0].view(4, 16, -1).softmax(dim=1) * torch.arange(16)[:, None]).sum(dim=1)
    xyxy = (torch.stack([x - sides[0], y - sides[1], x + sides[2], y + sides[3]]) * strides).T.numpy()
    apart = np.abs(predictions[0].xyxy[:, None] - xyxy).max(axis=2).min(axis=1)
    assert len(apart) > 100
    assert apart.max() < 0.01
