"""Weights of torchvision from elsewhere, and every architecture and backbone of the registries at work."""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

from detect_transfer.config import Model, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.models import build_detector, load_detector, load_weights
from detect_transfer.models.base import Postprocess, Target
from detect_transfer.models.families import check_model
from detect_transfer.models.torchvision.backbones import build_pyramid, known_backbones
from detect_transfer.models.torchvision.build import ARCHITECTURES, CHOSEN_BACKBONE
from detect_transfer.models.torchvision.head_transfer import in_rows

FAST = "fasterrcnn_mobilenet_v3_large_320_fpn"
NAMES = ("red", "green", "blue")


def model(arch: str | None = None, **options: Any) -> Model:
    return Model(family="torchvision", arch=arch, **{"weights": "scratch", **options})


def stock(arch: str, rows: int = 4) -> torch.nn.Module:
    torch.manual_seed(0)
    builder = getattr(torchvision.models.detection, arch)
    return builder(weights=None, weights_backbone=None, num_classes=rows)


@pytest.fixture(scope="module")
def fast() -> torch.nn.Module:
    return stock(FAST)


def step_and_predict(detector: Any) -> None:
    """Train one step, then predict; both on 64 x 96 pixels."""
    images = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    inputs = detector.preprocess(images)
    targets = [Target(np.array([[8.0, 8, 40, 48]]), np.array([1])), Target(np.empty((0, 4)), np.empty(0, np.int64))]
    detector.module.train()
    outputs = detector.module(*detector.forward_args(inputs, targets))
    loss = sum(part.mean() for part in detector.loss(outputs, targets, (64, 96)).values())
    loss.backward()
    assert torch.isfinite(loss)
    torch.optim.SGD([p for p in detector.module.parameters() if p.grad is not None], lr=1e-6).step()
    detector.module.eval()
    with torch.no_grad():
        outputs = detector.module(*detector.forward_args(inputs, None))
    assert [len(each.scores) > 0 for each in detector.postprocess(outputs, Postprocess(0.0, 5))] == [True, True]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture__trains_a_step_and_predicts(arch: str) -> None:
    options = {"backbone": "resnet18"} if arch == CHOSEN_BACKBONE else {}
    step_and_predict(build_detector(model(arch, **options), Transfer(), NAMES, None)[0])


NO_CHAINS = ("alexnet", "inception", "maxvit", "squeezenet", "swin", "vit")
SMALL = 8e6  # parameters; larger networks of the same builders run their forms alone, without numbers


@pytest.mark.slow
@pytest.mark.parametrize("backbone", known_backbones())
def test_every_backbone__trains_a_step_and_predicts_or_is_refused_by_name(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kaiming_normal_", "normal_", "trunc_normal_", "xavier_uniform_", "uniform_", "kaiming_uniform_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)  # large networks: no time for chance
    if backbone.startswith(NO_CHAINS):
        with pytest.raises(InputError, match=f"BACKBONE_PLAIN model.backbone={backbone}"):
            build_pyramid(backbone)
        return
    pyramid = build_pyramid(backbone)
    if sum(p.numel() for p in pyramid.parameters()) > SMALL:
        pyramid.to("meta")
        maps = pyramid.body(torch.empty(2, 3, 64, 96, device="meta"))
        assert [64 // each.shape[2] for each in maps.values()] == [4, 8, 16, 32]
        sum(each.sum() for each in pyramid.fpn(maps).values()).backward()
        return
    monkeypatch.undo()
    step_and_predict(build_detector(model(CHOSEN_BACKBONE, backbone=backbone), Transfer(), NAMES, None)[0])


@pytest.mark.parametrize("arch", ["ssd300_vgg16", "maskrcnn_resnet50_fpn"])
def test_architecture_outside_of_the_registry__is_refused_before_training(arch: str) -> None:
    with pytest.raises(InputError, match=rf"ARCH_UNKNOWN model\.arch={arch}"):
        build_detector(model(arch), Transfer(), NAMES, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"family": "detr"}, r"model\.family=detr - there is no such model family; .*yolo"),
        (
            {"family": "yolo", "backbone": "resnet18"},
            r"model\.backbone=resnet18 - only the torchvision family has this",
        ),
        ({"family": "yolo", "proposals": 100}, r"model\.proposals=100 - only the torchvision family"),
        ({"family": "torchvision"}, r"model\.weights - the torchvision family has no weights .*; give a known name"),
    ],
    ids=["unknown", "backbone", "proposals", "no weights"],
)
def test_config__is_checked_by_its_family(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"CONFIG_VALUE {message}"):
        check_model(Model(**settings))


@pytest.mark.parametrize("old_names", [False, True], ids=["new names", "old names"])
def test_retinanet__is_distinguished_from_its_second_version(tmp_path: Path, old_names: bool) -> None:
    whole = stock("retinanet_resnet50_fpn", rows=3).eval()
    state = whole.state_dict()
    if old_names:  # of torchvision before 0.13
        old = re.compile(r"(head\.\w+\.conv)\.(\d)\.0\.|(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.0\.")
        state = {
            old.sub(lambda m: f"{m[1]}.{2 * int(m[2])}." if m[1] else f"{m[3]}.", name): t for name, t in state.items()
        }
        assert "head.regression_head.conv.6.bias" in state
    torch.save(state, tmp_path / "mine.pth")
    source = load_weights(tmp_path / "mine.pth")
    assert source.arch == "retinanet_resnet50_fpn"
    ours = load_detector(source).module.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in whole.state_dict().items() if not in_rows(name))
    assert source.class_names == ("class_1", "class_2")  # its first row is for the background, which it never finds


def test_reference_checkpoint__is_read_with_its_arguments_and_optimizer(tmp_path: Path, fast: torch.nn.Module) -> None:
    optimizer = torch.optim.SGD(fast.parameters(), lr=0.1, momentum=0.9)
    content = {
        "model": fast.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [16, 22]).state_dict(),
        "args": argparse.Namespace(model=FAST, device="cuda", output_dir=Path("x"), lr=0.02),
        "epoch": 25,
    }
    torch.save(content, tmp_path / "model_25.pth")
    source = load_weights(tmp_path / "model_25.pth")
    assert (source.arch, source.class_names) == (FAST, ("class_1", "class_2", "class_3"))
    load_detector(source)


def test_whole_pickled_model__is_read_as_its_tensors(tmp_path: Path, fast: torch.nn.Module) -> None:
    torch.save(fast, tmp_path / "model.pt")
    assert load_weights(tmp_path / "model.pt").tensors.keys() == fast.state_dict().keys()


@pytest.mark.parametrize("names", [["background", *NAMES], list(NAMES), {i: n for i, n in enumerate(NAMES, start=1)}])
def test_names_beside_the_tensors__are_taken_with_and_without_background(
    tmp_path: Path, fast: torch.nn.Module, names: Any
) -> None:
    torch.save({"model_state_dict": fast.state_dict(), "class_names": names}, tmp_path / "w.pt")
    assert load_weights(tmp_path / "w.pt").class_names == NAMES


def test_names_that_do_not_fit_the_rows__are_refused(tmp_path: Path, fast: torch.nn.Module) -> None:
    torch.save({"model": fast.state_dict(), "classes": ["red", "green"]}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"WEIGHTS_CARD .*it names 2 classes, but its tensors have rows for 3"):
        load_weights(tmp_path / "w.pt")


def test_head_of_91_rows_without_names__is_taken_for_coco_with_a_warning(tmp_path: Path, caplog: Any) -> None:
    torch.save(stock(FAST, rows=91).state_dict(), tmp_path / "mine.pth")
    assert load_weights(tmp_path / "mine.pth").class_names[0] == "person"
    assert "mine.pth names no classes; its 91 class rows are taken for person ... toothbrush" in caplog.text


@pytest.mark.parametrize(
    ("part", "random"), [("backbone.fpn.", False), ("roi_heads.box_head.", True), ("roi_heads.box_predictor.", True)]
)
def test_cut_weights__are_reported_and_never_scored(
    tmp_path: Path, fast: torch.nn.Module, caplog: Any, part: str, random: bool
) -> None:
    state = {name: tensor for name, tensor in fast.state_dict().items() if not name.startswith(part)}
    torch.save({"model": state, "names": list(NAMES)}, tmp_path / f"{FAST}.pth")
    source = load_weights(tmp_path / f"{FAST}.pth")
    _, report = build_detector(model(), Transfer(), NAMES, source)
    assert set(report.new_tensors) == fast.state_dict().keys() - state.keys()
    assert ({row.how for row in report.rows} == {"random"}) == random
    assert f"fits {FAST} in part: {len(report.new_tensors)} tensors start at random: {part[:-1]}" in caplog.text
    with pytest.raises(InputError, match=r"WEIGHTS_ARCH .*are missing or have another shape"):
        load_detector(source)


def test_suppression_and_proposals__are_those_of_torchvision() -> None:
    for arch, kind in ARCHITECTURES.items():
        if arch == CHOSEN_BACKBONE:
            continue
        theirs, (ours, _) = stock(arch), build_detector(model(arch), Transfer(), NAMES, None)
        assert ours._built.nms_iou == getattr(theirs, "roi_heads", theirs).nms_thresh, kind
        if hasattr(theirs, "rpn"):
            assert ours.module.rpn._post_nms_top_n["testing"] == theirs.rpn._post_nms_top_n["testing"]
    few, _ = build_detector(model(FAST, proposals=7, training_proposals=9), Transfer(), NAMES, None)
    assert few.module.rpn._post_nms_top_n == {"testing": 7, "training": 9}
    assert few.metadata()["proposals"] == "7"
