"""Several sources: the one that knows the data is found before training, and the run starts from it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from detect_transfer.config import Data, Model, RunConfig, Train, Transfer, load_config
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import load_run_data
from detect_transfer.models import build_detector, load_weights, save_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.source_choice import _pooled, box_features
from detect_transfer.workflows.train import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network like the embedded one that has learnt nothing."""
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    detector, _ = build_detector(Model(weights="scratch"), Transfer(), ["red", "blue"], None)
    save_weights(path, detector.module.state_dict(), detector.metadata())
    return path


def test_run__starts_from_the_source_that_knows_the_data(tiny_data: Path, untrained: Path, tmp_path: Path) -> None:
    config = RunConfig(
        data=Data(path=tiny_data),
        model=Model.model_validate({"weights": [str(untrained), "embedded"]}),
        transfer=Transfer(strategy="head_only", interpolate="off", soup_epochs=0),
        train=Train(imgsz=96, epochs=1, batch=8),
        out=tmp_path / "run",
    )
    train(config, name="run", command="test")
    record = json.loads((tmp_path / "run" / "transfer.json").read_text())
    assert [(row["weights"], row["chosen"]) for row in record["sources"]] == [
        (str(untrained), False),
        ("embedded", True),
    ]
    assert record["sources"][1]["score"] > 0.02 > record["sources"][0]["score"]
    assert record["sources"][1]["log_me"] > record["sources"][0]["log_me"]
    assert record["source"]["file"] == EMBEDDED.name
    written = load_config(tmp_path / "run" / "config.yaml").model
    assert (written.weights, written.sources) == ("embedded", [str(untrained), "embedded"])
    assert "What each source knew of the data" in (tmp_path / "run" / "report.html").read_text()


def test_box_features__are_of_the_annotated_boxes_and_of_places_without(tiny_data: Path) -> None:
    data = load_run_data(Data(path=tiny_data), drawn=tiny_data, native=None)
    source = load_weights(EMBEDDED)
    detector, _ = build_detector(Model(weights="embedded"), Transfer(class_map="none"), data.train.class_names, source)
    detector.module.eval()
    features, labels = box_features(detector, data, imgsz=96)
    assert len(features) == len(labels)
    assert np.isfinite(features).all()
    assert (labels == -1).sum() > 5
    assert set(labels) == {-1, *range(len(data.train.class_names))}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"weights": []}, "an empty list"),
        ({"sources": ["embedded"]}, "two different weights"),
        ({"weights": ["embedded", "embedded"]}, "two different weights"),
        ({"weights": ["embedded", "scratch"]}, "scratch is no source"),
        ({"weights": "yolo11n", "sources": ["embedded", "yolo11s"]}, "none of model.sources"),
        ({"weights": ["a", "b"], "sources": ["embedded", "yolo11s"]}, "not as both"),
    ],
)
def test_sources__that_are_no_choice_are_refused(model: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Model.model_validate(model)


def test_list_of_one__is_that_one() -> None:
    for weights in ("embedded", "scratch"):
        assert Model.model_validate({"weights": [weights]}) == Model.model_validate({"weights": weights})


def test_source_that_is_not_there__is_said_before_there_is_a_folder(tiny_data: Path, tmp_path: Path) -> None:
    model = Model.model_validate({"weights": ["embedded", "nothing.pt"]})
    config = RunConfig(data=Data(path=tiny_data), model=model, out=tmp_path / "run")
    with pytest.raises(InputError, match=r"WEIGHTS_MISSING model\.weights=nothing\.pt"):
        train(config, name="run", command="test")
    assert not (tmp_path / "run").exists()


def test_features_of_boxes__become_double_on_the_host_alone() -> None:
    calls = []

    class Noting(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            calls.append(function)
            return function(*args, **(kwargs or {}))

    with Noting():
        _pooled([torch.rand(1, 4, 8, 8)], np.array([[0.0, 0.0, 32.0, 32.0]]), 64)
    assert calls.index(torch.Tensor.cpu) < calls.index(torch.Tensor.double)  # MPS has no doubles
