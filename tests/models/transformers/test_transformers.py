"""The transformers family: equal to the library where nothing was asked for, and what differs from it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from tiny_transformers import NAMES, SETTINGS, tiny

from detect_transfer.config import STAGES, Model, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.models import build_detector, find_weights, load_detector, load_weights, save_weights
from detect_transfer.models.base import LossPart, Postprocess, Prediction, Target
from detect_transfer.models.families import FAMILIES
from detect_transfer.models.transformers.architectures import ARCHITECTURES
from detect_transfer.models.transformers.build import build
from detect_transfer.models.transformers.checkpoints import _licence_of_card
from detect_transfer.models.transformers.detector import TransformersDetector
from detect_transfer.models.transformers.library import build_stock
from detect_transfer.models.transformers.network import NETWORKS

pytestmark = pytest.mark.usefixtures("one_thread")
KINDS = tuple(NETWORKS)
MILLIONS = {  # as published; RF-DETR's count without the groups of queries that only training has
    **{"dfine_n": 4, "dfine_s": 10, "dfine_m": 19, "dfine_l": 31, "dfine_x": 62},
    **{"rtdetr_v2_r18vd": 20, "rtdetr_v2_r34vd": 31, "rtdetr_v2_r50vd": 42, "rtdetr_v2_r101vd": 76},
    **{"rfdetr_nano": 30.5, "rfdetr_small": 32.1, "rfdetr_medium": 33.7, "rfdetr_base": 32, "rfdetr_large": 33.9},
}
BOXES = [[8.0, 8, 40, 48], [50, 10, 90, 60]]


def target(xyxy=(), labels=(), ignored=()) -> Target:
    boxes = np.array(xyxy, dtype=np.float64).reshape(-1, 4)
    return Target(boxes, np.array(labels, dtype=np.int64), np.array(ignored, dtype=np.float64).reshape(-1, 4))


TWO = [target(BOXES, [1, 2]), target([[4, 20, 60, 60]], [0])]


def two_images(size_hw: tuple[int, int] = (64, 96)) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, *size_hw), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def parts_of(detector: TransformersDetector, images: torch.Tensor, targets: list[Target]) -> dict[str, LossPart]:
    detector.module.train()
    outputs = detector.module(*detector.forward_args(detector.preprocess(images), targets))
    return detector.loss(outputs, targets, (64, 96))


def predictions(detector, images: torch.Tensor) -> list[Prediction]:
    detector.module.eval()
    with torch.no_grad():
        outputs = detector.module(*detector.forward_args(detector.preprocess(images), None))
    return detector.postprocess(outputs, Postprocess(0.0, 50))


def assert_alike(ours: list[Prediction], theirs: list[Prediction]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)
        np.testing.assert_allclose(a.xyxy, b.xyxy, atol=1e-3)


def test_every_architecture__has_the_published_size() -> None:
    for arch in ARCHITECTURES:
        with torch.device("meta"):
            network = build(arch, 91 if arch.startswith("rfdetr") else 80)
        count = sum(p.numel() for p in network.parameters()) / 1e6
        assert count == pytest.approx(MILLIONS[arch], rel=0.06), arch


@pytest.mark.parametrize("kind", KINDS)
def test_every_network__trains_all_that_may_train_and_predicts(kind: str) -> None:
    detector = tiny(kind)
    sum(part.mean() for part in parts_of(detector, two_images(), TWO).values()).backward()
    grads = {name: p.grad for name, p in detector.module.named_parameters()}
    assert [name for name in detector.trainable if grads[name] is None] == []
    assert [len(each.scores) for each in predictions(detector, two_images())] == [50 if kind != "rf_detr" else 30] * 2
    assert set(detector.stages().values()) == set(STAGES) - {"rpn"}


def test_d_fine__learns_where_the_objects_are() -> None:
    """The library has no loss to compare it with that is right in each layer."""
    detector, images = tiny(), torch.full((2, 3, 64, 96), 60, dtype=torch.uint8)
    images[0, 1, 8:48, 8:40], images[0, 2, 10:60, 50:90], images[1, 0, 20:60, 4:60] = 250, 250, 250
    optimizer = torch.optim.AdamW([p for n, p in detector.module.named_parameters() if n in detector.trainable], 4e-3)
    losses = []
    for _ in range(25):
        loss = sum(part.mean() for part in parts_of(detector, images, TWO).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.module.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


@pytest.mark.parametrize("kind", ["rt_detr_v2", "rf_detr"])
def test_loss_and_boxes__are_those_of_the_library_where_nothing_is_ignored(kind: str) -> None:
    detector, images = tiny(kind), two_images()
    stock = build_stock(kind, SETTINGS[kind], len(NAMES))
    state = detector.module.state_dict()
    stock.load_state_dict({k: state[f"model.decoder.{k}" if k not in state else k] for k in stock.state_dict()})
    alike = [target(BOXES, [1, 2]), target(BOXES, [0, 1])]  # as many in each: nothing fills up the batch
    inputs, labels = detector.forward_args(detector.preprocess(images), alike)
    torch.manual_seed(5)
    wanted = stock.train()(pixel_values=inputs, labels=labels).loss
    torch.manual_seed(5)
    ours = sum(part.mean() for part in parts_of(detector, images, alike).values())
    assert float(ours.detach()) == pytest.approx(float(wanted.detach()), rel=1e-4)
    with torch.no_grad():
        outputs = stock.eval()(pixel_values=inputs)
    best = torch.sort(outputs.logits.sigmoid().flatten(1), descending=True).values
    for prediction, scores in zip(predictions(detector, images), best, strict=True):
        np.testing.assert_allclose(prediction.scores[:10], scores[:10].double(), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_region__is_neither_target_nor_background(kind: str) -> None:
    detector = tiny(kind, **({} if kind == "rf_detr" else {"num_denoising": 0}))
    everywhere = [[-2000.0, -2000, 2000, 2000]]
    loss = {}
    for name, ignored in (("background", ()), ("ignored", everywhere)):
        parts = parts_of(detector, two_images(), [target(ignored=ignored)] * 2)
        loss[name] = float(parts["class"].mean().detach())
    assert loss["background"] > 1e-5
    assert loss["ignored"] == 0
    with_target = parts_of(detector, two_images(), [target(BOXES, [1, 2], everywhere)] * 2)
    assert float(with_target["box"].mean().detach()) > 0  # what is annotated inside is learnt


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_a_batch__are_put_together_to_its_loss(kind: str) -> None:
    detector, images = tiny(kind, **({} if kind == "rf_detr" else {"num_denoising": 0})), two_images()
    for module in detector.module.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    network = detector.module

    def parts(chosen: slice) -> dict[str, LossPart]:
        inputs, targets = detector.forward_args(detector.preprocess(images[chosen]), TWO[chosen])
        return network(inputs, targets)

    network.train()
    network.apply(lambda m: m.eval() if isinstance(m, torch.nn.BatchNorm2d) else None)
    whole, first, second = parts(slice(0, 2)), parts(slice(0, 1)), parts(slice(1, 2))
    for name, part in whole.items():
        count = first[name].count + second[name].count
        assert count.tolist() == part.count.tolist(), name
        together = first[name].mean(count) + second[name].mean(count)
        assert float(together.detach()) == pytest.approx(float(part.mean().detach()), rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("neck", [False, True])
def test_trunk_and_tail__predict_and_train_as_the_whole(kind: str, neck: bool) -> None:
    detector, images = tiny(kind), two_images()
    frozen = frozenset(STAGES) - {"head"} - (frozenset() if neck else {"neck"})
    split = detector.split(frozen)
    assert split is not None
    assert detector.split(frozenset({"stem"})) is None
    wanted = predictions(detector, images)
    detector.module.eval()
    with torch.no_grad():
        features = split.trunk(detector.preprocess(images))
        assert_alike(detector.postprocess(split.tail(list(features), None), Postprocess(0.0, 50)), wanted)
    detector.module.train()
    assert split.tail(list(features), TWO).keys() == parts_of(detector, images, TWO).keys()


def test_small_and_odd_inputs__have_as_many_queries_as_cells_or_are_padded() -> None:
    assert [len(each.scores) for each in predictions(tiny(num_queries=100), two_images((64, 96)))] == [50] * 2
    learnt = tiny("rf_detr", num_queries=30).preprocess(two_images((64, 96)))
    assert tuple(learnt.shape[2:]) == (96, 96)
    assert learnt[:, 0, 64:].unique().tolist() == [pytest.approx((114 / 255 - 0.485) / 0.229)]
    assert tuple(tiny("rf_detr").preprocess(two_images((32, 160))).shape[2:]) == (32, 160)


def test_own_weights__come_back_with_network_and_classes(tmp_path: Path) -> None:
    detector = tiny()
    path = tmp_path / "best.safetensors"
    save_weights(path, detector.module.state_dict(), {**detector.metadata(), "imgsz": "96"})
    source = load_weights(path)
    assert (source.family, source.arch, source.class_names) == ("transformers", "d_fine", NAMES)
    assert_alike(predictions(load_detector(source), two_images()), predictions(detector, two_images()))


OLDER = ((r"\.o_proj\.", ".out_proj."), (r"layers\.(\d+)\.mlp\.layers\.0", r"layers.\1.fc1"))
OLDER += ((r"layers\.(\d+)\.mlp\.layers\.1", r"layers.\1.fc2"), (r"encoder\.aifi\.", "encoder.encoder."))


@pytest.mark.parametrize("older", [False, True])
def test_folder_of_the_hub__is_read_with_its_config_and_names(tmp_path: Path, older: bool) -> None:
    stock = build_stock("d_fine", SETTINGS["d_fine"], 3)
    stock.config.id2label, stock.config.label2id = dict(enumerate(NAMES)), {n: i for i, n in enumerate(NAMES)}
    stock.save_pretrained(tmp_path / "hub")
    path = find_weights(str(tmp_path / "hub"))
    if older:  # names of version 4 of the library
        tensors = {
            k: v.clone() for k, v in stock.state_dict().items() if not k.startswith(("class_embed", "bbox_embed"))
        }
        for new, old in OLDER:
            tensors = {re.sub(new, old, name): tensor for name, tensor in tensors.items()}
        save_weights(path, tensors, {})
    (tmp_path / "hub" / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A card\n")
    source = load_weights(path)
    assert (source.class_names, source.metadata["licence"]) == (NAMES, "apache-2.0")
    detector = load_detector(source)
    with torch.no_grad():
        wanted = stock.eval()(pixel_values=detector.preprocess(two_images())).logits.sigmoid().flatten(1)
    for prediction, scores in zip(predictions(detector, two_images()), wanted, strict=True):
        np.testing.assert_allclose(prediction.scores[:10], scores.sort(descending=True).values[:10], rtol=1e-4)


def test_card_of_a_stranger__states_a_licence_in_words_or_none(tmp_path: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    (tmp_path / "config.json").write_text("{}")
    cards = {
        "license: !!timestamp 9-9\n": {},
        f"{bomb}license: [*h, *h]\n": {},
        "license: [mit, gpl]\n": {"licence": "mit, gpl"},
    }
    for text, said in cards.items():
        (tmp_path / "README.md").write_text(f"---\n{text}---\n# A card\n")
        assert _licence_of_card(tmp_path / "model.safetensors") == said


def test_older_names__of_which_some_are_lacking_are_not_filled_up(tmp_path: Path) -> None:
    tensors = tiny().module.state_dict()
    for new, old in OLDER:
        tensors = {re.sub(new, old, name): tensor for name, tensor in tensors.items()}
    del tensors["model.enc_output.0.weight"]
    save_weights(tmp_path / "model.safetensors", tensors, {})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "d_fine", **SETTINGS["d_fine"]}))
    with pytest.raises(InputError, match=r"1 tensors of d_fine are missing .* model\.enc_output\.0 \(1\)"):
        load_detector(load_weights(tmp_path / "model.safetensors"))


def test_coco_by_category_ids__leaves_out_the_rows_of_no_class(tmp_path: Path) -> None:
    names = ("N/A", "person", "bicycle", "N/A")
    detector = tiny("rf_detr", names)
    path = tmp_path / "four.safetensors"
    save_weights(path, detector.module.state_dict(), {**detector.metadata()})
    source = load_weights(path)
    assert source.class_names == ("person", "bicycle")
    loaded = load_detector(source)
    rows = loaded.module.state_dict()["class_embed.weight"]
    torch.testing.assert_close(rows, detector.module.state_dict()["class_embed.weight"][1:3])


def test_bare_file__is_known_by_its_shapes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    path = tmp_path / "file.safetensors"
    save_weights(path, build("dfine_n", 80).state_dict(), {})
    source = load_weights(path)
    assert (source.arch, source.class_names[:2], len(source.class_names)) == ("dfine_n", ("person", "bicycle"), 80)
    assert "names no classes" in caplog.text


def test_class_rows__start_from_those_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "source.safetensors"
    source_detector = tiny()
    save_weights(path, source_detector.module.state_dict(), source_detector.metadata())
    transfer = Transfer(class_map={"stop": "red"})
    model = Model(family="transformers", weights=str(path))
    detector, report = build_detector(model, transfer, ("stop", "new"), load_weights(path))
    new, old = detector.module.state_dict(), source_detector.module.state_dict()
    for name, rows in detector.class_rows().items():
        torch.testing.assert_close(new[name][0], old[name][0])
        torch.testing.assert_close(new[name][1], old[name][:3].mean(dim=0))
        assert rows in ([0, 1], [0, 1, -1])
    assert (len(report.by_rows), report.new_tensors, report.lacking) == (7, (), ())
    assert all(detector.class_rows()[name] == [0, 1] for name in detector.new_class_params)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("{", "WEIGHTS_CARD"),
        ('{"model_type": "bert"}', "WEIGHTS_ARCH"),
        (json.dumps({"model_type": "d_fine", **SETTINGS["d_fine"], "d_model": 33}), "WEIGHTS_CARD"),
        (
            json.dumps({"model_type": "d_fine", **SETTINGS["d_fine"], "backbone_config": {"model_type": "x"}}),
            "WEIGHTS_CARD",
        ),
    ],
)
def test_config_beside_the_weights__is_refused_where_it_is_of_no_network(
    tmp_path: Path, config: str, error: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(path, tiny().module.state_dict(), {})
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=error):
        load_weights(path)


def test_names__are_fetched_from_the_hub_alone() -> None:
    urls = [FAMILIES["transformers"].weights_url(name) for name in ARCHITECTURES]
    assert all(url and url.startswith("https://huggingface.co/") for url in urls)
