"""Runs of a study on other data: what they forgot, what they are worth there, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from detect_transfer.config import StudyConfig, Synthetic, absolute_paths, load_config_of, make_config_of
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import draw_data
from detect_transfer.workflows.study import other_scores as study_other_scores
from detect_transfer.workflows.study.folder import StudyFolder
from detect_transfer.workflows.study.other_data import read_other_data
from detect_transfer.workflows.study.plan import make_study_plan
from detect_transfer.workflows.study.report import report_study
from detect_transfer.workflows.study.run import prepare_store
from detect_transfer.workflows.study.verify import verify_study
from detect_transfer.workflows.train import train

KEPT = ["no_parking", "warning_crossroads"]


def content(tiny_data: Path, source: Path, **study) -> dict:
    study = {"arms": ["epoch0"], "sizes": [100], "seeds": [0], "held_out": 0.3, **study}
    study |= {"forgetting": {"data": {"path": str(source)}}, "matrix": {"source": {"path": str(source)}}}
    return {
        "data": {"path": str(tiny_data)},
        "model": {"weights": "embedded"},
        "train": {"epochs": 1, "imgsz": 64, "batch": 8},
        "transfer": {"keep_source_classes": KEPT},
        "study": study,
    }


def test_runs__are_scored_on_the_source_task_and_on_other_data_once(
    tiny_data: Path, tmp_path: Path, monkeypatch
) -> None:
    draw_data(Synthetic(task="source", train_images=2, val_images=8, size=64), tmp_path / "source", seed=5)
    config = make_config_of(StudyConfig, content(tiny_data, tmp_path / "source"))
    plan = make_study_plan(config, StudyFolder(tmp_path / "store"))
    prepare_store(plan)
    train(plan.config_of(plan.runs[0]), name="run", command="")
    report_study(plan)
    found = json.loads(plan.folder.answers.read_text())
    (curve,) = found["forgetting"]
    assert [point["coefficient"] for point in curve["points"]] == [0, 0.25, 0.5, 0.75, 1]
    own = found["runs"][0]["test"]["AP"]
    for point in curve["points"]:  # nothing was trained
        assert point["new_ap"]["value"] == pytest.approx(own)
        assert point["forgotten"]["value"] == 0
    cells = {cell["tested_on"]: cell["ap"]["value"] for cell in found["matrix"]}
    assert cells == {"its own test images": pytest.approx(own), "source": curve["points"][0]["kept_ap"]["value"]}
    assert "AP on the new task against AP on the source task" in plan.folder.report.read_text()
    monkeypatch.setattr(study_other_scores.OtherScorer, "scores", None)  # what was scored is not scored again
    os.utime(plan.folder.run(plan.runs[0].key).manifest)  # as a copy of the study has another time
    report_study(plan)
    assert json.loads(plan.folder.answers.read_text()) == found
    monkeypatch.undo()
    scorer = study_other_scores.OtherScorer(plan, *read_other_data(plan.config.study))
    before, image = scorer.question(), next((tmp_path / "source" / "images" / "val").iterdir())
    image.write_bytes(image.read_bytes())  # of the same size, and maybe of other pixels
    assert scorer.question() != before
    best = plan.folder.run(plan.runs[0].key).best
    best.write_bytes(best.read_bytes()[:-1] + b"x")
    plan.folder.elsewhere(plan.runs[0].key).unlink()
    checks = {check.name: check for check in verify_study(plan.folder.path, predict=False)}
    assert checks["scores on other data"].outcome == "denied"
    assert "WEIGHTS_DAMAGED" in checks["scores on other data"].reason
    assert checks["epoch0, 14 images, seed 0: file weights/best.safetensors"].outcome == "denied"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transfer": {}}, r"study.forgetting .* no arm keeps one: name some as transfer.keep_source_classes"),
        ({"folds": 3}, r"study.forgetting and study.folds: it has no interval over folds; leave one of the two out"),
    ],
)
def test_question_that_cannot_be_answered__is_refused(tiny_data: Path, tmp_path: Path, change, message) -> None:
    keys = content(tiny_data, tmp_path, **{k: v for k, v in change.items() if k == "folds"})
    keys |= {k: v for k, v in change.items() if k == "transfer"}
    with pytest.raises(InputError, match=message):
        make_config_of(StudyConfig, keys)


def test_paths_of_other_data__are_those_beside_the_config_and_hold_from_anywhere(
    tiny_data: Path, tmp_path: Path
) -> None:
    for name in ("source", "night"):
        (tmp_path / name).mkdir()
    keys = content(tiny_data, Path("source"))
    keys["study"]["matrix"] = {"night": {"path": "night"}}
    (tmp_path / "s.yaml").write_text(json.dumps(keys))
    study = absolute_paths(load_config_of(StudyConfig, tmp_path / "s.yaml")).study
    assert study.matrix["night"].path == tmp_path / "night"
    assert study.forgetting.data.path == tmp_path / "source"


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ({"path": "nowhere"}, r"FILE_MISSING nowhere study.matrix.night - "),
        ({"class_map": {"stop": "stopp"}}, r"CLASS_UNKNOWN study.matrix.night.class_map=stopp .*in the study; did you"),
        (
            {"split": "train"},
            r"STUDY_SEEN \S+\.jpg study.matrix.night - 14 of its 20 images are ones that the study tr",
        ),
        ({"split": "val"}, r"STUDY_SEEN .* 18 of its 18 images"),
        ({"class_map": {"stopp": "stop"}}, r"CLASS_UNKNOWN study.matrix.night.class_map=stopp .*did you mean 'stop'"),
    ],
)
def test_other_data_that_are_wrong__are_refused_before_anything_is_trained(
    tiny_data: Path, tmp_path: Path, matrix, message
) -> None:
    keys = content(tiny_data, tiny_data)
    keys["study"] |= {"forgetting": None, "matrix": {"night": {"path": str(tiny_data), **matrix}}}
    with pytest.raises(InputError, match=message):
        make_study_plan(make_config_of(StudyConfig, keys), StudyFolder(tmp_path / "store"))
