"""Paths in a config: from its folder, from that of the command, and those of a run from anywhere."""

from pathlib import Path

import pytest
import yaml

from detect_transfer.config import StudyConfig, absolute_paths, load_config, make_config, path_keys
from detect_transfer.config.load import load_config_of
from detect_transfer.core.errors import InputError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("here", "configs"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "configs" / "c.yaml").write_text("data: {path: mine}\nmodel: {weights: own.pt}\n")
    return tmp_path


def test_a_path_in_a_file__is_that_beside_it(project: Path) -> None:
    (project / "configs" / "mine").mkdir()
    (project / "configs" / "own.pt").touch()
    config = load_config(Path("../configs/c.yaml"))
    assert (config.data.path, config.model.weights) == (Path("../configs/mine"), "../configs/own.pt")


def test_a_path_that_is_not_beside_the_file__is_that_of_the_command(project: Path) -> None:
    (project / "here" / "mine").mkdir()
    (project / "configs" / "yolo11n").mkdir()  # a folder is no weights
    config = load_config(Path("../configs/c.yaml"), ["model.weights=yolo11n"])
    assert (config.data.path, config.model.weights) == (Path("mine"), "yolo11n")


def test_a_path_that_is_in_both__is_refused_until_the_command_line_says_which(project: Path) -> None:
    (project / "here" / "mine").mkdir()
    (project / "configs" / "mine").mkdir()
    with pytest.raises(InputError, match=r"CONFIG_PATH data\.path=mine .*; write data\.path=\.\./configs/mine or"):
        load_config(Path("../configs/c.yaml"))
    assert load_config(Path("../configs/c.yaml"), ["data.path=mine"]).data.path == Path("mine")


def test_the_paths_of_a_run__hold_from_anywhere(project: Path) -> None:
    (project / "here" / "mine").mkdir()
    (project / "here" / "yolo11n").mkdir()
    config = absolute_paths(make_config({"data": {"path": "mine"}}))
    assert (config.data.path, config.model.weights) == (project / "here" / "mine", "yolo11n")


def test_a_file_with_a_stated_hash__is_a_path_too(project: Path) -> None:
    stated = f"own.pt@sha256:{'0' * 64}"
    (project / "configs" / "own.pt").touch()
    (project / "configs" / "c.yaml").write_text(f"data: {{path: mine}}\nmodel: {{weights: '{stated}'}}\n")
    config = load_config(Path("../configs/c.yaml"))
    assert config.model.weights == f"../configs/{stated}"
    assert Path(absolute_paths(config).model.weights).resolve() == project / "configs" / stated
    named = make_config({"data": {"path": "mine"}, "model": {"weights": "yolov9c@sha256:0"}})
    assert absolute_paths(named).model.weights == "yolov9c@sha256:0"


def test_the_weights_of_an_arm__are_paths_too(project: Path) -> None:
    for name in ("own.pt", "other.pt"):
        (project / "configs" / name).touch()
    arms = {"a": {"model": {"weights": "own.pt"}}, "b": {"model.weights": "other.pt"}, "full": {}}
    content = {"data": {"path": "mine"}, "study": {"arms": arms}}
    (project / "configs" / "c.yaml").write_text(yaml.safe_dump(content))
    config = load_config_of(StudyConfig, Path("../configs/c.yaml"))
    weights = {"a": {"model.weights": "../configs/own.pt"}, "b": {"model.weights": "../configs/other.pt"}, "full": {}}
    assert config.study.arms == weights
    lasting = {str(Path(arm["model.weights"]).resolve()) for arm in absolute_paths(config).study.arms.values() if arm}
    assert lasting == {str(project / "configs" / name) for name in ("own.pt", "other.pt")}
    assert all(Path(w).is_absolute() for arm in absolute_paths(config).study.arms.values() for w in arm.values())


def test_the_keys_of_paths__are_those_that_name_what_is_read() -> None:
    assert {"data.path", "data.train_json", "data.val_json", "data.images", "model.weights"} <= set(path_keys())
    assert "out" not in path_keys()
