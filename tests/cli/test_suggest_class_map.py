"""The command suggest-class-map: what it prints can stand in a config."""

import json
from pathlib import Path

import pytest
import yaml

from detect_transfer.cli import main
from detect_transfer.config import make_config
from detect_transfer.models import load_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.models.class_evidence import ClassEvidence, ClassMatch, SourceScore
from detect_transfer.workflows.suggest_class_map import class_map_yaml


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as leave:
        main(["suggest-class-map", *map(str, words)])
    shown = capsys.readouterr()
    return int(leave.value.code or 0), shown.out, shown.err


def test_yaml_and_json__say_the_same(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--data", tiny_data, "--weights", "embedded", "train.imgsz=96")
    code, text, _ = run(capsys, *words)
    assert code == 0
    suggested = yaml.safe_load(text)["transfer"]["class_map"]
    assert "the source ran over" in text
    code, text, _ = run(capsys, *words, "--json")
    record = json.loads(text)
    assert code == 0
    assert record["class_map"] == ({} if suggested == "auto" else suggested)
    assert len(record["class_evidence"]) == 6


def test_yaml__can_stand_in_a_config() -> None:
    score = SourceScore("traffic light", 0.5, 0.0, 0.7, 9, 8.0)
    matches = (
        ClassMatch("no: yes #1", 9, "clear", ("traffic light",), (score,)),
        ClassMatch("off", 9, "clear", ("on", "true"), (score,)),
        ClassMatch("weak\n- one", 9, "weak", ("traffic light",), (score,)),
        ClassMatch("absent", 0, "none", (), ()),
    )
    text = class_map_yaml(ClassEvidence(matches, 9, 9, 64), {})
    config = make_config({"data": {"path": "x"}, **yaml.safe_load(text)}, [])
    assert config.transfer.class_map == {"no: yes #1": ["traffic light"], "off": ["on", "true"]}
    assert yaml.safe_load(class_map_yaml(ClassEvidence(matches[2:], 9, 9, 64), {})) == {
        "transfer": {"class_map": "auto"}
    }


def test_entries_of_the_config__win_and_stay(tiny_data: Path, tmp_path: Path, capsys) -> None:
    classes = json.loads((tiny_data / "annotations" / "instances_train.json").read_text())["categories"]
    first, second = (each["name"] for each in classes[:2])
    source = load_weights(EMBEDDED).class_names[0]
    path = tmp_path / "mine.yaml"
    own = {first: source, second: []}
    content = {"data": {"path": str(tiny_data)}, "model": {"weights": "embedded"}, "transfer": {"class_map": own}}
    path.write_text(yaml.safe_dump(content))
    code, text, _ = run(capsys, path, "train.imgsz=96")
    assert code == 0
    shown = yaml.safe_load(text)["transfer"]["class_map"]
    assert (shown[first], shown[second]) == ([source], [])
    code, text, _ = run(capsys, path, "train.imgsz=96", "--json")
    assert code == 0
    assert json.loads(text)["class_map"] == shown
    assert yaml.safe_load(class_map_yaml(ClassEvidence(note="silent"), {"a": ("b",)})) == {
        "transfer": {"class_map": {"a": ["b"]}}
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "USAGE"),
        (["a.yaml", "b.yaml"], "USAGE"),
        (["no.yaml"], "FILE_MISSING"),
        (["--data", "DATA", "--weights", "scratch"], "SCRATCH"),
        (["--data", "no_folder", "--weights", "embedded"], "DATA_MISSING"),
        (["--data", "DATA", "--weights", "embedded", "transfer.class_map={tyop: []}"], "CLASS_UNKNOWN"),
    ],
)
def test_wrong_words__end_in_a_line(
    tiny_data: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, out, err = run(capsys, *[tiny_data if word == "DATA" else word for word in words])
    assert (code, out) == (2, "")
    assert err.strip().splitlines()[-1].startswith(message)
