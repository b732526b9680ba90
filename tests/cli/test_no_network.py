"""No command opens a socket of the network, starts a program, or writes elsewhere than it was told to.

All are run in one process with a hook on what Python does, which the runs of a study have, too.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
from paths import ROOT

from detect_transfer.cli.main import app
from detect_transfer.cli.study import study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HOOK = """
    import os, sys
    log, allowed = os.environ["WATCHED_LOG"], os.environ["WATCHED_FOLDER"]
    def hook(event, args):
        found = ""
        if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
            found = f"{event} {args[1]}"
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "os.system", "os.exec", "os.posix_spawn"):
            found = f"{event} {args}"
        elif event == "socket.__new__" and args[1] in (2, 10):
            found = f"{event} {args[1:]}"
        elif event == "subprocess.Popen":
            found = f"{event} {args[1]}"
        elif event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
            path = os.path.abspath(args[0]) if isinstance(args[0], (str, bytes)) else ""
            path = os.fsdecode(path)
            if path and not path.startswith((allowed, "/dev/", "/proc/")):
                found = f"{event} {path}"
        if found:
            with_log = os.open(log, os.O_WRONLY | os.O_APPEND)
            os.write(with_log, (found.replace(chr(10), " ") + chr(10)).encode())
            os.close(with_log)
    sys.addaudithook(hook)
"""
DRIVER = """
    import json, os, sys, traceback
    from detect_transfer.cli import main
    for number, (name, words) in enumerate(json.loads(sys.argv[1])):
        code = None
        with open(os.environ["WATCHED_LOG"], "a") as log:
            log.write(f"> {number}\\n")
        try:
            main(words)
        except SystemExit as left:
            code = left.code
        print(f"ENDED {number} {code}", flush=True)
"""
TRAIN = "train data.path=DATA model.weights=embedded train.epochs=1 train.imgsz=64 train.batch=8 train.device=cpu"
COMMANDS = (  # in this order: later ones read what earlier ones wrote
    "init DATA model.weights=embedded train.imgsz=64 --out written.yaml",
    "convert data_folder DATA --out converted --to yolo,voc --check",
    "unpack train.parquet --out unpacked",
    "check DATA --out checked --round-trip",
    "config --explain",
    "suggest-class-map --data DATA --weights embedded",
    f"{TRAIN} train.seed=0 out=run0",
    f"{TRAIN} train.seed=1 train.workers=1 out=run1",
    "train --dry-run data.path=DATA model.weights=embedded train.imgsz=64",
    "check run0 --out labels_checked --device cpu",
    "average run0 run1 --out averaged --device cpu",
    "predict run0 DATA/images/val --out predicted --to jsonl,coco,yolo --device cpu",
    "pre-annotate predicted --images DATA/images/val --out to_correct",
    "rank-images run0 DATA/images/val --out ranked --device cpu",
    "evaluate run0 --out scored_run --device cpu",
    "evaluate run0 --data DATA --out scored --explain --device cpu",
    "evaluate --truth DATA --detections predicted/detections.json --out scored_files",
    "export run0 --to onnx,torchscript --out exported",
    "export run0 --bundle bundled",
    "compare run0 run1 --out compared --draws 100",
    "visualize --truth DATA --detections predicted/detections.json --out drawn",
    "visualize --truth DATA --out drawn_video --video",
    "verify run0",
    "study init DATA --weights embedded --out initial.yaml",
    "study plan study.yaml",
    "study run study.yaml",
    "study resume study.yaml",
    "study extend study.yaml study.seeds=[0,1]",
    "study report study",
    "verify study",
)
STUDY = {
    "model": {"weights": "embedded"},
    "train": {"epochs": 1, "imgsz": 64, "batch": 8, "device": "cpu"},
    "study": {"arms": ["epoch0"], "sizes": [100], "seeds": [0], "held_out": 0.3, "jobs": 1},
    "out": "study",
}
# what starts processes by its nature, and which: those of this tool alone
STARTS_RUNS = ("study run", "study resume", "study extend")
OF_A_RUN = f"subprocess.Popen ['{sys.executable}', '-m', 'detect_transfer', 'train', "


def test_list__has_every_command() -> None:
    names = {
        f"{before}{each.name or each.callback.__name__}".replace("_", "-")
        for before, group in (("", app), ("study ", study))
        for each in group.registered_commands
        if each.callback is not None
    }
    assert len(names) > 20
    assert names == {_name_of(words) for words in COMMANDS}


def _name_of(words: str) -> str:
    first, second, *_ = words.split()
    return f"{first} {second}" if first == "study" else first


@pytest.fixture(scope="module")
def ended(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], list[list[str]], str]:
    """How every command ended, what the hook noted of it, and what all of them printed."""
    base = tmp_path_factory.mktemp("watched")
    _write_inputs(base, few_data)
    hooks, log = base / "hooks", base / "log"
    for folder in (hooks, base / "home", base / "tmp"):
        folder.mkdir()
    log.touch()
    (base / "home").chmod(0o555)
    (hooks / "sitecustomize.py").write_text(textwrap.dedent(HOOK))
    own = ("CI", "PYTEST", "MPLCONFIGDIR", "TORCHINDUCTOR", "DETECT_TRANSFER", "ORT_")  # set by what ran before
    environment = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    environment |= {"HOME": str(base / "home"), "TMPDIR": str(base / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"PYTHONPATH": f"{hooks}{os.pathsep}{ROOT}"}
    environment |= {"WATCHED_LOG": str(log), "WATCHED_FOLDER": str(base)}
    lines = [(_name_of(words), words.replace("DATA", str(few_data)).split()) for words in COMMANDS]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DRIVER), json.dumps(lines)],
        capture_output=True, text=True, cwd=base, env=environment, check=False,
    )  # fmt: skip
    codes = [int(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("ENDED ")]
    seen = [part.splitlines()[1:] for part in log.read_text().split("> ")[1:]]
    assert not list((base / "home").iterdir())
    assert not list((base / "tmp").iterdir()), "what is temporary is removed"
    return codes, seen, done.stdout + done.stderr


def _write_inputs(base: Path, data: Path) -> None:
    image = next((data / "images" / "val").iterdir()).read_bytes()
    row = {"image": {"bytes": image, "path": "a.jpg"}, "objects": {"bbox": [[1.0, 2.0, 9.0, 8.0]], "category": ["a"]}}
    pl.DataFrame([row]).write_parquet(base / "train.parquet")
    (base / "study.yaml").write_text(json.dumps({"data": {"path": str(data)}, **STUDY}))


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[_name_of(words).replace(" ", "-") for words in COMMANDS])
def test_command__touches_nothing_but_what_it_is_told(
    number: int, ended: tuple[list[int], list[list[str]], str]
) -> None:
    codes, seen, output = ended
    assert codes[number : number + 1] == [0], output[-3000:]
    name = _name_of(COMMANDS[number])
    assert [line for line in seen[number] if not (name in STARTS_RUNS and line.startswith(OF_A_RUN))] == []
    if name == "study run":
        assert seen[number], "the hook sees what is started"
