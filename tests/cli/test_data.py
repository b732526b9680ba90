"""The commands on data: flags that have another name, choices in the help, typed options of readers, the manifest."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from paths import DATASETS

from detect_transfer.cli import main
from detect_transfer.evaluation import METRICS
from detect_transfer.evaluation.metrics.slices import KINDS
from detect_transfer.formats import READERS
from detect_transfer.formats.writing.targets import WRITERS

ROAD_SIGNS = DATASETS / "road_signs" / "sample"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run the command line in this process; return the exit code, and what it said on stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["--split", "train=1"], "--split-ratio train=1"),
        (["--split=source"], "--split-from-source"),
        (["--split", "a/splits.json"], "--split-file a/splits.json"),
        (["--images", "none"], "--image-mode none"),
        (["--ignore-policy=mask"], "--ignored-regions mask"),
    ],
)
def test_old_flags__are_refused_with_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], instead: str
) -> None:
    status, _, err = run(capsys, "convert", "voc", ROAD_SIGNS, "--out", tmp_path / "out", *words)
    assert status == 2
    assert err.startswith(f"OPTION_RENAMED {words[0].partition('=')[0]}=")
    assert err.endswith(f"; write {instead}\n")
    assert not (tmp_path / "out").exists()


def test_help__lists_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "convert", "--help")[1]
    for choices in ("drop|keep|mask|drop-image", "copy|link|none", "fail|skip-row|skip-image"):
        assert choices in out
    assert "fail|skip-row|skip-image" in run(capsys, "check", "--help")[1]


@pytest.mark.parametrize(
    ("command", "registries"),
    [
        ("convert", [READERS, WRITERS]),
        ("check", [READERS]),
        ("evaluate", [READERS, METRICS, KINDS, ["auto, cpu, cuda or mps"]]),
        ("predict", [["auto, cpu, cuda or mps"]]),
        ("visualize", [READERS]),
        ("compare", [READERS]),
    ],
)
def test_help__lists_what_the_registries_hold(
    command: str, registries: list[Iterable[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = run(capsys, command, "--help")[1]
    for names in registries:
        choices = [name for name in names if not re.search(rf"\b{name}\b", " ".join(out.split()))]
        assert not choices, f"{command} --help does not name {choices}"
    assert not re.search(r"\{(formats|targets|metrics|slices)\}", out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--option", "one_based=flase"], "OPTION_VALUE --option=one_based=flase - true or false was expected"),
        (["--option", "one_based"], "OPTION_VALUE --option=one_based - KEY=VALUE was expected"),
        (["--option", "one_base=true"], "OPTION_UNKNOWN --option=one_base=true .*'one_based'"),
        (["--option", "one_based=true", "--option", "one_based=false"], "OPTION_VALUE .*given twice"),
        (["--on-error", "skip-image", "--option", "on_error=skip-row"], "OPTION_VALUE --option=on_error=skip-row"),
        (["--image-mode", "move"], "USAGE .*'copy', 'link', 'none'"),
        (["--on-error", "skip"], "USAGE .*'skip-row'"),
        (["--split-ratio", "train=1", "--split-from-source"], "USAGE --split-from-source"),
        (["--val-from-train", "0.2"], "OPTION val_from_train=0.2 .*--split-from-source"),
    ],
)
def test_wrong_words__one_line_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    status, _, err = run(capsys, "convert", "voc", ROAD_SIGNS, "--out", tmp_path / "out", *words)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert re.match(message, err), err
    assert list(tmp_path.iterdir()) == []


def test_manifest__records_the_options_of_the_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--split-ratio", "train=1", "--option", "one_based=false", "--on-error", "skip-row"]
    assert run(capsys, "convert", "voc", ROAD_SIGNS, "--out", tmp_path / "out", *words)[0] == 0
    options = json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]
    assert options["reader"] == {"one_based": False}
    assert options["on_error"] == "skip-row"
    assert (options["image_mode"], options["ignored_regions"]) == ("copy", "drop")


def test_manifest__tells_no_path_of_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = DATASETS / "coco" / "sample"
    words = ["--split-ratio", "train=1", "--bad-boxes", "fix", "--option", f"images={source / 'images'}"]
    assert run(capsys, "convert", "coco", source, "--out", tmp_path / "out", *words)[0] == 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]["reader"] == {"images": "images"}
