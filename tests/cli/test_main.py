"""Wrong input at the command line: one line, the right exit code, no traceback, nothing half-written."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from manifests import restamp
from paths import ROOT

from detect_transfer.cli import main
from detect_transfer.cli.command import EXAMPLES
from detect_transfer.cli.main import app
from detect_transfer.cli.options import complete_key
from detect_transfer.core.shipped import shipped
from detect_transfer.models.checkpoints import EMBEDDED, load_weights, save_weights

GROUP = typer.main.get_command(app)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Run the command line in this process; return the exit code and what it said on stderr."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0), capsys.readouterr().err


def write_config(folder: Path, text: str) -> Path:
    path = folder / "c.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("data: {synthetic: {}}\ntrain: {epoch: 3}", "CONFIG_KEY", id="unknown-key"),
        pytest.param("data: {}", "CONFIG_VALUE", id="no-data"),
        pytest.param("data: {path: nowhere/at/all}\nmodel: {weights: embedded}", "DATA_MISSING", id="missing-data"),
        pytest.param("data: {synthetic: {}}\ntrain: {batch: 0}", "CONFIG_VALUE", id="zero-batch"),
        pytest.param("data: {synthetic: {}}\ntransfer: {strategy: ful}", "CONFIG_VALUE", id="strategy"),
        pytest.param("data: {synthetic: {}}\ntrain: {seed: 1_000_000_000_000_000_000_000}", "CONFIG_VALUE", id="seed"),
        pytest.param("data: {synthetic: {}}\ntransfer: {phases: []}", "CONFIG_VALUE", id="no-phase"),
        pytest.param("data: [1, 2", "YAML_SYNTAX", id="yaml"),
        pytest.param("data: {synthetic: {}}\ndata: {path: x}", "YAML_SYNTAX", id="key-twice"),
        pytest.param("- 1", "CONFIG_KIND", id="no-mapping"),
        pytest.param("data: {synthetic: {}}\nmodel: {weights: nothing.pt}", "WEIGHTS_MISSING", id="weights"),
        pytest.param("data: {synthetic: {}}\nmodel: {family: detr}", "CONFIG_VALUE model.family", id="family"),
        pytest.param("data: {synthetic: {}}\nmodel: {backbone: vgg11}", "CONFIG_VALUE model.backbone", id="backbone"),
        pytest.param("data: {synthetic: {}}\ntrain: {device: tpu9}", "DEVICE", id="device"),
        pytest.param(
            "data: {synthetic: {}}\naugment: [{Flip: {}}]\nmodel: {weights: embedded}", "AUGMENT", id="augment"
        ),
    ],
)
def test_wrong_config__one_line_and_no_run_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: str
) -> None:
    path = write_config(tmp_path, text)
    status, said = run(capsys, "train", path, f"out={tmp_path / 'run'}")
    assert status == 2, said
    assert said.startswith(code)
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(GROUP.commands))
def test_help__ends_with_an_example_that_parses(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "study":
        pytest.skip("it has commands of its own")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(f"Example: detect-transfer {EXAMPLES[name]}")
    words = shlex.split(EXAMPLES[name])
    assert words[0] == name
    GROUP.commands[name].make_context(name, words[1:])


def test_quiet__shows_nothing_but_errors(tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["check", str(tiny_data), "-q"], ["-q", "check", str(tiny_data)]):
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "")
    assert run(capsys, "check", "nowhere", "--quiet")[1].startswith("DATA_MISSING")
    with pytest.raises(SystemExit):
        main(["config", "train.epochs"])
    assert "train.epochs: " in capsys.readouterr().out


def test_a_reader_that_goes_away__is_no_error() -> None:
    """As with `detect-transfer config | head -1`."""
    command = [sys.executable, "-m", "detect_transfer", "config"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux that is always full")
@pytest.mark.parametrize("words", [["convert", "--list"], ["--version"], ["convert", "data_folder", "{}", "--json"]])
def test_full_stdout__is_named(words: list[str], tiny_data: Path, tmp_path: Path) -> None:
    words = [word.format(tiny_data) for word in words]
    words += ["--out", str(tmp_path / "out")] if "data_folder" in words else []
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "detect_transfer", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(
        "OS_ERROR standard output - what is printed cannot be written: No space left on device; "
    )
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "out" / "manifest.json").is_file() == ("data_folder" in words)


def test_what_comes_with_the_package__is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped(Path("configs/quickstart.yaml")).is_file()
    assert shipped(Path("datasets/gtsdb/dataset.yaml")).is_file()
    for name in ("configs/none.yaml", "configs/../pyproject.toml", "quickstart.yaml"):
        assert shipped(Path(name)) == Path(name)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "quickstart.yaml").touch()
    assert shipped(Path("configs/quickstart.yaml")) == Path("configs/quickstart.yaml")


def test_completion__knows_commands_and_keys() -> None:
    assert complete_key("train.ep") == ["train.epochs="]
    environment = {**os.environ, "_DETECT_TRANSFER_COMPLETE": "complete_bash", "COMP_WORDS": "x c", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'detect-transfer'; from detect_transfer.cli import main; main([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert {"check", "compare", "config", "convert"} <= set(done.stdout.split())


def test_data_alone__train_by_the_defaults_and_not_by_the_quick_start(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from detect_transfer.workflows.run_config import config_of_words

    monkeypatch.chdir(tmp_path)
    config, name = config_of_words(None, [f"data.path={tiny_data}", "model.weights=yolo11n.pt"])
    assert (name, config.train.imgsz.plain, config.train.epochs, config.augment) == (tiny_data.name, 640, 20, "default")
    shutil.copytree(tiny_data / "images", tmp_path / "native" / "images")
    shutil.copy(tiny_data / "annotations" / "instances_train.json", tmp_path / "native")
    small = ["train.imgsz=96", "train.batch=8", "train.epochs=1", "model.weights=embedded"]
    with pytest.raises(SystemExit) as left:
        main(["train", "data.path=native/instances_train.json", "data.images=native/images", *small])
    said = capsys.readouterr().out
    assert not left.value.code
    for line in ("... data: coco", "... split: train=0.8, val=0.2 by class, seed 0", "... val: ", "best"):
        assert line in said
    assert (tmp_path / "runs" / "instances_train" / "data" / "manifest.json").is_file()


def test_a_folder_in_place_of_a_config__is_refused_with_what_to_write(
    tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = run(capsys, "train", tiny_data)
    assert (status, said.endswith(f"; write data.path={tiny_data}\n")) == (2, True)


def test_several_mistakes__are_reported_at_once_with_suggestions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, "data: {synthetic: {}}\ntrain: {epoch: 3, imgsz: 100}\nmodle: {}")
    status, said = run(capsys, "train", path, "train.lr=fast")
    assert status == 2
    assert len(said.strip().splitlines()) == 4
    for word in (
        "did you mean 'train.epochs'",
        "did you mean 'model'",
        "c.yaml train.imgsz=100",
        "command line train.lr=fast",
    ):
        assert word in said


def test_weights_that_cannot_be_had__exit_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def no_network(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path, "data: {synthetic: {}}\nmodel: {weights: yolo11s}")
    status, said = run(capsys, "train", path)
    assert status == 3
    assert said.startswith("WEIGHTS_UNAVAILABLE")
    assert "put the file at" in said
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


def test_damaged_weights__exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(EMBEDDED.read_bytes()[:100_000])
    path = write_config(tmp_path, f"data: {{synthetic: {{}}}}\nmodel: {{weights: {cut}}}")
    status, said = run(capsys, "train", path)
    assert (status, said.split()[0]) == (2, "WEIGHTS_DAMAGED")
    (tmp_path / "list.json").write_text("[1")
    status, said = run(capsys, "predict", tmp_path / "list.json", tmp_path, "--out", tmp_path / "out")
    assert (status, "weights_only" in said) == (2, False)  # what torch says would have it load what runs code


def damage(data: Path, how: str) -> None:
    """Break a data folder in one way."""
    image = sorted((data / "images" / "train").iterdir())[0]
    val = data / "annotations" / "instances_val.json"
    content = json.loads(val.read_text())
    if how == "missing image":
        image.unlink()
    elif how == "empty image":
        image.write_bytes(b"")
    elif how == "truncated image":
        image.write_bytes(image.read_bytes()[:800])
    elif how == "image of another size":
        from PIL import Image

        Image.new("RGB", (50, 40)).save(image)
    elif how == "validation without positives":
        content["annotations"] = []
    elif how == "dangling image_id":
        content["annotations"][0]["image_id"] = 99_999
    elif how == "duplicate id":
        content["annotations"][1]["id"] = content["annotations"][0]["id"]
    elif how == "path outside":
        content["images"][0]["file_name"] = "../../etc/passwd"
    if how == "truncated JSON":
        val.write_text(val.read_text()[:-200])
    else:
        val.write_text(json.dumps(content))
    restamp(data)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("missing image", "IMAGE_MISSING"),
        ("empty image", "IMAGE_EMPTY"),
        ("truncated image", "DATA_CHANGED"),
        ("image of another size", "IMAGE_SIZE"),
        ("validation without positives", "SPLIT_NO_POSITIVES"),
        ("dangling image_id", ""),
        ("duplicate id", ""),
        ("path outside", "PATH_OUTSIDE"),
        ("truncated JSON", "JSON_SYNTAX"),
    ],
)
def test_damaged_data__is_reported_with_its_place(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str, code: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    damage(data, how)
    path = write_config(tmp_path, f"data: {{path: {data}}}\nmodel: {{weights: embedded}}\ntrain: {{imgsz: 96}}")
    status, said = run(capsys, "train", path, f"out={tmp_path / 'run'}")
    assert status == 2, said
    assert said.startswith(code)
    assert "Traceback" not in said
    assert " - " in said
    assert ";" in said


def test_output_folder_in_use__is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_data: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    for words in (
        ["train", f"out={tmp_path / 'out'}"],
        ["convert", "data_folder", tiny_data, "--out", tmp_path / "out"],
        ["predict", EMBEDDED, tiny_data / "images", "--out", tmp_path / "out"],
    ):
        status, said = run(capsys, *words)
        assert (status, said.split()[0]) == (2, "OUT_NOT_EMPTY")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["convert", "cocoo", ".", "--out", "x"], "FORMAT_UNKNOWN"),
        (["convert", "voc", "no/such/folder", "--out", "x"], "FOLDER_MISSING"),
        (["convert", "voc", ".", "--out", "x", "--split-ratio", "train=0.8"], ""),
        (["convert", "voc", ".", "--out", "x", "--split-ratio", "train"], "SPLIT_RATIOS"),
        (["convert", "voc", ".", "--out", "x", "--option", "onebased=1"], "OPTION_UNKNOWN"),
        (["convert", "voc"], "USAGE"),
        (["trian"], "USAGE"),
        (["train", "a.yaml", "b.yaml"], "USAGE"),
        (["train", "no.yaml"], "FILE_MISSING"),
        (["predict", "no/run", ".", "--out", "x"], "RUN_MISSING"),
        (["evaluate", "--out", "x"], "USAGE"),
        (["evaluate", "best.pt", "--out", "x"], "USAGE arguments=best.pt - "),
        (["evaluate", "--truth", "no.json", "--detections", "no.json", "--out", "x"], "FILE_MISSING"),
        (["check", "no/such/folder"], "DATA_MISSING"),
        (["train", "data.path=no/such/folder", "model.weights=no.pt"], "DATA_MISSING"),
        (["train", "data.path=no/such/folder", "--dry-run"], "DATA_MISSING"),
        (["train", "--resume", "no/such/run"], "FILE_MISSING"),
    ],
)
def test_wrong_words__exit_2_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = run(capsys, *words)
    assert status == 2, said
    assert said.startswith(code)
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_a_bug_of_ours__exit_4_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import detect_transfer.formats as formats

    def broken(_: str) -> None:
        raise ZeroDivisionError("by us")

    monkeypatch.setattr(formats, "get_format", broken)
    status, said = run(capsys, "convert", "coco", ".", "--out", "nowhere")
    assert status == 4
    assert said.startswith("BUG - ZeroDivisionError: by us")
    assert "Traceback" not in said
    status, said = run(capsys, "--debug", "convert", "coco", ".", "--out", "nowhere")
    assert "Traceback" in said


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ],
    ids=["python", "cpu", "cuda"],
)
def test_memory_that_is_full_anywhere__exit_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    import detect_transfer.formats as formats

    def full(_: str) -> None:
        raise error

    monkeypatch.setattr(formats, "get_format", full)
    status, said = run(capsys, "convert", "coco", ".", "--out", "nowhere")
    assert (status, said.split()[0], len(said.splitlines())) == (3, "OUT_OF_MEMORY", 1)


def test_dry_run__prints_the_plan_and_makes_nothing(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_config(tmp_path, f"data: {{path: {tiny_data}}}\nmodel: {{weights: embedded}}")
    with pytest.raises(SystemExit) as left:
        main(["train", str(path), "--dry-run", "transfer.strategy=frozen_backbone"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "frozen" in out
    assert "strategy frozen_backbone" in out
    assert "mean of all rows" in out
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


def test_weights_that_fit_in_part__are_reported_on_the_console(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = load_weights(EMBEDDED)
    tensors = {name: tensor for name, tensor in whole.tensors.items() if not name.startswith("model.9.")}
    save_weights(tmp_path / "cut.safetensors", tensors, whole.metadata)
    path = write_config(tmp_path, f"data: {{path: {tiny_data}}}\nmodel: {{weights: {tmp_path / 'cut.safetensors'}}}")
    with pytest.raises(SystemExit) as left:
        main(["train", str(path), "--dry-run"])
    assert left.value.code == 0
    said = capsys.readouterr().err
    assert "warning: cut.safetensors fits yolo11n in part: 10 tensors start at random: model.9.cv1 (5)" in said
    assert len(said.splitlines()) == 1


def test_a_data_folder_of_links__is_checked_drawn_and_read_for_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_data: Path
) -> None:
    from detect_transfer.config import Data
    from detect_transfer.data.run_data import load_run_data

    data = tmp_path / "data"
    words = ["convert", "data_folder", tiny_data, "--out", data, "--split-from-source", "--image-mode", "link"]
    assert run(capsys, *words)[0] == 0
    assert all(p.is_symlink() for p in (data / "images").rglob("*.jpg"))
    assert run(capsys, "check", data)[0] == 0
    truth = data / "annotations" / "instances_val.json"
    assert run(capsys, "visualize", "--truth", truth, "--out", tmp_path / "drawn", "--limit", 1)[0] == 0
    loaded = load_run_data(Data(path=data), drawn=tmp_path)
    assert len(loaded.paths) == 38


def test_check__ends_with_code_2_where_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_data: Path
) -> None:
    data = shutil.copytree(tiny_data, tmp_path / "data")
    next((data / "images" / "train").iterdir()).unlink()
    (data / "manifest.json").unlink()
    assert run(capsys, "check", data / "annotations" / "instances_train.json", "--format", "coco")[0] == 2


def test_a_foreign_image_that_is_a_link_out__is_refused(tmp_path: Path, tiny_data: Path) -> None:
    """A data set of somebody else may not make us open files outside of it."""
    from detect_transfer.config import Data
    from detect_transfer.core.errors import InputError
    from detect_transfer.data.run_data import load_run_data

    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    (data / "manifest.json").unlink()
    (data / "data.yaml").unlink()
    image = sorted((data / "images" / "train").iterdir())[0]
    outside = tmp_path / "outside.jpg"
    image.rename(outside)
    image.symlink_to(outside)
    with pytest.raises(InputError, match="PATH_OUTSIDE"):
        load_run_data(Data(path=data), drawn=tmp_path)


@pytest.mark.parametrize("tool", ["convert", "check", "train", "predict", "evaluate", "visualize"])
def test_every_tool__shows_help(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{tool}.py"), "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert done.stderr == ""


def test_convert_check_visualize__by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_data: Path
) -> None:
    """A whole conversion of our own folder into another, checked and drawn."""
    words = ["convert", "data_folder", tiny_data, "--out", tmp_path / "data", "--split-from-source"]
    assert run(capsys, *words)[0] == 0
    assert run(capsys, "check", tmp_path / "data")[0] == 0
    truth = tmp_path / "data" / "annotations" / "instances_val.json"
    out = tmp_path / "drawn"
    assert run(capsys, "visualize", "--truth", truth, "--out", out, "--limit", 3)[0] == 0
    assert len([p for p in out.rglob("*") if p.is_file()]) == 3


def test_resume__goes_on_in_a_folder_that_was_moved(
    tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from detect_transfer.config import RunConfig
    from detect_transfer.training.context import Interrupted, Stop
    from detect_transfer.workflows.train import Watch, train

    config = RunConfig.model_validate(
        {
            "data": {"path": tiny_data},
            "model": {"weights": "embedded"},
            "transfer": {"strategy": "head_only"},
            "train": {"epochs": 1, "imgsz": 96},
            "out": tmp_path / "here",
        }
    )
    with pytest.raises(Interrupted):
        train(config, name="test", command="test", watch=Watch(stop=Stop(15)))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    status, said = run(capsys, "train", "--resume", tmp_path / "there")
    assert status == 0, said
    assert (tmp_path / "there" / "report.html").is_file()
    assert not (tmp_path / "here" / "report.html").exists()


def test_no_words__are_the_help_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--debug"]):
        with pytest.raises(SystemExit):
            main(words)
        said = capsys.readouterr()
        assert said.out.startswith("Usage: ")
        assert (said.err, "USAGE -" in said.out) == ("", False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nosuch"], "USAGE - No such command 'nosuch'; see --help"),
        (["compare"], "USAGE - Missing option '--out'; see --help"),
        (
            ["convert", "voc", ".", "--out", "x", "--image-mode", "nope"],
            "USAGE - Invalid value for '--image-mode': 'nope' is not one of 'copy', 'link', 'none'; see --help",
        ),
        (
            ["convert", "voc", ".", "--out", "x", "--no-split-from-source"],
            "OPTION_RENAMED --no-split-from-source - the option is gone; leave it out for the split of the source "
            "where it has one, or write --split-ratio train=0.8,val=0.2",
        ),
        (
            ["compare", "--out", "x"],
            "USAGE arguments - run folders, or --truth with several --detections were expected; "
            "detect-transfer compare RUN_A RUN_B --out DIR",
        ),
        (
            ["predict", "embedded", ".", "--out", "x", "--score", "high"],
            "OPTION score=high - a number from 0 to 1, or auto, was expected; give 0.25, for example",
        ),
    ],
    ids=lambda value: "-".join(value[:1]) if isinstance(value, list) else "",
)
def test_usage_errors__are_one_clean_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert run(capsys, *words) == (2, line + "\n")


def test_hooks_of_commits__find_their_tools_without_an_active_environment(tmp_path: Path) -> None:
    import os
    import shlex

    import yaml

    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for tool in ("ruff", "mypy", "python"):
        path = tmp_path / ".venv" / "bin" / tool
        path.write_text('#!/bin/sh\necho "${0##*/} $*"\n')
        path.chmod(0o755)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    for hook in hooks:
        done = subprocess.run(
            [*shlex.split(hook["entry"]), "a file.py"],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PATH": "/usr/bin:/bin"},
        )
        assert done.stdout.endswith("a file.py\n")
    assert len(hooks) == 4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["convert", "auto", "DATA", "--to", "coco", "--to=yolo", "--out", "o"],
            "--to - it stands 2 times; write --to A,B",
        ),
        (
            ["evaluate", "RUN", "--split", "val", "--split", "test"],
            "--split - it stands 2 times; leave all but one out",
        ),
    ],
)
def test_option_that_stands_twice__is_refused(words: list[str], line: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.strip() == f"OPTION {line}"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_stream__is_no_file_that_is_written(closed: str, few_data: Path, tmp_path: Path) -> None:
    line = f"{sys.executable} -m detect_transfer convert data_folder {few_data} --out {tmp_path / 'out'} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "manifest.json").read_bytes().startswith(b"{")
