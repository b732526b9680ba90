"""Checkpoints of torchvision: known by hash, read as tensors alone, taken over by name, shape and class row."""

import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
import torchvision

from detect_transfer.config import Model, Transfer
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.models import build_detector, find_weights, load_detector, load_weights, save_weights
from detect_transfer.models.torchvision import checkpoints
from detect_transfer.models.torchvision.head_transfer import BACKGROUND, NOT_USED

FAST = "fasterrcnn_mobilenet_v3_large_320_fpn"
COCO = torchvision.models.detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]


def stock(arch: str, rows: int = 91, **options):
    """A network as torchvision builds it for published weights: its batch norm is frozen."""
    torch.manual_seed(0)
    builder = getattr(torchvision.models.detection, arch)
    return builder(weights=None, weights_backbone=None, num_classes=rows, **options)


@pytest.fixture(scope="module")
def fast(tmp_path_factory) -> Path:
    """A random checkpoint of the size of a COCO one."""
    path = tmp_path_factory.mktemp("weights") / f"{FAST}-mine.pth"
    state = stock(FAST).state_dict()
    torch.save({k: t for k, t in state.items() if not k.endswith("num_batches_tracked")}, path)
    return path


def model(arch: str | None = None, **options) -> Model:
    return Model(family="torchvision", arch=arch, weights="some.pth", **options)


def test_class_map__copies_and_averages_the_rows_of_classes_and_boxes(fast: Path) -> None:
    source = load_weights(fast)
    assert source.arch == FAST
    assert len(source.class_names) == 80
    assert not {BACKGROUND, NOT_USED} & set(source.class_names)
    transfer = Transfer(class_map={"pedestrian": "person", "vehicle": ["car", "bus"]})
    detector, report = build_detector(model(), transfer, ["pedestrian", "vehicle", "Stop-Sign", "new"], source)
    assert [row.how for row in report.rows] == ["class_map", "class_map", "same name", "mean of all rows"]
    real = [i for i, name in enumerate(COCO) if name not in (BACKGROUND, NOT_USED)]
    places = [[0], [COCO.index("person")], [COCO.index("car"), COCO.index("bus")], [COCO.index("stop sign")], real]
    state = detector.module.state_dict()
    for layer, numbers in (("cls_score", 1), ("bbox_pred", 4)):
        for part in ("weight", "bias"):
            name = f"roi_heads.box_predictor.{layer}.{part}"
            old = source.tensors[name].view(91, numbers, -1)
            new = state[name].view(5, numbers, -1)
            for row, chosen in zip(new, places, strict=True):
                torch.testing.assert_close(row, old[chosen].mean(dim=0))
    assert report.new_tensors == ()
    assert detector.new_class_params == {f"roi_heads.box_predictor.cls_score.{part}" for part in ("weight", "bias")}
    same = sum(torch.equal(state[name], t) for name, t in source.tensors.items() if state[name].shape == t.shape)
    assert same == report.tensors == len(source.tensors) - 4


@pytest.mark.parametrize(
    ("arch", "layer"),
    [
        ("retinanet_resnet50_fpn_v2", "cls_logits"),
        ("fcos_resnet50_fpn", "cls_logits"),
        ("ssdlite320_mobilenet_v3_large", "module_list.2.1"),
    ],
)
def test_class_map__takes_the_rows_of_every_anchor(tmp_path: Path, arch: str, layer: str) -> None:
    path = tmp_path / "weights.pth"
    torch.save(stock(arch).state_dict(), path)
    source = load_weights(path)
    assert source.arch == arch
    transfer = Transfer(class_map={"a": "car", "b": ["car", "dog"]})
    detector, report = build_detector(model(), transfer, ["a", "b"], source)
    name = f"head.classification_head.{layer}.weight"
    old, new = source.tensors[name], detector.module.state_dict()[name]
    anchors, background = old.shape[0] // 91, int(detector.module.has_background)
    old, new = old.view(anchors, 91, -1), new.view(anchors, 2 + background, -1)
    car, dog = COCO.index("car"), COCO.index("dog")
    assert torch.equal(new[:, background], old[:, car])
    torch.testing.assert_close(new[:, background + 1], old[:, [car, dog]].mean(dim=1))
    if background:
        assert torch.equal(new[:, 0], old[:, 0])
    assert report.new_tensors == ()


def test_new_class__may_start_at_random(fast: Path) -> None:
    source = load_weights(fast)
    detector, report = build_detector(model(), Transfer(new_class_init="random"), ["car", "new"], source)
    assert [row.how for row in report.rows] == ["same name", "random"]
    rows = detector.module.state_dict()["roi_heads.box_predictor.cls_score.weight"]
    old = source.tensors["roi_heads.box_predictor.cls_score.weight"]
    assert torch.equal(rows[1], old[COCO.index("car")])
    assert not torch.isclose(rows[2], old, atol=1e-6).all(dim=1).any()
    assert not torch.allclose(rows[2], old[1:].mean(dim=0), atol=1e-4)


def test_published_file__is_known_by_its_hash_and_keeps_its_outputs_without_epsilon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arch = "fasterrcnn_resnet50_fpn"
    whole = stock(arch)
    whole.state_dict()["backbone.body.bn1.running_var"].uniform_(1e-5, 1e-4)  # an epsilon of 1e-5 would show
    old = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.0\.|(rpn\.head\.conv)\.0\.0\.")
    state = {old.sub(lambda m: f"{m[1] or m[2]}.", k): t for k, t in whole.state_dict().items()}
    path = tmp_path / "renamed by its user.pth"
    torch.save({"model": state, "epoch": 3}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    true_url = checkpoints.published_url
    monkeypatch.setattr(
        checkpoints, "published_url", lambda n: f"https://x/{n}-{digest[:8]}.pth" if n == arch else true_url(n)
    )
    source = load_weights(path)
    assert source.arch == arch
    detector = load_detector(source)
    assert len(detector.class_names) == 80
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = whole.eval().backbone(x)["2"]
        maps = detector.module.eval().neck(detector.module.body(x))
    torch.testing.assert_close(maps[2], wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_file_of_other_classes__has_numbers_for_names(tmp_path: Path) -> None:
    path = tmp_path / f"{FAST}.pth"
    torch.save({"model": stock(FAST, rows=5).state_dict()}, path)
    source = load_weights(path)
    assert source.class_names == ("class_1", "class_2", "class_3", "class_4")
    assert load_detector(source).class_names == source.class_names


def test_file_without_class_layers__is_taken_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / f"{FAST}.pth"
    state = stock(FAST, rows=5).state_dict()
    torch.save({k: t for k, t in state.items() if "box_predictor" not in k}, path)
    detector, report = build_detector(model(), Transfer(), ["a"], load_weights(path))
    assert set(report.new_tensors) == {k for k in detector.module.state_dict() if "box_predictor" in k}
    assert [row.how for row in report.rows] == ["random"]


@pytest.mark.parametrize("arch", ["fasterrcnn_resnet50_fpn", "ssdlite320_mobilenet_v3_large"])
def test_weights_of_another_architecture__are_refused(fast: Path, arch: str) -> None:
    source = load_weights(fast)
    with pytest.raises(InputError, match=rf"WEIGHTS_ARCH .*model\.arch={arch} - the weights are of {FAST}"):
        build_detector(model(arch), Transfer(), ["a"], source)


@pytest.mark.parametrize(("wrong", "code"), [({}, "DAMAGED"), ({"a": torch.zeros(3)}, "ARCH"), ([1], "DAMAGED")])
def test_file_without_a_known_network__is_refused(tmp_path: Path, wrong, code: str) -> None:
    path = tmp_path / "wrong.pth"
    torch.save(wrong, path)
    with pytest.raises(InputError, match=rf"WEIGHTS_{code} .*wrong\.pth"):
        load_weights(path)


class Evil:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path(self.marker).write_text, ("ran",))


def test_malicious_file__is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    torch.save({"model": Evil(str(marker))}, path)
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        load_weights(path)
    path.write_bytes(pickle.dumps(Evil(str(marker))))
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        load_weights(path)
    assert not marker.exists()


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2", "regnet_y_400mf"])
def test_classification_weights__go_into_the_body_alone(tmp_path: Path, backbone: str) -> None:
    torch.manual_seed(0)
    whole = torchvision.models.get_model(backbone, weights=None)
    path = tmp_path / f"{backbone}.pth"
    torch.save(whole.state_dict(), path)
    source = load_weights(path)
    assert source.class_names == ()
    detector, report = build_detector(model(backbone=backbone), Transfer(), ["a", "b"], source)
    assert detector.arch == "fasterrcnn"
    body = {k: t for k, t in detector.module.state_dict().items() if k.startswith("backbone.body.")}
    given = whole.state_dict()
    for name, each in body.items():
        rest = name.removeprefix("backbone.body.")
        assert torch.equal(each, given[rest] if rest in given else given[f"features.{rest}"]), name
    assert report.tensors == len(body)
    assert set(report.new_tensors) == set(detector.module.state_dict()) - set(body)
    assert [row.how for row in report.rows] == ["random", "random"]
    assert detector.new_class_params == frozenset()  # the whole head is new


def test_classification_weights__go_into_ssdlite_as_far_as_its_tail_is_not_reduced(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = torchvision.models.mobilenet_v3_large(weights=None)
    path = tmp_path / "mobilenet.pth"
    torch.save(whole.state_dict(), path)
    detector, report = build_detector(model("ssdlite320_mobilenet_v3_large"), Transfer(), ["a"], load_weights(path))
    state, given = detector.module.state_dict(), whole.state_dict()
    for ours, theirs in {
        "backbone.features.0.0.0.weight": "features.0.0.weight",
        "backbone.features.0.12.block.3.0.weight": "features.12.block.3.0.weight",
        "backbone.features.0.13.0.weight": "features.13.block.0.0.weight",
        "backbone.features.1.0.1.0.weight": "features.13.block.1.0.weight",
    }.items():
        assert torch.equal(state[ours], given[theirs]), ours
    assert "backbone.features.1.3.0.weight" in report.lacking  # half as wide as the classification network's
    assert all(name.startswith("backbone.features.1.") for name in report.lacking)


def test_classification_weights_of_another_network__are_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), path)
    source = load_weights(path)
    with pytest.raises(InputError, match=r"WEIGHTS_ARCH .*only \d+ of the \d+ tensors"):
        build_detector(model(backbone="mobilenet_v2"), Transfer(), ["a"], source)
    with pytest.raises(InputError, match=r"ARCH_MISSING .*model\.backbone"):
        build_detector(model(), Transfer(), ["a"], source)


def test_real_features__go_into_the_body(shared: Path) -> None:
    source = load_weights(shared / "weights" / "mobilenet_v2_imagenet_features.safetensors")
    detector, report = build_detector(model(backbone="mobilenet_v2"), Transfer(), ["a"], source)
    assert report.tensors == 312
    assert not [name for name in report.new_tensors if name.startswith("backbone.body.")]
    assert torch.equal(detector.module.state_dict()["backbone.body.0.0.weight"], source.tensors["features.0.0.weight"])


def test_fitted_anchors_and_backbone__stand_in_the_card(tmp_path: Path) -> None:
    import numpy as np

    detector, _ = build_detector(model(backbone="resnet18", sampled_regions=16), Transfer(), ["a", "b"], None)
    detector.fit_anchors(np.random.default_rng(0).uniform(5, 60, (50, 2)))
    path = tmp_path / "mine.safetensors"
    save_weights(path, detector.module.state_dict(), detector.metadata())
    again = load_detector(load_weights(path))
    assert again.options == detector.options
    assert again.module.rpn.anchor_generator.sizes == detector.options.anchors.sizes
    assert again.metadata() == detector.metadata()


def test_known_name__is_fetched_and_its_hash_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"the published bytes"
    digest = hashlib.sha256(data).hexdigest()
    requests = []

    def answer(url: str, timeout: float) -> io.BytesIO:
        requests.append(url)
        return io.BytesIO(data)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    monkeypatch.setenv("DETECT_TRANSFER_WEIGHTS", str(tmp_path))
    with pytest.raises(
        ResourceError, match=rf"WEIGHTS_UNAVAILABLE .*{FAST}.*has the hash [0-9a-f]{{64}}, not 907ea3f9"
    ):
        find_weights(FAST)
    assert requests == ["https://download.pytorch.org/models/fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth"]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(checkpoints, "published_url", lambda _: f"https://x/resnet18-{digest[:8]}.pth")
    path = find_weights(f"resnet18@sha256:{digest}")
    assert path == tmp_path / f"resnet18-{digest[:8]}.pth"
    assert path.read_bytes() == data
    assert find_weights("resnet18") == path
    assert len(requests) == 2


def test_known_name__is_found_under_either_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECT_TRANSFER_WEIGHTS", str(tmp_path))
    published = tmp_path / "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth"
    published.write_bytes(b"x")
    assert find_weights(FAST) == published
    ours = tmp_path / f"{FAST}.safetensors"
    ours.write_bytes(b"x")
    assert find_weights(FAST) == ours


def test_run_of_this_family__never_loads_ultralytics(fast: Path, tmp_path: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path\n"
        "from detect_transfer.config import Model, Transfer\n"
        "from detect_transfer.models import build_detector, find_weights, load_weights\n"
        f"source = load_weights(find_weights({str(fast)!r}))\n"
        "find_weights('resnet18')\n"
        "build_detector(Model(family='torchvision', weights='x.pth'), Transfer(), ['a'], source)\n"
        "print(json.dumps('ultralytics' in sys.modules))"
    )
    (tmp_path / "resnet18.pth").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"DETECT_TRANSFER_WEIGHTS": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) is False
