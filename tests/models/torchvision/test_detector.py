"""The torchvision family: equal to stock where nothing was asked for, and what differs from it."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torchvision
from torch._subclasses.fake_tensor import FakeTensorMode
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.feature_extraction import create_feature_extractor

from detect_transfer.config import STAGES, Model
from detect_transfer.core.errors import InputError
from detect_transfer.models.base import Postprocess, Prediction, Target
from detect_transfer.models.postprocess import OutputNotFinite
from detect_transfer.models.torchvision.anchors import Anchors
from detect_transfer.models.torchvision.backbones import build_pyramid
from detect_transfer.models.torchvision.detector import TorchvisionDetector
from detect_transfer.models.torchvision.family import TorchvisionFamily
from detect_transfer.models.torchvision.losses import in_ignored, match_anchors

NAMES = ["red", "green", "blue"]
from_scratch = TorchvisionFamily().from_scratch
FAST = "fasterrcnn_mobilenet_v3_large_320_fpn"
DENSE = ["retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large"]
REGION = np.array([[0.0, 0.0, 40.0, 64.0]])


pytestmark = pytest.mark.usefixtures("one_thread")


def scratch(arch: str | None = FAST, **options) -> TorchvisionDetector:
    torch.manual_seed(0)
    return from_scratch(Model(family="torchvision", arch=arch, weights="scratch", **options), NAMES)


def two_images(count: int = 2, size_hw: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def target(xyxy: Sequence[Sequence[float]] = (), labels: Sequence[int] = (), ignored=()) -> Target:
    boxes = np.array(xyxy, dtype=np.float64).reshape(-1, 4)
    return Target(boxes, np.array(labels, dtype=np.int64), np.array(ignored, dtype=np.float64).reshape(-1, 4))


TWO = [target([[8, 8, 40, 48], [50, 10, 90, 60]], [1, 2]), target([[4, 20, 60, 60]], [0])]


def call(detector: TorchvisionDetector, images: torch.Tensor, targets: Sequence[Target] | None):
    detector.module.train(targets is not None)
    outputs = detector.module(*detector.forward_args(detector.preprocess(images), targets))
    return outputs if targets is None else {name: part.mean() for name, part in outputs.items()}


def predictions(detector: TorchvisionDetector, images: torch.Tensor, **settings) -> list[Prediction]:
    with torch.no_grad():
        outputs = call(detector, images, None)
    return detector.postprocess(
        outputs, Postprocess(**{"score_floor": 0.0, "nms_iou": 0.5, "max_detections": 50, **settings})
    )


def stock_of(detector: TorchvisionDetector, size_hw: tuple[int, int]):
    """torchvision's own network with the same tensors, which does not resize."""
    rows = len(NAMES) + detector.module.has_background
    build = getattr(torchvision.models.detection, detector.arch)
    stock = build(weights=None, weights_backbone=None, num_classes=rows)
    stock.load_state_dict(detector.module.state_dict())
    stock.transform.min_size, stock.transform.max_size = (min(size_hw),), max(size_hw)
    stock.transform.fixed_size = None
    return stock


@pytest.mark.parametrize("arch", [FAST, "fasterrcnn_resnet50_fpn_v2", *DENSE])
def test_detections__are_those_of_stock_with_our_floor_and_cap(arch: str) -> None:
    detector, images = scratch(arch), two_images()
    if arch.startswith("ssdlite"):
        for parameter in detector.module.parameters():
            if parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter)  # else all scores are alike, and their order is chance
    stock = stock_of(detector, (64, 96)).eval()
    owner = getattr(stock, "roi_heads", stock)
    owner.score_thresh, owner.nms_thresh, owner.detections_per_img = 0.0, 0.5, 10**6
    if hasattr(stock, "rpn"):
        stock.rpn.score_thresh = 0.0
        stock.rpn._post_nms_top_n = detector.module.rpn._post_nms_top_n
    else:
        stock.topk_candidates = 10**6
    with torch.no_grad():
        wanted = stock([each / 255 for each in images])
    for ours, theirs in zip(predictions(detector, images), wanted, strict=True):
        whole = (theirs["boxes"][:, 2:] - theirs["boxes"][:, :2] >= 0.01).all(dim=1)  # we leave the others out
        boxes, scores, labels = (theirs[key][whole].numpy()[:50] for key in ("boxes", "scores", "labels"))
        assert len(scores) >= 20
        np.testing.assert_allclose(ours.scores, scores, rtol=1e-4)
        np.testing.assert_allclose(ours.xyxy[:3], boxes[:3], atol=1e-2)
        np.testing.assert_array_equal(ours.labels[:3] + detector.module.has_background, labels[:3])


@pytest.mark.parametrize("arch", [FAST, *DENSE])
def test_loss__is_that_of_stock_where_nothing_is_ignored(arch: str) -> None:
    """At 64 px there are fewer anchors and proposals than are sampled, so chance has no part in it."""
    detector, images = scratch(arch, sampled_regions=512), two_images()
    stock = stock_of(detector, (64, 96))
    if hasattr(stock, "rpn"):
        stock.rpn.score_thresh = 0.0
    for module in (detector.module, stock):
        module.apply(lambda m: setattr(m, "momentum", 0.0) if isinstance(m, torch.nn.BatchNorm2d) else None)
    shift = detector.module.has_background
    targets = [
        {"boxes": torch.as_tensor(each.xyxy, dtype=torch.float32), "labels": torch.as_tensor(each.labels) + shift}
        for each in TWO
    ]
    torch.manual_seed(5)
    wanted = sorted(float(v.detach()) for v in stock.train()([each / 255 for each in images], targets).values())
    torch.manual_seed(5)
    ours = sorted(float(v.detach()) for v in call(detector, images, TWO).values())
    np.testing.assert_allclose(ours, wanted, rtol=1e-4)


@pytest.mark.parametrize("arch", DENSE)
def test_ignored_region__leaves_no_gradient_on_its_anchors(arch: str) -> None:
    network = scratch(arch).module
    with torch.no_grad():
        maps = network.neck(network.body(torch.zeros(1, 3, 64, 96)))
        outputs = {k: torch.randn_like(v) for k, v in network.head(list(maps)).items()}
    anchors = network.anchors.of(maps, (64, 96))
    cells = [each.shape[2] * each.shape[3] for each in maps]
    hidden = in_ignored(anchors, torch.tensor(REGION).float())
    assert 0 < hidden.sum() < len(hidden)

    def gradient(ignored) -> torch.Tensor:
        leaves = {k: v.clone().requires_grad_() for k, v in outputs.items()}
        label = torch.tensor([1])
        box = {
            "boxes": torch.tensor([[50.0, 8.0, 90.0, 60.0]]),
            "labels": label,
            "ignored": torch.tensor(ignored).float(),
        }
        losses = network.losses(leaves, anchors, [box], cells)
        sum(part.mean() for part in losses.values()).backward()
        return sum(leaf.grad.abs().sum(dim=2) for leaf in leaves.values() if leaf.grad is not None)[0]

    with_region, without = gradient(REGION), gradient(np.empty((0, 4)))
    background = with_region[hidden]
    assert (background == 0).all()
    assert (without[hidden] > 0).any()
    assert (with_region[~hidden] > 0).any()


class Given(torch.nn.Module):
    """A proposal head that returns what it is given."""

    def __init__(self, *outputs: list[torch.Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, maps):
        return self.outputs


def test_ignored_region__leaves_no_gradient_on_the_anchors_of_proposals() -> None:
    detector = scratch()
    rpn = detector.module.rpn.train()
    with torch.no_grad():
        maps = detector.module.neck(detector.module.body(torch.zeros(1, 3, 64, 96)))
        outputs = rpn.head(list(maps))
    anchors = rpn.anchors.of(maps, (64, 96))
    hidden = in_ignored(anchors, torch.tensor(REGION).float())

    def gradient(ignored) -> torch.Tensor:
        objectness, deltas = ([torch.randn_like(each).requires_grad_() for each in part] for part in outputs)
        rpn.head = Given(objectness, deltas)
        box = {"boxes": torch.tensor([[50.0, 8.0, 90.0, 60.0]]), "labels": torch.tensor([1])}
        _, losses = rpn(maps, (64, 96), [{**box, "ignored": torch.tensor(ignored).float()}])
        sum(part.mean() for part in losses.values()).backward()
        return torch.cat([each.grad[0].permute(1, 2, 0).flatten() for each in objectness]).abs()

    with_region, without = gradient(REGION), gradient(np.empty((0, 4)))
    assert (with_region[hidden] == 0).all()
    assert (without[hidden] > 0).all()  # all of the few anchors are sampled
    assert (with_region[~hidden] > 0).any()


def test_ignored_region__gives_the_head_no_background() -> None:
    head = scratch().module.roi_heads
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(200, 2, generator=generator) * torch.tensor([60.0, 40.0])
    proposals = torch.cat([corner, corner + 5 + 20 * torch.rand(200, 2, generator=generator)], dim=1)
    box = {"boxes": torch.tensor([[2.0, 2.0, 30.0, 40.0]]), "labels": torch.tensor([1])}
    region = torch.tensor(REGION).float()
    regions, labels, _ = head.sample([proposals], [{**box, "ignored": region}])
    assert not in_ignored(regions[0], region)[labels == 0].any()
    assert (labels == 1).any()  # a target inside of the region stays one
    regions, labels, _ = head.sample([proposals], [{**box, "ignored": torch.empty(0, 4)}])
    assert in_ignored(regions[0], region)[labels == 0].any()


@pytest.mark.parametrize("arch", [FAST, "fasterrcnn_resnet50_fpn_v2", *DENSE])
@pytest.mark.parametrize("ignored", [(), [[-500.0, -500.0, 600.0, 600.0]]], ids=["background", "all ignored"])
def test_images_without_targets__train(arch: str, ignored) -> None:
    detector = scratch(arch)
    loss = sum(call(detector, two_images(), [target(ignored=ignored)] * 2).values())
    loss.backward()
    gradients = [p.grad for p in detector.module.parameters() if p.grad is not None]
    assert all(torch.isfinite(each).all() for each in gradients)
    assert any((each != 0).any() for each in gradients) == (ignored == ())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("arch", [FAST, *DENSE])
def test_weights_that_are_not_finite__give_such_a_loss_and_no_crash(arch: str, value: float) -> None:
    detector = scratch(arch)
    offsets = next(
        n
        for n in detector.module.state_dict()
        if n.endswith(("rpn.head.bbox_pred.weight", "bbox_reg.weight", "regression_head.module_list.0.1.weight"))
    )
    with torch.no_grad():
        detector.module.get_parameter(offsets).fill_(value)
    loss = sum(v.detach() for v in call(detector, two_images(), [target()] * 2).values())
    assert not torch.isfinite(loss)
    with nullcontext() if arch == FAST else pytest.raises(OutputNotFinite):  # FAST takes the whole image as proposal
        for each in predictions(detector, two_images()):
            assert np.isfinite(each.xyxy).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (target([[0, 0, np.inf, 8]], [0]), "not finite"),
        (target([[0, np.nan, 8, 8]], [0]), "not finite"),
        (target(ignored=[[0, 0, np.nan, 8]]), "not finite"),
        (target([[8, 8, 8, 20]], [0]), "without area"),
        (target([[0, 0, 8, 8]], [3]), r"labels .* 0\.\.2"),
        (target([[0, 0, 8, 8]], [-1]), "labels"),
        (target([[0, 0, 8, 8]], [0, 1]), "labels"),
    ],
)
def test_targets_that_would_harm_a_kernel__are_refused(wrong: Target, message: str) -> None:
    with pytest.raises(InputError, match=f"TARGET_WRONG - image 1 of the batch has .*{message}"):
        call(scratch(), two_images(), [target(), wrong])


def test_image_that_is_not_finite__is_refused_before_batch_norm_sees_it() -> None:
    detector = scratch()
    inputs = detector.preprocess(two_images())
    inputs[1, 0, 3, 3] = torch.nan
    before = copy.deepcopy(detector.module.state_dict())
    detector.module.train()
    with pytest.raises(InputError, match="INPUT_NOT_FINITE - image 1 of the batch"):
        detector.module(*detector.forward_args(inputs, [target()] * 2))
    assert all(torch.equal(each, before[name]) for name, each in detector.module.state_dict().items())


@pytest.mark.parametrize("arch", [FAST, *DENSE])
def test_batch_on_a_gpu__is_put_together_there_and_nothing_is_read_from_it(arch: str) -> None:
    detector = scratch(arch)
    with FakeTensorMode():  # tensors of shapes and devices alone: reading a value raises
        images = torch.empty(2, 3, 64, 96, dtype=torch.uint8, device="cuda")
        inputs, targets = detector.forward_args(detector.preprocess(images), TWO)
        assert inputs.device.type == "cuda"
        assert {tensor.device.type for each in targets for tensor in each.values()} == {"cuda"}


def test_last_batch_of_one_image__trains_where_maps_have_one_cell() -> None:
    detector = scratch("ssdlite320_mobilenet_v3_large")
    sum(call(detector, two_images(1), TWO[:1]).values()).backward()
    name = "backbone.extra.3.2.1.running_var"
    assert torch.equal(detector.module.state_dict()[name], torch.ones(128))


@pytest.mark.parametrize("arch", [FAST, "fcos_resnet50_fpn"])
def test_half_precision__decodes_in_single(arch: str) -> None:
    detector, images = scratch(arch), two_images()
    whole = predictions(detector, images, max_detections=5)
    with torch.autocast("cpu", torch.bfloat16):
        half = predictions(detector, images, max_detections=5)
        loss = sum(v.detach() for v in call(detector, images, TWO).values())
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    fractions = np.concatenate([each.xyxy for each in half]) % 0.5
    assert (fractions != 0).any()  # bfloat16 has no finer steps at 64 pixels
    assert [len(each.scores) for each in half] == [len(each.scores) for each in whole]


def test_anchors__are_in_single_precision() -> None:
    generator = AnchorGenerator(((29,), (61,)), ((0.5, 1.0, 2.0),) * 2)
    maps = [torch.zeros(1, 4, 80, 160), torch.zeros(1, 4, 40, 80)]
    single = Anchors(generator).of(maps, (640, 1280))
    half = Anchors(generator).of([each.bfloat16() for each in maps], (640, 1280))
    assert half.dtype == torch.float32
    assert torch.equal(half, single)


def test_training_step__is_the_same_for_the_same_seed() -> None:
    losses = []
    for _ in range(2):
        detector = scratch(sampled_regions=16)
        losses.append([float(v.detach()) for v in call(detector, two_images(), TWO).values()])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("arch", [FAST, "retinanet_resnet50_fpn_v2", "ssdlite320_mobilenet_v3_large"])
def test_class_weights__weigh_the_classes(arch: str) -> None:
    detector = scratch(arch)

    def class_loss(weights) -> float:
        detector.class_weights = weights
        torch.manual_seed(3)
        return float(call(detector, two_images(), TWO)["class"].detach())

    plain = class_loss(None)
    assert class_loss(torch.ones(3)) == pytest.approx(plain, rel=1e-5)
    assert class_loss(torch.tensor([1.0, 1.0, 4.0])) > 1.05 * plain


def test_input__has_the_mean_and_spread_of_the_builder() -> None:
    white = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    imagenet = scratch().preprocess(white)[0, :, 0, 0]
    torch.testing.assert_close(imagenet, torch.tensor([2.2489, 2.4286, 2.64]), rtol=1e-4, atol=1e-4)
    assert scratch("ssdlite320_mobilenet_v3_large").preprocess(white)[0, 0, 0, 0] == pytest.approx(1.0)


BACKBONES = {
    "resnet18": ["layer1", "layer2", "layer3", "layer4"],
    "mobilenet_v2": ["features.3", "features.6", "features.13", "features.18"],
    "mobilenet_v3_small": ["features.1", "features.3", "features.8", "features.12"],
    "efficientnet_b0": ["features.2", "features.3", "features.5", "features.8"],
    "convnext_tiny": ["features.1", "features.3", "features.5", "features.7"],
    "regnet_y_400mf": [f"trunk_output.block{i}" for i in (1, 2, 3, 4)],
    "shufflenet_v2_x0_5": ["maxpool", "stage2", "stage3", "conv5"],
    "vgg11": ["features.10", "features.15", "features.20", "features.20"],
}


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name != "vgg11"])
def test_backbone__gives_the_last_map_of_each_stride_and_keeps_the_names(backbone: str) -> None:
    torch.manual_seed(0)
    pyramid = build_pyramid(backbone).eval()
    whole = torchvision.models.get_model(backbone, weights=None).eval()
    trunk = getattr(whole, "features", whole)
    trunk.load_state_dict(pyramid.body.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = create_feature_extractor(whole, BACKBONES[backbone])(x)
        maps = pyramid.body(x)
    assert [64 // each.shape[2] for each in maps.values()] == [4, 8, 16, 32]
    for ours, theirs in zip(maps.values(), wanted.values(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_small", "convnext_tiny", "regnet_y_400mf", "vgg11"])
def test_stages__follow_the_strides_of_any_backbone(backbone: str) -> None:
    stages = scratch(None, backbone=backbone).stages()
    order = [STAGES.index(stage) for stage in stages.values()]
    assert order == sorted(order)
    assert set(STAGES) - set(stages.values()) <= {"stage4"}  # the last step of VGG has no tensors
    if backbone == "resnet18":
        for start, stage in {"conv1": "stem", "bn1": "stem", "layer1": "stage1", "layer4": "stage4"}.items():
            assert {s for n, s in stages.items() if n.startswith(f"backbone.body.{start}.")} == {stage}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"arch": "fasterrcnn", "backbone": "resnet19"},
            "BACKBONE_UNKNOWN model.backbone=resnet19 .*did you mean 'resnet1",
        ),
        ({"arch": "fasterrcnn", "backbone": "vit_b_16"}, "BACKBONE_PLAIN model.backbone=vit_b_16"),
        ({"arch": "fasterrcnn", "backbone": "swin_t"}, "BACKBONE_PLAIN model.backbone=swin_t"),
        ({"arch": "fasterrcnn", "backbone": "alexnet"}, "BACKBONE_PLAIN model.backbone=alexnet"),
        ({"arch": "fasterrcnn"}, "BACKBONE_CHOICE"),
        ({"arch": "fcos_resnet50_fpn", "backbone": "resnet18"}, "BACKBONE_CHOICE"),
        ({"arch": "fasterrcnn_resnet51_fpn"}, "ARCH_UNKNOWN model.arch=.*did you mean 'fasterrcnn_resnet50_fpn"),
    ],
)
def test_architecture__wrong_ones_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_scratch(Model(family="torchvision", weights="scratch", **options), NAMES)


def test_fitted_anchors__cover_small_objects_that_stock_ones_miss() -> None:
    detector = scratch(None, backbone="resnet18")
    rng = np.random.default_rng(0)
    wide = rng.uniform(8, 20, 300)
    sizes = np.stack([wide, wide * rng.uniform(1.8, 2.2, 300)], axis=1)  # upright, twice as high as wide
    corners = rng.uniform(0, 90, (300, 2))
    boxes = torch.tensor(np.concatenate([corners, corners + sizes], axis=1)).float()

    def best() -> float:
        rpn = detector.module.rpn
        maps = detector.module.neck(detector.module.body(torch.zeros(1, 3, 128, 128)))
        return float(torchvision.ops.box_iou(boxes, rpn.anchors.of(maps, (128, 128))).max(dim=1).values.mean())

    stock = best()
    names = list(detector.module.state_dict())
    detector.fit_anchors(sizes)
    assert best() > stock + 0.15
    assert list(detector.module.state_dict()) == names
    levels = detector.options.anchors.sizes
    assert levels == tuple(sorted(levels))
    assert all(1.7 < ratio < 2.3 for ratio in detector.options.anchors.aspect_ratios[0])
    assert set(call(detector, two_images(), TWO)) == {"objectness", "rpn_box", "class", "box"}


def test_fitted_anchors__keep_octaves_and_shared_levels() -> None:
    sizes = np.random.default_rng(0).uniform(10, 200, (100, 2))
    retina = scratch("retinanet_resnet50_fpn_v2")
    retina.fit_anchors(sizes)
    assert all(level[2] / level[0] == pytest.approx(2 ** (2 / 3), rel=0.02) for level in retina.options.anchors.sizes)
    shared = scratch()
    shared.fit_anchors(sizes)
    assert len(set(shared.options.anchors.sizes)) == 1
    assert len(shared.options.anchors.sizes[0]) == 5


@pytest.mark.parametrize(
    ("arch", "sizes", "code"), [("fcos_resnet50_fpn", [[8.0, 8.0]], "ANCHORS_FIXED"), (FAST, [], "ANCHORS_NO_BOXES")]
)
def test_fitted_anchors__are_refused_where_there_is_nothing_to_fit(arch: str, sizes: list, code: str) -> None:
    with pytest.raises(InputError, match=code):
        scratch(arch).fit_anchors(np.array(sizes).reshape(-1, 2))


def test_matching__leaves_out_background_in_ignored_regions_alone() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 22], [30, 30, 40, 40], [6, 0, 16, 10]])
    box = {
        "boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]),
        "labels": torch.tensor([0]),
        "ignored": torch.tensor([[0.0, 0.0, 10.0, 11.0]]),
    }
    matcher = scratch("retinanet_resnet50_fpn_v2").module.matcher
    matched = match_anchors(matcher, torchvision.ops.box_iou, anchors, [box])
    # a target; half of it in the region (IoU .45: between the thresholds); far away; 4 tenths in the region
    assert matched.tolist() == [[0, -2, -1, -1]]


def test_split__needs_the_whole_backbone_frozen() -> None:
    detector = scratch(None, backbone="resnet18")
    backbone = {"stem", "stage1", "stage2", "stage3", "stage4"}
    assert detector.split(frozenset(backbone - {"stem"})) is None
    inputs = detector.preprocess(two_images())
    assert len(detector.split(frozenset(backbone)).trunk(inputs)) == 4
    assert len(detector.split(frozenset({*backbone, "neck"})).trunk(inputs)) == 5
