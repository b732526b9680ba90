"""Mirroring: off where left and right differ, with labels swapped where the config names pairs, said by every card."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from paths import DATASETS

from detect_transfer.config import Data, Mirror
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import load_run_data
from detect_transfer.training.augment import Augmenter
from detect_transfer.training.mirroring import choose_mirroring, reason_of_card, sided_names
from detect_transfer.training.train_sample import TrainSample
from detect_transfer.workflows.train import Watch

CARDS = {path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in DATASETS.glob("*/dataset.yaml")}
FLIP = [{"HorizontalFlip": {"p": 1.0}}]


@pytest.mark.parametrize(
    "name",
    [
        "turn_left",
        "keepRight",
        "GreenStraightLeft",
        "go right",
        "turnleft",
        "links abbiegen",
        "RECHTS",
        "gauche",
        "droite",
        "izquierda",
        "Derecha",
        "arrow",
        "regulatory--keep-right--g1",
        "PASS_LEFT_SIDE",
        "Linksabbiegen",
        "Rechtsabbieger",
        "Linkskurve",
        "linksaf",
        "rechtsaf",
        "Abbiegepfeil",
        "Richtungspfeil",
        "Richtungspfeile",
        "flechas",
        "flèches",
        "vänster",
        "höger",
        "Налево",
        "направо",
        "левый поворот",
        "左转",
        "向右行驶",
        "greenarrow",
        "la stânga",
        "Dreapta",
        "vasen",
        "vasemmalle",
        "Oikea",
        "좌회전",
        "belok kanan",
        "δεξιά",
    ],
)
def test_side__is_known_by_the_name(name: str) -> None:
    assert sided_names([name]) == [name]


@pytest.mark.parametrize(
    "name",
    [
        "bright",
        "person",
        "speed limit 30",
        "stop",
        "copyright",
        "cleft",
        "straight",
        "bus",
        "road narrows",
        "lights",
        "return",
        "right_of_way",
        "right-of-way at next intersection",
        "RightOfWay",
        "wright",
        "playwrights",
        "wheelbarrows",
        "leftovers",
        "sol",
        "saga",
    ],
)
def test_no_side__is_known(name: str) -> None:
    assert not sided_names([name])


@pytest.mark.parametrize(
    ("names", "sided"),
    [
        (["sola dönülmez", "sağa dönülmez", "dur"], ["sola dönülmez", "sağa dönülmez"]),
        (["sol", "sağ"], ["sol", "sağ"]),
        (["sol", "luna"], []),
        (["rẽ trái", "rẽ phải", "dừng"], ["rẽ trái", "rẽ phải"]),
        (["right of way", "keep right"], ["keep right"]),
    ],
)
def test_words_of_several_meanings__tell_sides_together(names: list[str], sided: list[str]) -> None:
    assert sided_names(names) == sided


def sample(labels: list[int]) -> TrainSample:
    boxes = np.array([[8.0, 10, 30, 40], [50, 20, 90, 60]])[: len(labels)]
    return TrainSample(np.zeros((96, 96, 3), np.uint8), boxes, np.array(labels, dtype=np.int64), np.empty((0, 4)))


def test_default_augmentation__mirrors_only_where_it_may() -> None:
    """The order of the two boxes from left to right tells whether an image is mirrored."""
    for names, mirrored in ((["turn_left", "turn_right"], {False}), (["a", "b"], {True, False})):
        mirroring = choose_mirroring(Mirror(), names, data_set="")
        augmenter = Augmenter("default", imgsz=96, mirroring=mirroring)
        seen = set()
        for seed in range(40):
            out = augmenter(sample([0, 1]), seed=seed)
            if len(out.labels) == 2:
                x = dict(zip(out.labels.tolist(), out.xyxy[:, 0], strict=True))
                seen.add(bool(x[0] > x[1]))
        assert seen == mirrored


H, V = {"HorizontalFlip": {"p": 1.0}}, {"VerticalFlip": {"p": 1.0}}


@pytest.mark.parametrize(
    ("pipeline", "swapped"),
    [
        ([H], True),
        ([V], False),
        ([H, V], True),
        ([{"Rotate": {"limit": [180, 180], "p": 1.0}}], True),
        ([{"Rotate": {"limit": [80, 80], "p": 1.0}}], False),
        ([{"Rotate": {"limit": [90, 90], "p": 1.0}}], False),
        ([{"Transpose": {"p": 1.0}}], False),
        ([{"Affine": {"scale": {"x": [-1, -1], "y": [1, 1]}, "p": 1.0}}], True),
    ],
)
def test_pairs__are_swapped_where_left_becomes_right(pipeline: list, swapped: bool) -> None:
    names = ["turn_left", "turn_right", "stop"]
    mirroring = choose_mirroring(Mirror(pairs={"turn_left": "turn_right"}), names, data_set="")
    assert mirroring.reason.startswith("the labels of turn_left and turn_right are swapped, and no other class name")
    assert mirroring.on
    for labels in ([0, 2], [1, 0]):
        expected = [{0: 1, 1: 0}.get(label, label) for label in labels] if swapped else labels
        out = Augmenter(pipeline, imgsz=96, mirroring=mirroring)(sample(labels), seed=0)
        assert sorted(out.labels.tolist()) == sorted(expected)


def test_pairs__that_contradict_each_other_are_named() -> None:
    with pytest.raises(InputError, match=r"CLASS_TWICE mirror\.pairs=c: b .*b is the mirror image of a and of c"):
        choose_mirroring(Mirror(pairs={"a": "b", "c": "b"}), ["a", "b", "c"], data_set="")
    with pytest.raises(InputError, match=r"CLASS_TWICE mirror\.pairs=a: a .*is its own mirror image"):
        choose_mirroring(Mirror(pairs={"a": "a"}), ["a", "b"], data_set="")
    assert choose_mirroring(Mirror(pairs={"a": "b", "b": "a"}), ["a", "b"], data_set="").swaps == {0: 1, 1: 0}


@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("RandomRotate90", {}, True),
        ("Transpose", {}, True),
        ("D4", {}, True),
        ("Rotate", {"limit": 120}, True),
        ("Rotate", {"limit": 90}, False),
        ("Rotate", {"limit": [350, 370]}, False),
        ("SafeRotate", {"limit": [100, 110]}, True),
        ("SafeRotate", {"limit": 30}, False),
        ("Affine", {"rotate": [-170, 0]}, True),
        ("Affine", {"scale": {"x": [-1, -1], "y": [1, 1]}}, True),
        ("Affine", {"scale": [0.5, 1.5], "rotate": 45}, False),
        ("HorizontalFlip", {"p": 0}, False),
    ],
)
def test_list__that_turns_left_into_right_is_refused(name: str, options: dict, refused: bool) -> None:
    mirroring = choose_mirroring(Mirror(), ["left", "right"], data_set="")
    if not refused:
        assert Augmenter([{name: options}], imgsz=96, mirroring=mirroring).mirrors == []
        return
    with pytest.raises(InputError, match=f"AUGMENT_MIRROR augment={name} "):
        Augmenter([{name: options}], imgsz=96, mirroring=mirroring)


def test_sentence__says_what_is_really_done() -> None:
    mirroring = choose_mirroring(Mirror(), ["a"], data_set="")
    for chosen in ("none", [{"Blur": {}}]):
        done = mirroring.done_by(Augmenter(chosen, imgsz=96, mirroring=mirroring).mirrors)
        assert done.sentence == "training images are not mirrored: no transform of augment turns left into right"
        assert done.as_dict(["a"])["images"] is False
    done = mirroring.done_by(Augmenter(FLIP, imgsz=96, mirroring=mirroring).mirrors)
    assert done.on
    assert done.sentence.endswith("; by HorizontalFlip")


def test_config__decides_first() -> None:
    assert choose_mirroring(Mirror(images=True), ["left"], data_set="").on
    assert not choose_mirroring(Mirror(images=False), ["a"], data_set="").on
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN mirror\.pairs=lft .*did you mean 'left'"):
        choose_mirroring(Mirror(pairs={"lft": "right"}), ["left", "right"], data_set="")
    mirroring = choose_mirroring(Mirror(), ["left", "right"], data_set="")
    with pytest.raises(InputError, match=r"AUGMENT_MIRROR augment=HorizontalFlip .*left, right.*mirror\.pairs"):
        Augmenter(FLIP, imgsz=96, mirroring=mirroring)


def test_card__decides_for_the_classes_of_its_data_set() -> None:
    forbidden = choose_mirroring(Mirror(), ["other-sign", "warning--children--g2"], data_set="mtsd")
    assert not forbidden.on
    assert forbidden.reason.startswith("the card of mtsd forbids it: classes such as keep-right; mirror.pairs")
    for names, data_set in ((["i2", "p19"], "tt100k"), (["II-30-50", "III-1"], "dfg"), (["stop", "yield"], "lisa")):
        assert not choose_mirroring(Mirror(), names, data_set=data_set).on
    assert choose_mirroring(Mirror(images=True), ["i2"], data_set="tt100k").on
    assert choose_mirroring(Mirror(pairs={"i2": "i3"}), ["i2", "i3"], data_set="tt100k").on, "all are paired"
    assert not choose_mirroring(Mirror(pairs={"i2": "i3"}), ["i2", "i3", "i4"], data_set="tt100k").on
    for data_set in ("dtld", "kitti", "voc", "", "no such format"):
        assert choose_mirroring(Mirror(), ["red", "green"], data_set=data_set).on
    assert not choose_mirroring(Mirror(), ["circle", "arrow_left"], data_set="dtld").on, "the names of pictograms"


def test_card__says_nothing_of_classes_of_the_user_but_for_codes() -> None:
    assert choose_mirroring(Mirror(), ["mandatory"], data_set="tt100k", own_classes=False).on
    assert not choose_mirroring(Mirror(), ["i2"], data_set="tt100k", own_classes=False).on


@pytest.mark.parametrize(
    ("names", "data_set"),
    [
        (["i2", "i4", "pl40", "pn", "p26", "w57", "ph4.5", "pne", "other"], "tt100k"),
        (["2_1", "1_23", "3_24_n40", "5_19_1", "1_20_1"], "rtsd"),
        (["2.1", "1.23", "3.24", "5.19.1", "8.13"], "rtsd"),
        (["I-1", "II-30-50", "III-35", "II-2", "V-1.1"], "dfg"),
        (["i2", "pl40", "person", "car", "bus"], ""),
        (["a10", "f16", "b52", "su27", "p51", "mig29"], ""),
        ([str(i) for i in range(10)], ""),
        (["i2", "p26", "pl40"], ""),
    ],
)
def test_codes__are_known_in_any_format(names: list[str], data_set: str) -> None:
    mirroring = choose_mirroring(Mirror(), names, data_set="yolo")
    assert mirroring.on == (data_set == "")
    assert f"the card of {data_set} forbids it" in mirroring.reason or not data_set


def test_native_data__have_their_card(tmp_path: Path) -> None:
    """Read as they are, without a conversion, and the format found by itself."""
    sample = DATASETS / "tt100k" / "sample"
    settings = Data(path=sample, train_split="train", val_split="test", bad_boxes="fix")
    assert load_run_data(settings, drawn=tmp_path / "drawn").format == "tt100k"


def test_run__says_whether_it_mirrors(finished: Path) -> None:
    assert "training images are mirrored: no class name" in (finished / "log.txt").read_text()
    record = json.loads((finished / "transfer.json").read_text())["mirroring"]
    assert record["images"] is True


@pytest.mark.parametrize("name", CARDS)
def test_card__forbids_mirroring_where_classes_tell_sides(name: str) -> None:
    card = CARDS[name]
    names = card["classes"] if isinstance(card["classes"], list) else []
    mirror = card.get("mirror", True)
    if not names and not mirror:
        names = [card["mirror_reason"]]  # it names some of the classes that are read from the files
    assert not (mirror and sided_names(names)), f"datasets/{name}/dataset.yaml must say `mirror: false`"
    assert (reason_of_card(card["format"]) is None) == mirror, "a run asks the card that is called as the format"


def test_targets_too_small_and_classes_without_boxes__are_reported(config, run) -> None:
    stages: list[str] = []
    run(config(train={"epochs": 1, "imgsz": 32, "batch": 10}), watch=Watch(on_stage=stages.append))
    assert sum("TARGET_TOO_SMALL" in text and " of " in text for text in stages) == 1
