"""The folder in which an output is built: what killed runs leave is removed, what is somebody's is not."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from paths import DATASETS, ROOT

from detect_transfer.core import io, temporary
from detect_transfer.core.errors import InputError

BUILDS = """
import sys, time
from pathlib import Path
from detect_transfer.core.io import new_folder
with new_folder(Path(sys.argv[1])) as building:
    (building / "half.txt").write_text("x")
    print("building", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def half_done(tmp_path: Path):
    """A process that is in the middle of building `out`."""
    out = tmp_path / "da[t]a"
    with subprocess.Popen([sys.executable, "-c", BUILDS, out], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "building\n"
        yield out, process
        process.kill()


def build(out: Path) -> None:
    with io.new_folder(out) as building:
        (building / "whole.txt").write_text("x")


def test_new_folder__removes_what_a_killed_run_left(half_done) -> None:
    out, process = half_done
    process.kill()
    process.wait()
    assert len(list(out.parent.iterdir())) == 1
    build(out)
    assert list(out.parent.iterdir()) == [out]


def test_new_folder__leaves_what_another_run_is_building(half_done) -> None:
    out, process = half_done
    [building] = out.parent.iterdir()
    build(out)
    assert (building / "half.txt").exists()
    assert process.poll() is None


def test_new_folder__leaves_folders_of_others(tmp_path: Path) -> None:
    others = [
        tmp_path / name for name in (".out.abc.tmp", ".out2.detect_transfer-x.tmp", ".out.detect_transfer-x.tmp2")
    ]
    for other in others:
        other.mkdir()
    linked = tmp_path / "mine"
    linked.mkdir()
    (tmp_path / ".out.detect_transfer-y.tmp").symlink_to(linked)
    build(tmp_path / "out")
    assert all(other.is_dir() for other in (*others, linked))


def test_temporary_folders__of_killed_runs_go_and_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    boot, day = temporary._boot(), 86_400
    names = {
        f"detect_transfer-{boot}-{ended.pid}-a.tmp": False,
        f".data.detect_transfer-{boot}-{ended.pid}-b.tmp": False,
        f"detect_transfer-{boot}-{os.getpid()}-c.tmp": True,
        f"detect_transfer-00000000-{ended.pid}-young.tmp": True,
        f"detect_transfer-00000000-{os.getpid()}-old.tmp": False,
        f"detect_transfer-{boot}-{ended.pid}-d": True,
        f"somebody-{boot}-{ended.pid}-e.tmp": True,
    }
    for name in names:
        (tmp_path / name / "inside").mkdir(parents=True)
        if "old" in name:
            os.utime(tmp_path / name, (time.time() - 2 * day, time.time() - 2 * day))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary.scratch_folder() as scratch:
        assert scratch.parent == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {name for name, stays in names.items() if stays}


def test_new_folder__with_a_name_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    build(tmp_path / ("x" * 255))
    assert [path.name for path in tmp_path.iterdir()] == ["x" * 255]


def test_new_folder__is_built_where_a_link_leads_to(tmp_path: Path) -> None:
    for name in ("empty", "absent"):
        target, link = tmp_path / "disk" / name, tmp_path / name
        link.symlink_to(target)
        if name == "empty":
            target.mkdir(parents=True)
        build(link)
        assert link.is_symlink()
        assert (target / "whole.txt").exists()
    assert len(list((tmp_path / "disk").iterdir())) == 2


def test_new_folder__refuses_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out in (Path(), tmp_path):
        with pytest.raises(InputError, match="OUT_IN_USE"):
            build(out)


CONVERTS = """
import sys
from detect_transfer.data import convert as module
from detect_transfer.cli import main
def forever(*words, **more):
    print("building", flush=True)
    import time
    time.sleep(60)
module.write_targets = forever
main(["convert", *sys.argv[1:]])
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_convert__stopped_by_a_signal_leaves_nothing_and_says_so(tmp_path: Path, number: int, status: int) -> None:
    source = DATASETS / "voc2007" / "sample"
    words = [sys.executable, "-c", CONVERTS, "voc", source, "--split-ratio", "train=1", "--out", tmp_path / "out"]
    words += ["--bad-boxes", "fix"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, preexec_fn=_listen, **pipes) as process:
        assert process.stdout is not None
        assert "building\n" in iter(process.stdout.readline, "")
        assert len(list(tmp_path.iterdir())) == 1
        time.sleep(0.1)
        os.kill(process.pid, number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == status
    assert said.strip().startswith("INTERRUPTED - stopped by ")
    assert list(tmp_path.iterdir()) == []


def test_folders_in_that_of_the_system__are_made_in_one_place() -> None:
    """What a killed run leaves elsewhere under another name, nobody removes."""
    other = re.compile(r"(TemporaryDirectory|NamedTemporaryFile|mkdtemp|mkstemp)\((?!.*dir=)")
    for path in (ROOT / "detect_transfer").rglob("*.py"):
        lines = [line for line in path.read_text().splitlines() if other.search(line)]
        assert not lines, f"{path}: {lines}"


def _listen() -> None:
    """Take Ctrl-C, which a process in the background of a shell does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o002, 0o775)])
def test_new_folder__is_as_open_as_the_user_wishes(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with io.new_folder(tmp_path / "out"):
            pass
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode
