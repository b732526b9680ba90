"""What every model family keeps to: the contract of `Detector`, on random weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from detect_transfer.config import STAGES, Model, Transfer
from detect_transfer.models import FAMILIES, build_detector, load_detector, load_weights, save_weights
from detect_transfer.models.base import Detector, Postprocess, Target
from detect_transfer.models.families import class_inits
from detect_transfer.models.source_weights import SourceWeights

NAMES = ("red", "green", "blue")
BACKBONE = frozenset(STAGES[:5])
MEMBERS = {
    "yolo": [{"arch": "yolo11n"}, {"arch": "yolo26n"}],
    "transformers": [{"arch": "dfine_n"}],
    "torchvision": [
        {"arch": "fasterrcnn", "backbone": "resnet18"},
        {"arch": "fasterrcnn_mobilenet_v3_large_320_fpn"},
        {"arch": "retinanet_resnet50_fpn_v2"},
        {"arch": "fcos_resnet50_fpn"},
        {"arch": "ssdlite320_mobilenet_v3_large"},
    ],
}
CASES = [
    pytest.param({"family": family, "weights": "scratch", **options}, id="-".join(options.values()))
    for family, members in MEMBERS.items()
    for options in members
]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", params=CASES)
def made(request: pytest.FixtureRequest) -> tuple[Detector, dict[str, torch.Tensor]]:
    """A random detector and the state it was made with."""
    torch.manual_seed(0)
    detector, _ = build_detector(Model.model_validate(request.param), Transfer(), NAMES, None)
    return detector, {name: each.clone() for name, each in detector.module.state_dict().items()}


@pytest.fixture
def detector(made: tuple[Detector, dict[str, torch.Tensor]]) -> Detector:
    """The detector, as it was made."""
    made[0].module.load_state_dict(made[1])
    made[0].module.zero_grad()
    made[0].class_weights = None
    made[0].on_epoch(1, 4)
    return made[0]


def test_every_family_has_members_here() -> None:
    assert set(MEMBERS) == set(FAMILIES)


def target(xyxy: Sequence[Sequence[float]] = (), labels: Sequence[int] = (), ignored=()) -> Target:
    boxes = np.array(xyxy, dtype=np.float64).reshape(-1, 4)
    return Target(boxes, np.array(labels, dtype=np.int64), np.array(ignored, dtype=np.float64).reshape(-1, 4))


SOME = [
    target([[8, 8, 40, 48], [50, 10, 90, 60]], [1, 2]),
    target([[4, 20, 60, 60]], [0], [[60, 0, 96, 64]]),
]


def inputs(detector: Detector) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return detector.preprocess(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8, generator=generator))


def losses(detector: Detector, targets: Sequence[Target]) -> dict[str, torch.Tensor]:
    detector.module.train()
    outputs = detector.module(*detector.forward_args(inputs(detector), targets))
    return {name: part.mean() for name, part in detector.loss(outputs, targets, (64, 96)).items()}


def test_stages__name_every_tensor(detector: Detector) -> None:
    stages = detector.stages()
    assert set(stages) == set(detector.module.state_dict())
    assert set(stages.values()) <= set(STAGES)
    assert set(stages.values()) >= {"stem", "stage1", "stage2", "stage3", "stage4", "neck", "head"}
    assert detector.trainable <= set(dict(detector.module.named_parameters()))


def test_input__is_single_precision_of_the_same_size(detector: Detector) -> None:
    x = inputs(detector)
    assert x.shape == (2, 3, 64, 96)
    assert x.dtype == torch.float32
    assert len(detector.forward_args(x, None)) >= 1
    assert detector.forward_args(x, None)[0] is x


@pytest.mark.parametrize("class_weights", [None, torch.tensor([1.0, 2.0, 0.5])], ids=["alike", "weighted"])
def test_loss__is_finite_and_reaches_every_stage(detector: Detector, class_weights: torch.Tensor | None) -> None:
    detector.class_weights = class_weights
    detector.on_epoch(1, 4)
    parts = losses(detector, SOME)
    assert all(each.ndim == 0 and torch.isfinite(each) for each in parts.values())
    sum(parts.values()).backward()
    stages = detector.stages()
    reached = {
        stages[n] for n, p in detector.module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert reached == set(stages.values())


def test_loss__is_finite_without_targets_and_where_all_is_ignored(detector: Detector) -> None:
    everything = target(ignored=[[-500, -500, 600, 600]])
    background = sum(losses(detector, [target()] * 2).values())
    hidden = sum(losses(detector, [everything] * 2).values())
    assert torch.isfinite(background)
    assert background.detach() > 0
    assert hidden.detach() == pytest.approx(0, abs=1e-6)


def test_frozen_stages__get_no_gradient(detector: Detector) -> None:
    stages = detector.stages()
    try:
        for name, parameter in detector.module.named_parameters():
            parameter.requires_grad_(stages[name] == "head" and name in detector.trainable)
        sum(losses(detector, SOME).values()).backward()
        for name, parameter in detector.module.named_parameters():
            assert (parameter.grad is not None) <= (stages[name] == "head"), name
    finally:
        for name, parameter in detector.module.named_parameters():
            parameter.requires_grad_(name in detector.trainable)


def test_predictions__are_boxes_scores_and_labels_within_the_limits(detector: Detector) -> None:
    detector.module.eval()
    with torch.no_grad():
        outputs = detector.module(*detector.forward_args(inputs(detector), None))
    everything = detector.postprocess(outputs, Postprocess(0.0, 300))
    assert len(everything) == 2
    for each in everything:
        assert each.xyxy.shape == (len(each.scores), 4)
        assert each.xyxy.dtype == each.scores.dtype == np.float64
        assert (np.diff(each.scores) <= 0).all()
        assert ((each.labels >= 0) & (each.labels < len(NAMES))).all()
    floor = float(np.median(everything[0].scores))
    few = detector.postprocess(outputs, Postprocess(floor, 5))
    assert [len(each.scores) <= 5 for each in few] == [True, True]
    np.testing.assert_array_equal(few[0].scores, everything[0].scores[: len(few[0].scores)])
    assert (few[0].scores > floor).all()


@pytest.mark.parametrize("frozen", [BACKBONE, BACKBONE | {"neck"}], ids=["backbone", "backbone and neck"])
def test_split__gives_what_the_whole_network_gives(detector: Detector, frozen: frozenset) -> None:
    split = detector.split(frozen)
    assert split is not None
    x = inputs(detector)
    detector.module.eval()
    with torch.no_grad():
        features = split.trunk(x)
        assert all(len(each) == 2 for each in features)
        wanted = detector.postprocess(detector.module(*detector.forward_args(x, None)), LIMITS)
        ours = detector.postprocess(split.tail(features, None), LIMITS)
    for each, expected in zip(ours, wanted, strict=True):
        np.testing.assert_array_equal(each.xyxy, expected.xyxy)
        np.testing.assert_array_equal(each.scores, expected.scores)
    detector.module.train()
    with torch.no_grad():
        features = split.trunk(x)  # batch norm of the whole network moves alike in both calls
        detector.module.load_state_dict(detector.module.state_dict())
    torch.manual_seed(2)
    parts = detector.loss(split.tail(features, SOME), SOME, (64, 96))
    parts = {name: part.mean() for name, part in parts.items()}
    torch.manual_seed(2)
    whole = losses(detector, SOME)
    for name, each in whole.items():
        assert parts[name].item() == pytest.approx(each.item(), rel=1e-5), name
    sum(parts.values()).backward()
    assert detector.split(frozen - {"stem"}) is None


LIMITS = Postprocess(score_floor=0.0, max_detections=50, nms_iou=0.5)


def test_metadata__build_the_same_detector_again(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    again = load_detector(load_weights(path))
    assert (again.family, again.arch, again.class_names) == (detector.family, detector.arch, detector.class_names)
    assert again.new_class_params == frozenset()
    assert again.stages() == detector.stages()
    assert again.metadata() == detector.metadata()
    state = again.module.state_dict()
    assert all(torch.equal(each, state[name]) for name, each in detector.module.state_dict().items())
    assert load_weights(path).class_names == NAMES


def test_with_module__is_the_same_kind_around_a_copy(detector: Detector) -> None:
    import copy

    other = detector.with_module(copy.deepcopy(detector.module))
    assert other.module is not detector.module
    assert other.stages() == detector.stages()
    assert other.metadata() == detector.metadata()
    assert other.new_class_params == detector.new_class_params


def test_class_inits__take_the_very_name_and_no_other_code() -> None:
    source = SourceWeights({}, "", ("8_11", "8_1_1", ">", "811"), Path("w"), "")
    rows = class_inits(source, ["8_1_1", "8_11", "<", "8-1-1"], {}, Transfer())
    assert [row.sources for row in rows] == [("8_1_1",), ("8_11",), (), ()]
