"""F23: every option that takes a path, of every command, refuses a pipe at once: the list is held to the parsers."""

import os
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

from detect_transfer.cli.main import app
from detect_transfer.cli.study import study

pytestmark = pytest.mark.timeout(60)
DATA_ONLY = "--detections DETECTIONS --out OUT"
# of each option with a path the words that give it a PIPE, whose suffix they may choose
WORDS = {
    ("init", "source"): "PIPE --out OUT.yaml",
    ("init", "out"): "DATA --out PIPE.yaml",
    ("convert", "source"): "auto PIPE --out OUT",
    ("convert", "out"): "data_folder DATA --out PIPE",
    ("convert", "split_file"): "data_folder DATA --out OUT --split-file PIPE.json",
    ("convert", "allow_root"): "yolo DATA --out OUT --allow-root PIPE",
    ("unpack", "source"): "PIPE.parquet --out OUT",
    ("unpack", "out"): "DATA --out PIPE",
    ("check", "folder"): "PIPE",
    ("check", "out"): "DATA --out PIPE",
    ("check", "allow_root"): "DATA --format yolo --allow-root PIPE",
    ("check", "also"): "RUN --out OUT --also PIPE",
    ("suggest-class-map", "data"): "--data PIPE --weights embedded",
    ("train", "resume"): "--resume PIPE",
    ("average", "runs"): "PIPE RUN --out OUT",
    ("average", "out"): "RUN DATA --out PIPE",
    ("predict", "out"): "embedded DATA/images/val --out PIPE",
    ("pre-annotate", "predicted"): "PIPE --images DATA --out OUT",
    ("pre-annotate", "images"): "RUN --images PIPE --out OUT",
    ("pre-annotate", "out"): "RUN --images DATA --out PIPE",
    ("rank-images", "images"): "embedded PIPE --out OUT",
    ("rank-images", "out"): "embedded DATA/images/val --out PIPE",
    ("evaluate", "out"): f"--truth DATA {DATA_ONLY.replace('OUT', 'PIPE')}",
    ("evaluate", "data"): "embedded --data PIPE --out OUT",
    ("evaluate", "truth"): f"--truth PIPE.json {DATA_ONLY}",
    ("evaluate", "detections"): "--truth DATA --detections PIPE.csv --out OUT",
    ("evaluate", "images"): f"--truth DATA/annotations/instances_val.json --images PIPE {DATA_ONLY}",
    ("evaluate", "labels"): f"--truth DATA --explain --labels PIPE {DATA_ONLY}",
    ("export", "out"): "embedded --no-gate --out PIPE",
    ("export", "bundle"): "embedded --no-gate --bundle PIPE",
    ("export", "data"): "embedded --data PIPE --out OUT",
    ("export", "images"): "embedded --data DATA/annotations/instances_val.json --images PIPE --out OUT",
    ("compare", "out"): "RUN DATA --out PIPE",
    ("compare", "truth"): f"--truth PIPE.json --detections DETECTIONS {DATA_ONLY}",
    ("compare", "detections"): f"--truth DATA --detections PIPE {DATA_ONLY}",
    ("compare", "images"): f"--truth DATA/annotations/instances_val.json --images PIPE --detections RUN {DATA_ONLY}",
    ("visualize", "truth"): "--truth PIPE --out OUT",
    ("visualize", "out"): "--truth DATA --out PIPE",
    ("visualize", "detections"): "--truth DATA --detections PIPE --out OUT",
    ("visualize", "images"): "--truth DATA/annotations/instances_val.json --images PIPE --out OUT",
    ("verify", "path"): "PIPE",
    ("study init", "data"): "PIPE --weights embedded --out OUT.yaml",
    ("study init", "out"): "DATA --weights embedded --out PIPE.yaml",
    ("study plan", "study"): "PIPE.yaml",
    ("study run", "study"): "PIPE.yaml",
    ("study resume", "study"): "PIPE.yaml",
    ("study extend", "study"): "PIPE.yaml study.seeds=[0,1]",
    ("study report", "study"): "PIPE.yaml",
    # words that are no `Path` for the parser
    ("convert", "classes"): "data_folder DATA --out OUT --classes PIPE.yaml",
    ("convert", "option"): "coco DATA/annotations --out OUT --option images=PIPE",
    ("suggest-class-map", "words"): "PIPE.yaml",
    ("suggest-class-map", "weights"): "--data DATA --weights PIPE.pt",
    ("train", "words"): "PIPE.yaml",
    ("train", "data.path"): "data.path=PIPE model.weights=embedded out=OUT",
    ("train", "data.split_file"): "data.path=DATA data.split_file=PIPE.json model.weights=embedded out=OUT",
    ("train", "model.weights"): "data.path=DATA model.weights=PIPE.pt out=OUT",
    ("train", "out"): "data.path=DATA model.weights=embedded transfer.class_map=none out=PIPE",
    ("predict", "weights"): "PIPE DATA/images/val --out OUT",
    ("predict", "images"): "embedded PIPE.txt --out OUT",
    ("rank-images", "weights"): "PIPE.safetensors DATA/images/val --out OUT",
    ("evaluate", "weights"): "PIPE.onnx --data DATA --out OUT",
    ("evaluate", "class_map"): "embedded --data DATA --class-map PIPE.yaml --out OUT",
    ("export", "weights"): "PIPE --no-gate --out OUT",
    ("export", "class_map"): "embedded --data DATA --class-map PIPE.yaml --out OUT",
    ("compare", "runs"): "PIPE RUN --out OUT",
    ("study init", "weights"): "DATA --weights PIPE.pt --out OUT.yaml",
}


def _holds_path(annotation: object) -> bool:
    return annotation is Path or any(map(_holds_path, typing.get_args(annotation)))


def test_list__has_every_option_with_a_path() -> None:
    options = {
        (f"{before}{each.name or each.callback.__name__}".replace("_", "-"), name)
        for before, group in (("", app), ("study ", study))
        for each in group.registered_commands
        if each.callback is not None
        for name, annotation in typing.get_type_hints(each.callback).items()
        if _holds_path(annotation)
    }
    assert len(options) > 40
    assert options <= set(WORDS)


@pytest.mark.parametrize(("name", "option"), WORDS, ids=lambda text: text.replace(" ", "-"))
def test_pipe__is_refused_at_once(
    name: str, option: str, few_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "weights").mkdir(parents=True)
    (tmp_path / "detections.json").write_text("[]")
    for suffix in ("", ".json", ".yaml", ".pt", ".safetensors", ".onnx", ".txt", ".csv", ".parquet"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    words = WORDS[name, option].replace("PIPE", "pipe").replace("DATA", str(few_data)).replace("RUN", "run")
    words = words.replace("OUT", "out").replace("DETECTIONS", "detections.json")
    ended = command(*name.split(), *words.split())
    assert (ended.code, "pipe" in ended.err) == (2, True), ended
    assert not (tmp_path / "out").exists()
    assert all(path.is_fifo() for path in tmp_path.glob("pipe*"))
