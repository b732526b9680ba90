"""`check` of a run: labels are judged by weights that were not trained on their images."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from detect_transfer.cli import main
from detect_transfer.config import Data, Synthetic
from detect_transfer.core.errors import InputError
from detect_transfer.data.run_data import draw_data, load_run_data
from detect_transfer.data.used_images import head_digest
from detect_transfer.evaluation.label_errors import KINDS
from detect_transfer.formats import get_format
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.label_errors import find_label_errors


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw scenes with the classes of the embedded weights."""
    folder = tmp_path_factory.mktemp("scenes") / "data"
    draw_data(Synthetic(task="source", train_images=4, val_images=6, size=160), folder, seed=0)
    return folder


def make_run(folder: Path, data: Path, *trained_on: str) -> Path:
    """Lay out what a run leaves, with the embedded weights, as if trained on some splits."""
    (folder / "weights").mkdir(parents=True)
    shutil.copyfile(EMBEDDED, folder / "weights" / "best.safetensors")
    (folder / "config.yaml").write_text(json.dumps({"data": {"path": str(data)}, "model": {"weights": "embedded"}}))
    images = [path for split in trained_on for path in (data / "images" / split).iterdir()]
    (folder / "used_images.json").write_text(json.dumps({"train": [head_digest(path.read_bytes()) for path in images]}))
    return folder


def test_check_of_a_run__lists_suspects_for_people_and_tools(
    tmp_path: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", scenes, "train")
    n_images = {split: len(list((scenes / "images" / split).iterdir())) for split in ("train", "val")}
    with pytest.raises(SystemExit) as ended:
        main(["check", str(run), "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert f"{n_images['val']} of {sum(n_images.values())} images judged" in shown
    assert f"trained on: {n_images['train']} images" in shown
    assert "data.train_split=val data.val_split=train" in shown
    rows = list(csv.DictReader((tmp_path / "out" / "label_errors.csv").read_text().splitlines()))
    assert rows
    assert {row["split"] for row in rows} == {"val"}
    suspicions = [float(row["suspicion"]) for row in rows]
    assert suspicions == sorted(suspicions, reverse=True)
    cvat = get_format("cvat").read(tmp_path / "out" / "cvat" / "annotations.xml", images=scenes / "images")
    assert set(cvat.images["file_name"]) == {row["file_name"] for row in rows}
    page = (tmp_path / "out" / "label_errors.html").read_text()
    assert page.count("<figure") == len(rows)
    assert page.count(">None.</p>") == len(KINDS) - len({row["kind"] for row in rows})
    assert "0 of 0" not in page


def test_another_run__judges_what_the_first_was_trained_on(tmp_path: Path, scenes: Path) -> None:
    first = make_run(tmp_path / "a", scenes, "train")
    found = find_label_errors([first, make_run(tmp_path / "b", scenes, "val")], device="cpu")
    assert found.n_trained_on == 0
    assert set(found.table.images["split"]) == {"train", "val"}
    with pytest.raises(InputError, match=r"IMAGES_TRAINED_ON .*every image"):
        find_label_errors([make_run(tmp_path / "c", scenes, "train", "val")], device="cpu")
    with pytest.raises(InputError, match=r"RUN_MISSING .*no run folder"):
        find_label_errors([first, scenes], device="cpu")


@pytest.mark.parametrize("changes", ["nothing", "split again"])
def test_data_that_the_run_was_not_trained_with__are_told(tmp_path: Path, scenes: Path, changes: str) -> None:
    run = make_run(tmp_path / "run", scenes, "train")
    sha256 = load_run_data(Data(path=scenes), drawn=tmp_path / "none").fingerprint
    (run / "manifest.json").write_text(json.dumps({"data_sha256": sha256}))
    if changes == "split again":
        data = tmp_path / "data"
        words = ["convert", "data_folder", str(scenes), "--split-ratio", "train=0.3,val=0.7", "--out", str(data)]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code
        config = run / "config.yaml"
        config.write_text(config.read_text().replace(str(scenes), str(data)))
    found = find_label_errors([run], device="cpu")
    said = any("not those that the run was trained with" in fact for fact in found.facts)
    assert said == (changes == "split again")


def test_rank_images__goes_on_past_a_broken_image_and_lists_it(
    tmp_path: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    shutil.copytree(scenes / "images" / "val", images)
    names = sorted(path.name for path in images.iterdir())
    (images / names[0]).write_bytes((images / names[0]).read_bytes()[:2000])
    with pytest.raises(SystemExit) as ended:
        main(["rank-images", str(EMBEDDED), str(images), "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert ended.value.code == 2
    assert "1 image could not be read" in capsys.readouterr().out
    assert sorted((tmp_path / "out" / "images.txt").read_text().split()) == names[1:]
    assert [row["file_name"] for row in json.loads((tmp_path / "out" / "skipped.json").read_text())] == names[:1]


def test_pre_annotate__of_a_prediction_without_coco_says_how_to_have_it(
    tmp_path: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predicted").mkdir()
    (tmp_path / "predicted" / "detections.csv").write_text("image_id\n")
    words = ("--images", str(scenes / "images"), "--out", str(tmp_path / "out"))
    with pytest.raises(SystemExit) as ended:
        main(["pre-annotate", str(tmp_path / "predicted"), *words])
    assert ended.value.code == 2
    assert "predict again with --to coco" in "".join(capsys.readouterr())
