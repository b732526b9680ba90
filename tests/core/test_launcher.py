"""A process ends when the one that launched it was killed, in good order where it can."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RANK = """
import signal, sys, time
from pathlib import Path
from detect_transfer.core import launcher
launcher.LOOK_S, launcher.LAST_S = 0.05, 0.5
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
launcher.end_with_launcher()
Path(sys.argv[1]).write_text("ready")
time.sleep(60)
"""
LAUNCHER = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"


@pytest.mark.parametrize("kind", ["hearing", "deaf"])
def test_process__ends_with_a_launcher_that_was_killed(kind: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    words = [sys.executable, "-c", LAUNCHER, sys.executable, "-c", RANK, str(ready), kind]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        rank = int(launcher.stdout.readline())
        while not ready.exists():
            time.sleep(0.05)
        launcher.kill()
    for _ in range(100):
        try:
            os.kill(rank, 0)
        except ProcessLookupError:
            return
        if "\nState:\tZ" in Path(f"/proc/{rank}/status").read_text():  # nobody may wait for it here
            return
        time.sleep(0.1)
    os.kill(rank, signal.SIGKILL)
    pytest.fail("it goes on without its launcher")
