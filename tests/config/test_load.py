"""The loader of run configs: overrides, all problems in one error, and a round trip through YAML."""

from pathlib import Path

import pytest

from detect_transfer.config import (
    RunConfig,
    StudyConfig,
    dump_config,
    load_config,
    make_config,
    make_config_of,
    parse_value,
    read_yaml,
)
from detect_transfer.core.errors import InputError, ProblemsError

DATA = {"data": {"synthetic": {}}}


def test_overrides__come_after_the_file_and_leave_it_alone() -> None:
    content = {**DATA, "train": {"epochs": 3}}
    config = make_config(content, ["train.epochs=5", "train.lr=1e-3", "model.weights=embedded", "transfer.phases=null"])
    assert (config.train.epochs, config.train.lr, config.model.weights) == (5, 1e-3, "embedded")
    assert content == {**DATA, "train": {"epochs": 3}}


def test_an_override_of_a_whole_part__takes_its_keys() -> None:
    config = make_config(DATA, ["train={epochs: 4, batch: 2}", "transfer.class_map={sign: [stop, yield]}"])
    assert (config.train.epochs, config.train.batch) == (4, 2)
    assert config.transfer.class_map == {"sign": ["stop", "yield"]}


@pytest.mark.parametrize("word", ["train.epochs", "=5", "train..epochs=5", ".epochs=5"])
def test_a_word_that_is_no_override__is_refused(word: str) -> None:
    with pytest.raises(InputError, match="CONFIG_OVERRIDE"):
        make_config(DATA, [word])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train.epochs=1", "train.epochs=2"),
        ("train.epochs=1", "train={imgsz: 64}"),
        ("train={epochs: 1}", "train.epochs=2"),
    ],
)
def test_a_key_that_is_given_twice__is_refused(first: str, second: str) -> None:
    with pytest.raises(InputError, match=r"CONFIG_OVERRIDE command line train.* given twice") as error:
        make_config(DATA, [first, "train.batch=2" if "{" not in first + second else "out=x", second])
    assert first in error.value.remedy
    assert second in error.value.remedy


def test_all_problems__stand_in_one_error_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: {synthetic: {}}\ntrain: {epoch: 3}\nmodel: {anchors: fitt}\n")
    with pytest.raises(ProblemsError) as error:
        load_config(path, ["train.lr=fast", "word"])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert any(
        line.startswith(f"CONFIG_KEY {path} train.epoch - ") and "did you mean 'train.epochs'?" in line
        for line in lines
    )
    assert any(line.startswith("CONFIG_VALUE command line train.lr=fast - ") for line in lines)
    assert any(f"{path} model.anchors=fitt" in line and "did you mean 'fit'?" in line for line in lines)


def test_a_config__survives_being_written_and_read(tmp_path: Path) -> None:
    phases = [{"epochs": 2, "train": ["head"], "until": {"AP": 0.5}}, {"epochs": 3}]
    config = make_config({**DATA, "transfer": {"phases": phases, "class_map": {"a": "b"}}, "out": str(tmp_path / "x")})
    path = tmp_path / "c.yaml"
    path.write_text(dump_config(config))
    assert load_config(path) == config


def test_a_mapping_is_expected() -> None:
    with pytest.raises(InputError, match="CONFIG_KIND"):
        make_config([1])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("a: 1\na: 2\n", "the key 'a' stands twice", id="key-twice"),
        pytest.param(
            "a: &a {b: 1}\nc:\n  <<: *a\n",
            "a merge key is not read; write the keys that it stands for in the place of the line",
            id="merge-key",
        ),
        pytest.param("a: [1\n", "c.yaml:2", id="cut"),
        pytest.param("? [1, 2]\n: 3\n", "", id="unhashable-key"),
        pytest.param("out: !!timestamp 99999-99-99\n", "", id="no-date"),
        pytest.param("out: !!bool maybe\n", "", id="no-bool"),
        pytest.param("a: 2026-99-99\n", "", id="no-date"),
        pytest.param("[" * 3000 + "]" * 3000, "", id="deep"),
        pytest.param("!!python/object/apply:os.system [ls]\n", "", id="object"),
    ],
)
def test_wrong_yaml__is_refused_with_its_place(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="YAML_SYNTAX") as error:
        read_yaml(path)
    assert part in str(error.value)
    assert str(path) in str(error.value)


def test_a_value_of_the_command_line__is_yaml() -> None:
    assert [parse_value(word, "k") for word in ("1", "1.5", "true", "null", "[a, b]")] == [
        1,
        1.5,
        True,
        None,
        ["a", "b"],
    ]
    with pytest.raises(InputError, match=r"command line \(k\)"):
        parse_value("[1", "k")


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        ({"data": {}}, "exactly one of"),
        ({"data": {"path": "x", "synthetic": {}}}, "exactly one of"),
        ({"data": {"train_json": "x"}}, "exactly one of"),
        ({"transfer": {"strategy": "full", "phases": [{"epochs": 1}]}}, "transfer.strategy=null"),
        ({"transfer": {"phases": []}}, "at least one phase"),
    ],
)
def test_keys_that_contradict_each_other__are_refused(parts: dict, part: str) -> None:
    with pytest.raises(InputError) as error:
        make_config({**DATA, **parts})
    assert part in str(error.value)


def test_a_config__cannot_be_changed() -> None:
    config = make_config(DATA)
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]
    assert isinstance(config, RunConfig)


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("train.epochs=yes", "train.epochs=true"),
        ("train.lr=on", "train.lr=true"),
        ("train.workers=no", "train.workers=false"),
        ("transfer.soup_epochs=true", "transfer.soup_epochs=true"),
        ("transfer.interpolate=[0.5, true]", "transfer.interpolate=[0.5, 'true']"),
        ("transfer.budget=true", "transfer.budget=true"),
        ("transfer.phases=[{epochs: true}]", "transfer.phases.0.epochs=true"),
        ("transfer.phases=[{epochs: 2, until: {AP: true}}]", "transfer.phases.0.until=true"),
        ("data.synthetic={train_images: true}", "data.synthetic.train_images=true"),
    ],
)
def test_a_boolean__is_no_number(word: str, key: str) -> None:
    with pytest.raises(InputError) as error:
        make_config(DATA, [word])
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"CONFIG_VALUE command line {key} - "), line


@pytest.mark.parametrize(
    "word",
    ["transfer.match_names=no", "transfer.interpolate=off", "transfer.phases=[{epochs: 2, cache_features: yes}]"],
)
def test_a_boolean__is_taken_where_one_is_meant(word: str) -> None:
    make_config(DATA, [word])


@pytest.mark.parametrize(
    ("study", "key"),
    [
        ({"sizes": [True]}, "study.sizes=true"),
        ({"seeds": [True, 2]}, "study.seeds=true"),
        ({"margin": True}, "study.margin=true"),
        ({"search": {"rates": {"train.lr": [0.1, True]}}}, "study.search.rates=true"),
    ],
)
def test_a_boolean_in_a_study__is_no_number(study: dict, key: str) -> None:
    with pytest.raises(InputError, match=f"CONFIG_VALUE config {key} - "):
        make_config_of(StudyConfig, {**DATA, "study": {"arms": ["full"], **study}})
