"""Every key of a config is explained from its one source, and a key that is not there is led to the one that is."""

import json

import pytest

from detect_transfer.config import StudyConfig, explain, keys_of, make_config, schema_text
from detect_transfer.config.explain import nearest_key
from detect_transfer.core.errors import InputError, ProblemsError

KEYS = {key.name: key for key in keys_of()}


def test_every_key__has_a_meaning_and_what_it_takes() -> None:
    assert len(KEYS) > 70
    for key in KEYS.values():
        assert len(key.meaning) > 5, key.name
        assert key.values, key.name


@pytest.mark.parametrize(
    ("name", "values", "default"),
    [
        ("train.epochs", "a whole number from 1 on", "20"),
        (
            "train.imgsz",
            "a whole number in [32, 8192], a multiple of 32, or height and width of such numbers, such as 416x704",
            "640",
        ),
        ("train.lr", "a number in (0, 1] or nothing", "none"),
        ("train.clip_norm", "a number above 0", "10.0"),
        ("evaluate.score_floor", "a number in [0, 1)", "0.001"),
        ("evaluate.nms_iou", "a number in (0, 1] or auto", "auto"),
        ("transfer.phases[].epochs", "a whole number from 1 on", "required"),
        ("data.path", "a path or nothing", "none"),
        ("mirror.pairs", "a mapping from words to text", "empty"),
    ],
)
def test_a_key__says_its_range_and_its_default(name: str, values: str, default: str) -> None:
    assert (KEYS[name].values, KEYS[name].default) == (values, default)


def test_the_config_of_a_study__is_explained_too() -> None:
    assert {key.name for key in explain("study", StudyConfig)} >= {"study.arms", "study.seeds"}
    assert all(len(key.meaning) > 5 for key in keys_of(StudyConfig))
    assert explain("study.seeds", StudyConfig)[0].values == "a list of whole numbers from 0 on"


def test_explain__takes_keys_parts_and_entries() -> None:
    assert [key.name for key in explain("train.epochs")] == ["train.epochs"]
    assert {key.name for key in explain("mirror")} == {"mirror", "mirror.images", "mirror.pairs"}
    assert explain("transfer.phases[0].lr") == explain("transfer.phases.lr") == [KEYS["transfer.phases[].lr"]]
    assert len(explain()) == len(KEYS)
    with pytest.raises(InputError, match=r"CONFIG_KEY epochs - .*did you mean 'train.epochs'\?"):
        explain("epochs")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("epochs", "did you mean 'train.epochs'?"),
        ("lr", "did you mean 'train.lr'?"),
        ("train.epoch", "did you mean 'train.epochs'?"),
        ("batch", "did you mean 'train.batch' or 'evaluate.batch'?"),
        ("train.score_floor", "did you mean 'evaluate.score_floor'?"),
        ("lr0", "did you mean 'train.lr'?"),
        ("modle", "did you mean 'model'?"),
        ("transfer.phases.0.epoch", "did you mean 'transfer.phases[].epochs'?"),
        ("train.optimizer", "training is by AdamW: set train.lr and train.weight_decay"),
    ],
)
def test_a_key_that_is_not_there__is_led_to_the_one_that_is_meant(name: str, remedy: str) -> None:
    assert nearest_key(name) == remedy


def test_names_of_other_tools__lead_to_keys_that_are_there() -> None:
    from detect_transfer.config.explain import _NAMES_ELSEWHERE

    assert set(_NAMES_ELSEWHERE.values()) <= KEYS.keys()
    assert not set(_NAMES_ELSEWHERE) & {name.rpartition(".")[2] for name in KEYS}


def test_a_wrong_value__is_one_line_that_says_what_the_key_takes() -> None:
    words = ["evaluate.nms_iou=2", "augment=nope", "train.cache=dsk", "data=MY", "transfer.class_map={a: 3}"]
    with pytest.raises(ProblemsError) as caught:
        make_config({}, words)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(words)
    for line in (
        "CONFIG_VALUE command line evaluate.nms_iou=2 - a number in (0, 1] or auto was expected; "
        "detect-transfer config --explain evaluate.nms_iou",
        "did you mean 'disk'?",
        "write data.path=MY",
    ):
        assert any(line in each for each in lines), line


def test_the_schema__has_every_key_with_its_meaning() -> None:
    schema = json.loads(schema_text())
    epochs = schema["$defs"]["Train"]["properties"]["epochs"]
    assert epochs["description"] == KEYS["train.epochs"].meaning
    assert (epochs["minimum"], epochs["default"]) == (1, 20)
    assert schema["additionalProperties"] is False
