"""F23: a pipe or a device in the place of a file is an error at once, wherever a user can name a file."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from detect_transfer.core.errors import InputError
from detect_transfer.core.opening import open_regular
from detect_transfer.formats import READERS

PACKAGE = ROOT / "detect_transfer"
OWN_FILES = {  # read what the tool itself or the system wrote, or look at the kind of the file first
    *("synthetic/dataset.py", "workflows/study/process.py", "workflows/study/runs.py", "core/code_version.py"),
    *(
        "core/memory.py",
        "core/temporary.py",
        "models/device.py",
        "models/yolo/ultralytics.py",
        "core/written_links.py",
        "workflows/run_energy.py",
        "workflows/trackers.py",
    ),
}

pytestmark = pytest.mark.timeout(60)


def kinds(folder: Path) -> list[Path]:
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    return [folder / "pipe", folder / "link", folder / "socket", Path("/dev/zero"), Path("/dev/stdin")]


def test_what_is_no_regular_file__is_never_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    for path in kinds(Path()):
        if path.exists() and not path.is_file():
            with pytest.raises(InputError, match="FILE_KIND"):
                open_regular(path)
    with pytest.raises(InputError, match="FILE_KIND"):
        open_regular(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "to_a").symlink_to("a")
    with open_regular(tmp_path / "to_a") as stream:
        assert stream.read() == b"x"


def test_every_command__refuses_a_pipe(data_folder: Path, tmp_path: Path, command: Callable) -> None:
    pipe, image = tmp_path / "pipe", sorted((data_folder / "images" / "val").iterdir())[0]
    os.mkfifo(pipe)
    results = tmp_path / "results.json"
    results.write_text("[]")
    for suffix in (".txt", ".jpg", ".json", ".safetensors", ".pt", ".mp4", ".yaml"):
        os.mkfifo(tmp_path / f"pipe{suffix}")
    image.unlink()
    os.mkfifo(image)
    out = "--out", tmp_path / "out"
    for words in (
        ("predict", "embedded", tmp_path / "pipe.jpg", *out),
        ("predict", "embedded", tmp_path / "pipe.mp4", *out),
        ("predict", "embedded", tmp_path / "pipe.txt", *out),
        ("predict", tmp_path / "pipe.safetensors", image.parent.parent / "train", *out),
        ("predict", tmp_path / "pipe.pt", image.parent.parent / "train", *out),
        (
            "predict",
            "embedded",
            data_folder / "images" / "val",
            "--out",
            tmp_path / "others",
        ),  # the others are predicted
        ("evaluate", "embedded", data_folder, *out),
        ("evaluate", data_folder, "--detections", pipe, *out),
        ("evaluate", data_folder, "--detections", tmp_path / "pipe.json", *out),
        ("visualize", data_folder, "--detections", pipe, *out),
        ("check", data_folder),
        ("convert", "coco", pipe, *out),
        ("convert", "coco", f"{tmp_path / 'pipe.json'},{tmp_path / 'pipe.json'}", *out),
        ("convert", "data_folder", data_folder, *out, "--classes", tmp_path / "pipe.yaml"),
        ("train", tmp_path / "pipe.yaml"),
        ("train", f"data.path={data_folder}", "model.weights=embedded", f"out={tmp_path / 'run'}"),
        ("train", f"data.path={data_folder}", f"model.weights={tmp_path / 'pipe.pt'}", f"out={tmp_path / 'run'}"),
    ):
        ended = command(*words)
        assert ended.code == 2, (words, ended)


@pytest.mark.parametrize("name", ["instances.json", "annotations/instances_train.json", "data.yaml", "a.csv", "a.xml"])
def test_recognition__looks_into_no_pipe(name: str, tmp_path: Path, command: Callable) -> None:
    path = tmp_path / "source" / name
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert command("convert", "auto", tmp_path / "source", "--out", tmp_path / "out").code == 2


@pytest.mark.parametrize("words", ["check", "init", "convert auto", "evaluate --detections {results} --truth"])
def test_pipe_in_the_place_of_data__is_said_to_be_one(words: str, tmp_path: Path, command: Callable) -> None:
    pipe, results = tmp_path / "pipe", tmp_path / "results.json"
    os.mkfifo(pipe)
    results.write_text("[]")
    ended = command(
        *words.format(results=results).split(), pipe, *(() if words == "init" else ("--out", tmp_path / "o"))
    )
    assert (ended.code, f"FILE_KIND {pipe} - it is a pipe" in ended.err) == (2, True), ended


def test_files_of_users_are_opened_by_one_function() -> None:
    """Whoever opens by another way has to be a reader of the tool's own files."""
    other = re.compile(r"\.open\(\"rb?\"|\bopen\([^)]*\"rb?\"|\.read_bytes\(\)|\.read_text\(")
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        lines = [line for line in path.read_text().splitlines() if other.search(line) and "native.read_" not in line]
        lines = [line for line in lines if "io.read_text" not in line and "opener=_regular" not in line]
        assert not lines or name in OWN_FILES, f"{name}: {lines}"


def test_links_are_followed_by_one_function() -> None:
    """`Path.resolve` raises RuntimeError for links in a loop."""
    assert not [path for path in PACKAGE.rglob("*.py") if ".resolve(" in path.read_text()]


def test_every_reader__says_that_a_pipe_is_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for form in READERS.values():
        with pytest.raises(InputError, match=r"FILE_KIND .*it is a pipe"):
            form.read(tmp_path / "pipe")


@pytest.mark.parametrize("target", ["link", "nowhere"], ids=["loop", "dangling"])
@pytest.mark.parametrize(
    "words",
    [
        *("init LINK", "init DATA --out LINK.yaml", "check LINK", "convert auto LINK --out OUT"),
        *("convert coco LINK.json --out OUT", "convert yolo LINK.yaml --out OUT", "convert yolo LINK --out OUT"),
        *("convert data_folder DATA --out OUT --split-file LINK.json", "train LINK.yaml", "train --resume LINK"),
        *("convert data_folder DATA --out OUT --classes LINK.yaml", "convert yolo DATA --out OUT --allow-root LINK"),
        *("predict LINK.pt DATA --out OUT", "predict embedded LINK.jpg --out OUT", "predict embedded LINK --out OUT"),
        *("evaluate --truth LINK.json --detections DATA --out OUT", "evaluate LINK --data DATA --out OUT"),
        *(
            "average LINK LINK.pt --out OUT",
            "compare LINK LINK.pt --out OUT",
            "study plan LINK",
            "study plan LINK.yaml",
        ),
        *("pre-annotate LINK --images DATA --out OUT", "verify LINK", "unpack LINK --out OUT"),
    ],
)
def test_link_that_leads_nowhere__is_wrong_input(
    words: str, target: str, data_folder: Path, tmp_path: Path, command: Callable
) -> None:
    for suffix in ("", ".json", ".yaml", ".pt", ".jpg"):
        (tmp_path / f"link{suffix}").symlink_to(f"{target}{suffix}")
    places = {"LINK": tmp_path / "link", "DATA": data_folder, "OUT": tmp_path / "out"}
    for name, place in places.items():
        words = words.replace(name, str(place))
    ended = command(*words.split())
    assert ended.code == 2, ended
    assert (tmp_path / "link.yaml").is_symlink()
    assert not (tmp_path / "out").exists()


OUT_LINK = [
    *("convert data_folder DATA --out LINK", "predict embedded DATA/images/val --out LINK", "check DATA --out LINK"),
    "train data.path=DATA model.weights=embedded transfer.class_map=none train.epochs=1 train.imgsz=64 out=LINK",
]


@pytest.mark.parametrize("words", OUT_LINK)
@pytest.mark.parametrize(("target", "code"), [("link", 2), ("elsewhere", 0)], ids=["loop", "dangling"])
def test_output_folder_that_is_a_link__is_made_where_it_leads(
    words: str, target: str, code: int, few_data: Path, tmp_path: Path, command: Callable
) -> None:
    (tmp_path / "link").symlink_to(target)
    words = words.replace("DATA", str(few_data)).replace("LINK", str(tmp_path / "link"))
    ended = command(*words.split())
    assert (ended.code, "a link that leads to itself" in ended.err) == (code, code == 2), ended
    assert (tmp_path / "elsewhere").is_dir() is (code == 0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_that_may_not_be_read__are_not_called_damaged(
    suffix: str, data_folder: Path, tmp_path: Path, command: Callable, monkeypatch: Any
) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"x")
    real = os.open

    def refuse(name: Any, *rest: Any, **more: Any) -> int:
        if str(name) == str(path):
            raise PermissionError(13, "Permission denied", name)
        return real(name, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    ended = command("predict", path, data_folder / "images" / "val", "--out", tmp_path / "out")
    assert (ended.code, "FILE_UNREADABLE" in ended.err) == (3, True), ended


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w"])
@pytest.mark.parametrize(
    "words", ["predict WEIGHTS DATA --out OUT", "train data.path=DATA model.weights=WEIGHTS out=OUT"]
)
def test_weights_that_are_no_file__are_said_to_be_what_they_are(
    words: str, name: str, kind: str, data_folder: Path, tmp_path: Path, command: Callable, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "pipe":
        os.mkfifo(name)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(name)
    else:
        Path(name).symlink_to("/dev/zero")
    words = words.replace("WEIGHTS", f"./{name}").replace("DATA", str(data_folder)).replace("OUT", "out")
    ended = command(*words.split())
    assert (ended.code, f"it is a {kind}, no regular file" in ended.err) == (2, True), ended
