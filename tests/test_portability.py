"""Nothing that one system alone has is needed: no lock of files, no signal of a terminal, no system call of Unix."""

import ast
import subprocess
import sys
from pathlib import Path

import detect_transfer

ROOT = Path(detect_transfer.__file__).parent
OF_UNIX = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}

AS_ON_WINDOWS = """
import os, signal, sys
from pathlib import Path

import psutil  # it needs what its own system has

for name in {modules}:
    sys.modules[name] = None
for module, names in ((os, {calls}), (signal, ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGALRM"))):
    for name in names:
        delattr(module, name)
from detect_transfer.cli.main import main
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.synthetic.dataset import write_scenes

scenes = Path(sys.argv[1])
table = write_scenes(scenes, "target", counts={{"train": 6, "val": 6}}, seed=0, size_wh=(64, 64))
for split in table.splits:
    write_coco(table.split_of(split), scenes / f"instances_{{split}}.json")
convert = ["convert", "coco", str(scenes), "--split-from-source", "--to", "coco,yolo,voc", "--check"]
code = main([*convert, "--out", str(scenes / "data"), "-q"])
sys.exit(code or main(["check", str(scenes / "data")]))
"""
CALLS = ("sync", "fork", "forkpty", "getuid", "geteuid", "sched_getaffinity", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY")


def test_modules__import_nothing_of_unix_when_they_are_loaded() -> None:
    loaded = {
        (path.name, name.split(".")[0])
        for path in ROOT.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert not [(path, name) for path, name in loaded if name in OF_UNIX]


def test_a_data_set_is_converted_and_checked_without_what_windows_lacks(tmp_path: Path) -> None:
    code = AS_ON_WINDOWS.format(modules=sorted(OF_UNIX - {"posix", "pwd", "grp"}), calls=CALLS)
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
